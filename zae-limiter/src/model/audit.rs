//! What the audit trail holds: [`AuditEvent`].

use std::{collections::BTreeMap, convert::Infallible, fmt, str::FromStr};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{
    error::ValidationError,
    model::name::{EntityId, ResourceName},
};

const SYSTEM: &str = "$SYSTEM";
const RESOURCE: &str = "$RESOURCE:";

/// What a change was made to.
///
/// ```
/// use zae_limiter::{AuditTarget, ResourceName};
/// let target = AuditTarget::Resource(ResourceName::new("gpt-4")?);
/// assert_eq!(target.to_string(), "$RESOURCE:gpt-4");
/// assert_eq!("$RESOURCE:gpt-4".parse::<AuditTarget>()?, target);
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuditTarget {
    /// One entity, or its limits.
    Entity(EntityId),
    /// A resource's default limits (stored as `$RESOURCE:{name}`).
    Resource(ResourceName),
    /// The system's default limits (stored as `$SYSTEM`).
    System,
}

impl fmt::Display for AuditTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entity(entity) => f.write_str(entity.as_str()),
            Self::Resource(resource) => write!(f, "{RESOURCE}{resource}"),
            Self::System => f.write_str(SYSTEM),
        }
    }
}

impl FromStr for AuditTarget {
    type Err = ValidationError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(RESOURCE) {
            Some(resource) => ResourceName::new(resource).map(Self::Resource),
            None if text == SYSTEM => Ok(Self::System),
            None => EntityId::new(text).map(Self::Entity),
        }
    }
}

impl Serialize for AuditTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<EntityId> for AuditTarget {
    fn from(entity: EntityId) -> Self {
        Self::Entity(entity)
    }
}

impl From<ResourceName> for AuditTarget {
    fn from(resource: ResourceName) -> Self {
        Self::Resource(resource)
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AuditAction {
    /// An entity was created.
    EntityCreated,
    /// An entity was deleted with all its records.
    EntityDeleted,
    /// Limits were set, at whatever level the target says.
    LimitsSet,
    /// Limits were deleted.
    LimitsDeleted,
    /// An action of a newer client, as it is stored.
    Other(String),
}

impl AuditAction {
    /// The stored text, for example `limits_set`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::EntityCreated => "entity_created",
            Self::EntityDeleted => "entity_deleted",
            Self::LimitsSet => "limits_set",
            Self::LimitsDeleted => "limits_deleted",
            Self::Other(text) => text,
        }
    }
}

impl fmt::Display for AuditAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AuditAction {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Self::EntityCreated, Self::EntityDeleted, Self::LimitsSet, Self::LimitsDeleted];
        Ok(known.into_iter().find(|action| action.as_str() == text).unwrap_or_else(|| Self::Other(text.to_owned())))
    }
}

impl Serialize for AuditAction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One entry of the audit trail.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditEvent {
    /// A ULID: 26 characters that sort by time.
    pub event_id: String,
    /// When, `YYYY-MM-DDTHH:MM:SSZ`.
    pub timestamp: String,
    /// To what.
    pub target: AuditTarget,
    /// What was done.
    pub action: AuditAction,
    /// Who did it, where the caller said so; an identifier or an ARN.
    pub principal: Option<String>,
    /// For limits: the resource, or `_default_`.
    pub resource: Option<String>,
    /// Particulars of the action.
    pub details: BTreeMap<String, Value>,
}

/// Some of the events of one target, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditPage {
    /// The events.
    pub events: Vec<AuditEvent>,
    /// The id to continue after; `None` when there are no older events.
    pub next: Option<String>,
}
