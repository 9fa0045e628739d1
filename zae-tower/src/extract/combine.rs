//! Extractors composed of other extractors: [`Or`], [`Map`].
//!
//! Both are ready immediately if their parts are ([`Extract::AT_ONCE`]), so combined extractors can still use the
//! layer's fast path.

use std::{any::type_name, fmt, marker::PhantomData};

use super::{Extract, Extracted, Extractor, IntoExtracted};

/// The first of two extractors that finds a value. Created by [`Extractor::or`].
///
/// See [`Extractor`] for an example.
#[derive(Clone, Copy, Debug)]
pub struct Or<A, B> {
    first: A,
    second: B,
}

impl<A, B> Or<A, B> {
    pub(super) fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

impl<A: Extractor, B: Extractor<Output = A::Output>> Extractor for Or<A, B> {
    type Output = A::Output;
}

impl<R, A, B> Extract<R> for Or<A, B>
where
    R: Send,
    A: Extract<R>,
    B: Extract<R> + Extractor<Output = A::Output>,
{
    const AT_ONCE: bool = A::AT_ONCE && B::AT_ONCE;

    async fn extract(&self, request: &mut R) -> Extracted<A::Output> {
        match self.first.extract(request).await? {
            Some(found) => Ok(Some(found)),
            None => self.second.extract(request).await,
        }
    }
}

/// An extractor whose result is transformed. Created by [`Extractor::map`].
///
/// See [`Extractor::map`] for an example.
pub struct Map<X, F, O> {
    extractor: X,
    change: F,
    output: PhantomData<fn() -> O>,
}

impl<X, F, O> Map<X, F, O> {
    pub(super) fn new(extractor: X, change: F) -> Self {
        Self { extractor, change, output: PhantomData }
    }
}

impl<X: Clone, F: Clone, O> Clone for Map<X, F, O> {
    fn clone(&self) -> Self {
        Self { extractor: self.extractor.clone(), change: self.change.clone(), output: PhantomData }
    }
}

impl<X: fmt::Debug, F, O> fmt::Debug for Map<X, F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("extractor", &self.extractor).field("change", &type_name::<F>()).finish()
    }
}

impl<X, F, O> Extractor for Map<X, F, O>
where
    X: Extractor,
    F: Fn(X::Output) -> O + Send + Sync + 'static,
    O: IntoExtracted + 'static,
{
    type Output = O::Value;
}

impl<R, X, F, O> Extract<R> for Map<X, F, O>
where
    R: Send,
    X: Extract<R>,
    F: Fn(X::Output) -> O + Send + Sync + 'static,
    O: IntoExtracted + 'static,
{
    const AT_ONCE: bool = X::AT_ONCE;

    async fn extract(&self, request: &mut R) -> Extracted<O::Value> {
        match self.extractor.extract(request).await? {
            Some(found) => (self.change)(found).into_extracted(),
            None => Ok(None),
        }
    }
}
