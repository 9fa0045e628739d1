//! The remaining capacity of a resource: [`ResourceCapacity`].
//!
//! Answers the question "how much of this model is left, over all customers?". The consumption of a cascading entity is
//! both in its own bucket and in its parent's, so a sum over all of them counts it twice;
//! [`CapacityScope::ParentsOnly`] avoids that.

use serde::Serialize;

use crate::{
    error::Unsupported,
    model::name::{EntityId, LimitName, ResourceName},
};

/// Selects the entities whose buckets count.
///
/// See [`Repository::resource_capacity`](crate::Repository::resource_capacity) for an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CapacityScope {
    /// All entities that have a bucket.
    #[default]
    All,
    /// Registered entities without a parent, so that consumption that cascades is not counted twice.
    ParentsOnly,
}

/// One entity's remaining capacity for one limit.
///
/// See [`Repository::resource_capacity`](crate::Repository::resource_capacity) for an example.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EntityCapacity {
    /// The entity that the bucket belongs to.
    pub entity_id: EntityId,
    /// Its ceiling, in tokens, over all its shards.
    pub capacity: i64,
    /// Tokens in it now, over all its shards; negative in debt.
    pub available: i64,
    /// The used part of the capacity, in per cent; over 100 in debt.
    pub utilization_pct: f64,
}

/// The remaining capacity of all entities together for one limit of a resource.
///
/// See [`Repository::resource_capacity`](crate::Repository::resource_capacity) for an example.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ResourceCapacity {
    /// The resource.
    pub resource: ResourceName,
    /// The limit.
    pub limit_name: LimitName,
    /// The sum of the entities' capacities, in tokens.
    pub total_capacity: i64,
    /// The sum of the entities' available tokens.
    pub total_available: i64,
    /// The used part of the sum, in per cent.
    pub utilization_pct: f64,
    /// By entity, in the order of their ids.
    pub entities: Vec<EntityCapacity>,
    /// Buckets left out because they use a feature that this version does not implement.
    #[serde(skip)]
    pub unsupported: Vec<Unsupported>,
}
