//! One acquire: ask child and parent buckets at once, take from both or from none.
//!
//! An acquire has one target, or two if its entity cascades to a parent. Both are asked concurrently. If both grant,
//! their holds go to the lease. If one refuses, dropping the other's hold books its refund, so the whole takes nothing.
//! The refusal lists the status of every limit of both targets, the child's first.
//!
//! A bucket that is spread over shards is asked shard by shard, from this process's own on, until one grants. The
//! refusal is then the soonest of theirs.
//!
//! - [`resolve`] finds limits, lanes and the reserve's answer for a request.
//! - [`front`] is a table of the busiest callers, so that their limits and lanes cost one comparison.
//! - [`denied`] collects what refused, and turns it into errors.
//! - [`local`] keeps the last known limits, for outages under the policy `Local`.
//! - [`shards`] decides which shards of a bucket are asked.
//!
//! # Order of the checks
//!
//! Cheapest first, and nothing is taken before it is known that nobody has refused already:
//!
//! 1. An amount above a capacity never fits; no lane is asked.
//! 2. Reserves are asked, where the setting allows it. A refusal ends the acquire; a grant is kept as a hold.
//! 3. Memory is asked for all targets that are left. If one of them had too little a moment ago, the other is not asked
//!    either: its tokens would only have to go back. Unless it was seen longer ago and had too little, too: the time to
//!    wait is the longer of both, and only the store can tell it.
//! 4. The lanes are asked at once. Two round trips in parallel take as long as one.
//!
//! # Two buckets without a transaction
//!
//! TransactWriteItems would make child and parent one write. It costs twice the write units, fails if anybody else
//! writes one of the two items meanwhile, and cannot be shared with others that wait for the parent. Two conditional
//! writes and a refund in the rare case that one refuses cost less and scale with the parent's lane. For a moment the
//! parent is charged for a call that will be refused; that is on the safe side.

pub(crate) mod denied;
pub(crate) mod front;
pub(crate) mod local;
pub(crate) mod resolve;
mod shards;

use std::sync::Arc;

use smallvec::SmallVec;
use tokio::{sync::oneshot, time::Instant};

use super::telemetry::{self, Refuser};
use crate::{
    bucket::{Amounts, image::Image},
    engine::{
        acquire::{
            denied::{Denied, NotTaken, nothing},
            resolve::ResolvedTargets,
            shards::Asking,
        },
        lane::{
            ask::{Ask, AskOutcome, Failure, Refusal},
            drive,
            hold::{Hold, Holds},
            lanes::Lanes,
            refuse::{self, Remembered},
            target::{FromReserve, Target},
        },
    },
    error::{AcquireError, NeverFits, RateLimitExceeded, RepositoryError, UnavailableReason},
    model::{
        reserve::{Exactness, Reserve},
        status::LimitStatus,
    },
};

/// The parameters for asking a lane.
struct ShardQuery {
    /// Tells if the reserve may answer.
    exactness: Exactness,
    /// The shards that the bucket is known to have.
    shards: u32,
    /// Shard 0, from which a further shard is opened.
    first_shard: Option<Arc<Image>>,
    /// When the caller stops waiting.
    deadline: Instant,
}

/// Puts one ask into a lane's queue and waits for the answer. Dropped before that, whatever was granted goes back.
async fn ask_lane(target: &Arc<Target>, amounts: Amounts, asking: ShardQuery) -> AskOutcome {
    let ShardQuery { exactness, shards, first_shard, deadline } = asking;
    let (reply, answer) = oneshot::channel();
    let (lane, target, asked_at) = (target.lane(), Arc::clone(target), Instant::now());
    lane.submit(Ask { target, amounts, exactness, shards, first_shard, deadline, asked_at, reply }).await;
    answer.await.unwrap_or_else(|_| AskOutcome::Failed(Failure::Unavailable(UnavailableReason::ShuttingDown, None)))
}

/// The better of two shards' refusals: one that may fit later before one that never will, then the shorter wait.
fn sooner(best: Option<Refusal>, other: Refusal) -> Refusal {
    let wait = |refusal: &Refusal| refusal.statuses.iter().map(|status| status.retry_after).max();
    match best {
        Some(best) if best.never == other.never && wait(&best) <= wait(&other) => best,
        Some(best) if other.never && !best.never => best,
        _ => other,
    }
}

/// One target of an acquire under way.
struct TargetAsk<'a> {
    /// The bucket, with its limits.
    target: &'a Arc<Target>,
    /// Tells if the reserve may answer.
    exactness: Exactness,
    /// In mt, in the order of the target's limits.
    amounts: Amounts,
    /// The hold that its reserve gave.
    hold: Option<Hold>,
}

impl TargetAsk<'_> {
    /// Returns the reserve's hold, or asks the lane.
    async fn ask(self, lanes: &Lanes, deadline: Instant) -> AskOutcome {
        match self.hold {
            Some(hold) => AskOutcome::Granted(hold),
            None => {
                let (target, amounts, exactness) = (self.target, &self.amounts, self.exactness);
                Asking { target, lanes, amounts, exactness, deadline }.ask().await
            }
        }
    }
}

/// The targets that limit something of what is asked, child before parent; the others have nothing to say.
fn parts(resolved: &ResolvedTargets, amounts: Amounts, reserve: Reserve) -> SmallVec<[TargetAsk<'_>; 1]> {
    let of_parent = resolved.parent.as_ref().map(|target| target.amounts_like(&resolved.child, &amounts));
    let asked = std::iter::once(amounts).chain(of_parent);
    let parts = resolved.targets(reserve).zip(asked);
    let parts = parts.map(|((target, exactness), amounts)| TargetAsk { target, exactness, amounts, hold: None });
    parts.filter(|part| part.amounts.iter().any(|amount| *amount > 0)).collect()
}

/// Takes from child and parent: from both, or from none once the refund of the other has settled. `amounts` are in the
/// order of the child's limits, in mt.
///
/// Cancel safe: the asks are in the lanes, and what they are granted after this future is gone comes back by itself.
pub(crate) async fn take(
    lanes: &Lanes,
    resolved: &ResolvedTargets,
    amounts: Amounts,
    reserve: Reserve,
    deadline: Instant,
) -> Result<Holds, NotTaken> {
    let mut parts = parts(resolved, amounts, reserve);
    if let Some(never) = too_large(&parts) {
        return Err(never.into());
    }
    for part in parts.iter_mut().filter(|part| part.exactness == Exactness::Reserved) {
        match part.target.ask_reserve(&part.amounts) {
            FromReserve::Granted(hold) => part.hold = Some(hold),
            FromReserve::Refused(refusal) => return Err(refused(refusal.by, refusal.statuses).into()),
            FromReserve::Ask => {}
        }
    }
    if would_refuse(&parts) {
        for part in parts.iter().filter(|part| part.hold.is_none()) {
            Box::pin(drive::learn(part.target.lane(), deadline)).await;
        }
        if let Some(denied) = remembered_refusal(&parts) {
            return Err(denied.into());
        }
    }
    match (parts.pop(), parts.pop()) {
        (Some(parent), Some(child)) => {
            // Boxed: two of them would make the future of those who ask one bucket large.
            let both = async { tokio::join!(child.ask(lanes, deadline), parent.ask(lanes, deadline)) };
            let (child, parent) = Box::pin(both).await;
            all_or_nothing([child, parent])
        }
        (Some(only), None) => all_or_nothing([only.ask(lanes, deadline).await]),
        (None, _) => Ok(Holds::new()),
    }
}

/// Turns statuses into a refusal, counted by its source.
fn refused(by: Refuser, statuses: Vec<LimitStatus>) -> Denied {
    telemetry::refused(by);
    RateLimitExceeded::new(statuses).map_or_else(nothing, |exceeded| AcquireError::from(exceeded).into())
}

/// Turns statuses into a refusal that no wait changes.
fn never_fits(statuses: Vec<LimitStatus>) -> Denied {
    let violations = statuses.into_iter().filter(|status| status.exceeded).collect();
    NeverFits::new(violations).map_or_else(nothing, |never| AcquireError::from(never).into())
}

/// A refusal that needs no call, of what is not taken from a reserve: what is debited ahead is not in the bucket.
///
/// Grants nothing and asks nobody. Used before a request's body is read.
pub(crate) fn refused_from_memory(resolved: &ResolvedTargets, amounts: Amounts, reserve: Reserve) -> Option<Denied> {
    let mut parts = parts(resolved, amounts, reserve);
    if let Some(never) = too_large(&parts) {
        return Some(never);
    }
    parts.retain(|part| part.exactness == Exactness::Strict);
    remembered_refusal(&parts)
}

/// The refusal of an amount above a capacity.
fn too_large(parts: &[TargetAsk<'_>]) -> Option<Denied> {
    let too_large = parts.iter().flat_map(|part| part.target.too_large(&part.amounts)).collect();
    NeverFits::new(too_large).map(|never| AcquireError::from(never).into())
}

/// Returns true if memory would refuse one of `parts`.
fn would_refuse(parts: &[TargetAsk<'_>]) -> bool {
    let mut asked = parts.iter().filter(|part| part.hold.is_none());
    asked.any(|part| refuse::would_refuse(part.target.lane(), part.target.limit_set(), &part.amounts))
}

/// A no that needs no call: one of the targets was seen a moment ago and had too little. Then the other is not asked
/// either, unless it may have too little for longer.
fn remembered_refusal(parts: &[TargetAsk<'_>]) -> Option<Denied> {
    let asked = || parts.iter().filter(|part| part.hold.is_none());
    if !would_refuse(parts) {
        return None;
    }
    if asked().any(|part| refuse::has_to_be_asked(part.target.lane(), part.target.limit_set(), &part.amounts)) {
        return None;
    }
    let answers =
        asked().filter_map(|part| refuse::from_memory(part.target.lane(), part.target.limit_set(), &part.amounts));
    let mut never = false;
    let statuses = answers.flat_map(|answer| match answer {
        Remembered::No(refusal) => {
            never |= refusal.never;
            refusal.statuses
        }
        Remembered::Perhaps(statuses) => statuses,
    });
    let statuses: Vec<LimitStatus> = statuses.collect();
    if never {
        return Some(never_fits(statuses));
    }
    statuses.iter().any(|status| status.exceeded).then(|| refused(Refuser::Memory, statuses))
}

/// Takes more from buckets that a lease holds tokens of: from the same shards, or from none.
///
/// A lease holds tokens of one shard for each target, and can give back to that shard only, so more is taken there or
/// not at all.
pub(crate) async fn take_more(targets: Vec<(Arc<Target>, Amounts)>, deadline: Instant) -> Result<Holds, NotTaken> {
    let asks = targets.iter().map(|(target, amounts)| {
        let shards = target.lane().image().map_or(1, |image| image.shards());
        ask_lane(
            target,
            amounts.clone(),
            ShardQuery { exactness: Exactness::Strict, shards, first_shard: None, deadline },
        )
    });
    let mut answers = Vec::new();
    for ask in asks.map(Box::pin).collect::<Vec<_>>() {
        answers.push(ask.await);
    }
    all_or_nothing(answers)
}

/// Returns the holds if all granted; else the reason, and drops them.
fn all_or_nothing(answers: impl IntoIterator<Item = AskOutcome>) -> Result<Holds, NotTaken> {
    let mut answers = answers.into_iter();
    let mut holds = Holds::new();
    while let Some(answer) = answers.next() {
        match answer {
            AskOutcome::Granted(hold) => holds.push(hold),
            other => {
                let granted = holds.into_iter().map(AskOutcome::Granted);
                let all: Vec<AskOutcome> = granted.chain([other]).chain(answers).collect();
                return Err(nothing_of(&all));
            }
        }
    }
    Ok(holds)
}

/// Builds the answer when not everybody granted. Returning drops the holds, which gives back what the others granted.
///
/// A failure counts less than a refusal, because the refusal tells the caller when to come back; except that a disabled
/// entity is said before all else.
fn nothing_of(answers: &[AskOutcome]) -> NotTaken {
    let (mut refuser, mut never, mut failure) = (None, false, None);
    let mut statuses = Vec::new();
    for answer in answers {
        match answer {
            AskOutcome::Outdated => return NotTaken::Outdated,
            // More of a lease's shard, which is gone.
            AskOutcome::Moved => failure = Some(Failure::Unavailable(UnavailableReason::StoreFailed, None)),
            AskOutcome::Granted(hold) => statuses.extend(hold.statuses()),
            AskOutcome::Refused(refusal) => {
                refuser = Some(refusal.by);
                never |= refusal.never;
                statuses.extend(refusal.statuses.iter().cloned());
            }
            AskOutcome::Failed(failed) => failure = Some(failed.clone()),
        }
    }
    match (refuser, failure) {
        // Whatever else is short: waiting for it would not help.
        (Some(_), Some(Failure::Hard(error))) if matches!(*error, RepositoryError::Disabled(_)) => {
            Failure::Hard(error).into()
        }
        (None, Some(failure)) => failure.into(),
        _ if never => never_fits(statuses).into(),
        (refuser, _) => refused(refuser.unwrap_or(Refuser::Store), statuses).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{EntityId, Limit, ResourceName};

    fn refusal(seconds: u64, never: bool) -> Refusal {
        let status = LimitStatus {
            entity_id: EntityId::new("user-1").unwrap(),
            resource: ResourceName::new("gpt-4").unwrap(),
            limit: Limit::per_minute("rpm", 1).unwrap(),
            available: 0,
            requested: 1,
            exceeded: true,
            retry_after: Duration::from_secs(seconds),
            resets_at: None,
        };
        Refusal { statuses: vec![status], never, by: Refuser::Store }
    }

    #[test]
    fn of_several_shards_the_one_with_the_shortest_wait_answers_and_never_is_the_last_word() {
        for (first, second, wait, never) in [
            (refusal(1, false), refusal(2, false), 1, false),
            (refusal(2, false), refusal(1, false), 1, false),
            (refusal(9, false), refusal(0, true), 9, false),
            (refusal(0, true), refusal(9, false), 9, false),
            (refusal(0, true), refusal(0, true), 0, true),
        ] {
            let chosen = sooner(Some(first), second);
            assert_eq!((chosen.statuses[0].retry_after.as_secs(), chosen.never), (wait, never));
        }
    }
}
