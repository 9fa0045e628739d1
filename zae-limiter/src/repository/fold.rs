//! Making one bucket of a sharded one.
//!
//! One transaction removes all further shards, each as it was read, gives shard 0 what they held, and sets the count to
//! one. So nothing is granted twice and nothing is lost, and a process that remembers an old count finds its shard
//! gone: it creates none that shard 0 does not count. Where neighbours have written in between, all is read again.
//!
//! In numbers: four shards of 25 hold 25, 10, 0 and −5 tokens; capacity 100. The further three are removed, with 5 in
//! sum. Shard 0 is given 5, its count becomes one, and with 30 of 100 tokens it refills at the whole rate. A debt moves
//! along, so nobody is rid of one by folding.
//!
//! Old clients of the reference make more shards than a transaction has room for. Then shards go first, each in a write
//! that tells what it held in that very moment, and what they held is given afterwards: an interruption loses tokens,
//! which refill, and grants none twice.
//!
//! A quota of 100 is folded likewise. A shard that has not begun the running period yet counts with its share of it,
//! what was topped up is summed, and one grant is left, which no shards share. What an interruption loses of a quota
//! comes back with its next period.

use std::{collections::BTreeMap, time::Duration};

use super::Repository;
use crate::{
    bucket::image::Image,
    error::{RepositoryError, StoreError},
    model::{
        bucket::FoldedBucket,
        name::{EntityId, IntoName, LimitName, ResourceName},
    },
    store::{
        ConditionalWrite, Consistency,
        fold::{FoldSpan, Held, add_levels, fold_at_once, whole},
    },
    wire::{bucket, expression::Key, keys},
};

/// Number of tries under contention.
const TRIES: u32 = 50;
/// The longest pause between two tries, in ms.
const PAUSE_MS: u64 = 20;
/// The largest number of shards that one transaction folds.
const MOST_AT_ONCE: u32 = 64;

impl Repository {
    /// Makes one bucket of a sharded one, with what its shards held, and removes their items; also those that an
    /// earlier call or a change of the count has left behind. `None` when there is no bucket.
    ///
    /// Best done while little uses the bucket: it is one transaction, which has to find no neighbour's write in
    /// between, and refunds of leases that hold tokens of a removed shard are lost. Limiters split the bucket again if
    /// DynamoDB throttles it ([`Shards`](crate::Shards)), and so may an aggregator of the reference. Net consumption
    /// (`tc`) of removed shards is not carried over: it was counted as usage already.
    ///
    /// All or nothing, also if it is interrupted; of more than 64 shards, which only old clients make, an interrupted
    /// call may lose tokens, which refill, and the next one completes it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Cost, Limit, RateLimiter, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// assert_eq!(repository.fold_bucket("key-1", "gpt-4").await?, None); // there is no bucket yet
    /// repository.set_system_defaults(Limit::per_minute("rpm", 100)?).await?;
    /// let limiter = RateLimiter::new(repository.clone());
    /// limiter.acquire("key-1", "gpt-4", Cost::of("rpm", 1)).await?.commit().await?;
    /// assert!(repository.fold_bucket("key-1", "gpt-4").await?.is_some()); // one shard, which stays as it is
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Unsupported`] when the bucket uses a feature of newer clients, before anything is changed;
    /// [`RepositoryError::Store`] when the table cannot be read or written, or others keep changing the bucket.
    pub async fn fold_bucket(
        &self,
        entity: impl IntoName<EntityId>,
        resource: impl IntoName<ResourceName>,
    ) -> Result<Option<FoldedBucket>, RepositoryError> {
        let (entity, resource) = (&entity.into_name()?, &resource.into_name()?);
        let first = self.shard_key(entity, resource, 0);
        let listed = self.bucket_keys(entity, format!("BUCKET#{resource}#")).await?;
        let listed: Vec<Key> = listed.into_iter().filter(|key| *key != first).collect();
        for _ in 0..TRIES {
            let Some(image) = self.shard(&first).await? else {
                // Shard 0 has lapsed: the bucket starts again, and what is left must not be taken for a part of it.
                self.store().batch_delete(&listed).await?;
                return Ok(None);
            };
            // The list is of an index, and may miss the latest.
            let mut others: Vec<Key> = (1..image.shards().min(MOST_AT_ONCE + 1))
                .map(|shard| self.shard_key(entity, resource, shard))
                .collect();
            others.extend(listed.iter().filter(|key| !others.contains(key)).cloned().collect::<Vec<_>>());
            let found = self.store().batch_get(&others, Consistency::Strong).await?;
            for item in found.values() {
                bucket::decode_plain(item)?;
            }
            if image.shards() > MOST_AT_ONCE {
                return self.in_steps(&first, &image, &others).await.map(Some);
            }
            if let Some(folded) = fold_at_once(self.store(), &self.span(), (&first, &image), &others, &found).await? {
                return Ok(Some(folded));
            }
            tokio::time::sleep(Duration::from_millis(rand::random_range(1..=PAUSE_MS))).await;
        }
        Err(contended())
    }

    /// Folds more shards than a transaction has room for.
    async fn in_steps(&self, first: &Key, image: &Image, others: &[Key]) -> Result<FoldedBucket, RepositoryError> {
        let (items_removed, moved) = self.take_shards(others, image).await?;
        let available = self.give(first, moved).await?;
        Ok(FoldedBucket { shards_before: image.shards(), items_removed, available })
    }

    /// The instant and the lifetime of a fold.
    fn span(&self) -> FoldSpan {
        FoldSpan { now: self.now_ms(), ttl_multiplier: self.bucket_ttl_multiplier() }
    }

    /// The key of a shard.
    pub(super) fn shard_key(&self, entity: &EntityId, resource: &ResourceName, shard: u32) -> Key {
        Key::new(keys::pk_bucket(self.ns(), entity.as_str(), resource.as_str(), shard), keys::sk_state())
    }

    /// Reads a shard; `None` if it is no bucket.
    async fn shard(&self, key: &Key) -> Result<Option<Image>, RepositoryError> {
        let item = self.store().get(key, Consistency::Strong).await?;
        Ok(item.as_ref().map(bucket::decode_plain).transpose()?.flatten())
    }

    /// Removes shards, and answers how many there were and what those that count held, by limit.
    async fn take_shards(
        &self,
        keys: &[Key],
        first: &Image,
    ) -> Result<(u64, BTreeMap<LimitName, Held>), RepositoryError> {
        let (mut removed, mut moved) = (0, BTreeMap::new());
        for key in keys {
            let Some(item) = self.store().take(key).await? else { continue };
            removed += 1;
            let counts = keys::parse_bucket_pk(&key.pk).is_some_and(|address| address.shard < first.shards());
            let image = if counts { bucket::decode_plain(&item)? } else { None };
            let Some(image) = image else { continue };
            add_levels(&mut moved, &image, first, self.now_ms());
        }
        Ok((removed, moved))
    }

    /// Gives shard 0 what the others held, and the count of one; answers its balances in tokens.
    async fn give(
        &self,
        key: &Key,
        moved: BTreeMap<LimitName, Held>,
    ) -> Result<BTreeMap<LimitName, i64>, RepositoryError> {
        for _ in 0..TRIES {
            let Some(image) = self.shard(key).await? else { return Ok(BTreeMap::new()) };
            let (change, available) = whole(&image, &moved, &self.span());
            if self.store().update(key, change).await? == ConditionalWrite::Done {
                return Ok(available);
            }
        }
        Err(contended())
    }
}

/// The error of a fold that neighbours were faster than each time.
fn contended() -> RepositoryError {
    let why = "others keep changing this bucket; try again when it is less used";
    StoreError::contended("TransactWriteItems", why).into()
}
