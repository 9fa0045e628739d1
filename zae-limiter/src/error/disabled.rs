//! The error for resources and entities that an operator has disabled.
//!
//! It is a decision, not a failure. It therefore applies under every outage policy, does not open a circuit breaker,
//! and is mapped to 403. Settlements of earlier leases still go through, because otherwise the accounts would not
//! balance.

use std::fmt;

use crate::model::name::{EntityId, ResourceName};

/// An operator has disabled the resource, the entity, or the entity on this resource: every acquire is refused until it
/// is enabled again. Waiting does not help, and no outage policy turns it into a grant.
///
/// ```
/// use zae_limiter::{AcquireError, error::DisabledLevel};
///
/// fn is_off_for_everybody(error: &AcquireError) -> bool {
///     matches!(error, AcquireError::Disabled(disabled) if disabled.level == DisabledLevel::Resource)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{resource} is disabled for {entity} ({level}): an operator has to enable it again")]
#[non_exhaustive]
pub struct Disabled {
    /// The entity whose acquires are refused: the requested one or its parent.
    pub entity: EntityId,
    /// The requested resource.
    pub resource: ResourceName,
    /// The level at which it is disabled.
    pub level: DisabledLevel,
}

/// The level at which an entity's acquires of a resource were disabled.
///
/// See [`Disabled`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DisabledLevel {
    /// The entity on this resource.
    Entity,
    /// The entity on all resources.
    EntityDefault,
    /// The resource, for all entities.
    Resource,
    /// The bucket; the configuration was not yet disabled when it was last read.
    ///
    /// Newer clients mark the bucket itself; the next read of the configuration will agree.
    Bucket,
}

impl DisabledLevel {
    /// Returns the level as one word, as used by the Python package.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Entity => "entity",
            Self::EntityDefault => "entity_default",
            Self::Resource => "resource",
            Self::Bucket => "bucket",
        }
    }
}

impl fmt::Display for DisabledLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entity => "this entity on this resource",
            Self::EntityDefault => "this entity on every resource",
            Self::Resource => "this resource for everybody",
            Self::Bucket => "as its bucket says",
        })
    }
}
