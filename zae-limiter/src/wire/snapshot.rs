//! One usage snapshot and an addition to it, before they are encoded as items.

use std::collections::BTreeMap;

use crate::{
    model::usage::UsageWindow,
    wire::{keys, sequence::SequenceNumber},
};

/// Identifies a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Snapshot {
    /// The namespace's id.
    pub(crate) namespace: String,
    /// The entity's id.
    pub(crate) entity: String,
    /// The resource's name.
    pub(crate) resource: String,
    /// The window's length.
    pub(crate) window: UsageWindow,
    /// The window's first second, `YYYY-MM-DDTHH:MM:SSZ`.
    pub(crate) start: String,
}

/// The change that one write makes to a snapshot.
#[derive(Debug)]
pub(crate) struct Addition {
    /// Whole tokens by limit.
    pub(crate) tokens: BTreeMap<String, i64>,
    /// Number of times that a soft limit was left in debt, by limit.
    pub(crate) overdrawn: BTreeMap<String, i64>,
    /// Counted changes, one for each record and limit.
    pub(crate) events: i64,
    /// By shard: the last record counted before, and the last one counted by this write.
    pub(crate) marks: BTreeMap<u32, (SequenceNumber, SequenceNumber)>,
}

/// Returns the partition key, which is the entity's, so that contention on one entity does not affect others.
pub(crate) fn pk(snapshot: &Snapshot) -> String {
    keys::pk_entity(&snapshot.namespace, &snapshot.entity)
}
