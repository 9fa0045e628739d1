//! Replacing and removing configuration items, together with the registries that list them.
//!
//! Item, registry and audit trail change in one transaction, so that a crash leaves all or nothing. What a replacement
//! keeps of the old item, or refuses to touch, is a condition of it: a neighbour's change in between means another try.
//!
//! Three items change for one set of limits: the configuration itself, the registry that lists which resources or
//! entities have one (a query over all of them would read the whole table), and the audit event. Registries are sets
//! and counters that are added to, so changes to different resources do not exclude each other.
//!
//! A replacement keeps what it does not know about: an attribute that another tool has put there (retention, a switch)
//! is carried over, and is a condition of the write, as it might be changed between reading and writing.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Repository, gate::Gated, trail::AuditChange};
use crate::{
    error::{RepositoryError, StoreError, StoreErrorKind, ValidationError, ValidationReason},
    model::{
        limit::{Limit, Limits},
        name::LimitScope,
        status::StoredPolicy,
    },
    store::{Committed, Consistency, TransactPart},
    wire::{
        Item,
        config::{self, AUDIT_RETENTION_DAYS, ConfigLevel, GUARDED, StoredConfig},
        expression::{Expression, ExpressionBuilder, Key},
        keys,
        table::is_key_attribute,
        values::s,
    },
};

/// Number of tries of a change against neighbours that change the same item.
pub(super) const TRIES: u32 = 10;

/// The outcome for a configuration item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is there, with these limits.
    Stored,
    /// It is gone.
    Removed,
}

/// The way in which a removal is recorded: by itself, or as part of another change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trail {
    /// An event of its own.
    Own,
    /// An event that the caller writes.
    Elsewhere,
}

impl Repository {
    /// Reads one configuration item.
    pub(super) async fn config(&self, level: ConfigLevel<'_>) -> Result<Option<StoredConfig>, RepositoryError> {
        let item = self.store().get(&level.key(self.ns()), Consistency::Strong).await?;
        item.as_ref().map(StoredConfig::decode).transpose()
    }

    /// Stores limits (and, on the system's level, the policy) in place of whatever was there, and answers what that
    /// was.
    pub(super) async fn replace_config(
        &self,
        level: ConfigLevel<'_>,
        limits: Option<&Limits>,
        on_unavailable: Option<StoredPolicy>,
    ) -> Result<Option<StoredConfig>, RepositoryError> {
        let change = match (level, limits) {
            (ConfigLevel::System, limits) => AuditChange::SystemSet(limits, on_unavailable),
            (ConfigLevel::Resource(resource), Some(limits)) => AuditChange::ResourceSet(resource, limits),
            (ConfigLevel::Entity(entity, scope), Some(limits)) => AuditChange::LimitsSet(entity, scope, limits),
            // Only the system has anything to say beside limits.
            (_, None) => return Err(ValidationError::new("limits", "", ValidationReason::Empty).into()),
        };
        if limits.is_some_and(|limits| limits.iter().any(|limit| limit.session().is_some())) {
            self.pass_gate(Gated::SessionQuotas).await?;
        }
        if limits.is_some_and(|limits| limits.iter().any(Limit::is_soft)) {
            self.pass_gate(Gated::SoftLimits).await?;
        }
        let key = level.key(self.ns());
        for _ in 0..TRIES {
            let before = self.store().get(&key, Consistency::Strong).await?;
            let old = before.as_ref().map(|before| StoredConfig::decode_leniently(before).supported()).transpose()?;
            let item = config::encode(level, self.ns(), limits, on_unavailable, before.as_ref());
            let mut parts = vec![TransactPart::Put(item, guard(before.as_ref()))];
            parts.extend(self.registered(level, Fate::Stored, before.as_ref()));
            parts.push(self.trail(&change, old.as_ref()).await?);
            if self.store().transact(&parts).await? == Committed::Done {
                self.forget_limits_at(level);
                self.tell_softness(level, old.as_ref().and_then(|old| old.limits.as_ref()), limits).await?;
                return Ok(old);
            }
        }
        Err(busy(&key))
    }

    /// Removes a configuration and answers what it was; `None` when there was none. A whole entity's removal has an
    /// audit event of its own.
    pub(super) async fn remove_config(
        &self,
        level: ConfigLevel<'_>,
        trail: Trail,
    ) -> Result<Option<StoredConfig>, RepositoryError> {
        let key = level.key(self.ns());
        for _ in 0..TRIES {
            let Some(before) = self.store().get(&key, Consistency::Strong).await? else { return Ok(None) };
            let config = StoredConfig::decode_leniently(&before).supported()?;
            // The audit retention is not a limit, and survives them; so do other settings, unless the whole
            // entity goes.
            let kept = before.contains_key(AUDIT_RETENTION_DAYS)
                || (trail == Trail::Own
                    && [config::DISABLED, config::CASCADE].iter().any(|name| before.contains_key(*name)));
            if kept && config.limits.is_none() && config.on_unavailable.is_none() {
                return Ok(None);
            }
            let removal = if kept {
                TransactPart::Put(config::encode(level, self.ns(), None, None, Some(&before)), guard(Some(&before)))
            } else {
                TransactPart::Delete(key.clone(), guard(Some(&before)))
            };
            let mut parts = vec![removal];
            parts.extend(self.registered(level, if kept { Fate::Stored } else { Fate::Removed }, Some(&before)));
            if trail == Trail::Own {
                let change = match level {
                    ConfigLevel::System => AuditChange::SystemDeleted(config.limits.as_ref(), config.on_unavailable),
                    ConfigLevel::Resource(resource) => AuditChange::ResourceDeleted(resource),
                    ConfigLevel::Entity(entity, scope) => AuditChange::LimitsDeleted(entity, scope),
                };
                parts.push(self.trail(&change, Some(&config)).await?);
            }
            if self.store().transact(&parts).await? == Committed::Done {
                self.forget_limits_at(level);
                self.tidy_registry(level).await?;
                self.tell_softness(level, config.limits.as_ref(), None).await?;
                return Ok(Some(config));
            }
        }
        Err(busy(&key))
    }

    /// Ends the resolutions that a level is part of.
    pub(super) fn forget_limits_at(&self, level: ConfigLevel<'_>) {
        match level {
            ConfigLevel::Entity(entity, _) => self.forget_limits_of(entity),
            ConfigLevel::Resource(_) | ConfigLevel::System => self.forget_all_limits(),
        }
    }

    /// The part of a transaction that keeps the level's registry.
    pub(super) fn registered(&self, level: ConfigLevel<'_>, fate: Fate, before: Option<&Item>) -> Option<TransactPart> {
        let list = |e: &mut ExpressionBuilder| {
            for (attribute, value) in [("GSI4PK", s(self.ns())), ("GSI4SK", s(keys::pk_system(self.ns())))] {
                let name = e.name(attribute);
                e.set_once(&name, value);
            }
        };
        match level {
            ConfigLevel::System => None,
            ConfigLevel::Resource(resource) => {
                let set = AttributeValue::Ss(vec![resource.as_str().to_owned()]);
                let update = Expression::of(|e| {
                    list(e);
                    let resources = e.name("resources");
                    match fate {
                        Fate::Stored => e.add(&resources, set),
                        Fate::Removed => e.delete(&resources, set),
                    }
                });
                Some(TransactPart::Update(Key::new(keys::pk_system(self.ns()), keys::sk_resources()), update))
            }
            ConfigLevel::Entity(_, scope) => {
                // The provisioner's items were never counted: they are not in the index either.
                let counted = before.is_some_and(|before| before.contains_key("GSI3PK"));
                let step = match (fate, counted) {
                    (Fate::Stored, false) => 1,
                    (Fate::Removed, true) => -1,
                    (Fate::Stored, true) | (Fate::Removed, false) => return None,
                };
                let update = Expression::of(|e| {
                    list(e);
                    let counter = e.name(scope.as_str().to_owned());
                    e.add(&counter, step);
                });
                Some(TransactPart::Update(self.entity_registry(), update))
            }
        }
    }

    /// Takes a scope that no entity configures any more out of the registry.
    async fn tidy_registry(&self, level: ConfigLevel<'_>) -> Result<(), RepositoryError> {
        let ConfigLevel::Entity(_, scope) = level else { return Ok(()) };
        let remove = Expression::of(|e| {
            let counter = e.name(scope.as_str().to_owned());
            e.remove(&counter);
            e.compare(&counter, "<=", 0);
        });
        self.store().update(&self.entity_registry(), remove).await.map(drop)
    }

    /// The key of the counts of entities with limits of their own.
    pub(super) fn entity_registry(&self) -> Key {
        Key::new(keys::pk_system(self.ns()), keys::sk_entity_config_resources())
    }
}

/// The condition that the item is still there (or still absent), as far as the change depends on it.
fn guard(before: Option<&Item>) -> Expression {
    Expression::of(|e| expect_unchanged(e, before))
}

/// The same for an update.
pub(super) fn expect_unchanged(e: &mut ExpressionBuilder, before: Option<&Item>) {
    let Some(before) = before else { return e.expect("PK", None::<i64>) };
    e.expect_item();
    for attribute in GUARDED {
        let name = e.name(attribute);
        e.expect(&name, before.get(attribute).cloned());
    }
}

/// The registry has one attribute per resource, named like it, beside its keys.
pub(super) fn check_scope(scope: &LimitScope) -> Result<(), ValidationError> {
    if is_key_attribute(scope.as_str()) {
        return Err(ValidationError::new("resource", scope.as_str(), ValidationReason::Reserved));
    }
    Ok(())
}

/// The error of a change that others kept overtaking.
pub(super) fn busy(key: &Key) -> RepositoryError {
    let problem = format!("{} {} was changed by others {TRIES} times in a row; try again", key.pk, key.sk);
    StoreError::new("TransactWriteItems", StoreErrorKind::NotApplied, problem).into()
}
