//! The tokens taken for the current request: [`Held`].

use std::collections::BTreeMap;

use zae_limiter::{AcquireError, Cost, LeaseError, LimitName};

use crate::decision::{Decision, LeaseHandle};

/// The tokens taken for the current request, to correct the layer's estimate. The `Lease` extractors of adapters are
/// built on it.
///
/// A request that was admitted without a lease (skipped, or in shadow mode) holds nothing; every correction then
/// succeeds and does nothing, so handlers need no special case.
///
/// It can be cloned and moved, for example into the stream that produces a response.
///
/// ```
/// # use zae_tower::{Decision, LeaseError, adapter::Held};
/// fn correct(request: &http::Request<()>, used: i64) -> Result<(), LeaseError> {
///     match Held::find(request.extensions().get::<Decision>()) {
///         Some(held) => held.adjust("tpm", used - 500), // the estimate was 500
///         None => Ok(()), // nobody limits this request
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Held(Option<LeaseHandle>);

impl Held {
    /// Returns the tokens taken according to the decision in a request's extensions; `None` if no layer limits the
    /// request.
    pub fn find(decision: Option<&Decision>) -> Option<Self> {
        decision.map(|decision| Self(decision.lease().cloned()))
    }

    /// Records that `delta` whole tokens more (or, if negative, fewer) of `limit` were used than taken.
    ///
    /// # Errors
    /// As [`Lease::adjust`](zae_limiter::Lease::adjust): after the response has ended, or for a limit that the lease
    /// does not hold.
    pub fn adjust(&self, limit: impl AsRef<str>, delta: i64) -> Result<(), LeaseError> {
        self.0.as_ref().map_or(Ok(()), |lease| lease.adjust(limit, delta))
    }

    /// Records that `tokens` whole tokens of `limit` were not used.
    ///
    /// # Errors
    /// See [`adjust`](Self::adjust).
    pub fn release(&self, limit: impl AsRef<str>, tokens: u64) -> Result<(), LeaseError> {
        self.0.as_ref().map_or(Ok(()), |lease| lease.release(limit, tokens))
    }

    /// Takes more, if the limits allow it. Cancel-safe: if it is dropped early, it takes nothing.
    ///
    /// # Errors
    /// See [`Lease::consume`](zae_limiter::Lease::consume). Converted to a [`LimitError`](crate::LimitError), it is the
    /// response that the layer would send.
    pub async fn consume(&self, cost: Cost) -> Result<(), AcquireError> {
        match &self.0 {
            Some(lease) => lease.consume(cost).await,
            None => Ok(()),
        }
    }

    /// Returns the whole tokens held per limit, adjustments included.
    pub fn consumed(&self) -> BTreeMap<LimitName, i64> {
        self.0.as_ref().map(|lease| lease.consumed()).unwrap_or_default()
    }

    /// Returns the lease itself; `None` if nothing is held.
    pub fn handle(&self) -> Option<&LeaseHandle> {
        self.0.as_ref()
    }
}
