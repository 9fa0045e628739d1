//! Folds a bucket that was split when it was hot, and has become quiet since.
//!
//! A process splits a bucket that DynamoDB throttles ([`Shards`](crate::Shards)); nobody needs the shards once the load
//! is over, and they divide the limit until they are folded. The first change after a long silence says that it is
//! over: all shards are read, and if none of them was used either, one transaction makes one bucket of them, with what
//! they held ([`Repository::fold_bucket`](crate::Repository::fold_bucket) has the argument).
//!
//! # Silence
//!
//! A write that takes tokens without a credit leaves the refill instant, and is made only while balance and gain are
//! within the ceiling. After a limit's whole fill time, the gain alone is the ceiling, so that every write which takes
//! from it moves the instant. A shard whose instant lies its longest fill time and [`QUIET_MS`] back has therefore
//! granted nothing for that long. For 100 tokens a minute these are six minutes.
//!
//! A fold is tried once. If somebody uses the bucket meanwhile, the transaction is refused, and it stays as it is until
//! its next silence: no traffic waits for a fold.

use std::collections::HashMap;

use super::{BucketChange, StreamTable, propagate::owner};
use crate::{
    bucket::{
        image::{Image, LimitImage},
        kind::Kind,
        split::MOST_SHARDS,
    },
    error::RepositoryError,
    model::bucket::FoldedBucket,
    store::{
        Consistency,
        fold::{FoldSpan, fold_at_once},
    },
    wire::{Item, bucket, expression::Key, keys},
};

/// The time for which no shard granted anything, in ms, beside its longest fill time.
const QUIET_MS: i64 = 300_000;

impl BucketChange {
    /// Returns true if it is the first change of a shard after a long silence, in a bucket that may be folded.
    pub fn ends_silence(&self) -> bool {
        let (Some(image), Some(refilled)) = (&self.image, self.refilled_before) else { return false };
        (2..=MOST_SHARDS).contains(&image.shards())
            && is_plain(image)
            && self.at >= refilled.saturating_add(silence(image))
    }
}

impl StreamTable {
    /// Folds the bucket of `change` if that ends a silence of all its shards, and they were made by a limiter's split.
    /// Returns the outcome; `None` if it stays as it is. May be repeated.
    ///
    /// Cancel safe: a dropped call has folded the bucket or not.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be read or written.
    pub async fn fold_quiet(&self, change: &BucketChange) -> Result<Option<FoldedBucket>, RepositoryError> {
        let Some(seen) = change.image.as_ref().filter(|_| change.ends_silence()) else { return Ok(None) };
        owner(change)?;
        let (mut found, mut images, mut others) = (HashMap::new(), Vec::new(), Vec::new());
        for shard in 0..seen.shards() {
            let pk = keys::pk_bucket(&change.namespace, &change.entity, &change.resource, shard);
            let key = Key::new(pk, keys::sk_state());
            // A split leaves no shard out.
            let Some(item) = self.store.get(&key, Consistency::Strong).await? else { return Ok(None) };
            let Some(image) = plain(&item)? else { return Ok(None) };
            let used = match shard == change.shard {
                true => image.last_refill != seen.last_refill,
                false => image.last_refill.saturating_add(silence(&image)) > self.clock.now_ms(),
            };
            if used || image.shards() != seen.shards() {
                return Ok(None);
            }
            images.push(image);
            if shard > 0 {
                found.insert(key.clone(), item);
            }
            others.push(key);
        }
        // Each item of a split is a creation of its own. Clones that the reference makes are copies: its clients may
        // create them anew.
        let own = |(index, image): (usize, &Image)| {
            image.incarnation.is_some() && images[..index].iter().all(|other| other.incarnation != image.incarnation)
        };
        if !images.iter().enumerate().all(own) {
            return Ok(None);
        }
        let (first, others) = (others.remove(0), others);
        // Shards have no lifetime, so there is none to prolong.
        let span = FoldSpan { now: self.clock.now_ms(), ttl_multiplier: 0 };
        fold_at_once(&self.store, &span, (&first, &images[0]), &others, &found).await
    }
}

/// Reads a shard; `None` if it is no bucket of plain limits alone.
fn plain(item: &Item) -> Result<Option<Image>, RepositoryError> {
    match bucket::decode_plain(item) {
        Ok(image) => Ok(image.filter(is_plain)),
        Err(RepositoryError::Unsupported(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns true if the bucket is in a state in which limiters split it.
fn is_plain(image: &Image) -> bool {
    let rate = |limit: &LimitImage| limit.tokens.is_some() && limit.soft.is_none() && limit.params.complete().is_some();
    let rates = !image.limits.is_empty() && !image.is_timed() && image.limits.iter().all(rate);
    rates && !image.disabled && image.bypass.is_none() && image.ttl.is_none()
}

/// The age of a refill instant, in ms, that says that nothing was granted for [`QUIET_MS`].
fn silence(image: &Image) -> i64 {
    let full = |kind: Kind| i64::try_from(kind.wait_ms(kind.ceiling())).unwrap_or(i64::MAX);
    let longest = image.limits.iter().filter_map(|limit| limit.kind().map(full)).max();
    longest.unwrap_or(i64::MAX).saturating_add(QUIET_MS)
}
