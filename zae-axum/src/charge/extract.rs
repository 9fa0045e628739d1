//! Passes the function's result to the layer's extractors: [`Charged`].

use std::{
    fmt,
    future::{Future, ready},
    marker::PhantomData,
};

use zae_tower::{
    Cost, EntityId, Limits, RequestHead, ResourceName,
    extract::{Extract, Extracted, Extractor},
};

use super::Charge;

/// The function's result, in the request's extensions. An inner route's result replaces an outer one's.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    Charge(Charge),
    NotLimited,
}

impl Verdict {
    /// Returns true if the request is exempt.
    pub(super) fn frees(request: &dyn RequestHead) -> bool {
        matches!(request.extensions().get(), Some(Self::NotLimited))
    }
}

/// Extracts one part of the [`Charge`] that the function of [`limit_route`](crate::limit_route) returned.
///
/// See [`limit_route`](crate::limit_route) for an example.
pub struct Charged<T>(PhantomData<fn() -> T>);

impl<T> Charged<T> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Clone for Charged<T> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Charged<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Charged")
    }
}

macro_rules! part {
    ($($type:ty: $field:ident),*) => {$(
        impl Extractor for Charged<$type> {
            type Output = $type;
        }

        impl<R: RequestHead> Extract<R> for Charged<$type> {
            const AT_ONCE: bool = true;

            fn extract(&self, request: &mut R) -> impl Future<Output = Extracted<$type>> + Send {
                ready(Ok(match request.extensions().get() {
                    Some(Verdict::Charge(charge)) => charge.$field.clone(),
                    _ => None,
                }))
            }
        }
    )*};
}

part!(EntityId: entity, ResourceName: resource, Cost: cost, Limits: limits);
