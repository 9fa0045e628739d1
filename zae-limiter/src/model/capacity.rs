//! How much of a resource is left: [`ResourceCapacity`].

use serde::Serialize;

use crate::{
    error::Unsupported,
    model::name::{EntityId, LimitName, ResourceName},
};

/// Whose buckets count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CapacityScope {
    /// All entities that have a bucket.
    #[default]
    All,
    /// Registered entities without a parent: consumption that cascades is then not counted twice.
    ParentsOnly,
}

/// What one entity has left of one limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EntityCapacity {
    /// Whose bucket.
    pub entity_id: EntityId,
    /// Its ceiling, in tokens, over all its shards.
    pub capacity: i64,
    /// Tokens in it now, over all its shards; negative in debt.
    pub available: i64,
    /// How much of the capacity is used, in per cent; over 100 in debt.
    pub utilization_pct: f64,
}

/// What all entities together have left of one limit of a resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ResourceCapacity {
    /// The resource.
    pub resource: ResourceName,
    /// The limit.
    pub limit_name: LimitName,
    /// The sum of the entities' capacities, in tokens.
    pub total_capacity: i64,
    /// The sum of what they have left.
    pub total_available: i64,
    /// How much of the sum is used, in per cent.
    pub utilization_pct: f64,
    /// By entity, in the order of their ids.
    pub entities: Vec<EntityCapacity>,
    /// Buckets left out because they use a feature that this version does not implement.
    #[serde(skip)]
    pub unsupported: Vec<Unsupported>,
}
