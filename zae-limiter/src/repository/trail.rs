//! Audit events of the changes made here.
//!
//! A change and its event are written together where DynamoDB allows it, in a transaction, so that the trail neither
//! misses a change nor reports one that did not happen. Details hold what was set; a deletion names what is gone.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Repository, settings::Setting};
use crate::{
    error::RepositoryError,
    model::{
        access::ConfigTarget,
        audit::{AuditAction, AuditTarget},
        entity::NewEntity,
        limit::Limits,
        name::{EntityId, LimitName, LimitScope, ResourceName},
        operation::Asked,
        status::StoredPolicy,
    },
    store::TransactPart,
    wire::config::StoredConfig,
};

/// One change, as the trail records it.
#[derive(Debug)]
pub(super) enum AuditChange<'a> {
    /// A new entity.
    EntityCreated(&'a NewEntity),
    /// An entity and so many records of it are gone.
    EntityDeleted(&'a EntityId, usize),
    /// An entity has new limits.
    LimitsSet(&'a EntityId, &'a LimitScope, &'a Limits),
    /// An entity has no limits of its own any more.
    LimitsDeleted(&'a EntityId, &'a LimitScope),
    /// A resource has new defaults.
    ResourceSet(&'a ResourceName, &'a Limits),
    /// A resource has no defaults any more.
    ResourceDeleted(&'a ResourceName),
    /// The namespace has new defaults.
    SystemSet(Option<&'a Limits>, Option<StoredPolicy>),
    /// The namespace has no defaults any more.
    SystemDeleted(Option<&'a Limits>, Option<StoredPolicy>),
    Set(&'a ConfigTarget, Setting),
    Moved {
        entity: &'a EntityId,
        from: Option<&'a str>,
        to: Option<&'a EntityId>,
        generation: i64,
    },
    Operated {
        entity: &'a EntityId,
        resource: &'a ResourceName,
        asked: &'a Asked,
        amounts: &'a BTreeMap<LimitName, i64>,
        shards: u32,
    },
}

impl AuditChange<'_> {
    /// The part of the trail that it belongs to.
    fn target(&self) -> AuditTarget {
        match self {
            Self::EntityCreated(entity) => AuditTarget::Entity(entity.id.clone()),
            Self::EntityDeleted(id, _) | Self::LimitsSet(id, ..) | Self::LimitsDeleted(id, _) => {
                AuditTarget::Entity((*id).clone())
            }
            Self::ResourceSet(resource, _) | Self::ResourceDeleted(resource) => {
                AuditTarget::Resource((*resource).clone())
            }
            Self::SystemSet(..) | Self::SystemDeleted(..) => AuditTarget::System,
            Self::Set(ConfigTarget::Resource(resource), _) => AuditTarget::Resource(resource.clone()),
            Self::Set(ConfigTarget::Entity(entity, _), _) => AuditTarget::Entity(entity.clone()),
            Self::Moved { entity, .. } | Self::Operated { entity, .. } => AuditTarget::Entity((*entity).clone()),
        }
    }

    /// The action's name.
    fn action(&self) -> AuditAction {
        match self {
            Self::EntityCreated(_) => AuditAction::EntityCreated,
            Self::EntityDeleted(..) => AuditAction::EntityDeleted,
            Self::Moved { .. } => AuditAction::EntityParentChanged,
            Self::Operated { asked: Asked::ResetAll | Asked::Reset(_), .. } => AuditAction::BucketReset,
            Self::Operated { asked: Asked::TopUp(_), .. } => AuditAction::BucketToppedUp,
            Self::LimitsSet(..) | Self::ResourceSet(..) | Self::SystemSet(..) | Self::Set(..) => AuditAction::LimitsSet,
            Self::LimitsDeleted(..) | Self::ResourceDeleted(_) | Self::SystemDeleted(..) => AuditAction::LimitsDeleted,
        }
    }

    /// The resource that limits are for.
    fn scope(&self) -> Option<LimitScope> {
        match self {
            Self::LimitsSet(_, scope, _) | Self::LimitsDeleted(_, scope) => Some((*scope).clone()),
            Self::Set(ConfigTarget::Entity(_, scope), _) => Some(scope.clone()),
            Self::ResourceSet(resource, _) | Self::ResourceDeleted(resource) => {
                Some(LimitScope::Resource((*resource).clone()))
            }
            Self::Operated { resource, .. } => Some(LimitScope::Resource((*resource).clone())),
            Self::Set(ConfigTarget::Resource(resource), _) => Some(LimitScope::Resource(resource.clone())),
            Self::EntityCreated(_)
            | Self::EntityDeleted(..)
            | Self::Moved { .. }
            | Self::SystemSet(..)
            | Self::SystemDeleted(..) => None,
        }
    }

    /// The new values, or what is known of the old ones.
    fn details(&self) -> Value {
        let list = |limits: Option<&Limits>| json!(limits.map(Limits::as_slice).unwrap_or_default());
        match self {
            Self::EntityCreated(entity) => json!({
                "name": entity.name.as_deref().unwrap_or(entity.id.as_str()),
                "parent_id": entity.parent_id,
                "cascade": entity.cascade,
                "metadata": entity.metadata,
            }),
            Self::EntityDeleted(_, records) => json!({ "records_deleted": records }),
            Self::LimitsSet(_, _, limits) | Self::ResourceSet(_, limits) => json!({ "limits": list(Some(limits)) }),
            Self::LimitsDeleted(..) | Self::ResourceDeleted(_) => json!({}),
            Self::Set(_, setting) => setting.details(),
            Self::Operated { amounts, shards, .. } => {
                let amounts: Map<String, Value> =
                    amounts.iter().map(|(name, tokens)| (name.to_string(), json!(tokens))).collect();
                json!({ "amounts": amounts, "shards": shards })
            }
            Self::Moved { from, to, generation, .. } => {
                json!({ "old_parent_id": from, "parent_id": to, "pgen": generation })
            }
            Self::SystemSet(limits, policy) => json!({ "limits": list(*limits), "on_unavailable": policy }),
            Self::SystemDeleted(limits, policy) => {
                let limits = limits.iter().flat_map(|limits| limits.iter());
                let names: Vec<_> = limits.map(crate::model::limit::Limit::name).collect();
                json!({ "limits": names, "on_unavailable": policy })
            }
        }
    }
}

/// Adds what a change replaces to the change's own details.
fn with_previous(mut details: Value, previous: Option<&StoredConfig>) -> Value {
    let (Some(details_map), Some(previous)) = (details.as_object_mut(), previous) else { return details };
    if let Some(limits) = &previous.limits {
        details_map.insert("previous_limits".to_owned(), json!(limits.as_slice()));
    }
    if let Some(policy) = previous.on_unavailable {
        details_map.insert("previous_on_unavailable".to_owned(), json!(policy));
    }
    details
}

impl Repository {
    /// The part of a transaction that records the change it makes, so that neither happens without the other.
    /// `previous` is the configuration that it replaces or removes.
    ///
    /// Reading the retention may take a call, once a minute.
    pub(super) async fn trail(
        &self,
        change: &AuditChange<'_>,
        previous: Option<&StoredConfig>,
    ) -> Result<TransactPart, RepositoryError> {
        let scope = change.scope();
        let details = with_previous(change.details(), previous);
        self.audit_part(&change.target(), change.action(), scope.as_ref(), details).await
    }
}
