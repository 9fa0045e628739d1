//! Resets and top-ups of all shards of a bucket, at one instant: pure arithmetic from their images, no I/O.
//!
//! Each shard is brought up to the instant first, as an acquire would: every limit is credited, and a quota whose
//! period has begun is restored. Then the named limits change. The refill instant always moves, by a millisecond at
//! least, so that whoever computed a write from the shard as it was loses its condition.
//!
//! | | rate | quota |
//! |---|---|---|
//! | reset | full | its share of the capacity, as at the beginning of a period |
//! | top-up | spread by the room below the ceilings, and no more than that | spread by the grants; the ceiling rises by it until the period ends |
//!
//! An amount that a reset or a top-up adds to a rate is counted as refunded, so that later refunds of tokens that were
//! taken before find no more room than there is.
//!
//! In numbers: a quota of 100 a day on two shards, each granted 50, of which they hold 5 and 20. A top-up of 31 gives
//! 16 to the first and 15 to the second: they hold 21 and 35, and may hold 66 and 65 until midnight. A reset leaves 50
//! and 50.

mod opened;
mod shard;
mod split;
#[cfg(test)]
mod vectors;

use std::collections::BTreeMap;

pub(crate) use opened::opened;

use self::shard::{OperatedShard, ShardLimit};
use crate::{
    bucket::{
        MILLI,
        image::{Image, StoredParams},
        incarnation::Incarnation,
    },
    model::name::LimitName,
};

/// An operation on the limits of a bucket.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// Restores these limits.
    Reset(Vec<LimitName>),
    /// Adds whole tokens to these limits.
    TopUp(Vec<(LimitName, i64)>),
}

/// The reason why an operation cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Impossible {
    /// No shard has this limit.
    Missing(LimitName),
    /// This quota was topped up by more than a period holds.
    TooMuch(LimitName),
}

/// The writes of an operation, and its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OperationPlan {
    /// Whole tokens by limit: granted, or the change against the balances at the instant.
    pub(crate) amounts: BTreeMap<LimitName, i64>,
    /// True if the ceiling of a quota rises.
    pub(crate) raises_ceiling: bool,
    /// One for each shard.
    pub(crate) writes: Vec<ShardWrite>,
}

/// The write of one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardWrite {
    /// The shard's number.
    pub(crate) shard: u32,
    /// The refill instant must be this one.
    pub(crate) expect_refill: i64,
    /// The shard count must be this one.
    pub(crate) expect_shards: Option<u32>,
    /// The item must be of this creation.
    pub(crate) expect_incarnation: Option<Incarnation>,
    /// The new refill instant.
    pub(crate) set_refill: i64,
    /// Added to the reserved limit, in mt.
    pub(crate) wcu_credit: i64,
    /// One for each limit.
    pub(crate) limits: Vec<ShardLimitWrite>,
    /// Ms until all limits are full.
    pub(crate) full: i64,
}

/// The write of one limit on one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardLimitWrite {
    /// The limit.
    pub(crate) name: LimitName,
    /// The balance as it was seen, in mt; it must not be higher where it changes.
    pub(crate) seen: i64,
    /// The parameters that the numbers were computed from: a condition.
    pub(crate) expect_params: StoredParams,
    /// Added to the balance, in mt; negative where it is cut to its ceiling.
    pub(crate) add: i64,
    /// Counted as refunded, in mt.
    pub(crate) refunded: i64,
    /// The remainder of the last refill as it was seen: a condition unless it is 0.
    pub(crate) expect_fraction: i64,
    /// The new remainder; 0 removes it.
    pub(crate) set_fraction: i64,
    /// The number of shards by which the grant is cut from now on.
    pub(crate) grant_count: Option<u32>,
    /// The amount topped up in this period, in mt: `Some(None)` forgets it.
    pub(crate) topped_up: Option<Option<i64>>,
    /// True if the number of resets by hand rises.
    pub(crate) counts_reset: bool,
}

/// Plans `operation` at `now` (epoch ms) on `shards`, given by number, of a bucket whose shards all know that they are
/// `count`.
///
/// # Errors
/// [`Impossible`] for a top-up of a limit that no shard has, or by more than a quota holds.
pub(crate) fn plan(
    shards: &[(u32, &Image)],
    operation: &Operation,
    count: u32,
    now: i64,
) -> Result<OperationPlan, Impossible> {
    let mut all: Vec<OperatedShard<'_>> =
        shards.iter().map(|(number, image)| OperatedShard::at(*number, image, count, now)).collect();
    let mut amounts = BTreeMap::new();
    let mut raises_ceiling = false;
    match operation {
        Operation::Reset(names) => {
            for name in names {
                let changes = named(&mut all, name).into_iter().map(|(_, limit)| limit.reset(count));
                amounts.insert(name.clone(), changes.sum::<i64>().div_euclid(MILLI));
            }
        }
        Operation::TopUp(credits) => {
            for (name, tokens) in credits {
                let limits = named(&mut all, name);
                let Some((_, first)) = limits.first() else { return Err(Impossible::Missing(name.clone())) };
                let by_grant = first.kind.is_quota();
                let weight = |limit: &ShardLimit<'_>| {
                    if by_grant { i64::from((count / limit.grant_count.max(1)).max(1)) } else { limit.room() }
                };
                let weights = limits.iter().map(|(shard, limit)| (*shard, weight(limit))).collect();
                let parts =
                    if by_grant { split::by_weight(*tokens, &weights) } else { split::by_room(*tokens, &weights) };
                amounts.insert(name.clone(), parts.values().sum());
                raises_ceiling |= by_grant;
                for (shard, limit) in limits {
                    if !limit.top_up(parts.get(&shard).copied().unwrap_or(0)) {
                        return Err(Impossible::TooMuch(name.clone()));
                    }
                }
            }
        }
    }
    Ok(OperationPlan { amounts, raises_ceiling, writes: all.into_iter().map(|shard| shard.write(now)).collect() })
}

/// The limit called `name` on each shard that has it, the lowest shard first.
fn named<'s, 'a>(all: &'s mut [OperatedShard<'a>], name: &LimitName) -> Vec<(u32, &'s mut ShardLimit<'a>)> {
    let mut limits: Vec<_> = all
        .iter_mut()
        .filter_map(|shard| {
            let limit = shard.limits.iter_mut().find(|limit| limit.stored.name == *name)?;
            Some((shard.number, limit))
        })
        .collect();
    limits.sort_by_key(|(shard, _)| *shard);
    limits
}
