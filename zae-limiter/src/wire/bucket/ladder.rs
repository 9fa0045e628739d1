//! The condition of a write that was made for several states of its bucket.

use super::{AHEAD, SHARDS, SHARED};
use crate::{
    bucket::{
        advance::Advance,
        bet::{Ladder, Wager},
        write::{BucketWrite, LimitWrite},
    },
    wire::{expression::ExpressionBuilder, keys},
};

/// The parts of a write that are for a bucket which several processes write; `refill` is the placeholder of the refill
/// instant.
pub(super) fn shared(e: &mut ExpressionBuilder, write: &BucketWrite, refill: &str) {
    if let Some(Advance { by, at_most }) = write.advance {
        e.compare(refill, "<=", at_most);
        e.add(refill, by);
    }
    if let Some(rungs) = &write.ladder {
        ladder(e, rungs, refill, &write.limits);
    }
    if let Some(count) = write.set_shards {
        let name = e.name(SHARDS);
        e.set(&name, i64::from(count));
    }
    if let Some(until) = write.set_shared {
        let name = e.name(SHARED);
        e.set(&name, until);
    }
}

/// One of the rungs must hold.
fn ladder(e: &mut ExpressionBuilder, ladder: &Ladder, refill: &str, limits: &[LimitWrite]) {
    // An instant that somebody has found too far ahead is not believed as it is.
    let watch = e.name(AHEAD);
    e.expect(&watch, None::<i64>);
    let (since, holds) = match ladder.wager {
        Wager::Below => (">=", "<="),
        Wager::Full => ("<=", ">="),
    };
    let tokens: Vec<_> = limits.iter().map(|limit| e.name(keys::bucket_attr(limit.name.as_str(), "tk"))).collect();
    e.expect_any(ladder.rungs.iter().map(|rung| {
        let balances = tokens.iter().zip(&rung.balances).map(|(tokens, bound)| (&**tokens, holds, *bound));
        std::iter::once((refill, since, rung.refill)).chain(balances)
    }));
}
