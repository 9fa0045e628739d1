//! The transaction that makes one bucket of a sharded one, and its arithmetic.
//!
//! [`Repository::fold_bucket`](crate::Repository::fold_bucket) explains it. An aggregator folds what has become quiet
//! by the same transaction ([`stream`](crate::stream)).

use std::collections::{BTreeMap, HashMap};

use crate::{
    bucket::{
        MILLI,
        image::{Balance, Basis, Image, LimitImage},
        kind::Kind,
        lifetime::Lifetime,
    },
    error::RepositoryError,
    model::{bucket::FoldedBucket, name::LimitName},
    store::{Committed, Store, TransactPart},
    wire::{
        Item, bucket,
        expression::{Expression, Key},
        fold::{self, QuotaFold, Share},
        keys,
    },
};

/// The instant and the lifetime of a fold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoldSpan {
    /// Now, in epoch ms.
    pub(crate) now: i64,
    /// The lifetime of an idle bucket, in times of its fill time.
    pub(crate) ttl_multiplier: u32,
}

impl FoldSpan {
    /// The `ttl` of a bucket that is full in `full` ms, where the one that it has would end before.
    fn longer(&self, image: &Image, full: i64) -> Option<i64> {
        let lifetime = Lifetime::Idle { seconds: 0, multiplier: self.ttl_multiplier };
        lifetime.end(full, self.now).filter(|end| image.ttl.is_some_and(|ttl| ttl < *end))
    }
}

/// Folds in one transaction; `None` where neighbours have written since all was read.
pub(crate) async fn fold_at_once(
    store: &Store,
    span: &FoldSpan,
    (first, image): (&Key, &Image),
    others: &[Key],
    found: &HashMap<Key, Item>,
) -> Result<Option<FoldedBucket>, RepositoryError> {
    let (mut moved, mut parts, mut strangers) = (BTreeMap::new(), Vec::new(), Vec::new());
    for key in others {
        let counts = keys::parse_bucket_pk(&key.pk).is_some_and(|address| address.shard < image.shards());
        let shard = found.get(key).map(bucket::decode_plain).transpose()?.flatten();
        match (&shard, found.contains_key(key)) {
            (_, true) if !counts => strangers.push(key.clone()),
            (_, true) => parts.push(TransactPart::Delete(key.clone(), fold::encode_unchanged(shard.as_ref()))),
            (_, false) if counts => parts.push(TransactPart::Check(key.clone(), fold::encode_unchanged(None))),
            (_, false) => {}
        }
        if let Some(shard) = shard.filter(|_| counts) {
            add_levels(&mut moved, &shard, image, span.now);
        }
    }
    let (change, available) = whole(image, &moved, span);
    parts.push(TransactPart::Update(first.clone(), change));
    if store.transact(&parts).await? != Committed::Done {
        return Ok(None);
    }
    store.batch_delete(&strangers).await?;
    let items_removed = u64::try_from(found.len()).unwrap_or(u64::MAX);
    Ok(Some(FoldedBucket { shards_before: image.shards(), items_removed, available }))
}

/// The change that makes shard 0 the whole bucket, with what the others held, and its balances in tokens.
pub(crate) fn whole(
    image: &Image,
    moved: &BTreeMap<LimitName, Held>,
    span: &FoldSpan,
) -> (Expression, BTreeMap<LimitName, i64>) {
    let now = span.now;
    let own = levels(image, image, now);
    let mut shares: Vec<Share<'_>> = Vec::new();
    let (mut available, mut full) = (BTreeMap::new(), 0);
    for limit in &image.limits {
        let (Some(stored), Some(whole)) = (limit.tokens, limit.kind()) else { continue };
        let mut held = own.get(&limit.name).copied().unwrap_or_default();
        if !whole.is_quota() {
            // When the reference splits a bucket, shard 0 keeps all it had; that is more than its share, and still
            // its own.
            held.tokens = held.tokens.max(stored);
        }
        held.add(moved.get(&limit.name).copied().unwrap_or_default());
        let tokens = held.tokens.min(whole.at(now).ceiling().saturating_add(held.topped_up));
        let quota = whole.is_quota().then_some(QuotaFold {
            topped_up: held.topped_up,
            resets_by_hand: held.resets_by_hand,
            window: held.window,
        });
        full = full.max(Balance::opening(tokens, &whole, now).full_in(0));
        let gain = tokens.saturating_sub(stored);
        let boundary = next_boundary(&whole, held.window, now);
        shares.push(Share { name: &limit.name, stored, gain, quota, boundary });
        available.insert(limit.name.clone(), tokens.div_euclid(MILLI));
    }
    (fold::encode(image, &shares, span.longer(image, full), now), available)
}

/// Adds what a shard holds to `moved`.
pub(crate) fn add_levels(moved: &mut BTreeMap<LimitName, Held>, shard: &Image, first: &Image, now: i64) {
    for (name, held) in levels(shard, first, now) {
        moved.entry(name).or_default().add(held);
    }
}

/// The first instant after `now` at which something about a limit changes by itself, in epoch ms; 0 where the next use
/// changes it.
fn next_boundary(kind: &Kind, window: Option<i64>, now: i64) -> Option<i64> {
    let end = |length: i64| window.map_or(0, |start| start.saturating_add(length));
    let session = kind.restored_in(now).filter(|_| kind.is_session()).map(end);
    session.into_iter().chain(kind.next_boundary(now)).min()
}

/// The part of one limit that a shard brings along.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    /// The balance, in mt.
    tokens: i64,
    /// Topped up in the running period, in mt.
    topped_up: i64,
    /// The number of resets by hand.
    resets_by_hand: i64,
    /// The start of the latest window that runs, of a session quota.
    window: Option<i64>,
}

impl Held {
    /// Adds the part of another shard.
    fn add(&mut self, other: Self) {
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.topped_up = self.topped_up.saturating_add(other.topped_up);
        self.resets_by_hand = self.resets_by_hand.max(other.resets_by_hand);
        self.window = self.window.max(other.window);
    }
}

/// Returns the balances of one shard at `now` by limit, under the parameters of shard 0.
fn levels(image: &Image, first: &Image, now: i64) -> BTreeMap<LimitName, Held> {
    let level = |limit: &LimitImage| {
        let whole = first.limit(limit.name.as_str())?.kind()?;
        limit.tokens?;
        let balance = Balance::at(image, Some(limit), &whole, first.shards(), now);
        let over = matches!(balance.basis, Basis::Restored | Basis::Unopened);
        let topped_up = limit.quota.as_ref().filter(|_| !over).and_then(|quota| quota.topped_up).unwrap_or(0).max(0);
        let window = limit.window_start().filter(|_| balance.basis != Basis::Unopened);
        let held = Held { tokens: balance.tokens, topped_up, resets_by_hand: limit.resets_by_hand(), window };
        Some((limit.name.clone(), held))
    };
    image.limits.iter().filter_map(level).collect()
}
