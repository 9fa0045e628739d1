//! The place of one bucket item.
//!
//! Shards of a bucket are items of their own with their own lanes; shard 0 is the one that every acquire starts from.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::model::name::{EntityId, ResourceName};

/// Identifies one bucket item: an entity's shard of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BucketKey {
    /// The entity that is limited.
    pub(crate) entity: EntityId,
    /// The resource that it is limited for.
    pub(crate) resource: ResourceName,
    /// The shard, 0 unless a reference client has sharded the bucket.
    pub(crate) shard: u32,
}

impl fmt::Display for BucketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}#{}", self.entity, self.resource, self.shard)
    }
}

impl BucketKey {
    /// A number that tells it from most others.
    pub(crate) fn short_hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}
