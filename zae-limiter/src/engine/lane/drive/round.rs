//! The parts of a round around its write: who is served without one, the state that a bucket begins with, and what
//! follows from a write that was done.
//!
//! In the order of a round:
//!
//! 1. [`serve_from_reserve`]: an ask that found too little in the reserve has waited in the queue since; a write for
//!    somebody else may have filled the reserve meanwhile.
//! 2. [`drop_strangers`]: settlements of a bucket that was deleted since are void. The new bucket started full, and so
//!    owes nothing and is owed nothing.
//! 3. [`opening`]: without a bucket, the first write creates one.
//! 4. [`grant`], [`fill_up`], [`debts`]: a write that was done hands out holds, fills the reserve, and counts balances
//!    below zero.
//!
//! The baseline that [`grant`] returns is the bucket right after the write. It goes into every hold and into the lot of
//! the reserve: they were all taken in that moment.

use std::sync::Arc;

use crate::{
    bucket::{
        Amounts,
        image::{Balance, Image, WcuImage},
        incarnation::Incarnation,
        kind::AppliedLimit,
        limit_set::LimitSet,
        opening::{Opening, further_balance},
        quota::grant,
        refund::{Baseline, Booking},
        write::BucketWrite,
    },
    engine::{
        lane::{
            Lane,
            ask::{Ask, AskOutcome, Pending},
            drive::{finish, request::WriteDraft},
            hold::{Hold, Tokens},
            memory::periods,
            refuse::shards,
            returned,
            target::FromReserve,
        },
        reserve::lots::{Expiry, ReserveLot},
        telemetry::{self, Over, ReserveFlow},
    },
    model::{name::LimitName, reserve::Exactness},
};

/// Answers those whom the reserve can serve after all: it was filled while they waited.
pub(super) fn serve_from_reserve(
    lane: &Lane,
    limit_set: &Arc<LimitSet>,
    asks: &mut Vec<Ask>,
    pending: &mut Vec<Pending>,
) {
    if !asks.iter().any(|ask| ask.exactness == Exactness::Reserved) {
        return;
    }
    if let Some(mut reserve) = lane.reserve() {
        pending.extend(reserve.adopt(limit_set, lane.shared.moment()).and_then(returned));
    }
    for ask in std::mem::take(asks) {
        if ask.exactness == Exactness::Strict {
            asks.push(ask);
            continue;
        }
        match ask.target.ask_reserve_again(&ask.amounts) {
            FromReserve::Granted(hold) => drop(ask.reply.send(AskOutcome::Granted(hold))),
            FromReserve::Refused(refusal) => drop(ask.reply.send(AskOutcome::Refused(refusal))),
            FromReserve::Ask => asks.push(ask),
        }
    }
}

/// Returns the latest end of new stamps that any of `asks` knows of.
pub(in crate::engine::lane) fn soft_until(asks: &[Ask]) -> Option<i64> {
    asks.iter().filter_map(|ask| ask.target.soft_until()).max()
}

/// Returns the end of a new stamp of a bypass, in epoch ms; `None` if nobody asks.
pub(super) fn bypass_until(asks: &[Ask]) -> Option<i64> {
    asks.iter().map(|ask| ask.target.bypass_until()).max()
}

/// Notes that there is nothing to write.
pub(super) fn rest(lane: &Lane, limit_set: &LimitSet, image: &Image, now: i64, writes: u32) {
    if let Some(mut reserve) = lane.reserve() {
        reserve.keep_period(&periods(limit_set, image));
    }
    note_left(lane, limit_set, image, now);
    if writes > 0 {
        telemetry::answered(writes);
    }
}

/// Tells the reserve what the bucket of `image` has at `now` (epoch ms).
pub(super) fn note_left(lane: &Lane, limit_set: &LimitSet, image: &Image, now: i64) {
    if let Some(mut reserve) = lane.reserve() {
        reserve.observe(&left(limit_set, image, now), lane.shared.moment(), &lane.shared.random);
    }
}

/// Balances after the write, in mt.
fn left(limit_set: &LimitSet, image: &Image, now: i64) -> Amounts {
    balances(limit_set, image, now).iter().map(|balance| balance.tokens).collect()
}

/// Returns true if the bucket of `image` served any of `asks` at `now` (epoch ms).
pub(super) fn serves_any(limit_set: &LimitSet, image: &Image, asks: &[Ask], now: i64) -> bool {
    let left = left(limit_set, image, now);
    let limits = || limit_set.applied.iter().zip(&left);
    asks.iter().any(|ask| limits().zip(&ask.amounts).all(|((limit, left), amount)| limit.lets_pass(*amount, *left)))
}

/// Adds up what a write takes, by limit: for those it serves, and ahead of use.
pub(super) fn taken<'a>(limit_set: &LimitSet, served: impl Iterator<Item = &'a Amounts>, ahead: &'a [i64]) -> Amounts {
    let mut taken = Amounts::from_elem(0, limit_set.applied.len());
    for amounts in served.map(Amounts::as_slice).chain([ahead]) {
        taken.iter_mut().zip(amounts).for_each(|(sum, amount)| *sum = sum.saturating_add(*amount));
    }
    taken
}

/// Returns what a write adds to the consumption counters, by limit.
pub(super) fn consumed(limit_set: &LimitSet, write: &BucketWrite) -> Amounts {
    let of = |name: &LimitName| write.limits.iter().find(|limit| limit.name == *name).map_or(0, |limit| limit.consumed);
    limit_set.applied.iter().map(|limit| of(&limit.name)).collect()
}

/// Balances of the limits that apply, with nothing taken or booked.
pub(super) fn balances(limit_set: &LimitSet, image: &Image, now: i64) -> Vec<Balance> {
    crate::bucket::plan::balances(image, &limit_set.goal(&[], &[], image.shards(), now))
}

/// Puts what was debited ahead into the reserve, and tells it what the bucket holds.
pub(super) fn fill_up(lane: &Lane, limit_set: &LimitSet, image: &Image, written: &WriteDraft, baseline: Arc<Baseline>) {
    let Some(mut reserve) = lane.reserve() else { return };
    let now = lane.shared.moment();
    reserve.keep_period(&baseline.periods);
    if !written.ahead.is_empty() {
        let names = limit_set.applied.iter().map(|limit| &limit.name);
        telemetry::reserve_tokens(ReserveFlow::Debited, names.zip(written.ahead.iter().copied()));
        let expiry = Expiry::starting(written.sent_at, reserve.life());
        let lot = ReserveLot { tokens: written.ahead.clone(), baseline, expiry };
        reserve.fill_up(lot, image.incarnation.as_ref(), now.monotonic);
    }
    reserve.observe(&left(limit_set, image, written.now), now, &lane.shared.random);
}

/// Returns true if a limit changes so soon that nothing is debited ahead at `now` (epoch ms): a lot would live on after
/// it, by a clock that may be wrong. A session may end and begin anew in every moment that others know of.
pub(super) fn ends_soon(lane: &Lane, limit_set: &LimitSet, now: i64) -> bool {
    const CLOCKS_MS: i64 = 1_000;
    let life = i64::try_from(lane.shared.options.longest_reserve_life.as_millis()).unwrap_or(i64::MAX);
    let mut kinds = limit_set.applied.iter().map(|limit| &limit.kind);
    kinds.any(|kind| {
        let left = kind.next_boundary(now).map(|boundary| boundary.saturating_sub(now));
        kind.is_session() || left.is_some_and(|left| left < life.saturating_add(CLOCKS_MS))
    })
}

/// Counts what adjustments took from balances that did not have it.
pub(super) fn debts(image: &Image, adjust: &[Booking]) {
    for Booking { name, out: amount, .. } in adjust {
        let tokens = image.limit(name.as_str()).and_then(|limit| limit.tokens).unwrap_or(0);
        telemetry::over(Over::Debt, name, (-tokens).min(*amount));
    }
}

/// Removes settlements that belong to a bucket which was deleted since.
pub(super) fn drop_strangers(pending: &mut Vec<Pending>, image: &Image) {
    let strangers = pending.extract_if(.., |pending| pending.incarnation != image.incarnation);
    finish(strangers.collect(), &Ok(()));
}

/// Returns the state that the lane's bucket is created with. `siblings` are the shards that there are, where the bucket
/// is a further one with a quota and they could be read.
pub(super) fn opening(
    lane: &Arc<Lane>,
    limit_set: &LimitSet,
    asks: &[Ask],
    siblings: Option<&[(u32, Image)]>,
    now: i64,
) -> Opening {
    let known = siblings.into_iter().flatten().map(|(_, image)| image.shards());
    let shards = asks.iter().map(|ask| ask.shards).chain(known).max().unwrap_or(1).max(1);
    let first = (lane.key.shard > 0).then(|| asks.iter().find_map(|ask| ask.first_shard.clone())).flatten();
    let balances = (lane.key.shard > 0).then(|| {
        let surplus = |AppliedLimit { name, kind, .. }: &AppliedLimit| {
            if kind.is_quota() {
                // Unknown shards may hold all of it.
                let Some(siblings) = siblings else { return 0 };
                let granted = grant::siblings(siblings.iter().map(|(shard, image)| (*shard, image)), name, kind, now);
                return grant::unclaimed(lane.key.shard, kind.share(shards).at(now).ceiling(), &granted);
            }
            let Some(image) = first.as_deref() else { return 0 };
            image.limit(name.as_str()).map_or(0, |stored| further_balance(image, stored, kind, shards, now))
        };
        limit_set.applied.iter().map(surplus).collect()
    });
    Opening {
        shards,
        balances,
        incarnation: Incarnation::drawn_from(&lane.shared.random),
        wcu: WcuImage::full(),
        soft_until: soft_until(asks),
        bypass_until: bypass_until(asks),
    }
}

/// Grants what was written to those who are served. Returns the state of the bucket right after. Where the bucket turns
/// out to charge another parent than the one who was asked beside it, everybody gives back and asks again.
pub(super) fn grant(
    lane: &Lane,
    limit_set: &Arc<LimitSet>,
    asks: &mut Vec<Ask>,
    image: &Image,
    written: &WriteDraft,
) -> Arc<Baseline> {
    let (served, now) = (&written.served, written.now);
    let shards = shards(lane, asks, image);
    let balances = crate::bucket::plan::balances(image, &limit_set.goal(&[], &[], shards, now));
    let baseline = lane.observe(limit_set, image, &balances, now);
    let available: Amounts = balances.iter().map(|balance| balance.tokens).collect();
    let outdated = !written.served.is_empty() && lane.doubts_owner(image, limit_set);
    let mut served = served.iter().copied().peekable();
    for (index, ask) in std::mem::take(asks).into_iter().enumerate() {
        if served.next_if_eq(&index).is_none() {
            asks.push(ask);
            continue;
        }
        let Ask { target, amounts, reply, .. } = ask;
        let (available, baseline) = (available.clone(), Arc::clone(&baseline));
        let tokens = Tokens { taken: amounts, available, baseline, expiry: None };
        let hold = Hold::new(target, tokens);
        // If nobody waits any more, the hold comes back, is dropped, and so gives the tokens back.
        let _ = reply.send(if outdated { AskOutcome::Outdated } else { AskOutcome::Granted(hold) });
    }
    baseline
}
