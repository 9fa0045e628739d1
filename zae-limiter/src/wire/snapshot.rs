//! One usage snapshot and an addition to it, before they are items.

use std::collections::BTreeMap;

use crate::{
    model::usage::UsageWindow,
    wire::{keys, sequence::SequenceNumber},
};

/// Identifies a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Snapshot {
    pub(crate) namespace: String,
    pub(crate) entity: String,
    pub(crate) resource: String,
    pub(crate) window: UsageWindow,
    pub(crate) start: String,
}

/// The change that one write makes to a snapshot.
#[derive(Debug)]
pub(crate) struct Addition {
    /// Whole tokens by limit.
    pub(crate) tokens: BTreeMap<String, i64>,
    pub(crate) events: i64,
    /// By shard: the last record counted before, and the last one counted with this.
    pub(crate) marks: BTreeMap<u32, (SequenceNumber, SequenceNumber)>,
}

/// The partition key is the entity's, so that what is in the way of one entity is not in the way of others.
pub(crate) fn pk(snapshot: &Snapshot) -> String {
    keys::pk_entity(&snapshot.namespace, &snapshot.entity)
}
