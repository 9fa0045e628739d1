//! All metrics about acquires, in one place. `docs/operations.md` has the same table for people, and
//! `tests/acquire/observability.rs` compares the two.
//!
//! Three rules. No label contains an entity, a resource or anything else that grows with the customers: a metric has at
//! most as many series as there are limit names. Counts of tokens are rounded up, so a counter of losses never
//! understates them. And a grant from a reserve touches no metric at all: a lane counts its grants in plain integers
//! and reports them when its worker next runs.

use std::{sync::Once, time::Duration};

use metrics::{Unit, counter, gauge, histogram};

use crate::{
    bucket::{MILLI, image::Image, key::BucketKey},
    error::{RepositoryError, UnavailableReason},
    model::name::{EntityId, LimitName, ResourceName},
};

/// Labels: `outcome`.
const ACQUIRES: &str = "zae_acquires_total";
/// Labels: `by`.
const REFUSALS: &str = "zae_refusals_total";
/// Labels: `kind`.
const WRITES: &str = "zae_store_writes_total";
/// From sending to the response.
const WRITE_SECONDS: &str = "zae_store_write_seconds";
/// Whole units, rounded up for each write.
const WRITE_UNITS: &str = "zae_store_write_units_total";
/// One read unit each, for items below 4 KB.
const READS: &str = "zae_store_reads_total";
/// Labels: `reason`.
const RETRIES: &str = "zae_store_retries_total";
/// One value per round.
const ROUND_TRIPS: &str = "zae_round_trips";
/// One value per successful write.
const BATCH: &str = "zae_batch_size";
/// One value per ask.
const QUEUE_SECONDS: &str = "zae_queue_seconds";
/// One value per settlement.
const FLUSH_SECONDS: &str = "zae_settlement_delay_seconds";
/// 0 while the machine's clock agrees with the store's.
const SKEW: &str = "zae_clock_skew_seconds";
/// Labels: `outcome`.
const LATE: &str = "zae_late_answers_total";
/// Settlements, not tokens.
const LOST: &str = "zae_settlements_lost_total";
/// Buckets taken from, so a cascade counts twice.
const RESERVE_GRANTS: &str = "zae_reserve_grants_total";
/// Labels: `event`, `limit`.
const RESERVE_TOKENS: &str = "zae_reserve_tokens_total";
/// Labels: `cause`, `limit`; an estimate from above.
const OVER: &str = "zae_over_admission_tokens_total";
/// Labels: `cause`, `limit`.
const UNDER: &str = "zae_under_admission_tokens_total";

/// Describes the metrics to the recorder, once per process.
pub(crate) fn describe() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let counters = [
            (ACQUIRES, Unit::Count, "acquires by outcome"),
            (REFUSALS, Unit::Count, "refused acquires by source"),
            (WRITES, Unit::Count, "bucket writes by result"),
            (WRITE_UNITS, Unit::Count, "write units that DynamoDB counted, indexes included"),
            (
                READS,
                Unit::Count,
                "reads of buckets before a write, if reserves of several processes compete for the same tokens",
            ),
            (RETRIES, Unit::Count, "writes that were sent again, by reason"),
            (LATE, Unit::Count, "answers to writes after their deadline, by outcome"),
            (LOST, Unit::Count, "adjustments and refunds that could not be written"),
            (RESERVE_GRANTS, Unit::Count, "grants from tokens debited ahead"),
            (RESERVE_TOKENS, Unit::Count, "tokens debited ahead, and the fate of the unused ones"),
            (OVER, Unit::Count, "tokens granted beyond what the table had, by cause"),
            (UNDER, Unit::Count, "tokens taken from the table in vain, by cause"),
        ];
        for (name, unit, text) in counters {
            metrics::describe_counter!(name, unit, text);
        }
        metrics::describe_gauge!(SKEW, Unit::Seconds, "seconds by which this machine's clock is ahead of DynamoDB's");
        let histograms = [
            (WRITE_SECONDS, Unit::Seconds, "duration of a write"),
            (ROUND_TRIPS, Unit::Count, "writes until every acquire of a batch was answered"),
            (BATCH, Unit::Count, "acquires served by one write"),
            (QUEUE_SECONDS, Unit::Seconds, "wait of an acquire for its bucket's turn"),
            (FLUSH_SECONDS, Unit::Seconds, "wait of a settlement until its write began"),
        ];
        for (name, unit, text) in histograms {
            metrics::describe_histogram!(name, unit, text);
        }
    });
}

/// The outcome of an acquire.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// Tokens were taken, from the table or a reserve.
    Granted,
    /// The limiter refused: not yet, never, or disabled.
    Refused,
    /// An error: an invalid request or configuration.
    Error,
    /// Granted under `Allow` while the store was unavailable.
    Blind,
    /// Granted from this process's share while the store was unavailable.
    Local,
    /// Refused because the store was unavailable.
    Unavailable,
}

impl Ending {
    /// Returns the label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Error => "error",
            Self::Blind => "blind",
            Self::Local => "local",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Counts acquires of one outcome.
pub(crate) fn acquires(ending: Ending, count: u64) {
    match ending {
        // The most frequent case: a literal, so that no key is built.
        Ending::Granted => counter!(ACQUIRES, "outcome" => "granted").increment(count),
        _ => counter!(ACQUIRES, "outcome" => ending.as_str()).increment(count),
    }
}

/// The source of a refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refuser {
    /// The response to a write.
    Store,
    /// A recent response.
    Memory,
    /// A bucket known to be nearly empty, in reserve mode.
    Ration,
    /// This process's own share, while the store is unavailable.
    Share,
}

/// Counts a refusal.
pub(crate) fn refused(by: Refuser) {
    let by = match by {
        Refuser::Store => "store",
        Refuser::Memory => "memory",
        Refuser::Ration => "ration",
        Refuser::Share => "share",
    };
    counter!(REFUSALS, "by" => by).increment(1);
}

/// Records one write.
pub(crate) fn wrote(kind: &'static str, units: f64, took: Duration) {
    counter!(WRITES, "kind" => kind).increment(1);
    histogram!(WRITE_SECONDS).record(took.as_secs_f64());
    // A counter counts whole units; only reads cost halves.
    counter!(WRITE_UNITS).increment(units.ceil() as u64);
}

/// Records one read of a bucket before its write.
pub(crate) fn looked() {
    counter!(READS).increment(1);
}

/// Counts a write that has to be sent again: `condition` for a neighbour, `throttled` for DynamoDB.
pub(crate) fn again(reason: &'static str) {
    counter!(RETRIES, "reason" => reason).increment(1);
}

/// The outcome of a write whose response came after its deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LateAnswer {
    /// It was done; the tokens it took go back.
    Done,
    /// It certainly was not done; its settlements are queued again.
    NotDone,
    /// The response never came.
    Never,
}

/// Counts a response that came after its deadline, or not at all.
pub(crate) fn late(answer: LateAnswer) {
    let outcome = match answer {
        LateAnswer::Done => "done",
        LateAnswer::NotDone => "not_done",
        LateAnswer::Never => "never",
    };
    counter!(LATE, "outcome" => outcome).increment(1);
}

/// Records the number of asks that one write served.
pub(crate) fn served(count: usize) {
    histogram!(BATCH).record(count as f64);
}

/// Records the number of writes in a round.
pub(crate) fn answered(round_trips: u32) {
    histogram!(ROUND_TRIPS).record(f64::from(round_trips));
}

/// Records the wait of each ask of a round.
pub(crate) fn queued(waits: impl ExactSizeIterator<Item = Duration>) {
    waited(QUEUE_SECONDS, waits);
}

/// Records the wait of each settlement of a round.
pub(crate) fn settling(waits: impl ExactSizeIterator<Item = Duration>) {
    waited(FLUSH_SECONDS, waits);
}

/// Records waits, without looking up a histogram for none.
fn waited(name: &'static str, waits: impl ExactSizeIterator<Item = Duration>) {
    if waits.len() > 0 {
        let histogram = histogram!(name);
        waits.for_each(|waited| histogram.record(waited.as_secs_f64()));
    }
}

/// Grants from a reserve that were not counted individually.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    /// Number of buckets taken from.
    pub(crate) targets: u64,
    /// Of these, those that completed an acquire.
    pub(crate) acquires: u64,
}

/// Reports the grants from a reserve since the last report, which are counted in bulk because each must cost nothing.
pub(crate) fn reserve_grants(grants: Grants) {
    if grants.targets > 0 {
        counter!(RESERVE_GRANTS).increment(grants.targets);
    }
    if grants.acquires > 0 {
        acquires(Ending::Granted, grants.acquires);
    }
}

/// The fate of tokens that were debited ahead.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReserveFlow {
    /// A write took them from the bucket.
    Debited,
    /// They went back unused.
    Returned,
    /// They were too old to be returned.
    Forfeited,
}

/// Counts tokens of a reserve, in mt, by limit.
pub(crate) fn reserve_tokens<'a>(what: ReserveFlow, amounts: impl IntoIterator<Item = (&'a LimitName, i64)>) {
    let event = match what {
        ReserveFlow::Debited => "debited",
        ReserveFlow::Returned => "returned",
        ReserveFlow::Forfeited => "forfeited",
    };
    for (limit, amount) in amounts {
        count(RESERVE_TOKENS, "event", event, limit, amount);
    }
}

/// The reason why more was granted than the table had.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Over {
    /// Granted without consulting the store.
    Blind,
    /// Granted from this process's share.
    Local,
    /// Adjustments took a balance below zero.
    Debt,
}

/// Counts mt granted beyond what the table had.
pub(crate) fn over(cause: Over, limit: &LimitName, amount: i64) {
    let cause = match cause {
        Over::Blind => "blind",
        Over::Local => "local",
        Over::Debt => "debt",
    };
    count(OVER, "cause", cause, limit, amount);
}

/// The reason why less was granted than taken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Under {
    /// The outcome of a write is unknown; it counts as done, and its tokens were taken in vain.
    UnknownWrite,
    /// A refund could not be written, or its outcome is unknown.
    LostRefund,
    /// A reserve could not be returned in time.
    Forfeited,
}

/// Counts mt taken from the table in vain.
pub(crate) fn under(cause: Under, limit: &LimitName, amount: i64) {
    let cause = match cause {
        Under::UnknownWrite => "unknown_write",
        Under::LostRefund => "lost_refund",
        Under::Forfeited => "forfeited",
    };
    count(UNDER, "cause", cause, limit, amount);
}

/// Counts `amount` mt as whole tokens, rounded up.
fn count(name: &'static str, label: &'static str, value: &'static str, limit: &LimitName, amount: i64) {
    let tokens = u64::try_from(amount).unwrap_or(0).div_ceil(MILLI.unsigned_abs());
    if tokens > 0 {
        counter!(name, label => value, "limit" => limit.to_string()).increment(tokens);
    }
}

/// Counts and logs abandoned settlements.
pub(crate) fn settlements_lost(count: usize, error: &RepositoryError) {
    counter!(LOST).increment(count as u64);
    tracing::warn!(error = %error, settlements = count, "settlements may be lost");
}

/// Reports that this machine's clock is corrected by `ahead_ms`, or no longer (0).
pub(crate) fn clock_skew(ahead_ms: i64) {
    gauge!(SKEW).set(ahead_ms as f64 / 1_000.0);
    if ahead_ms == 0 {
        tracing::info!("this machine's clock agrees with DynamoDB's again");
    } else {
        tracing::warn!(ahead_ms, "this machine's clock is wrong; DynamoDB's is used in its place. Check NTP");
    }
}

/// Logs a refill instant that is too far ahead: when it is first recorded, and when it is reset.
pub(crate) fn clock_ahead(key: &BucketKey, before: &Image, after: &Image, now: i64) {
    let BucketKey { entity, resource, shard } = key;
    if after.watch.is_some() && after.watch != before.watch {
        let ahead_ms = before.last_refill.saturating_sub(now);
        tracing::warn!(%entity, %resource, shard, ahead_ms, "a clock is wrong: a bucket was refilled far in the \
            future");
    } else if after.last_refill < before.last_refill {
        let ahead_ms = before.last_refill.saturating_sub(after.last_refill);
        tracing::warn!(%entity, %resource, shard, ahead_ms, "a bucket that was refilled far in the future is reset");
    }
}

/// Logs an acquire that ended without a lease.
pub(crate) fn acquire_refused(entity: &EntityId, resource: &ResourceName, error: &crate::error::AcquireError) {
    tracing::debug!(%entity, %resource, %error, "acquire refused");
}

/// Logs an acquire that a policy answered.
pub(crate) fn store_not_asked(entity: &EntityId, resource: &ResourceName, reason: UnavailableReason, ending: Ending) {
    tracing::debug!(%entity, %resource, %reason, outcome = ending.as_str(), "store not asked");
}
