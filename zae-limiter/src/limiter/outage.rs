//! Handles acquires while the store is unavailable.
//!
//! Only failures that indicate the store's health get here. The policy is the request's, otherwise the limiter's,
//! otherwise the stored one as far as it was read before the outage, otherwise block. Tokens granted by a policy are
//! counted in `zae_over_admission_tokens_total` as an upper estimate, because the table's decision is unknown.
//!
//! Three rules apply under every policy:
//!
//! - Only an outage can become a grant, never a mistake: a missing table, a missing permission or an invalid request
//!   does not get here.
//! - An entity that was disabled when it was last seen is refused, because an outage must not lift a ban.
//! - `Local` grants only from limits that this process has seen. A process that started during the outage knows none,
//!   and blocks.

use std::sync::Arc;

use super::{Inner, RateLimiter};
use crate::{
    bucket::MILLI,
    engine::{
        acquire::resolve::AcquireSpec,
        telemetry::{self, Ending, Over, Refuser},
    },
    error::{AcquireError, Disabled, DisabledLevel, RepositoryError, Unavailable, UnavailableReason},
    limiter::lease::{Blind, Lease, LeaseOrigin},
    model::{
        name::{EntityId, LimitName},
        status::OnUnavailable,
    },
};

impl RateLimiter {
    /// Applies the outage policy: the request's, otherwise the limiter's, otherwise the one last read from the table,
    /// otherwise block.
    ///
    /// A grant is a lease without a bucket: it can be adjusted and committed like any other, and nothing is written for
    /// it.
    pub(super) fn without_store(
        &self,
        wish: &AcquireSpec,
        reason: UnavailableReason,
        source: Option<Arc<RepositoryError>>,
    ) -> Result<Lease, AcquireError> {
        let inner = &self.inner;
        let policy = wish.on_unavailable.or_else(|| inner.repository.last_on_unavailable().map(Into::into));
        let policy = policy.unwrap_or(OnUnavailable::Block);
        if let Some(disabled) = self.last_disabled(wish) {
            telemetry::acquires(Ending::Refused, 1);
            return Err(disabled.into());
        }
        let grant = |origin, over, granted: Vec<(LimitName, u64)>| {
            let signed = |(limit, tokens)| (limit, i64::try_from(tokens).unwrap_or(i64::MAX));
            let granted: Vec<(LimitName, i64)> = granted.into_iter().map(signed).collect();
            for (limit, tokens) in &granted {
                telemetry::over(over, limit, tokens.saturating_mul(MILLI));
            }
            let (entity, resource) = (wish.entity.clone(), wish.resource.clone());
            Lease::blind(self.clone(), Blind { entity, resource, origin, granted })
        };
        let (ending, result) = match policy {
            OnUnavailable::Allow => (Ending::Blind, Ok(grant(LeaseOrigin::Blind, Over::Blind, wish.cost.named()))),
            OnUnavailable::Local => match inner.local.take(wish, inner.lanes.shared.clock.now_ms()) {
                Some(Ok(taken)) => (Ending::Local, Ok(grant(LeaseOrigin::Local, Over::Local, taken))),
                Some(Err(error)) if error.is_refusal() => {
                    telemetry::refused(Refuser::Share);
                    (Ending::Refused, Err(error))
                }
                Some(Err(error)) => (Ending::Error, Err(error)),
                // The limits are unknown, or the share never has as much.
                None => (Ending::Unavailable, Err(unavailable(wish, reason, source).into())),
            },
            OnUnavailable::Block => (Ending::Unavailable, Err(unavailable(wish, reason, source).into())),
        };
        telemetry::acquires(ending, 1);
        telemetry::store_not_asked(&wish.entity, &wish.resource, reason, ending);
        result
    }

    /// Returns the entity that was disabled when it was last seen: the requesting one, or the parent that would also be
    /// charged.
    fn last_disabled(&self, wish: &AcquireSpec) -> Option<Disabled> {
        let Inner { repository, lanes, .. } = &*self.inner;
        let resource = &wish.resource;
        let off = |entity: EntityId| {
            let config = repository.last_disabled(&entity, resource);
            let bucket = || lanes.known(&entity, resource)?.image()?.disabled.then_some(DisabledLevel::Bucket);
            let level = config.or_else(bucket)?;
            Some(Disabled { entity, resource: resource.clone(), level })
        };
        let parent = || EntityId::new(&*lanes.known(&wish.entity, resource)?.charged_parent()?).ok();
        off(wish.entity.clone()).or_else(|| off(parent()?))
    }
}

/// Builds the error of [`OnUnavailable::Block`].
pub(super) fn unavailable(
    wish: &AcquireSpec,
    reason: UnavailableReason,
    source: Option<Arc<RepositoryError>>,
) -> Unavailable {
    let error = Unavailable::new(reason, wish.entity.clone(), wish.resource.clone());
    match source {
        Some(source) => error.with_source(source),
        None => error,
    }
}
