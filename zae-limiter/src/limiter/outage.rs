//! Answers to acquires while the store cannot be asked.

use std::sync::Arc;

use super::RateLimiter;
use crate::{
    bucket::MILLI,
    engine::{
        acquire::resolve::AcquireSpec,
        telemetry::{self, Ending, Over, Refuser},
    },
    error::{AcquireError, Disabled, RepositoryError, Unavailable, UnavailableReason},
    limiter::lease::{Blind, Lease, LeaseOrigin},
    model::{name::LimitName, status::OnUnavailable},
};

impl RateLimiter {
    /// Applies the policy for when the store cannot be asked.
    pub(super) fn without_store(
        &self,
        wish: &AcquireSpec,
        reason: UnavailableReason,
        source: Option<Arc<RepositoryError>>,
    ) -> Result<Lease, AcquireError> {
        let inner = &self.inner;
        let policy = wish.on_unavailable.or_else(|| inner.repository.last_on_unavailable().map(Into::into));
        let policy = policy.unwrap_or(OnUnavailable::Block);
        if let Some(level) = inner.repository.last_disabled(&wish.entity, &wish.resource) {
            telemetry::acquires(Ending::Refused, 1);
            return Err(Disabled { entity: wish.entity.clone(), resource: wish.resource.clone(), level }.into());
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
                // Nothing is known of this entity's limits: there is no share to grant from.
                None => (Ending::Unavailable, Err(unavailable(wish, reason, source).into())),
            },
            OnUnavailable::Block => (Ending::Unavailable, Err(unavailable(wish, reason, source).into())),
        };
        telemetry::acquires(ending, 1);
        telemetry::store_not_asked(&wish.entity, &wish.resource, reason, ending);
        result
    }
}

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
