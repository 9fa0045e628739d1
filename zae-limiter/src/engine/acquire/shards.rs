//! Asking a bucket that is spread over shards: which of them, how many, and what no single one can hold.
//!
//! Each process has a *seat*, a random number, and asks the shard of that number first. So its acquires share writes as
//! they would on one item, and processes spread over the items evenly, after a split as well: those of a shard are
//! halved with it.
//!
//! A shard that refuses is not the bucket. The acquire asks the next ones, at most [`MOST_ASKED`] in all, and passes
//! over those of which a moment ago an answer said that they have too little. The next acquire goes on where this one
//! stopped, as what was asked before is remembered.
//!
//! An amount above a shard's ceiling fits none of them. It is gathered ([`gather`]): from each shard a part of it, all
//! at once, and given back if one is missing.

use std::{sync::Arc, time::Duration};

use smallvec::SmallVec;
use tokio::{sync::oneshot, time::Instant};

use super::{ShardQuery, ask_lane, sooner};
use crate::{
    bucket::{Amounts, MILLI, plan::balances},
    engine::{
        lane::{
            ask::{Ask, AskOutcome, Failure, Refusal},
            drive,
            hold::Hold,
            lanes::Lanes,
            memory::Supply,
            refuse,
            target::Target,
        },
        telemetry::Refuser,
    },
    error::UnavailableReason,
    model::{reserve::Exactness, status::LimitStatus},
};

/// Shards that one acquire asks at the most.
const MOST_ASKED: u32 = 8;
/// The same while all that were asked a moment ago had too little: its own, and another at random.
const MOST_ASKED_OF_SCARCE: u32 = 2;
/// Times that an acquire begins again because shards were split or folded meanwhile.
const MOST_MOVES: u32 = 4;
/// Rounds of asks in which an amount is gathered.
const GATHERINGS: u32 = 3;

/// An acquire at one target.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    /// The bucket, with its limits.
    pub(super) target: &'a Arc<Target>,
    /// All lanes.
    pub(super) lanes: &'a Lanes,
    /// In mt, in the order of the target's limits.
    pub(super) amounts: &'a [i64],
    /// Tells if the reserve may answer.
    pub(super) exactness: Exactness,
    /// The instant at which the caller stops waiting.
    pub(super) deadline: Instant,
}

impl Asking<'_> {
    /// Asks the bucket, shard after shard where it is sharded.
    pub(super) async fn ask(self) -> AskOutcome {
        for _ in 0..MOST_MOVES {
            let shards = self.shards();
            if shards == 1 {
                match ask_lane(self.target, self.amounts.into(), self.query(0, 1)).await {
                    // It was split meanwhile, or another shard may have enough.
                    AskOutcome::Refused(_) if self.shards() > 1 => {}
                    AskOutcome::Moved => self.look().await,
                    answer => return answer,
                }
                continue;
            }
            if !self.seat().is_multiple_of(shards) && self.target.lane().should_be_looked_at(Instant::now()) {
                self.look().await;
                continue;
            }
            match self.pass(shards).await {
                AskOutcome::Refused(refusal) if refusal.never => return Box::pin(self.gather()).await,
                AskOutcome::Moved => self.look().await,
                answer => return answer,
            }
        }
        AskOutcome::Failed(Failure::Unavailable(UnavailableReason::StoreFailed, None))
    }

    /// Asks shards from the seat's on until one grants.
    ///
    /// A refusal is that of the shard with the shortest wait, because an acquire takes from one shard. A shard that is
    /// throttled for longer than the caller waits is passed over.
    async fn pass(self, known: u32) -> AskOutcome {
        let (mut shards, mut asked, mut turn) = (known, 0, 0);
        let scarce = self.target.lane().is_exhausted();
        let most = if scarce { MOST_ASKED_OF_SCARCE } else { MOST_ASKED };
        let (mut best, mut failure): (Option<Refusal>, _) = (None, None);
        let seat = self.seat();
        while turn < shards && asked < most {
            let shard = (seat % shards + turn) % shards;
            let is_own = turn == 0;
            turn += if scarce && is_own { self.lanes.shared.random.of(1..shards) } else { 1 };
            let target = self.at(shard);
            let (lane, limit_set) = (target.lane(), target.limit_set());
            let remembered = if is_own {
                refuse::of_shard(lane, limit_set, self.amounts, shards)
            } else {
                refuse::of_other_shard(lane, limit_set, self.amounts, shards)
            };
            if let Some(refusal) = remembered {
                best = Some(sooner(best, refusal));
                continue;
            }
            asked += 1;
            match ask_lane(&target, self.amounts.into(), self.query(shard, shards)).await {
                AskOutcome::Refused(refusal) => best = Some(sooner(best, refusal)),
                AskOutcome::Failed(throttled @ Failure::Unavailable(UnavailableReason::Throttled, _)) => {
                    failure = Some(throttled);
                }
                other => {
                    self.target.lane().note_shards(Supply::Enough);
                    return other;
                }
            }
            // The count from before the first ask may be out of date.
            let seen = target.lane().image().map_or(1, |image| image.shards()).max(self.shards());
            if seen > shards {
                (shards, turn) = (seen, 0);
            }
        }
        if best.as_ref().is_some_and(|best| !best.never) {
            self.target.lane().note_shards(Supply::Exhausted);
        }
        let failure = failure.unwrap_or(Failure::Unavailable(UnavailableReason::StoreFailed, None));
        best.map_or(AskOutcome::Failed(failure), AskOutcome::Refused)
    }

    /// The number of shards that the bucket is known to have, by shard 0 and the seat's own.
    fn shards(self) -> u32 {
        let of = |target: &Target| target.lane().image().map_or(1, |image| image.shards());
        let image = self.target.lane().image();
        // Shard 0 speaks for a bucket that was switched off when it was last seen: a missing shard has no stamp.
        let mut shards = match image {
            Some(image) if !image.disabled => image.shards(),
            _ => return 1,
        };
        // It is asked seldom where the seat is another one.
        for _ in 0..u32::BITS {
            let seen = if shards > 1 { of(&self.at(self.seat() % shards)) } else { shards };
            if seen <= shards {
                break;
            }
            shards = seen;
        }
        shards
    }

    /// The number that decides which shard is asked first.
    fn seat(self) -> u32 {
        self.lanes.shared.seat()
    }

    /// The same limits at a shard.
    fn at(self, shard: u32) -> Arc<Target> {
        if shard == 0 { Arc::clone(self.target) } else { Arc::new(self.target.at_shard(self.lanes, shard)) }
    }

    fn query(self, shard: u32, shards: u32) -> ShardQuery {
        let first_shard = if shard > 0 { self.target.lane().image() } else { None };
        ShardQuery { exactness: self.exactness, shards, first_shard, deadline: self.deadline }
    }

    /// Reads shard 0, which says how many shards there are.
    async fn look(self) {
        drive::look(self.target.lane()).await;
    }

    /// Takes from several shards at once what no single one can hold: all of it, or nothing once refunds have settled.
    ///
    /// Each shard is asked for a part that goes by what it is known to hold, or by its ceiling. What is missing after
    /// that is asked of those that have more.
    async fn gather(self) -> AskOutcome {
        let shards = self.shards();
        let mut has: Vec<Amounts> = (0..shards).map(|shard| self.held(shard, shards)).collect();
        let mut rest = Amounts::from_slice(self.amounts);
        let mut parts: Vec<Hold> = Vec::new();
        for _ in 0..GATHERINGS {
            let Some(portions) = portions(&rest, &has) else { break };
            let asks: Vec<_> =
                (0_u32..).zip(portions).filter(|(_, portion)| portion.iter().any(|part| *part > 0)).collect();
            let asks: Vec<_> =
                asks.into_iter().map(|(shard, portion)| (shard, self.put(shard, shards, &portion), portion)).collect();
            for (shard, answer, portion) in asks {
                let held = &mut has[shard as usize];
                match answer.await {
                    Ok(AskOutcome::Granted(hold)) => {
                        rest.iter_mut().zip(&portion).for_each(|(rest, part)| *rest -= part);
                        held.iter_mut().zip(&portion).for_each(|(held, part)| *held = held.saturating_sub(*part));
                        match parts.iter_mut().find(|part| Arc::ptr_eq(part.lane(), hold.lane())) {
                            Some(part) => part.absorb(hold),
                            None => parts.push(hold),
                        }
                    }
                    Ok(AskOutcome::Refused(refusal)) => {
                        let left = refusal.statuses.iter().map(|status| status.available.saturating_mul(MILLI).max(0));
                        *held = left.collect();
                    }
                    Ok(other) => return if matches!(other, AskOutcome::Moved) { AskOutcome::Outdated } else { other },
                    Err(_) => {
                        return AskOutcome::Failed(Failure::Unavailable(UnavailableReason::ShuttingDown, None));
                    }
                }
            }
            if rest.iter().all(|rest| *rest <= 0) {
                return Hold::joined(parts).map_or_else(|| self.missing(&has, shards), AskOutcome::Granted);
            }
        }
        for part in &parts {
            let shard = part.lane().key.shard as usize;
            has[shard].iter_mut().zip(part.taken()).for_each(|(held, (_, taken))| *held = held.saturating_add(taken));
        }
        self.missing(&has, shards)
    }

    /// The amounts that a shard held a moment ago, or may hold at the most, in mt by limit.
    fn held(self, shard: u32, shards: u32) -> Amounts {
        let limit_set = self.target.limit_set();
        let recent = self.at(shard).lane().recent().filter(|recent| recent.image.shards() == shards);
        match recent {
            Some(recent) => {
                let goal = limit_set.goal(&[], &recent.booked, shards, self.lanes.shared.clock.now_ms());
                balances(&recent.image, &goal).iter().map(|balance| balance.tokens.max(0)).collect()
            }
            None => limit_set.applied.iter().map(|limit| limit.kind.share(shards).ceiling()).collect(),
        }
    }

    /// Puts an ask for a part into a shard's queue.
    fn put(self, shard: u32, shards: u32, portion: &Amounts) -> oneshot::Receiver<AskOutcome> {
        let (reply, answer) = oneshot::channel();
        let target = self.at(shard);
        let ShardQuery { exactness, shards, first_shard, deadline } = self.query(shard, shards);
        let (lane, asked_at) = (Arc::clone(target.lane()), Instant::now());
        lane.enqueue(Ask {
            target,
            amounts: portion.clone(),
            exactness,
            shards,
            first_shard,
            deadline,
            asked_at,
            reply,
        });
        answer
    }

    /// The refusal of an amount of which all shards together have too little.
    fn missing(self, has: &[Amounts], shards: u32) -> AskOutcome {
        let limit_set = self.target.limit_set();
        let mut never = false;
        let statuses = limit_set.limits.iter().zip(&limit_set.applied).enumerate().map(|(slot, (limit, applied))| {
            let amount = self.amounts[slot];
            let held: i64 = has.iter().fold(0, |sum, held| sum.saturating_add(held[slot]));
            let missing = if applied.lets_pass(amount, held) { 0 } else { amount.saturating_sub(held) };
            let most = applied.kind.share(shards).ceiling().saturating_mul(i64::from(shards));
            never |= amount > most && applied.refuses();
            let wait = u64::try_from(applied.kind.wait_ms(missing)).unwrap_or(u64::MAX);
            LimitStatus {
                entity_id: self.target.entity().clone(),
                resource: self.target.resource().clone(),
                limit: limit.clone(),
                available: held.div_euclid(MILLI),
                requested: refuse::whole(amount),
                exceeded: missing > 0,
                retry_after: Duration::from_millis(wait),
                resets_at: None,
            }
        });
        let mut statuses: Vec<LimitStatus> = statuses.collect();
        if !statuses.iter().any(|status| status.exceeded) {
            // All of it was there, but not at one moment: others took from one shard while another was asked.
            let named = statuses.iter_mut().filter(|status| status.requested > 0);
            named.for_each(|status| (status.exceeded, status.retry_after) = (true, Duration::from_millis(1)));
        }
        AskOutcome::Refused(Refusal { statuses, never, by: Refuser::Store })
    }
}

/// Shares `rest` out among shards that have `has`, in proportion; `None` where they have too little. All in mt, by
/// limit.
fn portions(rest: &[i64], has: &[Amounts]) -> Option<Vec<Amounts>> {
    let mut portions: Vec<Amounts> = vec![SmallVec::from_elem(0, rest.len()); has.len()];
    for (slot, rest) in rest.iter().enumerate() {
        let (mut rest, mut total) =
            ((*rest).max(0), has.iter().map(|held| i128::from(held[slot].max(0))).sum::<i128>());
        if i128::from(rest) > total {
            return None;
        }
        for (portion, held) in portions.iter_mut().zip(has) {
            let held = i128::from(held[slot].max(0));
            let part = if total > 0 { (i128::from(rest) * held + total - 1) / total } else { 0 };
            // At most what it has, which is within 64 bits.
            let part = i64::try_from(part.min(held)).unwrap_or(0).min(rest);
            portion[slot] = part;
            (rest, total) = (rest - part, total - held);
        }
    }
    Some(portions)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn portions_add_up_and_no_shard_is_asked_for_more_than_it_has(
            has in prop::collection::vec(0_i64..1_000_000_000_000, 1..32), part in 0_u32..=120,
        ) {
            let total: i64 = has.iter().sum();
            let rest = total / 100 * i64::from(part);
            let has: Vec<Amounts> = has.iter().map(|held| Amounts::from_elem(*held, 1)).collect();
            match portions(&[rest], &has) {
                Some(portions) => {
                    prop_assert_eq!(portions.iter().map(|portion| portion[0]).sum::<i64>(), rest);
                    prop_assert!(portions.iter().zip(&has).all(|(portion, held)| (0..=held[0]).contains(&portion[0])));
                }
                None => prop_assert!(rest > total),
            }
        }
    }
}
