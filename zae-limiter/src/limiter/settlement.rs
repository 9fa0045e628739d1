//! A pending settlement: [`Settlement`].
//!
//! The work is queued in a lane when [`Lease::commit`](crate::Lease::commit) is called; this future only waits for the
//! lanes' answers, one for each bucket. Its first poll makes the lanes write without waiting for others to share the
//! write. Code that awaits therefore pays one round trip, and code that does not pays nothing.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    engine::lane::{Lane, ask::SettleFailure, hold::Booked},
    error::{SettleError, SettleOutlook, StoreError},
};

/// A pending settlement: resolves when it is stored in every bucket concerned.
///
/// Cancel-safe: dropping it does not cancel the write, but discards its result. Resolves to [`SettleError`] if a bucket
/// did not store it, with the outlook of the first failure; the others are still awaited.
///
/// ```
/// use zae_limiter::{Lease, SettleError};
///
/// async fn in_time(lease: Lease) -> Result<(), SettleError> {
///     lease.commit().await // waits for the write
/// }
///
/// fn in_the_background(lease: Lease) {
///     drop(lease.commit()); // written soon, at `shutdown` at the latest
/// }
/// ```
pub struct Settlement {
    /// The lanes that have not answered yet: one for each bucket, and each shard where several were taken from.
    booked: Vec<(Arc<Lane>, Booked)>,
    /// True once the lanes were asked to write immediately.
    asked: bool,
    /// The first failure, kept until all lanes have answered.
    failed: Option<SettleError>,
}

impl fmt::Debug for Settlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settlement").field("buckets", &self.booked.len()).finish_non_exhaustive()
    }
}

impl Settlement {
    /// Waits for `booked` in their lanes; resolves immediately if there are none.
    pub(super) fn of(booked: Vec<(Arc<Lane>, Booked)>) -> Self {
        Self { booked, asked: false, failed: None }
    }
}

impl Future for Settlement {
    type Output = Result<(), SettleError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if !this.asked {
            this.asked = true;
            // The settlement is awaited, so its write is not delayed to share it with others.
            this.booked.iter().for_each(|(lane, _)| lane.flush());
        }
        while let Some((lane, booked)) = this.booked.last_mut() {
            let result = match Pin::new(booked).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(result)) => result,
                Poll::Ready(Err(_)) => {
                    let gone = StoreError::unsent("the runtime shut down before it was stored");
                    Err(SettleFailure { source: Arc::new(gone.into()), outlook: SettleOutlook::Lost })
                }
            };
            if let Err(SettleFailure { source, outlook }) = result {
                let (entity, resource) = (lane.key.entity.clone(), lane.key.resource.clone());
                this.failed.get_or_insert(SettleError { entity, resource, outlook, source });
            }
            this.booked.pop();
        }
        Poll::Ready(this.failed.take().map_or(Ok(()), Err))
    }
}
