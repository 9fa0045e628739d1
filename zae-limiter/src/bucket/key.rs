//! The place of one bucket item.

use std::fmt;

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
