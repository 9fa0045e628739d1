//! Closures as extractors: [`FromFn`], [`FromAsyncFn`].

use std::{any::type_name, fmt, future::Future, marker::PhantomData};

use zae_limiter::{Cost, EntityId, Limits, ResourceName};

use super::{Extract, ExtractError, Extracted, Extractor, found};
use crate::request::RequestHead;

/// Return types of closures: a value, an [`Option`] of it, or a [`Result`] of either whose error converts into an
/// [`ExtractError`] (as [`ValidationError`](zae_limiter::ValidationError) does).
///
/// ```
/// use zae_tower::{EntityId, ValidationError, entity};
///
/// // An `Option` of a `Result`: absent without the header, 400 where it is no valid id.
/// let who = entity::from_fn(|request| -> Option<Result<EntityId, ValidationError>> {
///     Some(EntityId::new(request.headers().get("x-team")?.to_str().ok()?))
/// });
/// # let _ = who;
/// ```
pub trait IntoExtracted: Send {
    /// The value.
    type Value: Send + 'static;
    /// Converts the return value into an extractor's result.
    ///
    /// # Errors
    /// The [`ExtractError`] that the closure returned.
    fn into_extracted(self) -> Extracted<Self::Value>;
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        impl IntoExtracted for $type {
            type Value = Self;
            fn into_extracted(self) -> Extracted<Self> {
                Ok(Some(self))
            }
        }
    )*};
}

plain!(EntityId, ResourceName, Cost, Limits);

impl<T: IntoExtracted> IntoExtracted for Option<T> {
    type Value = T::Value;
    fn into_extracted(self) -> Extracted<T::Value> {
        self.map_or(Ok(None), T::into_extracted)
    }
}

impl<T: IntoExtracted, E: Into<ExtractError> + Send> IntoExtracted for Result<T, E> {
    type Value = T::Value;
    fn into_extracted(self) -> Extracted<T::Value> {
        self.map_err(Into::into)?.into_extracted()
    }
}

/// A closure as an extractor. Created by [`entity::from_fn`](crate::entity::from_fn) and its siblings.
///
/// See [`IntoExtracted`] for an example.
pub struct FromFn<F, O> {
    function: F,
    output: PhantomData<fn() -> O>,
}

impl<F, O> FromFn<F, O> {
    pub(crate) fn new(function: F) -> Self {
        Self { function, output: PhantomData }
    }
}

impl<F: Clone, O> Clone for FromFn<F, O> {
    fn clone(&self) -> Self {
        Self::new(self.function.clone())
    }
}

impl<F, O> fmt::Debug for FromFn<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FromFn").field(&type_name::<F>()).finish()
    }
}

impl<F, O> Extractor for FromFn<F, O>
where
    F: Fn(&dyn RequestHead) -> O + Send + Sync + 'static,
    O: IntoExtracted + 'static,
{
    type Output = O::Value;
}

impl<R, F, O> Extract<R> for FromFn<F, O>
where
    R: RequestHead,
    F: Fn(&dyn RequestHead) -> O + Send + Sync + 'static,
    O: IntoExtracted + 'static,
{
    const AT_ONCE: bool = true;

    fn extract(&self, request: &mut R) -> impl Future<Output = Extracted<O::Value>> + Send {
        found((self.function)(request).into_extracted())
    }
}

/// A closure that returns a future, as an extractor. Created by [`entity::from_async_fn`](crate::entity::from_async_fn)
/// and its siblings.
///
/// See [`entity::from_async_fn`](crate::entity::from_async_fn) for an example.
pub struct FromAsyncFn<F, W> {
    function: F,
    work: PhantomData<fn() -> W>,
}

impl<F, W> FromAsyncFn<F, W> {
    pub(crate) fn new(function: F) -> Self {
        Self { function, work: PhantomData }
    }
}

impl<F: Clone, W> Clone for FromAsyncFn<F, W> {
    fn clone(&self) -> Self {
        Self::new(self.function.clone())
    }
}

impl<F, W> fmt::Debug for FromAsyncFn<F, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FromAsyncFn").field(&type_name::<F>()).finish()
    }
}

impl<F, W> Extractor for FromAsyncFn<F, W>
where
    F: Fn(&dyn RequestHead) -> W + Send + Sync + 'static,
    W: Future<Output: IntoExtracted> + Send + 'static,
{
    type Output = <W::Output as IntoExtracted>::Value;
}

impl<R, F, W> Extract<R> for FromAsyncFn<F, W>
where
    R: RequestHead,
    F: Fn(&dyn RequestHead) -> W + Send + Sync + 'static,
    W: Future<Output: IntoExtracted> + Send + 'static,
{
    fn extract(&self, request: &mut R) -> impl Future<Output = Extracted<Self::Output>> + Send {
        let work = (self.function)(request);
        async move { work.await.into_extracted() }
    }
}
