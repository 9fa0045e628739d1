//! The limits of a bucket with everything a write needs to know of them.
//!
//! A round of a lane serves asks with equal limit sets only, because one write brings the bucket in line with one set
//! of limits. Two sets are mostly the same allocation, so comparing them is comparing pointers.
//!
//! A set is made when limits are resolved and interned twice, by the limiter and by the lane, because the comparison is
//! made for every ask of every round.

use crate::{
    bucket::{
        kind::{AppliedLimit, Enforcement},
        lifetime::Lifetime,
        owner::Owner,
        plan::Goal,
        refund::Booking,
    },
    model::limit::Limits,
};

/// The limits of a bucket with all that a write needs: asks with equal sets can share one.
#[derive(Clone, Debug)]
pub(crate) struct LimitSet {
    /// The limits that apply.
    pub(crate) limits: Limits,
    /// The same in stored units.
    pub(crate) applied: Vec<AppliedLimit>,
    /// Lifetime of the bucket when idle.
    pub(crate) lifetime: Lifetime,
    /// The owner's facts.
    pub(crate) owner: Owner,
    /// True if an operator lets everything through.
    pub(crate) bypassed: bool,
}

impl LimitSet {
    /// Brings limits into stored units: mt and ms.
    pub(crate) fn new(limits: Limits, lifetime: Lifetime, owner: Owner) -> Self {
        Self { applied: AppliedLimit::all(&limits), limits, lifetime, owner, bypassed: false }
    }

    /// The same limits, none of which refuses or is debited.
    pub(crate) fn bypassed(mut self) -> Self {
        self.bypassed = true;
        self.applied.iter_mut().for_each(|limit| limit.enforcement = Enforcement::Bypassed);
        self
    }

    /// Returns true if asks under both can share a write.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.limits.same(&other.limits)
            && self.lifetime == other.lifetime
            && self.owner == other.owner
            && self.bypassed == other.bypassed
    }

    /// Returns true if one of the limits is a quota.
    pub(crate) fn has_quota(&self) -> bool {
        self.applied.iter().any(|limit| limit.kind.is_quota())
    }

    /// The goal of booking `adjust` at `now` and nothing else: the bucket keeps the limits it has, for a settlement may
    /// come long after its limits were resolved.
    pub(crate) fn settlement<'a>(&self, adjust: &'a [Booking], shards: u32, now: i64) -> Goal<'a> {
        Goal { limits: &[], take: &[], adjust, shards, ttl: self.lifetime, owner: None, soft_until: None, now }
    }

    /// The goal of booking `adjust` and taking `take` at `now`.
    pub(crate) fn goal<'a>(&'a self, take: &'a [i64], adjust: &'a [Booking], shards: u32, now: i64) -> Goal<'a> {
        Goal {
            limits: &self.applied,
            take,
            adjust,
            shards,
            ttl: self.lifetime,
            owner: Some(&self.owner),
            soft_until: None,
            now,
        }
    }
}
