//! The tokens taken for the request being served, if any: [`Held`].

use std::collections::BTreeMap;

use zae_limiter::{AcquireError, Cost, LeaseError, LimitName};

use crate::decision::{Decision, LeaseHandle};

/// The tokens taken for the request being served, to correct the layer's estimate. The `Lease` extractors of adapters
/// are made of it.
///
/// A request that passed without a lease (skipped, or let through in shadow mode) holds nothing, and then every
/// correction succeeds and does nothing, so that handlers need not care.
///
/// It can be cloned and moved, for example into the stream that a response is made of.
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
    /// Returns the tokens taken according to the decision in a request's extensions; `None` where no layer limits the
    /// request.
    pub fn find(decision: Option<&Decision>) -> Option<Self> {
        decision.map(|decision| Self(decision.lease().cloned()))
    }

    /// Notes that `delta` whole tokens more (or, negative, fewer) of `limit` were used than taken.
    ///
    /// # Errors
    /// As [`Lease::adjust`](zae_limiter::Lease::adjust): after the response has ended, or for a limit that the lease
    /// does not hold.
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
    /// As [`Lease::consume`](zae_limiter::Lease::consume); as a [`LimitError`](crate::LimitError) it is the response
    /// that the layer would give.
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
