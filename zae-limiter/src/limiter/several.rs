//! One acquire of several resources: from all of them, or from none.
//!
//! Each resource is asked as an acquire of its own would ask it, all at once, so that the whole takes as long as the
//! slowest. If one is not granted, the leases of the others are dropped, which gives their tokens back: "all or
//! nothing" works without a transaction, for several resources as for an entity and its parent.
//!
//! There is one answer for all. Disabled comes before refused, since waiting does not help against it, and a failure
//! after both. An outage comes last, because a policy may turn it into a grant; then the whole is granted without the
//! store, never a part of it.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use super::{RateLimiter, lease::Lease, outage, request::Acquire};
use crate::{
    engine::{
        acquire::{denied::Denied, resolve::AcquireSpec},
        telemetry::{self, Ending},
    },
    error::{AcquireError, NeverFits, RateLimitExceeded, RepositoryError, UnavailableReason},
    model::{name::ResourceName, status::LimitStatus},
};

impl RateLimiter {
    /// Boxed, so that the future of those who ask for one resource stays small.
    #[inline(never)]
    pub(super) fn boxed_several(
        &self,
        request: Acquire,
    ) -> Pin<Box<dyn Future<Output = Result<Lease, AcquireError>> + Send + '_>> {
        Box::pin(self.acquire_several(request))
    }

    /// Takes from all resources of `request`, or from none: what was granted is then given back in the background.
    async fn acquire_several(&self, request: Acquire) -> Result<Lease, AcquireError> {
        if let Some(refusal) = self.refused_at_once(&request) {
            return Err(refusal);
        }
        let wishes: Vec<AcquireSpec> = request.parts().map(|part| self.wish(part)).collect();
        let shared = &self.inner.lanes.shared;
        shared.recover();
        if shared.closing.has_begun() {
            return Err(outage::unavailable(&wishes[0], UnavailableReason::ShuttingDown, None).into());
        }
        let attempts = wishes.iter().map(|wish| Box::pin(self.attempt(wish))).collect();
        let answers = all(attempts).await;
        let leases = match together(answers) {
            Ok(leases) => {
                telemetry::acquires(Ending::Granted, 1);
                leases
            }
            Err(Denied::Error(error)) => {
                let resource = refusing(&error);
                let wish = wishes.iter().find(|wish| Some(&wish.resource) == resource).unwrap_or(&wishes[0]);
                return Err(self.denied(wish, error));
            }
            Err(Denied::Outage(reason, source)) => self.all_without_store(&wishes, reason, source.as_ref())?,
        };
        Ok(Lease::of_several(leases))
    }

    /// Applies the outage policy to all resources: the first that it does not grant decides.
    fn all_without_store(
        &self,
        wishes: &[AcquireSpec],
        reason: UnavailableReason,
        source: Option<&Arc<RepositoryError>>,
    ) -> Result<Vec<Lease>, AcquireError> {
        wishes.iter().map(|wish| self.without_store(wish, reason, source.cloned())).collect()
    }
}

/// Awaits all `futures`, which make progress at once.
async fn all<F: Future + Unpin>(futures: Vec<F>) -> Vec<F::Output> {
    let mut pending: Vec<(F, Option<F::Output>)> = futures.into_iter().map(|future| (future, None)).collect();
    poll_fn(|context| {
        for (future, output) in pending.iter_mut().filter(|(_, output)| output.is_none()) {
            if let Poll::Ready(ready) = Pin::new(future).poll(context) {
                *output = Some(ready);
            }
        }
        if pending.iter().all(|(_, output)| output.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    pending.into_iter().filter_map(|(_, output)| output).collect()
}

/// Returns the resource that an error is about; `None` where it is about none.
pub(super) fn refusing(error: &AcquireError) -> Option<&ResourceName> {
    match error {
        AcquireError::Exceeded(refusal) => Some(&refusal.primary().resource),
        AcquireError::NeverFits(refusal) => refusal.violations().first().map(|status| &status.resource),
        AcquireError::Disabled(disabled) => Some(&disabled.resource),
        _ => None,
    }
}

/// The weight of an answer: the heaviest is the one for all.
fn weight(denied: &Denied) -> u8 {
    match denied {
        Denied::Error(AcquireError::Disabled(_)) => 3,
        Denied::Error(error) if error.is_refusal() => 2,
        Denied::Error(_) => 1,
        Denied::Outage(..) => 0,
    }
}

/// The leases, if all were granted. Otherwise the reason, and returning drops the leases.
fn together(answers: Vec<Result<Lease, Denied>>) -> Result<Vec<Lease>, Denied> {
    let (mut granted, mut denied) = (Vec::new(), Vec::new());
    for answer in answers {
        match answer {
            Ok(lease) => granted.push(lease),
            Err(other) => denied.push(other),
        }
    }
    match heaviest(denied, &granted) {
        Some(denied) => Err(denied),
        None => Ok(granted),
    }
}

/// The one answer for all resources of which some were `denied` and others `granted`; `None` where none was denied.
pub(super) fn heaviest(mut denied: Vec<Denied>, granted: &[Lease]) -> Option<Denied> {
    let heaviest = denied.iter().map(weight).max()?;
    denied.retain(|denied| weight(denied) == heaviest);
    let (mut never, mut statuses): (Vec<LimitStatus>, Vec<LimitStatus>) = Default::default();
    for denied in &denied {
        match denied {
            Denied::Error(AcquireError::NeverFits(refusal)) => never.extend_from_slice(refusal.violations()),
            Denied::Error(AcquireError::Exceeded(refusal)) => statuses.extend_from_slice(refusal.statuses()),
            _ => {}
        }
    }
    if let Some(never) = NeverFits::new(never) {
        return Some(AcquireError::from(never).into());
    }
    statuses.extend(granted.iter().flat_map(Lease::statuses).cloned());
    match RateLimitExceeded::new(statuses).filter(|_| heaviest == 2) {
        Some(exceeded) => Some(AcquireError::from(exceeded).into()),
        None => Some(denied.swap_remove(0)),
    }
}
