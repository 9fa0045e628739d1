//! Pauses as items: a record of our own, which other clients neither read nor count.
//!
//! Its partition key is a bucket's, because a role that may only acquire can write no other. Its sort key differs from
//! a bucket's, and it is only in the index of the namespace, so that a purge finds it, but neither an aggregator nor a
//! list of buckets does.

use std::time::Duration;

use super::{
    keys,
    values::{get_n, get_s, s},
};
use crate::{
    model::pause::Pause,
    wire::{
        Item,
        expression::{Expression, Key},
    },
};

/// Stored instead of an entity; no bucket of an entity has the sort key of a pause.
const ENTITY: &str = "z_pause";
/// The sort key of a pause.
const SORT_KEY: &str = "#Z_PAUSE";
/// Time that the table keeps an ended pause, in seconds.
const KEPT: i64 = 3600;

/// Returns the key of the pause of `scope`.
pub(crate) fn key(ns: &str, scope: &str) -> Key {
    Key::new(keys::pk_bucket(ns, ENTITY, scope, 0), SORT_KEY)
}

/// Decodes a pause; `None` if it has ended at `now_ms`, or the item is not ours.
pub(crate) fn decode(item: &Item, now_ms: i64) -> Option<Pause> {
    let until_ms = get_n(item, "z_until")?;
    let left = u64::try_from(until_ms.saturating_sub(now_ms)).ok().filter(|left| *left > 0)?;
    let reason = get_s(item, "z_reason").unwrap_or_default().to_owned();
    Some(Pause { until_ms, left: Duration::from_millis(left), reason })
}

/// Writes the pause, unless one is stored that ends as late.
pub(crate) fn extend(ns: &str, scope: &str, until_ms: i64, reason: &str) -> Expression {
    Expression::of(|e| {
        let ttl = e.name("ttl");
        e.set("z_until", until_ms);
        e.set("z_reason", s(reason));
        e.set(&ttl, until_ms.div_euclid(1000).saturating_add(KEPT));
        e.list_in_namespace(ns, &keys::gsi4_sk_bucket(ENTITY, scope, 0));
        e.absent_or("z_until", "<", until_ms);
    })
}
