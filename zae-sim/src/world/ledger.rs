//! The ledger of a bucket: the effect of each write on each limit, and forbidden effects.

use std::sync::LazyLock;

use zae_limiter::sim::SPLIT_AHEAD_MS;

use crate::{
    schedule::Limit,
    table::{Change, Item, number},
    world::{LIMITS, limit_name},
};

/// The effect of a write on one limit, in mt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Move {
    /// Change of the balance.
    pub tokens: i128,
    /// Change of the net consumption.
    pub consumed: i128,
    /// The resulting balance.
    pub left: i128,
    /// Counted as given back.
    pub refunded: i128,
}

/// The item of a bucket that an entry concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Every bucket's first item, which starts full.
    First,
    /// A further item, which starts with a part of what the first holds beyond its share.
    Further,
}

/// One limit in an item: its share of the whole if there are several items.
#[derive(Clone, Copy, Debug)]
struct Stored {
    tokens: i128,
    consumed: i128,
    capacity: i128,
    refill: i128,
    period: i128,
    fraction: i128,
    refunded: i128,
}

/// The attributes of one limit.
struct Attributes {
    tokens: String,
    consumed: String,
    capacity: String,
    refill: String,
    period: String,
    fraction: String,
    refunded: String,
}

impl Attributes {
    fn of(limit: usize) -> Self {
        let name = limit_name(limit);
        let attribute = |field: &str| format!("b_{name}_{field}");
        let [tokens, consumed, capacity, refill, period] = ["tk", "tc", "cp", "ra", "rp"].map(attribute);
        let [fraction, refunded] = ["fr", "rb"].map(|field| format!("z_{name}_{field}"));
        Self { tokens, consumed, capacity, refill, period, fraction, refunded }
    }
}

/// The attribute names of every limit, created once.
static ATTRIBUTES: LazyLock<Vec<Attributes>> = LazyLock::new(|| (0..LIMITS).map(Attributes::of).collect());

fn stored(item: &Item, limit: usize) -> Option<Stored> {
    let names = ATTRIBUTES.get(limit)?;
    let shards = number(item, "shard_count").unwrap_or(1).max(1);
    Some(Stored {
        tokens: number(item, &names.tokens)?,
        consumed: number(item, &names.consumed).unwrap_or(0),
        capacity: number(item, &names.capacity)? / shards,
        refill: number(item, &names.refill)? / shards,
        period: number(item, &names.period)?,
        fraction: number(item, &names.fraction).unwrap_or(0),
        refunded: number(item, &names.refunded).unwrap_or(0),
    })
}

/// The time by which an item may be refilled ahead of its writer's clock, in ms: only a shard that a split creates.
fn opens_ahead(before: Option<&Item>, after: &Item) -> i128 {
    if before.is_none() && number(after, "shard_count").unwrap_or(1) > 1 { i128::from(SPLIT_AHEAD_MS) } else { 0 }
}

/// Returns the effect of a change on each of `limits`, and all violations. `writer` is the time of its writer, in epoch
/// ms; `None` for a Python client.
pub fn entry(limits: &[Limit], change: &Change, writer: Option<i64>, part: Part) -> (Vec<Move>, Vec<String>) {
    let (mut moves, mut wrongs) = (Vec::new(), Vec::new());
    let refill = |item: &Item| number(item, "rf");
    let before = change.before.as_deref();
    let Some(after) = change.after.as_deref() else { return (moves, wrongs) };
    let refilled = refill(after).unwrap_or(0);
    let was_refilled = before.and_then(refill);
    if let Some(writer) = writer
        && was_refilled.is_none_or(|was| refilled > was)
        && refilled > i128::from(writer) + opens_ahead(before, after)
    {
        wrongs.push(format!("refilled until {refilled}, and its writer had only {writer}"));
    }
    for (index, _) in limits.iter().enumerate() {
        let name = limit_name(index);
        let (was, is) = (before.and_then(|item| stored(item, index)), stored(after, index));
        let Some(is) = is else {
            moves.push(Move::default());
            continue;
        };
        // A further shard starts with at most the whole bucket's balance.
        let begins = if part == Part::First { is.capacity } else { is.tokens + is.consumed };
        let was_or_new = was.unwrap_or(Stored { tokens: begins, consumed: 0, fraction: 0, refunded: 0, ..is });
        let made = Move {
            tokens: is.tokens - was_or_new.tokens,
            consumed: is.consumed - was_or_new.consumed,
            left: is.tokens,
            refunded: is.refunded - was_or_new.refunded,
        };
        moves.push(made);
        if writer.is_none() {
            continue;
        }
        // Computed in fractions of a millitoken, so that nothing is rounded.
        let minted = (made.tokens + made.consumed) * is.period + is.fraction - was_or_new.fraction;
        let gained = was_refilled.map_or(0, |was| (refilled - was).max(0)) * was_or_new.refill;
        if minted > gained {
            wrongs.push(format!("{name} got {minted} 1/{} mt where {gained} came in", is.period));
        }
        if is.tokens > is.capacity && made.tokens > 0 {
            wrongs.push(format!("{name} holds {} of {} mt", is.tokens, is.capacity));
        }
        // A write that takes nothing leaves the bucket as nearly full as before.
        if let (Some(ttl), true) = (number(after, "ttl"), made.consumed != 0) {
            let then = is.tokens * is.period + is.fraction + (ttl * 1_000 - refilled).max(0) * is.refill;
            if then < is.capacity * is.period {
                let then = then / is.period.max(1);
                wrongs.push(format!("{name} may be removed at {ttl} with {then} of {} mt", is.capacity));
            }
        }
    }
    (moves, wrongs)
}
