//! The provisioner's state as an item.
//!
//! The record contains what the last manifest declared, from which the next one determines what it no longer does.
//! `z_owner`, `z_manifest` and `z_replaced` are our own: the owner of the current manifest, its text, and the one that
//! it replaced, which a rollback of CloudFormation has to restore.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    keys,
    values::{get_bool, get_s, item, s},
};
use crate::{
    model::provisioner::{ManifestClaim, ProvisionerState},
    wire::{
        Item,
        expression::{Expression, Key},
    },
};

/// Returns the key of a namespace's state.
pub(crate) fn key(ns: &str) -> Key {
    Key::new(keys::pk_system(ns), keys::sk_provisioner())
}

/// Decodes a list or a set of texts: the Python package has written both.
fn texts(value: &AttributeValue) -> Vec<String> {
    match value {
        AttributeValue::L(values) => values.iter().filter_map(|value| value.as_s().ok().cloned()).collect(),
        AttributeValue::Ss(values) => values.clone(),
        _ => Vec::new(),
    }
}

/// Encodes a list of texts.
fn list(texts: &[String]) -> AttributeValue {
    AttributeValue::L(texts.iter().map(s).collect())
}

/// Decodes a claim; Python clients replace the whole record, and with it these attributes of our own.
fn claim(item: &Item, owner: &str, manifest: &str) -> ManifestClaim {
    let text = |name| get_s(item, name).map(str::to_owned);
    ManifestClaim { owner: text(owner), manifest: text(manifest) }
}

/// Returns the attributes of a claim, if it has any.
fn claimed(claim: &ManifestClaim, owner: &str, manifest: &str) -> Item {
    let pairs = [(owner, &claim.owner), (manifest, &claim.manifest)];
    pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), s(value.as_ref()?)))).collect()
}

/// Decodes the state; missing parts are empty.
pub(crate) fn decode(item: &Item) -> ProvisionerState {
    let entities = item.get("managed_entities").and_then(|value| value.as_m().ok());
    ProvisionerState {
        managed_system: get_bool(item, "managed_system").unwrap_or(false),
        managed_resources: item.get("managed_resources").map(texts).unwrap_or_default(),
        managed_entities: entities
            .map(|map| map.iter().map(|(entity, value)| (entity.clone(), texts(value))).collect())
            .unwrap_or_default(),
        last_applied: get_s(item, "last_applied").map(str::to_owned),
        applied_hash: get_s(item, "applied_hash").map(str::to_owned),
        claim: item.contains_key("z_owner").then(|| claim(item, "z_owner", "z_manifest")),
        replaced: item.get("z_replaced").and_then(|value| value.as_m().ok()).map(|map| claim(map, "owner", "manifest")),
    }
}

/// Encodes the item. Unlike the Python package's it has the sort key of GSI4, so that a purge finds it in the index.
pub(crate) fn encode(ns: &str, state: &ProvisionerState) -> Item {
    let entities = state.managed_entities.iter().map(|(entity, resources)| (entity.clone(), list(resources)));
    let pk = keys::pk_system(ns);
    let mut item = item([
        ("PK", s(&pk)),
        ("SK", s(keys::sk_provisioner())),
        ("managed_system", AttributeValue::Bool(state.managed_system)),
        ("managed_resources", list(&state.managed_resources)),
        ("managed_entities", AttributeValue::M(entities.collect())),
        ("GSI4PK", s(ns)),
        ("GSI4SK", s(pk)),
    ]);
    for (name, value) in [("last_applied", &state.last_applied), ("applied_hash", &state.applied_hash)] {
        if let Some(value) = value {
            item.insert(name.to_owned(), s(value));
        }
    }
    if let Some(claim) = &state.claim {
        item.extend(claimed(claim, "z_owner", "z_manifest"));
    }
    if let Some(replaced) = &state.replaced {
        item.insert("z_replaced".to_owned(), AttributeValue::M(claimed(replaced, "owner", "manifest")));
    }
    item
}

/// Returns the condition that nothing was applied since `seen` was read.
pub(crate) fn unchanged(seen: &ProvisionerState) -> Expression {
    Expression::of(|e| {
        e.expect("last_applied", seen.last_applied.as_deref().map(s));
        e.expect("applied_hash", seen.applied_hash.as_deref().map(s));
    })
}
