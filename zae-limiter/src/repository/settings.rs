//! Settings beside limits: one attribute of a configuration item each, stored with its audit event.
//!
//! Buckets carry copies of settings, because writes that take tokens read no configuration: so each change is also
//! stamped onto every bucket that it concerns before the call returns ([`fanout`](super::fanout)).

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use super::{
    Repository,
    configs::{Fate, TRIES, busy, check_scope, expect_unchanged},
    fanout::Copies,
    trail::AuditChange,
};
use crate::{
    error::RepositoryError,
    model::access::{Access, Cascade, ConfigTarget},
    store::{Committed, Consistency, TransactPart},
    wire::{
        Item,
        config::{self, CASCADE, ConfigLevel, DISABLED},
        expression::{Expression, Key},
        values::to_attribute,
    },
};

/// A setting and its new value; `None` removes it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Setting {
    Access(Option<Access>),
    Cascade(Option<Cascade>),
}

impl Setting {
    fn attribute(self) -> &'static str {
        match self {
            Self::Access(_) => DISABLED,
            Self::Cascade(_) => CASCADE,
        }
    }

    fn value(self) -> Option<AttributeValue> {
        match self {
            Self::Access(access) => access.map(config::encode_access),
            Self::Cascade(cascade) => cascade.map(|cascade| AttributeValue::Bool(cascade == Cascade::On)),
        }
    }

    /// The copies that it has on the buckets of `target`.
    pub(super) fn copies(self, target: &ConfigTarget) -> Copies {
        match (self, target) {
            // A resource that says nothing is enabled.
            (Self::Access(access), ConfigTarget::Resource(_)) => {
                Copies::Access(Some(access.unwrap_or(Access::Enabled)))
            }
            (Self::Access(_), ConfigTarget::Entity(..)) => Copies::Access(None),
            (Self::Cascade(_), _) => Copies::Owner,
        }
    }

    /// The details of its audit event.
    pub(super) fn details(self) -> Value {
        match self {
            Self::Access(Some(Access::Bypassed)) => json!({ "disabled": "bypass" }),
            Self::Access(access) => json!({ "disabled": access.map(|access| access == Access::Disabled) }),
            Self::Cascade(cascade) => json!({ "cascade": cascade.map(|cascade| cascade == Cascade::On) }),
        }
    }
}

impl Repository {
    /// Stores `setting` for `target`, and brings the copies on its buckets in line. Returns the number of buckets that
    /// were told.
    pub(super) async fn set(&self, target: &ConfigTarget, setting: Setting) -> Result<u64, RepositoryError> {
        if let ConfigTarget::Entity(_, scope) = target {
            check_scope(scope)?;
        }
        let event = self.store_setting(target, setting).await?;
        let stamped = self.fan_out(target, setting.copies(target)).await?;
        if let Some(event) = event {
            self.count_stamped(&event, stamped).await;
        }
        Ok(stamped)
    }

    /// Completes an audit event, which is there already, with the number of buckets that were told.
    pub(super) async fn count_stamped(&self, event: &Key, stamped: u64) {
        let complete = Expression::of(|e| {
            e.expect_item();
            let (details, number) = (e.name("details"), e.name("buckets_stamped"));
            e.set(&format!("{details}.{number}"), to_attribute(&json!(stamped)));
        });
        if let Err(error) = self.store().update(event, complete).await {
            tracing::debug!(%error, "an audit event lacks the number of buckets");
        }
    }

    /// Stores the setting with its audit event. Returns the event's key.
    async fn store_setting(&self, target: &ConfigTarget, setting: Setting) -> Result<Option<Key>, RepositoryError> {
        let level = ConfigLevel::from(target);
        let key = level.key(self.ns());
        let is_set = setting.value().is_some();
        for _ in 0..TRIES {
            let before = self.store().get(&key, Consistency::Strong).await?;
            let mut parts = Vec::new();
            if is_set || before.is_some() {
                parts.push(TransactPart::Update(key.clone(), self.change_of(level, setting, before.as_ref())));
            }
            if is_set {
                parts.extend(self.registered(level, Fate::Stored, before.as_ref()));
            }
            let event = self.trail(&AuditChange::Set(target, setting), None).await?;
            let event_key = match &event {
                TransactPart::Put(item, _) => Key::of(item),
                _ => None,
            };
            parts.push(event);
            if self.store().transact(&parts).await? == Committed::Done {
                self.forget_limits_at(level);
                return Ok(event_key);
            }
        }
        Err(busy(&key))
    }

    /// The update of the configuration item. Attributes that it has beside the setting are not touched.
    fn change_of(&self, level: ConfigLevel<'_>, setting: Setting, before: Option<&Item>) -> Expression {
        Expression::of(|e| {
            expect_unchanged(e, before);
            let attribute = e.name(setting.attribute());
            let Some(value) = setting.value() else { return e.remove(&attribute) };
            e.set(&attribute, value);
            // An item without limits has no version of them.
            let own = |name: &str| !matches!(name, "PK" | "SK" | "config_version");
            for (name, value) in level.blank(self.ns()).into_iter().filter(|(name, _)| own(name)) {
                let attribute = e.name(name);
                e.set_once(&attribute, value);
            }
        })
    }
}
