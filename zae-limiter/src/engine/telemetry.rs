//! Everything that is counted about acquires, in one place. `docs/operations.md` has the same table for people, and
//! `tests/acquire/observability.rs` compares the two.
//!
//! Three rules. No label holds an entity, a resource or anything else that grows with the customers: a metric has as
//! many series as there are limits' names, and no more. Counts of tokens are rounded up, so a counter of losses never
//! says less than was lost. And a grant from a reserve touches no metric at all: a lane counts its grants in plain
//! integers and reports them when its worker next runs.

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
/// From sending to the answer.
const WRITE_SECONDS: &str = "zae_store_write_seconds";
/// Whole units, rounded up for each write.
const WRITE_UNITS: &str = "zae_store_write_units_total";
/// One read unit each, for items below 4 KB.
const READS: &str = "zae_store_reads_total";
/// Labels: `reason`.
const RETRIES: &str = "zae_store_retries_total";
/// One value for each round.
const ROUND_TRIPS: &str = "zae_round_trips";
/// One value for each write that was done.
const BATCH: &str = "zae_batch_size";
/// One value for each ask.
const QUEUE_SECONDS: &str = "zae_queue_seconds";
/// One value for each settlement.
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

/// Tells the recorder what the names mean, once per process.
pub(crate) fn describe() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let counters = [
            (ACQUIRES, Unit::Count, "acquires, by how they ended"),
            (REFUSALS, Unit::Count, "refused acquires, by who said no"),
            (WRITES, Unit::Count, "writes of buckets, by what became of them"),
            (WRITE_UNITS, Unit::Count, "write units that DynamoDB counted, indexes included"),
            (
                READS,
                Unit::Count,
                "reads of buckets before a write, where reserves of several processes want the same tokens",
            ),
            (RETRIES, Unit::Count, "writes that had to be sent again, by why"),
            (LATE, Unit::Count, "answers to writes after their deadline, by outcome"),
            (LOST, Unit::Count, "adjustments and refunds that could not be written"),
            (RESERVE_GRANTS, Unit::Count, "grants from tokens debited ahead"),
            (RESERVE_TOKENS, Unit::Count, "tokens debited ahead, by what became of them"),
            (OVER, Unit::Count, "tokens granted beyond what the table had, by cause"),
            (UNDER, Unit::Count, "tokens taken from the table that nobody was granted, by cause"),
        ];
        for (name, unit, text) in counters {
            metrics::describe_counter!(name, unit, text);
        }
        metrics::describe_gauge!(SKEW, Unit::Seconds, "seconds by which this machine's clock is ahead of DynamoDB's");
        let histograms = [
            (WRITE_SECONDS, Unit::Seconds, "how long a write took"),
            (ROUND_TRIPS, Unit::Count, "writes that a batch needed until everybody in it was answered"),
            (BATCH, Unit::Count, "acquires served by one write"),
            (QUEUE_SECONDS, Unit::Seconds, "how long an acquire waited for its bucket's turn"),
            (FLUSH_SECONDS, Unit::Seconds, "how long a settlement waited for its write to begin"),
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
    /// The limiter said no: not yet, never, or disabled.
    Refused,
    /// Neither yes nor no: a wrong request or setup.
    Error,
    /// Granted under `Allow` while the store was away.
    Blind,
    /// Granted from this process's share while the store was away.
    Local,
    /// Refused because the store was away.
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
        // Most of them: with a literal, nothing is put together for them.
        Ending::Granted => counter!(ACQUIRES, "outcome" => "granted").increment(count),
        _ => counter!(ACQUIRES, "outcome" => ending.as_str()).increment(count),
    }
}

/// The source of a refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refuser {
    /// The answer to a write.
    Store,
    /// An answer of a moment ago.
    Memory,
    /// A bucket known to be nearly empty, in reserve mode.
    Ration,
    /// This process's own share, while the store is away.
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

/// One write.
pub(crate) fn wrote(kind: &'static str, units: f64, took: Duration) {
    counter!(WRITES, "kind" => kind).increment(1);
    histogram!(WRITE_SECONDS).record(took.as_secs_f64());
    // A counter counts whole units; only reads cost halves.
    counter!(WRITE_UNITS).increment(units.ceil() as u64);
}

/// One read of a bucket before its write.
pub(crate) fn looked() {
    counter!(READS).increment(1);
}

/// Counts a write that has to be sent again: `condition` for a neighbour, `throttled` for DynamoDB.
pub(crate) fn again(reason: &'static str) {
    counter!(RETRIES, "reason" => reason).increment(1);
}

/// The outcome of a write whose answer came after its deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LateAnswer {
    /// It was done; what it took goes back.
    Done,
    /// It certainly was not done; what it settles is settled again.
    NotDone,
    /// It never came.
    Never,
}

/// Counts an answer that came after its deadline, or not at all.
pub(crate) fn late(answer: LateAnswer) {
    let outcome = match answer {
        LateAnswer::Done => "done",
        LateAnswer::NotDone => "not_done",
        LateAnswer::Never => "never",
    };
    counter!(LATE, "outcome" => outcome).increment(1);
}

/// Records how many asks one write served.
pub(crate) fn served(count: usize) {
    histogram!(BATCH).record(count as f64);
}

/// Records how many writes a round took.
pub(crate) fn answered(round_trips: u32) {
    histogram!(ROUND_TRIPS).record(f64::from(round_trips));
}

/// Records how long each ask of a round has waited for it.
pub(crate) fn queued(waits: impl ExactSizeIterator<Item = Duration>) {
    waited(QUEUE_SECONDS, waits);
}

/// Records how long each settlement of a round has waited for it.
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

/// Grants from a reserve that were not counted one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    /// Buckets that were taken from.
    pub(crate) targets: u64,
    /// Of them, those that were the last thing an acquire needed.
    pub(crate) acquires: u64,
}

/// Grants from a reserve since the last report: counted here, and not one by one, because they are to cost nothing.
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
    /// They were too old to go back.
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

/// Why more was granted than the table had.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Over {
    /// Granted without asking.
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

/// Why less was granted than the table gave.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Under {
    /// The outcome of a write is unknown; it counts as done, and nobody was granted what it took.
    UnknownWrite,
    /// A refund could not be written, or its outcome is unknown.
    LostRefund,
    /// A reserve could not be returned in time.
    Forfeited,
}

/// Counts mt taken from the table that nobody was granted.
pub(crate) fn under(cause: Under, limit: &LimitName, amount: i64) {
    let cause = match cause {
        Under::UnknownWrite => "unknown_write",
        Under::LostRefund => "lost_refund",
        Under::Forfeited => "forfeited",
    };
    count(UNDER, "cause", cause, limit, amount);
}

/// Counts `amount` mt as whole tokens, a started one included.
fn count(name: &'static str, label: &'static str, value: &'static str, limit: &LimitName, amount: i64) {
    let tokens = u64::try_from(amount).unwrap_or(0).div_ceil(MILLI.unsigned_abs());
    if tokens > 0 {
        counter!(name, label => value, "limit" => limit.to_string()).increment(tokens);
    }
}

/// Counts and logs settlements that are given up.
pub(crate) fn settlements_lost(count: usize, error: &RepositoryError) {
    counter!(LOST).increment(count as u64);
    tracing::warn!(error = %error, settlements = count, "settlements may be lost");
}

/// Tells that this machine's clock is corrected by `ahead_ms`, or no longer (0).
pub(crate) fn clock_skew(ahead_ms: i64) {
    gauge!(SKEW).set(ahead_ms as f64 / 1_000.0);
    if ahead_ms == 0 {
        tracing::info!("this machine's clock agrees with DynamoDB's again");
    } else {
        tracing::warn!(ahead_ms, "this machine's clock is wrong; DynamoDB's is used in its place. Check NTP");
    }
}

/// Tells of a refill instant that lies too far ahead: when it is first noted, and when it is reset.
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
