//! The part of a quota that a further shard begins with.
//!
//! A quota cannot be refilled from nothing, so a further shard takes its share from a sibling whose grant covers it: of
//! a grant that was cut by g shards, all those shards have a part whose number leaves the same rest by g.

use crate::{
    bucket::{image::Image, kind::Kind},
    model::name::LimitName,
};

/// A shard that already exists, and its grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sibling {
    /// Its number.
    pub(crate) shard: u32,
    /// Its balance, in mt.
    pub(crate) tokens: i64,
    /// The number of shards by which its grant was cut.
    pub(crate) grant_count: u32,
    /// True if it has applied the running period.
    pub(crate) current: bool,
}

/// The beginning of a further shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Its balance, in mt.
    pub(crate) tokens: i64,
    /// The sibling to take it from; none where no grant covers the shard, and it starts with the share.
    pub(crate) donor: Option<Sibling>,
}

impl Sibling {
    /// Returns true if this shard's grant includes that of `shard`.
    fn covers(&self, shard: u32) -> bool {
        let count = self.grant_count.max(1);
        self.current && self.shard != shard && shard % count == self.shard % count
    }
}

/// Finds the grant of `shard`, whose share is `share` mt.
pub(crate) fn grant(shard: u32, share: i64, siblings: &[Sibling]) -> Grant {
    let covering = siblings.iter().filter(|sibling| sibling.covers(shard));
    let donor = covering.max_by_key(|sibling| (sibling.grant_count, std::cmp::Reverse(sibling.shard))).copied();
    let tokens = donor.map_or(share, |donor| donor.tokens.min(share).max(0));
    Grant { tokens, donor }
}

/// The grants of the quota called `name`, whose whole is `whole`, in the shards that there are at `now` (epoch ms).
pub(crate) fn siblings<'a>(
    shards: impl IntoIterator<Item = (u32, &'a Image)>,
    name: &LimitName,
    whole: &Kind,
    now: i64,
) -> Vec<Sibling> {
    let sibling = |(shard, image): (u32, &Image)| {
        let stored = image.limit(name.as_str())?;
        let (quota, tokens) = (stored.quota.as_ref()?, stored.tokens?);
        let noted = quota.grant_count.filter(|count| *count > 0);
        let grant_count = noted.unwrap_or_else(|| inferred_count(tokens, whole.at(now).ceiling(), image.shards()));
        Some(Sibling { shard, tokens, grant_count, current: stored.is_current(image.last_refill, now) })
    };
    shards.into_iter().filter_map(sibling).collect()
}

/// The balance of a missing shard of a quota, in mt, where nothing is taken from others: the share, unless a sibling's
/// grant has it. There it is found by whoever asks shard after shard.
pub(crate) fn unclaimed(shard: u32, share: i64, siblings: &[Sibling]) -> i64 {
    if grant(shard, share, siblings).donor.is_some() { 0 } else { share }
}

/// The number of shards by which a grant was cut that nobody noted: the stored count of shards, halved while the
/// balance is more than such a share.
pub(crate) fn inferred_count(tokens: i64, capacity: i64, shards: u32) -> u32 {
    let mut count = shards.max(1);
    while count > 1 && tokens > capacity / i64::from(count) {
        count /= 2;
    }
    count
}
