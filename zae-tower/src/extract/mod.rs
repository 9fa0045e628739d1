//! Extracts entity, resource, cost and limits from a request: [`Extract`].
//!
//! An extractor has one of three results: a value, absent (`None`), or an [`ExtractError`] that becomes the response.
//! Most programs need no implementation of their own: [`entity`](crate::entity), [`resource`](crate::resource) and
//! [`cost`](crate::cost) provide the usual ones and `from_fn`, and fixed values ([`EntityId`], [`ResourceName`],
//! [`Cost`], [`Limits`]) are extractors too.

mod budget;
mod combine;
mod error;
mod from_fn;
mod json;
mod peek;
mod reading;
mod text;

use std::{
    future::{Future, Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

pub use budget::{BodyBudget, DEFAULT_BODY_BUDGET};
pub use combine::{Map, Or};
pub use error::ExtractError;
pub(crate) use error::ExtractErrorKind;
pub use from_fn::{FromAsyncFn, FromFn, IntoExtracted};
pub use json::{BodyText, JsonField};
pub(crate) use peek::BodyLost;
pub use peek::{PeekBody, Peeked};
pub(crate) use reading::BodyRules;
pub use reading::DEFAULT_BODY_TIMEOUT;
pub use text::Header;
pub(crate) use text::{header_name, header_text};
use zae_limiter::{Cost, EntityId, Limits, ResourceName};

/// An extractor's result: a value, absent, or an error.
pub type Extracted<T> = Result<Option<T>, ExtractError>;

/// The type of the extracted value, and the combinators.
///
/// The extraction itself is the trait [`Extract`], which is separate because it depends on the type of the request.
///
/// ```
/// use zae_tower::{entity, extract::Extractor};
/// let by_header_else_ip = entity::header("x-user-id").or(entity::peer_ip());
/// ```
pub trait Extractor: Send + Sync + 'static {
    /// The extracted value.
    type Output: Send + 'static;

    /// Falls back to `other` if this one finds nothing. An error stays an error: `other` is not consulted.
    fn or<X>(self, other: X) -> Or<Self, X>
    where
        Self: Sized,
        X: Extractor<Output = Self::Output>,
    {
        Or::new(self, other)
    }

    /// Transforms the extracted value; `change` may also reject it, see [`IntoExtracted`].
    ///
    /// ```
    /// use zae_tower::{EntityId, entity, extract::Extractor};
    /// let tenant = entity::header("x-tenant").map(|id: EntityId| EntityId::new(format!("tenant:{id}")));
    /// ```
    fn map<F, O>(self, change: F) -> Map<Self, F, O>
    where
        Self: Sized,
        F: Fn(Self::Output) -> O + Send + Sync + 'static,
        O: IntoExtracted + 'static,
    {
        Map::new(self, change)
    }
}

/// Extracts from requests of type `R`.
///
/// The request is borrowed exclusively so that the future is [`Send`] even if the body is not [`Sync`]. An
/// implementation that takes the body must put an equal one back.
///
/// Cancel safety: the future is dropped when the client disconnects; at that point nothing has been taken from a
/// bucket.
///
/// ```
/// use zae_tower::{EntityId, extract::{Extract, Extracted, Extractor}};
///
/// struct ByBodySize;
///
/// impl Extractor for ByBodySize {
///     type Output = EntityId;
/// }
///
/// impl<B: http_body::Body + Send> Extract<http::Request<B>> for ByBodySize {
///     async fn extract(&self, request: &mut http::Request<B>) -> Extracted<EntityId> {
///         let small = request.body().size_hint().upper().is_some_and(|bytes| bytes < 1024);
///         Ok(Some(EntityId::new(if small { "small" } else { "large" })?))
///     }
/// }
/// ```
pub trait Extract<R>: Extractor {
    /// True if the future is always ready when it is first polled. If this holds for all extractors, a grant that needs
    /// no waiting either is made without a future. A future that is not ready after all is dropped, and its extractor
    /// runs again.
    #[doc(hidden)]
    const AT_ONCE: bool = false;

    /// Extracts the value from `request`.
    ///
    /// # Errors
    /// [`ExtractError`] if the request has an unusable value; it becomes the response.
    fn extract(&self, request: &mut R) -> impl Future<Output = Extracted<Self::Output>> + Send;
}

macro_rules! fixed {
    ($($type:ty),*) => {$(
        impl Extractor for $type {
            type Output = Self;
        }

        impl<R: Send> Extract<R> for $type {
            const AT_ONCE: bool = true;

            fn extract(&self, _: &mut R) -> impl Future<Output = Extracted<Self>> + Send {
                ready(Ok(Some(self.clone())))
            }
        }
    )*};
}

fixed!(EntityId, ResourceName, Cost, Limits);

/// Finds nothing, so that the stored limits apply; the default for explicit limits.
///
/// Replaced by [`ZaeLimit::limits`](crate::ZaeLimit::limits); see [`limits`](crate::limits) for an example.
#[derive(Clone, Copy, Debug)]
pub struct StoredLimits;

impl Extractor for StoredLimits {
    type Output = Limits;
}

impl<R: Send> Extract<R> for StoredLimits {
    const AT_ONCE: bool = true;

    fn extract(&self, _: &mut R) -> impl Future<Output = Extracted<Limits>> + Send {
        found(Ok(None))
    }
}

/// Returns the output of `future` if it is ready.
pub(crate) fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Creates the future of an extractor that does not wait.
pub(crate) fn found<T>(extracted: Extracted<T>) -> Ready<Extracted<T>> {
    ready(extracted)
}
