//! Events of the audit trail: [`AuditEvent`].
//!
//! Every change of entities and limits writes one event, in the transaction that makes the change, with the principal
//! that [`Repository::acting_as`](crate::Repository::acting_as) names. Ids are ULIDs, which sort by time, so the trail
//! can be read newest first by key alone. Targets and actions are stored as text, because Python clients read and write
//! the same items.

use std::{collections::BTreeMap, convert::Infallible, fmt, str::FromStr};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{
    error::ValidationError,
    model::name::{EntityId, ResourceName},
};

/// The stored text of the system's target.
const SYSTEM: &str = "$SYSTEM";
/// The stored prefix of a resource's target.
const RESOURCE: &str = "$RESOURCE:";

/// The target of a change.
///
/// ```
/// use zae_limiter::{ResourceName, audit::AuditTarget};
/// let target = AuditTarget::Resource(ResourceName::new("gpt-4")?);
/// assert_eq!(target.to_string(), "$RESOURCE:gpt-4");
/// assert_eq!("$RESOURCE:gpt-4".parse::<AuditTarget>()?, target);
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
///
/// The text form is the stored one: an entity's id is stored as it is, and the other targets begin with `$`, which no
/// id does.
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

/// The action that was performed.
///
/// ```
/// use zae_limiter::audit::AuditAction;
/// assert_eq!(AuditAction::LimitsSet.as_str(), "limits_set");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AuditAction {
    /// An entity was created.
    EntityCreated,
    /// An entity was deleted with all its records.
    EntityDeleted,
    /// Limits or settings were set at the target's level.
    LimitsSet,
    /// Limits were deleted.
    LimitsDeleted,
    /// An entity was moved to another parent.
    EntityParentChanged,
    /// A bucket was reset.
    BucketReset,
    /// A bucket was topped up.
    BucketToppedUp,
    /// An action of a newer client, as stored.
    Other(String),
}

impl AuditAction {
    /// Returns the stored text, for example `limits_set`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::EntityCreated => "entity_created",
            Self::EntityDeleted => "entity_deleted",
            Self::LimitsSet => "limits_set",
            Self::LimitsDeleted => "limits_deleted",
            Self::EntityParentChanged => "entity_parent_changed",
            Self::BucketReset => "bucket_reset",
            Self::BucketToppedUp => "bucket_topped_up",
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
        let known = [
            Self::EntityCreated,
            Self::EntityDeleted,
            Self::LimitsSet,
            Self::LimitsDeleted,
            Self::EntityParentChanged,
            Self::BucketReset,
            Self::BucketToppedUp,
        ];
        Ok(known.into_iter().find(|action| action.as_str() == text).unwrap_or_else(|| Self::Other(text.to_owned())))
    }
}

impl Serialize for AuditAction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One entry of the audit trail.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{Limit, Repository, audit::{AuditAction, AuditQuery}};
///
/// let repository = Repository::embedded().await?;
/// let admin = repository.acting_as("ops@example.com")?;
/// admin.set_system_defaults(Limit::per_minute("rpm", 100)?).await?;
///
/// let page = repository.audit_trail(&AuditQuery::all()).await?;
/// let newest = &page.events[0];
/// assert_eq!(newest.action, AuditAction::LimitsSet);
/// assert_eq!(newest.principal.as_deref(), Some("ops@example.com"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditEvent {
    /// A ULID: 26 characters that sort by time.
    pub event_id: String,
    /// The time of the event, `YYYY-MM-DDTHH:MM:SSZ`.
    pub timestamp: String,
    /// The target of the change.
    pub target: AuditTarget,
    /// The action that was performed.
    pub action: AuditAction,
    /// The principal that performed it, if the caller named one; an identifier or an ARN.
    pub principal: Option<String>,
    /// For limits: the resource, or `_default_`.
    pub resource: Option<String>,
    /// Details of the action.
    pub details: BTreeMap<String, Value>,
}

/// Selects the events of the trail to list: those of one target or of the whole namespace that meet every condition.
///
/// ```
/// use zae_limiter::audit::{AuditAction, AuditQuery, AuditTarget};
/// let query = AuditQuery::of(AuditTarget::System).action(AuditAction::LimitsSet).limit(20);
/// let all = AuditQuery::all().by("ops@example.com").since_ms(1_767_225_600_000);
/// # drop((query, all));
/// ```
///
/// Created by [`AuditQuery::all`] or [`AuditQuery::of`], narrowed by its other methods, and passed to
/// [`Repository::audit_trail`](crate::Repository::audit_trail). Time bounds are compared with ids; action and principal
/// are compared after reading, so a rare one may take several reads for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct AuditQuery {
    /// The target; `None` for the whole namespace.
    pub(crate) target: Option<AuditTarget>,
    /// Maximum number of events per page.
    pub(crate) limit: u32,
    /// Only events older than this id.
    pub(crate) before: Option<String>,
    /// The earliest instant, in epoch ms.
    pub(crate) since_ms: Option<i64>,
    /// The latest instant, in epoch ms.
    pub(crate) until_ms: Option<i64>,
    /// Only events of this action.
    pub(crate) action: Option<AuditAction>,
    /// Only events of principals whose name contains this text.
    pub(crate) principal: Option<String>,
}

impl AuditQuery {
    /// Selects the latest 100 events of the whole namespace.
    pub fn all() -> Self {
        Self { target: None, limit: 100, before: None, since_ms: None, until_ms: None, action: None, principal: None }
    }

    /// Selects the latest 100 events of one target.
    pub fn of(target: impl Into<AuditTarget>) -> Self {
        Self { target: Some(target.into()), ..Self::all() }
    }

    /// Bounds the number of events.
    pub fn limit(self, events: u32) -> Self {
        Self { limit: events, ..self }
    }

    /// Keeps only events older than this one: the `next` of a page.
    pub fn before(self, event_id: impl Into<String>) -> Self {
        Self { before: Some(event_id.into()), ..self }
    }

    /// Keeps only events at or after this instant, in epoch ms.
    pub fn since_ms(self, since_ms: i64) -> Self {
        Self { since_ms: Some(since_ms), ..self }
    }

    /// Keeps only events at or before this instant, in epoch ms.
    pub fn until_ms(self, until_ms: i64) -> Self {
        Self { until_ms: Some(until_ms), ..self }
    }

    /// Keeps only events of this action.
    pub fn action(self, action: AuditAction) -> Self {
        Self { action: Some(action), ..self }
    }

    /// Keeps only events of principals whose name contains this text: sessions of a role have long names.
    pub fn by(self, principal: impl Into<String>) -> Self {
        Self { principal: Some(principal.into()), ..self }
    }

    /// Returns true if it selects all events of its target and time span.
    pub(crate) fn is_plain(&self) -> bool {
        self.action.is_none() && self.principal.is_none()
    }

    /// Returns true if an event has the selected action and principal.
    pub(crate) fn matches(&self, event: &AuditEvent) -> bool {
        let who = event.principal.as_deref().unwrap_or_default();
        self.action.as_ref().is_none_or(|action| *action == event.action)
            && self.principal.as_deref().is_none_or(|wanted| who.contains(wanted))
    }
}

/// Some of the events of a query, newest first.
///
/// ```
/// use zae_limiter::{Repository, RepositoryError, audit::{AuditEvent, AuditQuery}};
///
/// async fn all_events(repository: &Repository) -> Result<Vec<AuditEvent>, RepositoryError> {
///     let (mut events, mut query) = (Vec::new(), AuditQuery::all());
///     loop {
///         let page = repository.audit_trail(&query).await?;
///         events.extend(page.events);
///         let Some(next) = page.next else { return Ok(events) };
///         query = query.before(next);
///     }
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditPage {
    /// The events.
    pub events: Vec<AuditEvent>,
    /// The id to continue after; `None` if there are no older events.
    pub next: Option<String>,
}
