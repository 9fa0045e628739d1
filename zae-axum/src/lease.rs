//! What was taken for the request being served: [`Lease`].

use std::{collections::BTreeMap, convert::Infallible};

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use zae_tower::{AcquireError, Cost, Decision, LeaseError, LeaseHandle, zae_limiter::LimitName};

use crate::NotLimited;

/// Extracts the lease of the request, to correct the estimate that the layer took.
///
/// The layer settles it when the response's body has ended. A request that passed without a lease (skipped, or let through
/// in shadow mode) has one that holds nothing, so that handlers need not care: adjusting it does nothing.
///
/// ```
/// use zae_axum::{Lease, LimitError};
/// # async fn ask_the_model() -> i64 { 730 }
/// async fn chat(lease: Lease) -> Result<String, LimitError> {
///     let tokens = ask_the_model().await;
///     lease.adjust("tpm", tokens - 500)?; // the layer's estimate was 500
///     Ok("…".to_owned())
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::post(chat));
/// ```
///
/// It can be cloned and moved, for example into the stream that a response is made of.
///
/// # Rejection
/// [`NotLimited`] where no layer limits the route; `Option<Lease>` is `None` there, and where nothing is held.
#[derive(Clone, Debug)]
pub struct Lease(Option<LeaseHandle>);

impl Lease {
    /// Notes that `delta` whole tokens more (or, negative, fewer) of `limit` were used than taken.
    ///
    /// # Errors
    /// As [`zae_tower::Lease::adjust`]: after the response has ended, or for a limit that the lease does not hold.
    pub fn adjust(&self, limit: impl AsRef<str>, delta: i64) -> Result<(), LeaseError> {
        self.0.as_ref().map_or(Ok(()), |lease| lease.adjust(limit, delta))
    }

    /// Notes that `tokens` whole tokens of `limit` were not used.
    ///
    /// # Errors
    /// As [`adjust`](Self::adjust).
    pub fn release(&self, limit: impl AsRef<str>, tokens: u64) -> Result<(), LeaseError> {
        self.0.as_ref().map_or(Ok(()), |lease| lease.release(limit, tokens))
    }

    /// Takes more, if the limits allow it. Cancel-safe: dropped before it is done, it takes nothing.
    ///
    /// # Errors
    /// As [`zae_tower::Lease::consume`]; as a [`LimitError`](crate::LimitError) it is the response that the layer would give.
    pub async fn consume(&self, cost: Cost) -> Result<(), AcquireError> {
        match &self.0 {
            Some(lease) => lease.consume(cost).await,
            None => Ok(()),
        }
    }

    /// Whole tokens per limit that it stands for, adjustments included.
    pub fn consumed(&self) -> BTreeMap<LimitName, i64> {
        self.0.as_ref().map(|lease| lease.consumed()).unwrap_or_default()
    }

    /// The lease itself; `None` when nothing is held.
    pub fn handle(&self) -> Option<&LeaseHandle> {
        self.0.as_ref()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Lease {
    type Rejection = NotLimited;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotLimited> {
        let lease: Option<LeaseHandle> = parts.extensions.get().cloned();
        if lease.is_none() && parts.extensions.get::<Decision>().is_none() {
            return Err(NotLimited::new("Lease"));
        }
        Ok(Self(lease))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Lease {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get().cloned().map(|lease| Self(Some(lease))))
    }
}
