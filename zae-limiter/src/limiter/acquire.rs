//! The way of one acquire through the limiter: from memory, or through the lanes within a deadline.
//!
//! | way | calls | taken when |
//! |---|---|---|
//! | from memory | none | tokens were debited ahead, and nothing has changed since |
//! | through the lanes | one write per bucket, shared with other acquires | otherwise |
//! | by policy | none more | the breaker is open, or the deadline has passed |
//!
//! Each way ends in one place, where it is counted: a grant from memory by the reserve, all others in
//! `acquire_through_lanes`.

use std::pin::Pin;

use tokio::time::Instant;

use super::{RateLimiter, lease::Lease, outage, request::Acquire};
use crate::{
    bucket::key::BucketKey,
    engine::{
        acquire::{
            self,
            denied::{Denied, NotTaken},
            resolve::{AcquireSpec, Overrides},
        },
        lane::hold::Holds,
        reserve::ReserveDraw,
        runtime::{
            breaker::{Evidence, Gate},
            context::Context,
            deadlines::{Passed, after},
            home::{RemoteTask, RuntimeGone},
        },
        telemetry::{self, Ending},
    },
    error::{AcquireError, UnavailableReason},
    model::reserve::Exactness,
};

impl RateLimiter {
    /// Completes a request with the limiter's own settings, and starts its deadline.
    pub(super) fn wish(&self, request: Acquire) -> AcquireSpec {
        let inner = &self.inner;
        AcquireSpec {
            said: Overrides {
                default_limits: request.default_limits.or_else(|| inner.default_limits.clone()),
                limits: request.limits,
            },
            entity: request.entity,
            resource: request.resource,
            cost: request.cost,
            reserve: request.reserve.unwrap_or(inner.reserve),
            on_unavailable: request.on_unavailable.or(inner.on_unavailable),
            deadline: after(Instant::now(), request.deadline.unwrap_or(inner.deadline)),
        }
    }

    /// Performs the whole acquire from tokens debited ahead: no call, no waiting. `None` if it takes more than that.
    #[inline]
    pub(super) fn acquire_from_stock(&self, request: &Acquire) -> Option<Lease> {
        let inner = &self.inner;
        let reserve = request.reserve.unwrap_or(inner.reserve);
        if reserve.child() == Exactness::Strict || request.limits.is_some() || inner.lanes.shared.closing.has_begun() {
            return None;
        }
        let default_limits = request.default_limits.as_ref().or(inner.default_limits.as_ref());
        let resolved = inner.front.get(&request.entity, &request.resource, default_limits)?;
        let now = inner.lanes.shared.moment();
        if !resolved.still_holds(&inner.repository, now.monotonic) {
            return None;
        }
        let amounts = request.cost.amounts(resolved.child.limits())?;
        let mut of_parent = None;
        if let Some(target) = &resolved.parent {
            let amounts = target.amounts_like(&resolved.child, &amounts);
            if amounts.iter().any(|amount| *amount > 0) {
                of_parent = Some(target.grant_from_reserve(amounts, ReserveDraw::Target, now)?);
            }
        }
        let of_child = resolved.child.grant_from_reserve(amounts, ReserveDraw::Acquire, now)?;
        let mut holds = Holds::from_buf([of_child]);
        if let Some(hold) = of_parent {
            holds.push(hold);
        }
        inner.local.learn(request.on_unavailable.or(inner.on_unavailable), &resolved);
        Some(Lease::of(self.clone(), resolved, holds))
    }

    /// Boxed, so that the enclosing future stays small, and kept out of the path of grants that do not need it.
    #[inline(never)]
    pub(super) fn boxed_through_lanes(
        &self,
        request: Acquire,
    ) -> Pin<Box<impl Future<Output = Result<Lease, AcquireError>> + Send + use<'_>>> {
        Box::pin(self.acquire_through_lanes(self.wish(request)))
    }

    /// Handles everything that is not granted from memory: lanes left behind by a runtime are adopted, a limiter that
    /// is shutting down and an open breaker answer immediately, and the rest is tried within the deadline. The outcome
    /// of every such acquire is counted here and nowhere else.
    async fn acquire_through_lanes(&self, wish: AcquireSpec) -> Result<Lease, AcquireError> {
        let shared = &self.inner.lanes.shared;
        shared.recover();
        if shared.closing.has_begun() {
            return Err(outage::unavailable(&wish, UnavailableReason::ShuttingDown, None).into());
        }
        match self.attempt(&wish).await {
            Ok(lease) => {
                telemetry::acquires(Ending::Granted, 1);
                Ok(lease)
            }
            Err(Denied::Error(error)) => Err(self.denied(&wish, error)),
            Err(Denied::Outage(reason, source)) => self.without_store(&wish, reason, source),
        }
    }

    /// Counts an error that no policy changes.
    pub(super) fn denied(&self, wish: &AcquireSpec, error: AcquireError) -> AcquireError {
        telemetry::acquires(if error.is_refusal() { Ending::Refused } else { Ending::Error }, 1);
        telemetry::acquire_refused(&wish.entity, &wish.resource, &error);
        error
    }

    /// Tries it within the deadline, unless the breaker is open. Counts nothing.
    pub(super) async fn attempt(&self, wish: &AcquireSpec) -> Result<Lease, Denied> {
        let shared = &self.inner.lanes.shared;
        if shared.breaker.gate(Instant::now(), self.health_of(wish)) != Gate::Open {
            return Err(Denied::Outage(UnavailableReason::CircuitOpen, None));
        }
        self.try_at_home(wish).await.unwrap_or_else(|Passed| {
            // The bucket's lane itself reports an unanswered write to the breaker.
            if self.known(wish).is_none() {
                let bucket = BucketKey { entity: wish.entity.clone(), resource: wish.resource.clone(), shard: 0 };
                shared.breaker.failed(Instant::now(), bucket.short_hash(), Evidence::Silence);
            }
            Err(Denied::Outage(UnavailableReason::DeadlineExceeded, None))
        })
    }

    /// Runs the acquire on the home runtime, within the deadline.
    ///
    /// A server may give each worker a runtime of its own. Connections and lanes must not live on one of those, so an
    /// acquire from elsewhere is sent to the home runtime as a task, and that task is aborted if the caller stops
    /// waiting. If the home runtime has ended, this runtime takes its place and the acquire starts again here: nothing
    /// was taken, because the task ended without a result, and a write under way gives its tokens back through the
    /// dropped hold.
    async fn try_at_home(&self, wish: &AcquireSpec) -> Result<Result<Lease, Denied>, Passed> {
        let Context { home, deadlines, .. } = &*self.inner.lanes.shared;
        if let Some(elsewhere) = home.elsewhere() {
            let (limiter, asked) = (self.clone(), wish.clone());
            let errand = RemoteTask::start(&elsewhere, Box::pin(async move { limiter.acquire_here(&asked).await }));
            // Uses a timer of this runtime: the other one may be busy, or not driven.
            match tokio::time::timeout_at(wish.deadline, errand).await {
                Ok(Ok(result)) => return Ok(result),
                Ok(Err(RuntimeGone)) => home.lost(elsewhere.id()),
                Err(_) => return Err(Passed),
            }
        }
        deadlines.until(wish.deadline, self.acquire_here(wish)).await
    }

    /// Resolves and takes, and starts over with freshly read limits if a bucket turns out to have newer ones.
    async fn acquire_here(&self, wish: &AcquireSpec) -> Result<Lease, Denied> {
        let mut doubted = false;
        loop {
            let resolved = self.resolve(wish).await?;
            let amounts = wish.cost.amounts_of(resolved.child.limits())?;
            match acquire::take(&self.inner.lanes, &resolved, amounts, wish.reserve, wish.deadline).await {
                // Happens once for each change that a lane sees, so the loop ends; the caller enforces the deadline.
                Err(NotTaken::Outdated) => self.forget(&resolved),
                Err(NotTaken::Denied(denied)) => {
                    if doubted || !self.was_switched_on(&denied).await {
                        return Err(denied);
                    }
                    doubted = true;
                }
                Ok(holds) => return Ok(Lease::of(self.clone(), resolved, holds)),
            }
        }
    }
}
