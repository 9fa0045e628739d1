//! Counts consumption, so that every record counts once, however often and in whatever batches it is delivered.
//!
//! A snapshot stores, for every shard of the bucket, the last record that was counted in it, in an attribute that
//! changes with the counters in one write. Records of one item arrive in order; when a batch is delivered again, in
//! whole or in part, its records are not newer than the stored one and add nothing. A process that ends between two
//! snapshots leaves one counted and the other not, and the next delivery completes it.
//!
//! For example, records 11, 12 and 13 of a shard are counted, and the mark is 13. Lambda delivers 12 to 15 again. The
//! write expects a mark below 12 and is rejected with the item; the records after 13 remain, and the second attempt
//! adds 14 and 15 on the condition that the mark still is below 14.
//!
//! Each record is rounded separately, so that the result does not depend on the batches: two records of 700 mt count 0
//! tokens each, in one batch or in two. Consumption in whole tokens, which is what acquires take, loses nothing.

use std::collections::{BTreeMap, HashMap};

use super::{BucketChange, StreamTable};
use crate::{
    bucket::MILLI,
    error::{RepositoryError, StoreError, StoreErrorKind},
    model::usage::UsageWindow,
    store::{ConditionalUpdate, Store},
    wire::{
        sequence::SequenceNumber,
        snapshot::{Addition, Snapshot},
        usage,
    },
};

/// Number of attempts at a snapshot while other writers change it.
const TRIES: u32 = 8;

/// The consumption of a batch of records, by snapshot.
///
/// See the [module](crate::stream) for an example.
#[derive(Debug, Default)]
pub struct UsageCounts {
    /// The lengths of windows to count.
    windows: Vec<UsageWindow>,
    /// The contributions to each snapshot, by shard.
    writes: BTreeMap<Snapshot, BTreeMap<u32, Vec<Piece>>>,
}

/// The contribution of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    /// The record's position.
    sequence: SequenceNumber,
    /// Whole tokens by limit.
    tokens: Vec<(String, i64)>,
    /// The soft limits that were left in debt.
    overdrawn: Vec<String>,
}

/// The amounts to add to one snapshot, in one write.
///
/// See the [module](crate::stream) for an example.
#[derive(Clone, Debug)]
pub struct UsageWrite {
    /// The snapshot to add to.
    snapshot: Snapshot,
    /// The contributions by shard, in the order of the stream.
    shards: BTreeMap<u32, Vec<Piece>>,
}

/// The outcome of a [`UsageWrite`].
///
/// See the [module](crate::stream) for an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counted {
    /// True if anything was written.
    pub written: bool,
    /// Records that were counted now.
    pub records: u64,
    /// Records that had been counted before.
    pub duplicates: u64,
}

impl UsageCounts {
    /// Creates empty counts for snapshots of these lengths; unknown lengths are skipped.
    pub fn new(windows: impl IntoIterator<Item = UsageWindow>) -> Self {
        let known = |window: &UsageWindow| !matches!(window, UsageWindow::Other(_));
        Self { windows: windows.into_iter().filter(known).collect(), writes: BTreeMap::new() }
    }

    /// Adds a record's consumption to the windows of its time.
    ///
    /// Whole tokens are counted record by record, rounded down, so that the sum does not depend on the batches.
    pub fn add(&mut self, sequence: &SequenceNumber, change: &BucketChange) {
        if change.consumed.is_empty() {
            return;
        }
        let tokens = change.consumed.iter().map(|(limit, mt)| (limit.clone(), mt.div_euclid(MILLI))).collect();
        let piece = Piece { sequence: sequence.clone(), tokens, overdrawn: change.overdrawn.clone() };
        for window in &self.windows {
            let Some(start) = usage::window_start(change.at, window) else { continue };
            let snapshot = Snapshot {
                namespace: change.namespace.clone(),
                entity: change.entity.clone(),
                resource: change.resource.clone(),
                window: window.clone(),
                start,
            };
            let pieces = self.writes.entry(snapshot).or_default().entry(change.shard).or_default();
            // The same record twice in one batch counts once.
            if pieces.iter().all(|other| other.sequence != piece.sequence) {
                pieces.push(piece.clone());
            }
        }
    }

    /// Converts the counts to one write per snapshot.
    pub fn into_writes(self) -> Vec<UsageWrite> {
        let sorted = |mut shards: BTreeMap<u32, Vec<Piece>>| {
            shards.values_mut().for_each(|pieces| pieces.sort_by(|a, b| a.sequence.cmp(&b.sequence)));
            shards
        };
        self.writes.into_iter().map(|(snapshot, shards)| UsageWrite { snapshot, shards: sorted(shards) }).collect()
    }
}

impl UsageWrite {
    /// Returns the entity.
    pub fn entity(&self) -> &str {
        &self.snapshot.entity
    }

    /// Returns the resource.
    pub fn resource(&self) -> &str {
        &self.snapshot.resource
    }

    /// Returns the window's length.
    pub fn window(&self) -> &UsageWindow {
        &self.snapshot.window
    }

    /// Returns the window's first second.
    pub fn window_start(&self) -> &str {
        &self.snapshot.start
    }

    /// Returns its first record, from which delivery must be repeated if it cannot be written.
    pub fn first_sequence(&self) -> Option<&SequenceNumber> {
        self.shards.values().filter_map(|pieces| pieces.first()).map(|piece| &piece.sequence).min()
    }

    /// Returns the number of its records.
    fn records(&self) -> u64 {
        self.shards.values().map(|pieces| pieces.len() as u64).sum()
    }

    /// Returns the part that is left to add, given the last counted record of each shard.
    pub(super) fn addition(&self, counted: &HashMap<u32, SequenceNumber>) -> Option<(Addition, u64)> {
        let mut addition =
            Addition { tokens: BTreeMap::new(), overdrawn: BTreeMap::new(), events: 0, marks: BTreeMap::new() };
        let mut records = 0;
        for (shard, pieces) in &self.shards {
            let known = counted.get(shard);
            let open: Vec<&Piece> =
                pieces.iter().filter(|piece| known.is_none_or(|known| piece.sequence > *known)).collect();
            let (Some(first), Some(last)) = (open.first(), open.last()) else { continue };
            addition.marks.insert(*shard, (first.sequence.clone(), last.sequence.clone()));
            records += open.len() as u64;
            for limit in open.iter().flat_map(|piece| &piece.overdrawn) {
                *addition.overdrawn.entry(limit.clone()).or_default() += 1;
            }
            for (limit, tokens) in open.iter().flat_map(|piece| &piece.tokens) {
                addition.events += 1;
                let sum = addition.tokens.entry(limit.clone()).or_default();
                *sum = sum.saturating_add(*tokens);
            }
        }
        (!addition.marks.is_empty()).then_some((addition, records))
    }
}

impl StreamTable {
    /// Adds to a snapshot everything that was not yet counted in it. A new snapshot is kept for `retention_days`.
    ///
    /// May be repeated: records that were already counted are recognised. Cancel safe for the same reason.
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be written; its effect is then unknown, and does not matter.
    pub async fn count(&self, write: &UsageWrite, retention_days: u32) -> Result<Counted, RepositoryError> {
        let all = write.records();
        let mut counted = HashMap::new();
        let key = usage::key(&write.snapshot);
        for _ in 0..TRIES {
            let Some((addition, records)) = write.addition(&counted) else {
                return Ok(Counted { written: false, records: 0, duplicates: all });
            };
            let change = usage::encode(&write.snapshot, &addition, self.clock.now_ms(), retention_days);
            match self.store.update_or_see(&key, change).await? {
                ConditionalUpdate::Done => return Ok(Counted { written: true, records, duplicates: all - records }),
                ConditionalUpdate::Refused(item) => counted = usage::marks(&item.unwrap_or_default()),
            }
        }
        Err(busy(&self.store, &key.pk))
    }
}

/// Creates the error of a snapshot that other writers kept changing.
fn busy(store: &Store, pk: &str) -> RepositoryError {
    let problem = format!("{pk} in {} was changed by others {TRIES} times in a row", store.table);
    StoreError::new("UpdateItem", StoreErrorKind::NotApplied, problem).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{StreamChange, StreamRecord};

    /// A change of a bucket whose limit `rpm` then holds `tokens` and has consumed `consumed`, in mt.
    fn change(soft: &serde_json::Value, [tokens, consumed]: [i64; 2]) -> StreamRecord {
        let image = |tokens: i64, consumed: i64| {
            let mut image = serde_json::json!({
                "PK": {"S": "ns/BUCKET#e#gpt-4#0"}, "SK": {"S": "#STATE"}, "rf": {"N": "1"},
                "b_rpm_tk": {"N": tokens.to_string()}, "b_rpm_cp": {"N": "10000"}, "b_rpm_ra": {"N": "10000"},
                "b_rpm_rp": {"N": "60000"}, "b_rpm_tc": {"N": consumed.to_string()},
            });
            image.as_object_mut().unwrap().extend(soft.as_object().unwrap().clone());
            image
        };
        let record = serde_json::json!({
            "eventName": "MODIFY",
            "dynamodb": {
                "SequenceNumber": "1", "ApproximateCreationDateTime": 1_767_225_600,
                "OldImage": image(10_000, 0), "NewImage": image(tokens, consumed),
            },
        });
        StreamRecord::parse(&record).unwrap()
    }

    #[test]
    fn a_soft_limit_that_is_left_in_debt_is_counted_as_such() {
        let soft = serde_json::json!({"b_rpm_soft": {"N": "1"}});
        for (soft, state, times) in [
            (soft.clone(), [-2_000, 12_000], Some(1)),
            (soft.clone(), [0, 10_000], None),
            (soft, [-2_000, -1_000], None),
            (serde_json::json!({}), [-2_000, 12_000], None),
        ] {
            let StreamRecord { sequence, change, .. } = change(&soft, state);
            let StreamChange::Bucket(change) = change else { panic!("{change:?}") };
            assert!(change.image.is_some(), "its bucket is refilled like any other");
            let mut counts = UsageCounts::new([UsageWindow::Hourly]);
            counts.add(&sequence, &change);
            let write = counts.into_writes().remove(0);
            let (addition, _) = write.addition(&HashMap::new()).unwrap();
            assert_eq!(addition.overdrawn.get("rpm").copied(), times, "{soft} {state:?}");
            assert_eq!((addition.events, addition.tokens["rpm"]), (1, state[1] / 1_000));
        }
    }
}
