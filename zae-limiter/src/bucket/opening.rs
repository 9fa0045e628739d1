//! The state in which buckets and their further shards begin.
//!
//! A further shard starts with its part of the tokens that shard 0 holds beyond its own share, so that all shards
//! together never hold more than the one bucket did.
//!
//! A bucket of its own starts full: it stands for an entity that has not called for longer than the bucket takes to
//! fill. A further shard is no such thing. It appears when a busy bucket is spread, and starting it full would hand out
//! the capacity once more with every shard.

use crate::bucket::{
    image::{Balance, Image, LimitImage, WcuImage},
    incarnation::Incarnation,
    kind::Kind,
};

/// The state that a bucket is created with.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    /// Number of shards of the bucket.
    pub(crate) shards: u32,
    /// The balances that a further shard starts with, in mt by limit; `None` for a bucket of its own: full.
    pub(crate) balances: Option<Vec<i64>>,
    /// Identifies this creation of the bucket.
    pub(crate) incarnation: Incarnation,
    /// The reserved limit.
    pub(crate) wcu: WcuImage,
    /// The end of stamps of soft limits, in epoch ms; `None` if none may be written.
    pub(crate) soft_until: Option<i64>,
    /// The end of the stamp of a bypass, in epoch ms.
    pub(crate) bypass_until: Option<i64>,
}

/// Returns the balance, in mt, that one further shard of `shards` starts with, given shard 0 as it was read and the
/// limit's parameters before they are shared out.
pub(crate) fn further_balance(first: &Image, stored: &LimitImage, whole: &Kind, shards: u32, now: i64) -> i64 {
    let balance = Balance::at(first, Some(stored), whole, 1, now);
    let beyond = balance.tokens.saturating_sub(whole.share(shards).at(now).ceiling()).max(0);
    beyond / i64::from(shards.saturating_sub(1).max(1))
}

/// Returns a further shard of a bucket that another client has just spread over `shards`.
pub(crate) fn further_shard(first: &Image, shards: u32, now: i64) -> Image {
    let limits = first.limits.iter().filter_map(|limit| {
        let whole = limit.kind()?;
        let tokens = further_balance(first, limit, &whole, shards, now);
        Some(LimitImage { tokens: Some(tokens), consumed: Some(0), fraction: 0, refunded: None, ..limit.clone() })
    });
    Image {
        last_refill: now,
        shard_count: Some(shards),
        limits: limits.collect(),
        incarnation: Some(Incarnation::draw()),
        wcu: Some(WcuImage::full()),
        ..first.clone()
    }
}
