//! The record of a fan-out that somebody owes, as an item.
//!
//! `owners` maps the token of each who owes it to their lease. An older form had one owner: `token`, `lease_until_ms`
//! and `full` at the top. `full` tells the Python package that everything was to be written, whether it differed or
//! not; here only differences are written, so it is false.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    keys,
    values::{get_n, get_s, n, s},
};
use crate::{
    model::{
        access::ConfigTarget,
        fanout::{Fanout, FanoutKind, FanoutLease, PendingFanout},
        name::{EntityId, LimitScope, ResourceName},
    },
    wire::{
        Item,
        expression::{Expression, Key},
    },
};

/// The map of those who owe it.
const OWNERS: &str = "owners";
/// The end of an owner's lease, in epoch ms.
const LEASE: &str = "lease";
/// The attributes of the older form.
const SOLE: [&str; 3] = ["token", "lease_until_ms", "full"];

/// The state of the map that a promise expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owners {
    /// There is none: the promise creates it.
    Absent,
    /// Others owe the fan-out, too.
    Present,
}

/// Returns the beginning of all sort keys.
pub(crate) fn prefix() -> String {
    format!("{}#PENDING#", keys::sk_provisioner())
}

/// Returns the key of a fan-out's record.
pub(crate) fn key(ns: &str, fanout: &Fanout) -> Key {
    let sk = format!("{}{}#{}#{}", prefix(), fanout.kind.as_str(), fanout.level(), fanout.target_text());
    Key::new(keys::pk_system(ns), sk)
}

fn entry(lease: i64) -> AttributeValue {
    AttributeValue::M(HashMap::from([(LEASE.to_owned(), n(lease)), ("full".to_owned(), AttributeValue::Bool(false))]))
}

/// Decodes a record.
pub(crate) fn decode(item: &Item) -> PendingFanout {
    let map = item.get(OWNERS).and_then(|owners| owners.as_m().ok());
    let lease = |token: &str, until: Option<i64>| FanoutLease::new(token, until.unwrap_or(i64::MIN));
    let owner = |(token, owner): (&String, &AttributeValue)| {
        lease(token, owner.as_m().ok().and_then(|owner| get_n(owner, LEASE)))
    };
    PendingFanout {
        key: get_s(item, "SK").unwrap_or_default().to_owned(),
        fanout: fanout(item),
        owners: map.into_iter().flatten().map(owner).collect(),
        sole_owner: get_s(item, SOLE[0]).map(|token| lease(token, get_n(item, SOLE[1]))),
        has_map: map.is_some(),
    }
}

fn fanout(item: &Item) -> Option<Fanout> {
    let (kind, target) = (get_s(item, "kind")?, get_s(item, "target").unwrap_or_default());
    let kind = FanoutKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    let target = match get_s(item, "level")? {
        "system" => None,
        "resource" => Some(ConfigTarget::Resource(ResourceName::new(target).ok()?)),
        "entity" => {
            let (entity, scope) = target.rsplit_once('/')?;
            Some(ConfigTarget::Entity(EntityId::new(entity).ok()?, LimitScope::try_from(scope).ok()?))
        }
        _ => return None,
    };
    Some(Fanout { kind, target })
}

/// The write that promises a fan-out at `now` (epoch ms).
pub(crate) fn promise(ns: &str, fanout: &Fanout, lease: &FanoutLease, now: i64, others: Owners) -> Expression {
    Expression::of(|e| {
        let owners = e.name(OWNERS);
        match others {
            Owners::Absent => {
                e.expect(&owners, None::<i64>);
                let map = HashMap::from([(lease.token.clone(), entry(lease.until_ms))]);
                e.set(&owners, AttributeValue::M(map));
            }
            Owners::Present => {
                e.expect_some(&owners);
                let own = e.name(lease.token.clone());
                e.set(&format!("{owners}.{own}"), entry(lease.until_ms));
            }
        }
        e.list_in_namespace(ns, &keys::pk_system(ns));
        let texts = [("kind", fanout.kind.as_str().to_owned()), ("level", fanout.level().to_owned())];
        for (name, value) in texts.into_iter().chain([("target", fanout.target_text())]) {
            let name = e.name(name);
            e.set(&name, s(value));
        }
        let written = e.name("written_ms");
        e.set(&written, now);
    })
}

/// The write that takes a fan-out over from everybody whose lease has run out at `now` (epoch ms), if they still are as
/// `seen`.
pub(crate) fn claim(seen: &PendingFanout, lease: &FanoutLease, now: i64) -> Expression {
    Expression::of(|e| {
        e.expect_item();
        let owners = e.name(OWNERS);
        for owner in seen.owners.iter().filter(|owner| owner.has_run_out(now)) {
            let (token, field) = (e.name(owner.token.clone()), e.name(LEASE));
            e.expect_some(&format!("{owners}.{token}"));
            e.absent_or(&format!("{owners}.{token}.{field}"), "<", now);
            e.remove(&format!("{owners}.{token}"));
        }
        match &seen.sole_owner {
            Some(owner) if owner.has_run_out(now) => {
                let names = SOLE.map(|name| e.name(name));
                e.expect(&names[0], Some(s(&owner.token)));
                e.absent_or(&names[1], "<", now);
                names.iter().for_each(|name| e.remove(name));
            }
            None if seen.owners.is_empty() => {
                let token = e.name(SOLE[0]);
                e.expect(&token, None::<i64>);
            }
            Some(_) | None => {}
        }
        if seen.has_map {
            e.expect_some(&owners);
            if seen.owners.is_empty() {
                e.compare(&format!("size({owners})"), "=", 0);
            }
            let own = e.name(lease.token.clone());
            e.set(&format!("{owners}.{own}"), entry(lease.until_ms));
        } else {
            e.expect(&owners, None::<i64>);
            e.set(&owners, AttributeValue::M(HashMap::from([(lease.token.clone(), entry(lease.until_ms))])));
        }
    })
}

/// The write that takes the token of `lease` off a record.
pub(crate) fn release(lease: &FanoutLease) -> Expression {
    Expression::of(|e| {
        let (owners, own) = (e.name(OWNERS), e.name(lease.token.clone()));
        e.expect_some(&format!("{owners}.{own}"));
        e.remove(&format!("{owners}.{own}"));
    })
}

/// The condition that nobody owes the fan-out any more.
pub(crate) fn unowned() -> Expression {
    Expression::of(|e| {
        let (owners, token) = (e.name(OWNERS), e.name(SOLE[0]));
        e.compare(&format!("size({owners})"), "=", 0);
        e.expect(&token, None::<i64>);
    })
}

/// The write that ends a lease before `now` (epoch ms), so that the next apply need not wait for it.
pub(crate) fn expire(lease: &FanoutLease, now: i64) -> Expression {
    Expression::of(|e| {
        let (owners, own) = (e.name(OWNERS), e.name(lease.token.clone()));
        e.expect_some(&format!("{owners}.{own}"));
        e.set(&format!("{owners}.{own}"), entry(now.saturating_sub(1)));
    })
}
