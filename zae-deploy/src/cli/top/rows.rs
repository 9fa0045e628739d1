//! Buckets as rows: use, rate, and time until full.

use std::{cmp::Ordering, collections::HashMap, time::Duration};

use clap::ValueEnum;
use serde::Serialize;
use zae_limiter::{
    EntityId, LimitName, ResourceName,
    usage::{BucketLimit, BucketState},
};

/// One limit of one bucket at one instant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) entity_id: EntityId,
    pub(crate) resource: ResourceName,
    pub(crate) limit: LimitName,
    pub(crate) capacity: i64,
    pub(crate) available: i64,
    /// Used part of the capacity, in per cent; more than 100 in debt.
    pub(crate) used_percent: f64,
    /// Net consumption since the previous refresh, in tokens per second; `None` at the first refresh.
    pub(crate) rate_per_second: Option<f64>,
    /// Time until it is full, if nothing is taken.
    pub(crate) full_in_seconds: u64,
    pub(crate) shard_count: u32,
    /// Net consumption since the bucket was created, in tokens.
    pub(crate) consumed: i64,
}

/// The order of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// Emptiest first
    #[default]
    Used,
    /// Busiest first
    Rate,
    /// Longest time until full first
    Full,
    /// Alphabetically by entity, resource and limit
    Name,
}

impl Sort {
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Used => Self::Rate,
            Self::Rate => Self::Full,
            Self::Full => Self::Name,
            Self::Name => Self::Used,
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Rate => "rate",
            Self::Full => "time to full",
            Self::Name => "name",
        }
    }

    fn compare(self, a: &Row, b: &Row) -> Ordering {
        let name = || (&a.entity_id, &a.resource, &a.limit).cmp(&(&b.entity_id, &b.resource, &b.limit));
        let first = match self {
            Self::Used => b.used_percent.total_cmp(&a.used_percent),
            Self::Rate => b.rate_per_second.unwrap_or(0.0).total_cmp(&a.rate_per_second.unwrap_or(0.0)),
            Self::Full => b.full_in_seconds.cmp(&a.full_in_seconds),
            Self::Name => Ordering::Equal,
        };
        first.then_with(name)
    }
}

/// Sorts rows, and keeps those whose entity or resource contains `filter`.
pub(crate) fn arranged(rows: &[Row], sort: Sort, filter: &str) -> Vec<Row> {
    let wanted = |row: &&Row| row.entity_id.as_str().contains(filter) || row.resource.as_str().contains(filter);
    let mut rows: Vec<Row> = rows.iter().filter(wanted).cloned().collect();
    rows.sort_by(|a, b| sort.compare(a, b));
    rows
}

/// The history of refreshes, of which only the last is kept.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// Consumption by bucket and limit, and the time of reading (epoch ms).
    before: HashMap<(EntityId, ResourceName, LimitName), (i64, i64)>,
}

impl Looks {
    /// Returns the rows of a refresh at `now_ms`.
    pub(crate) fn rows(&mut self, buckets: &[BucketState], now_ms: i64) -> Vec<Row> {
        let mut seen = HashMap::new();
        let mut rows = Vec::new();
        for bucket in buckets {
            for limit in &bucket.limits {
                let key = (bucket.entity_id.clone(), bucket.resource.clone(), limit.name.clone());
                let before = self.before.get(&key).copied();
                rows.push(row(bucket, limit, before.and_then(|before| rate(before, (limit.consumed, now_ms)))));
                seen.insert(key, (limit.consumed, now_ms));
            }
        }
        self.before = seen;
        rows
    }
}

/// Returns the tokens per second between two readings of a counter. A decrease means that the counter started over, or
/// more was given back than taken.
fn rate((before, then): (i64, i64), (after, now): (i64, i64)) -> Option<f64> {
    let ms = now - then;
    (ms > 0).then(|| (after.saturating_sub(before) as f64 / ms as f64 * 1_000.0).max(0.0))
}

fn row(bucket: &BucketState, limit: &BucketLimit, rate_per_second: Option<f64>) -> Row {
    let used = limit.capacity.saturating_sub(limit.available);
    Row {
        entity_id: bucket.entity_id.clone(),
        resource: bucket.resource.clone(),
        limit: limit.name.clone(),
        capacity: limit.capacity,
        available: limit.available,
        used_percent: used as f64 / limit.capacity.max(1) as f64 * 100.0,
        rate_per_second,
        full_in_seconds: full_in(used, limit.refill_amount, limit.refill_period),
        shard_count: bucket.shard_count,
        consumed: limit.consumed,
    }
}

/// Returns the whole seconds until `missing` tokens have been refilled, rounded up.
fn full_in(missing: i64, refill: i64, period: Duration) -> u64 {
    let (Ok(missing), Ok(refill)) = (u128::try_from(missing), u128::try_from(refill)) else { return 0 };
    if refill == 0 {
        return 0;
    }
    u64::try_from((missing * u128::from(period.as_secs())).div_ceil(refill)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_needs_two_looks_and_is_never_negative() {
        assert_eq!(rate((100, 1_000), (160, 4_000)), Some(20.0));
        assert_eq!(rate((100, 1_000), (40, 4_000)), Some(0.0));
        assert_eq!(rate((100, 1_000), (160, 1_000)), None);
    }

    #[test]
    fn the_time_until_full_is_rounded_up() {
        let minute = Duration::from_secs(60);
        assert_eq!(full_in(0, 100, minute), 0);
        assert_eq!(full_in(-5, 100, minute), 0);
        assert_eq!(full_in(1, 100, minute), 1);
        assert_eq!(full_in(100, 100, minute), 60);
        assert_eq!(full_in(150, 100, minute), 90);
    }
}
