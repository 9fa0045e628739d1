//! The place of one bucket item.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::model::name::{EntityId, ResourceName};

/// Identifies one bucket item: an entity's shard of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BucketKey {
    pub(crate) entity: EntityId,
    pub(crate) resource: ResourceName,
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
