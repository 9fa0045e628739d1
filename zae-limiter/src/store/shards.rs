//! The transactions that concern the shards of a bucket: splitting it, and creating a shard that is missing.
//!
//! A shard is only created on the condition that shard 0 counts it. Without that, a process that remembers an old count
//! would create a shard after the bucket was folded, which would go on gaining its part of the refill beside the whole.

use crate::{
    bucket::{image::Image, key::BucketKey, split::Half},
    error::{RepositoryError, StoreError, StoreErrorKind},
    model::name::NamespaceId,
    store::{
        Committed, Consistency, Store, TransactPart,
        bucket::{self, IS_NO_BUCKET, WriteOutcome, WriteReport},
    },
    wire::{
        bucket::{NewBucket, decode, encode_counted, encode_new, encode_update},
        expression::{Expression, Key},
        keys,
    },
};

/// The write units of a transaction for each item of less than a KiB, without those of indexes.
const UNITS: f64 = 2.0;

fn key(namespace: &NamespaceId, bucket: &BucketKey, shard: u32) -> Key {
    let pk = keys::pk_bucket(namespace.as_str(), bucket.entity.as_str(), bucket.resource.as_str(), shard);
    Key::new(pk, keys::sk_state())
}

/// The part of a transaction that creates a shard.
fn put(namespace: &NamespaceId, bucket: &BucketKey, shard: u32, image: &Image) -> TransactPart {
    let (entity, resource) = (&bucket.entity, &bucket.resource);
    let item = encode_new(&NewBucket { namespace, entity, resource, shard, image });
    TransactPart::Put(item, Expression { condition: IS_NO_BUCKET.to_owned(), ..Expression::default() })
}

/// Creates a shard that does not exist, if shard 0 counts as many as `image` does.
pub(crate) async fn create(store: &Store, namespace: &NamespaceId, bucket: &BucketKey, image: Image) -> WriteReport {
    let first = key(namespace, bucket, 0);
    let parts =
        [TransactPart::Check(first, encode_counted(image.shards())), put(namespace, bucket, bucket.shard, &image)];
    let outcome = match store.transact(&parts).await {
        Ok(Committed::Done) => return WriteReport { outcome: WriteOutcome::Done(image), units: UNITS },
        Ok(Committed::Refused(refused)) if refused.contains(&0) => WriteOutcome::Moved,
        // Somebody else was faster. A read tells with what; nothing was written.
        Ok(Committed::Refused(_)) => match bucket::read(store, namespace, bucket).await {
            Ok(image) => WriteOutcome::Lost(image),
            Err(RepositoryError::Store(error)) => {
                WriteOutcome::NotApplied(StoreError { kind: StoreErrorKind::NotApplied, ..error })
            }
            Err(error) => WriteOutcome::Failed(error),
        },
        Err(RepositoryError::Store(error)) => bucket::failed(error),
        Err(error) => WriteOutcome::Failed(error),
    };
    outcome.into()
}

/// Reads all shards of a bucket that shard 0 counts, in their order; those that are missing are left out.
pub(crate) async fn read(
    store: &Store,
    namespace: &NamespaceId,
    bucket: &BucketKey,
) -> Result<Vec<Image>, RepositoryError> {
    let first = store.get(&key(namespace, bucket, 0), Consistency::Strong).await?;
    let Some(first) = first.as_ref().map(decode).transpose()?.flatten() else { return Ok(Vec::new()) };
    let others: Vec<Key> = (1..first.shards()).map(|shard| key(namespace, bucket, shard)).collect();
    let mut shards = vec![first];
    if others.is_empty() {
        return Ok(shards);
    }
    let found = store.batch_get(&others, Consistency::Strong).await?;
    for key in &others {
        shards.extend(found.get(key).map(decode).transpose()?.flatten());
    }
    Ok(shards)
}

/// Splits a bucket, all of it or nothing. Returns true if it was.
///
/// A repetition is refused by the count of shards, which it has changed itself: so whoever does not hear of its success
/// sees it in the next image.
pub(crate) async fn split(
    store: &Store,
    namespace: &NamespaceId,
    bucket: &BucketKey,
    halves: &[Half],
) -> Result<bool, RepositoryError> {
    let count = u32::try_from(halves.len()).unwrap_or(u32::MAX);
    let parts = (0..count).zip(halves).flat_map(|(shard, half)| {
        let update = TransactPart::Update(key(namespace, bucket, shard), encode_update(&half.write));
        [update, put(namespace, bucket, shard.saturating_add(count), &half.twin)]
    });
    let parts: Vec<TransactPart> = parts.collect();
    Ok(store.transact_once(&parts).await? == Committed::Done)
}
