//! Identifies one bucket item.
//!
//! Shards of a bucket are items of their own with their own lanes; shard 0 counts them.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::model::name::{EntityId, ResourceName};

/// Identifies one bucket item: an entity's shard of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BucketKey {
    /// The entity to limit.
    pub(crate) entity: EntityId,
    /// The resource.
    pub(crate) resource: ResourceName,
    /// The shard, 0 unless a Python client has sharded the bucket.
    pub(crate) shard: u32,
}

impl fmt::Display for BucketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}#{}", self.entity, self.resource, self.shard)
    }
}

impl BucketKey {
    /// Returns a hash that distinguishes it from most others.
    pub(crate) fn short_hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}
