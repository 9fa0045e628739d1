//! Extractors for [`OutgoingLimit`](crate::OutgoingLimit), which find the entity, the resource and the cost of a
//! [`Call`].
//!
//! Fixed values ([`EntityId`], [`ResourceName`], [`Cost`](crate::Cost)) are extractors too, as are those of
//! [`zae_tower::entity`], [`zae_tower::resource`] and [`zae_tower::cost`] that inspect a request's head.
//!
//! ```
//! use zae_reqwest::{Call, Cost, EntityId, RequestHead, ResourceName, extract::Extractor, find};
//! let what = find::json::<ResourceName>("/model").or(find::host());
//! let who = find::from_fn(|call: &Call| Some(EntityId::new(call.headers().get("openai-organization")?.to_str().ok()?)));
//! let how_much = find::from_fn(|call: &Call| Cost::of("rpm", if call.path() == "/v1/files" { 5 } else { 1 }));
//! ```

use std::{
    any::type_name,
    fmt,
    future::{Future, ready},
    marker::PhantomData,
    pin::Pin,
};

use zae_tower::{
    EntityId, ResourceName, ValidationError,
    adapter::BodyText,
    extract::{Extract, ExtractError, Extracted, Extractor, IntoExtracted},
    llm::json::Claim,
    resource::route_name,
};

use crate::call::Call;

/// Extracts what `function` finds; it may return the value, an [`Option`] of it, or a [`Result`] of either.
pub fn from_fn<F, O>(function: F) -> FromCall<F, O>
where
    F: Fn(&Call) -> O + Send + Sync + 'static,
    O: IntoExtracted + 'static,
{
    FromCall { function, output: PhantomData }
}

/// Uses the host of the request's URL as the resource: `api.openai.com`. Numeric addresses get a hash, because names
/// begin with a letter.
pub fn host() -> Host {
    Host
}

/// Uses the text at `pointer` (RFC 6901) in the request's JSON body, for example `/model`. Finds nothing if there is no
/// body, or no such member in it. A body that is not valid JSON, or contains the member twice, is an error.
///
/// A [`ResourceName`] is derived by [`ResourceName::from_model`]; an [`EntityId`] must be valid as it is.
pub fn json<T: FromText>(pointer: &'static str) -> Json<T> {
    Json { body: BodyText::at(pointer), output: PhantomData }
}

/// A type that can be created from text in a body: a [`ResourceName`] or an [`EntityId`].
///
/// ```
/// use zae_reqwest::{EntityId, find};
/// let customer = find::json::<EntityId>("/user");
/// # let _ = customer;
/// ```
pub trait FromText: sealed::Sealed + Send + Sized + 'static {
    /// Creates the value from `text`.
    ///
    /// # Errors
    /// [`ValidationError`] if the text is not valid for the type.
    fn from_text(text: &str) -> Result<Self, ValidationError>;
}

impl FromText for ResourceName {
    fn from_text(text: &str) -> Result<Self, ValidationError> {
        Ok(Self::from_model(text))
    }
}

impl FromText for EntityId {
    fn from_text(text: &str) -> Result<Self, ValidationError> {
        Self::new(text)
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for zae_tower::ResourceName {}
    impl Sealed for zae_tower::EntityId {}
}

/// A closure as an extractor. Created by [`from_fn`].
///
/// See the [module](self) for an example.
pub struct FromCall<F, O> {
    function: F,
    output: PhantomData<fn() -> O>,
}

/// The host. Created by [`host`].
///
/// See the [module](self) for an example.
#[derive(Clone, Copy, Debug)]
pub struct Host;

/// A text in a JSON body. Created by [`json`].
///
/// See the [module](self) for an example.
pub struct Json<T> {
    body: BodyText,
    output: PhantomData<fn() -> T>,
}

impl<F: Clone, O> Clone for FromCall<F, O> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), output: PhantomData }
    }
}

impl<F, O> fmt::Debug for FromCall<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FromCall").field(&type_name::<F>()).finish()
    }
}

impl<T> Clone for Json<T> {
    fn clone(&self) -> Self {
        Self { body: self.body.clone(), output: PhantomData }
    }
}

impl<T> fmt::Debug for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Json").field(&self.body).finish()
    }
}

impl<F, O> Extractor for FromCall<F, O>
where
    F: Fn(&Call) -> O + Send + Sync + 'static,
    O: IntoExtracted + 'static,
{
    type Output = O::Value;
}

impl<F, O> Extract<Call> for FromCall<F, O>
where
    F: Fn(&Call) -> O + Send + Sync + 'static,
    O: IntoExtracted + 'static,
{
    fn extract(&self, call: &mut Call) -> impl Future<Output = Extracted<O::Value>> + Send {
        ready((self.function)(call).into_extracted())
    }
}

impl Extractor for Host {
    type Output = ResourceName;
}

impl Extract<Call> for Host {
    fn extract(&self, call: &mut Call) -> impl Future<Output = Extracted<ResourceName>> + Send {
        ready(named(call.host()).map(Some))
    }
}

impl<T: Send + 'static> Extractor for Json<T> {
    type Output = T;
}

impl<T: FromText> Extract<Call> for Json<T> {
    fn extract(&self, call: &mut Call) -> impl Future<Output = Extracted<T>> + Send {
        let (claim, body) = call.claimed_body().unwrap_or((Claim::Other, &[]));
        let text = self.body.find_claimed(claim, body);
        ready(text.and_then(|text| Ok(text.as_deref().map(T::from_text).transpose()?)))
    }
}

/// Returns a resource name that stands for `text` and no other text.
pub(crate) fn named(text: &str) -> Result<ResourceName, ExtractError> {
    Ok(route_name(&format!("/{text}"))?)
}

type Finding<'a, T> = Pin<Box<dyn Future<Output = Extracted<T>> + Send + 'a>>;

/// A type-erased extractor, so that a client has one type whatever its settings.
pub(crate) trait Find<T>: Send + Sync {
    fn find<'a>(&'a self, call: &'a mut Call) -> Finding<'a, T>;
}

impl<T: Send + 'static, X: Extract<Call> + Extractor<Output = T>> Find<T> for X {
    fn find<'a>(&'a self, call: &'a mut Call) -> Finding<'a, T> {
        Box::pin(self.extract(call))
    }
}
