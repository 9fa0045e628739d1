//! Configuration items: limits and policies as the three levels (system, resource, entity) store them.
//!
//! | attribute | meaning |
//! |---|---|
//! | `l_{limit}_cp` | capacity, in tokens |
//! | `l_{limit}_ra` | tokens gained per period |
//! | `l_{limit}_rp` | the period, in seconds |
//! | `l_{limit}_soft` | `true` if the limit is metered and never refuses |
//! | `l_{limit}_rsched` | the instants at which a quota is restored, in the compact form; its `ra` is 0 |
//! | `l_{limit}_sched` | the parameters of a limit at certain times, in the compact form |
//! | `w_{limit}_cp`, …, `w_{limit}_rsa` | the same of a session quota, and the length of its window, in seconds |
//! | `sched_tz` | the time zone of all schedules of the item; `UTC` where it is absent |
//! | `on_unavailable` | `allow` or `block`; the system's item only |
//! | `audit_retention_days` | lifetime of audit events; the system's item only |
//! | `cascade` | acquires charge the parent as well, or do not, whatever the entity's record says |
//! | `disabled` | an operator has switched the level off, or (`false`) on again below one that is off, or lets everything
//! | | through (`bypass`) |
//!
//! A level is one item, and the most specific level that has limits applies as a whole. An item with attributes of
//! newer clients that change what a limit means is not half understood: it is read as [`Unsupported`].

mod limits;

use aws_sdk_dynamodb::types::AttributeValue;

pub(crate) use limits::{dropped, encode_limits};

use crate::{
    error::{RepositoryError, Unsupported},
    model::{
        access::{Access, Cascade, ConfigTarget},
        limit::Limits,
        name::{EntityId, LimitScope, ResourceName},
        status::StoredPolicy,
    },
    wire::{
        Item,
        config::limits::{decode_limits, unsupported},
        expression::Key,
        keys,
        values::{get_n, get_s, item, n, s},
    },
};

/// The outage policy.
pub(crate) const ON_UNAVAILABLE: &str = "on_unavailable";
/// The lifetime of audit events.
pub(crate) const AUDIT_RETENTION_DAYS: &str = "audit_retention_days";
/// The switch of an operator.
pub(crate) const DISABLED: &str = "disabled";
/// The policy on charging the parent.
pub(crate) const CASCADE: &str = "cascade";
/// The value of the switch that lets everything through.
const BYPASS: &str = "bypass";

/// The configuration item that an operation is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ConfigLevel<'a> {
    /// The namespace's default.
    System,
    /// A resource's default.
    Resource(&'a ResourceName),
    /// An entity's own, for a resource or as its default.
    Entity(&'a EntityId, &'a LimitScope),
}

impl<'a> From<&'a ConfigTarget> for ConfigLevel<'a> {
    fn from(target: &'a ConfigTarget) -> Self {
        match target {
            ConfigTarget::Resource(resource) => Self::Resource(resource),
            ConfigTarget::Entity(entity, scope) => Self::Entity(entity, scope),
        }
    }
}

impl ConfigLevel<'_> {
    /// Its key in the namespace `ns`.
    pub(crate) fn key(&self, ns: &str) -> Key {
        match self {
            Self::System => Key::new(keys::pk_system(ns), keys::sk_config()),
            Self::Resource(resource) => Key::new(keys::pk_resource(ns, resource.as_str()), keys::sk_config()),
            Self::Entity(entity, scope) => {
                Key::new(keys::pk_entity(ns, entity.as_str()), keys::sk_entity_config(scope.as_str()))
            }
        }
    }

    /// The item without limits and policies.
    pub(crate) fn blank(&self, ns: &str) -> Item {
        let key = self.key(ns);
        let mut blank = item([("config_version", n(1)), ("GSI4PK", s(ns)), ("GSI4SK", s(&key.pk))]);
        blank.extend(key.attributes());
        match self {
            Self::System => {}
            Self::Resource(resource) => {
                blank.insert("resource".to_owned(), s(resource.as_str()));
            }
            Self::Entity(entity, scope) => blank.extend(item([
                ("entity_id", s(entity.as_str())),
                ("resource", s(scope.as_str())),
                ("GSI3PK", s(keys::gsi3_pk_entity_config(ns, scope.as_str()))),
                ("GSI3SK", s(entity.as_str())),
            ])),
        }
        blank
    }
}

/// The content of a configuration item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoredConfig {
    /// The limits, in the order of their names; `None` when the item has none, which means the level says nothing.
    pub(crate) limits: Option<Limits>,
    /// The outage policy; only the system's item has one.
    pub(crate) on_unavailable: Option<StoredPolicy>,
    /// The lifetime of audit events, in days; only the system's item has one.
    pub(crate) audit_retention_days: Option<u32>,
    /// Tells if the level switches anything on or off.
    pub(crate) access: StoredAccess,
    /// Tells if the parent is charged as well.
    pub(crate) cascade: Option<Cascade>,
    /// Another feature of newer clients; the limits alone would then be enforced wrongly.
    pub(crate) unsupported: Option<Unsupported>,
}

/// A configuration item's setting that allows or forbids taking anything at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum StoredAccess {
    /// Nothing: the next level decides.
    #[default]
    Inherit,
    /// This, whatever the next levels say.
    Set(Access),
    /// Something else, which only newer clients can follow.
    Other(Unsupported),
}

impl StoredAccess {
    /// The setting, where there is one that is known here.
    pub(crate) fn set(&self) -> Option<Access> {
        match self {
            Self::Set(access) => Some(*access),
            Self::Inherit | Self::Other(_) => None,
        }
    }
}

/// The value of the attribute for a setting.
pub(crate) fn encode_access(access: Access) -> AttributeValue {
    match access {
        Access::Enabled => AttributeValue::Bool(false),
        Access::Disabled => AttributeValue::Bool(true),
        Access::Bypassed => s(BYPASS),
    }
}

impl StoredConfig {
    /// Reads an item of any level. Of one that uses a feature of newer clients only that is read: the feature may be
    /// what makes sense of its limits (a quota that is only ever reset has a refill of 0).
    ///
    /// # Errors
    /// [`RepositoryError::Malformed`] when a limit is incomplete or invalid.
    pub(crate) fn decode(item: &Item) -> Result<Self, RepositoryError> {
        let malformed = |problem: String| RepositoryError::Malformed { key: key_text(item), problem };
        let unsupported = unsupported(item).map(|attribute| Unsupported { attribute, item: key_text(item) });
        let (limits, unsupported) = match unsupported.map_or_else(|| decode_limits(item), |found| Err(found.into())) {
            Ok(limits) => (limits, None),
            Err(RepositoryError::Unsupported(unsupported)) => (None, Some(unsupported)),
            Err(error) => return Err(error),
        };
        let on_unavailable = match get_s(item, ON_UNAVAILABLE) {
            None => None,
            Some("allow") => Some(StoredPolicy::Allow),
            Some("block") => Some(StoredPolicy::Block),
            Some(other) => return Err(malformed(format!("{ON_UNAVAILABLE} is {other:?}, neither allow nor block"))),
        };
        let days = get_n(item, AUDIT_RETENTION_DAYS).and_then(|days| u32::try_from(days).ok());
        Ok(Self {
            limits,
            on_unavailable,
            audit_retention_days: days,
            access: access(item),
            cascade: cascade(item).ok().flatten(),
            unsupported,
        })
    }

    /// Reads an item that is about to be replaced: what is broken about it no longer matters.
    pub(crate) fn decode_leniently(item: &Item) -> Self {
        Self::decode(item).unwrap_or_else(|_| {
            let unsupported = unsupported(item).map(|attribute| Unsupported { attribute, item: key_text(item) });
            Self { unsupported, access: access(item), cascade: cascade(item).ok().flatten(), ..Self::default() }
        })
    }

    /// The same, unless the item uses a feature of newer clients: replacing it would undo what they stored.
    pub(crate) fn supported(self) -> Result<Self, RepositoryError> {
        match (&self.unsupported, &self.access) {
            (Some(unsupported), _) | (None, StoredAccess::Other(unsupported)) => Err(unsupported.clone().into()),
            (None, StoredAccess::Inherit | StoredAccess::Set(_)) => Ok(self),
        }
    }
}

/// The item's key, for messages.
fn key_text(item: &Item) -> String {
    format!("{} {}", get_s(item, "PK").unwrap_or_default(), get_s(item, "SK").unwrap_or_default())
}

/// Reads only the policy of an item on charging the parent.
///
/// # Errors
/// [`Unsupported`] where it is something else than newer clients write today.
pub(crate) fn cascade(item: &Item) -> Result<Option<Cascade>, Unsupported> {
    match item.get(CASCADE) {
        None => Ok(None),
        Some(AttributeValue::Bool(true)) => Ok(Some(Cascade::On)),
        Some(AttributeValue::Bool(false)) => Ok(Some(Cascade::Off)),
        Some(_) => Err(Unsupported { attribute: CASCADE.to_owned(), item: key_text(item) }),
    }
}

/// Reads only the setting of an item.
pub(crate) fn access(item: &Item) -> StoredAccess {
    let unsupported = || Unsupported { attribute: DISABLED.to_owned(), item: key_text(item) };
    match item.get(DISABLED) {
        None => StoredAccess::Inherit,
        Some(AttributeValue::Bool(false)) => StoredAccess::Set(Access::Enabled),
        Some(AttributeValue::Bool(true)) => StoredAccess::Set(Access::Disabled),
        Some(AttributeValue::S(word)) if word == BYPASS => StoredAccess::Set(Access::Bypassed),
        Some(_) => StoredAccess::Other(unsupported()),
    }
}

/// The item that configures `limits` at `level`. What `before` holds beside limits and policy is kept.
pub(crate) fn encode(
    level: ConfigLevel<'_>,
    ns: &str,
    limits: Option<&Limits>,
    on_unavailable: Option<StoredPolicy>,
    before: Option<&Item>,
) -> Item {
    let mut item = level.blank(ns);
    item.extend(limits.into_iter().flat_map(encode_limits));
    if let Some(policy) = on_unavailable {
        item.insert(ON_UNAVAILABLE.to_owned(), s(policy.as_str()));
    }
    for name in [AUDIT_RETENTION_DAYS, DISABLED, CASCADE] {
        if let Some(value) = before.and_then(|before| before.get(name)) {
            item.insert(name.to_owned(), value.clone());
        }
    }
    item
}

/// The attributes that a replacement or deletion depends on without changing them: they are conditions of it.
pub(crate) const GUARDED: [&str; 5] = ["GSI3PK", AUDIT_RETENTION_DAYS, DISABLED, CASCADE, "sched_tz"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::limit::Limit;

    fn config(attributes: &[(&str, AttributeValue)]) -> Item {
        let mut config = item([("PK", s("ns/SYSTEM#")), ("SK", s("#CONFIG"))]);
        config.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        config
    }

    fn rpm() -> [(&'static str, AttributeValue); 3] {
        [("l_rpm_cp", n(100)), ("l_rpm_ra", n(50)), ("l_rpm_rp", n(60))]
    }

    #[test]
    fn limits_survive_the_round_trip() {
        let limits = Limits::new([
            Limit::of_seconds("a_cp", 7, 3, 9).unwrap(),
            Limit::per_minute("tpm.v2-x", 10_000).unwrap().with_burst(15_000).unwrap().soft(),
        ]);
        let limits = limits.unwrap();
        let item = encode(ConfigLevel::System, "ns", Some(&limits), Some(StoredPolicy::Allow), None);
        let read = StoredConfig::decode(&item).unwrap();
        assert_eq!((read.limits, read.on_unavailable), (Some(limits), Some(StoredPolicy::Allow)));
        assert_eq!(read.unsupported, None);
    }

    #[test]
    fn an_item_without_limits_says_nothing() {
        assert_eq!(StoredConfig::decode(&config(&[])).unwrap(), StoredConfig::default());
    }

    #[test]
    fn newer_features_are_named_instead_of_ignored() {
        for (name, value) in [
            ("disabled", s("sometimes")),
            ("cascade", s("sometimes")),
            ("l_rpm_sched", s("x")),
            ("l_rpm_soft", n(1)),
            // Limits that make sense to newer clients alone.
            ("l_rpm_rsched", s("0 0 * * *")),
        ] {
            let mut attributes = rpm().to_vec();
            attributes.push((name, value));
            let refused = StoredConfig::decode(&config(&attributes)).unwrap().supported().unwrap_err();
            assert!(matches!(&refused, RepositoryError::Unsupported(u) if u.attribute == name), "{refused}");
        }
        let quota = [("l_q_cp", n(100)), ("l_q_ra", n(0)), ("l_q_rp", n(1)), ("l_q_rsched", s("x"))];
        let read = StoredConfig::decode(&config(&quota)).unwrap();
        assert_eq!(read.unsupported.map(|u| u.attribute).as_deref(), Some("l_q_rsched"));
        for (flag, access) in [(false, Access::Enabled), (true, Access::Disabled)] {
            let mut switched = rpm().to_vec();
            switched.push(("disabled", AttributeValue::Bool(flag)));
            let read = StoredConfig::decode(&config(&switched)).unwrap().supported().unwrap();
            assert_eq!((read.access, encode_access(access)), (StoredAccess::Set(access), AttributeValue::Bool(flag)));
        }
    }

    #[test]
    fn a_calendar_quota_is_read_in_its_zone() {
        let quota = [("l_q_cp", n(100)), ("l_q_ra", n(0)), ("l_q_rp", n(1)), ("l_q_rsched", s("1m0h0"))];
        let mut attributes = quota.to_vec();
        attributes.extend([("sched_tz", s("Europe/Berlin"))]);
        attributes.extend(rpm());
        let limits = StoredConfig::decode(&config(&attributes)).unwrap().supported().unwrap().limits.unwrap();
        let read = limits.get("q").unwrap();
        assert_eq!((read.capacity(), read.refill_amount(), read.fill_time().as_secs()), (100, 0, 86_400));
        assert_eq!(read.reset_schedule().as_deref(), Some("\"0 0 * * *\" Europe/Berlin"));
        assert!(!limits.get("rpm").unwrap().is_quota());
        // Berlin is an hour ahead in January.
        let new_year = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_767_225_600);
        let next = read.next_reset(new_year).unwrap().duration_since(new_year).unwrap();
        assert_eq!(next.as_secs(), 23 * 3_600);
        attributes.push(("sched_tz", s("Europe/berlin")));
        let read = StoredConfig::decode(&config(&attributes)).unwrap();
        assert_eq!(read.unsupported.map(|u| u.attribute).as_deref(), Some("l_q_rsched"));
    }

    #[test]
    fn broken_items_are_refused() {
        for (attributes, problem) in [
            (vec![("l_rpm_cp", n(1)), ("l_rpm_ra", n(1))], "lacks"),
            (vec![("l_rpm_cp", s("1")), ("l_rpm_ra", n(1)), ("l_rpm_rp", n(1))], "whole number"),
            (
                vec![("l_q_cp", n(1)), ("l_q_ra", n(1)), ("l_q_rp", n(1)), ("l_q_rsched", s("1m0"))],
                "refilled, and restored",
            ),
            (vec![("l_rpm_cp", n(0)), ("l_rpm_ra", n(1)), ("l_rpm_rp", n(1))], "at least 1"),
            (vec![("l_wcu_cp", n(1)), ("l_wcu_ra", n(1)), ("l_wcu_rp", n(1))], "reserved"),
            (vec![("on_unavailable", s("ALLOW"))], "neither"),
            (vec![("w_chat_cp", n(1)), ("w_chat_ra", n(0)), ("w_chat_rp", n(1))], "lacks the length of its window"),
            (vec![("w_chat_cp", n(1)), ("w_chat_rsa", n(5))], "lacks capacity"),
            (
                vec![("w_chat_cp", n(1)), ("w_chat_ra", n(1)), ("w_chat_rp", n(1)), ("w_chat_rsa", n(5))],
                "restored after a window too",
            ),
            (
                [&rpm()[..], &[("w_rpm_cp", n(1)), ("w_rpm_ra", n(0)), ("w_rpm_rp", n(1)), ("w_rpm_rsa", n(5))]]
                    .concat(),
                "rpm",
            ),
        ] {
            let error = StoredConfig::decode(&config(&attributes)).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("ns/SYSTEM# #CONFIG"), "{error}");
        }
    }
}
