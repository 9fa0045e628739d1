//! Refusals: not yet ([`RateLimitExceeded`]) and never ([`NeverFits`]).
//!
//! There are two types instead of one with an optional time, because retrying a request that never fits is a bug that
//! costs a call per retry. Both contain the limits concerned.
//!
//! The wait of a refusal is the longest of its limits' waits: all of them have to fit at once.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use crate::model::status::LimitStatus;

/// At least one limit has too few tokens now, but will have enough later.
///
/// Contains the status of every limit that was checked, including those that passed, child before parent.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{AcquireError, Cost, Limit, RateLimiter, Repository};
///
/// let repository = Repository::embedded().await?;
/// let limiter = RateLimiter::builder(repository).default_limits(Limit::per_minute("rpm", 1)?).build();
/// limiter.acquire("key-1", "api", Cost::of("rpm", 1)).await?.commit().await?;
///
/// let refused = limiter.acquire("key-1", "api", Cost::of("rpm", 1)).await;
/// let Err(AcquireError::Exceeded(refusal)) = refused else { panic!("one token was there") };
/// assert_eq!(refusal.primary().limit.name().as_str(), "rpm");
/// assert!(refusal.retry_after_header() <= 60); // whole seconds, for `Retry-After`
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimitExceeded {
    /// All limits that were checked, child before parent.
    statuses: Vec<LimitStatus>,
    /// Index of the violation with the longest wait.
    primary: usize,
}

impl RateLimitExceeded {
    /// Collects the statuses of one refused request; `None` if none of them is exceeded.
    pub fn new(statuses: Vec<LimitStatus>) -> Option<Self> {
        let mut primary: Option<usize> = None;
        for (index, status) in statuses.iter().enumerate().filter(|(_, status)| status.exceeded) {
            if primary.is_none_or(|best| status.retry_after > statuses[best].retry_after) {
                primary = Some(index);
            }
        }
        primary.map(|primary| Self { statuses, primary })
    }

    /// Returns every limit's status.
    pub fn statuses(&self) -> &[LimitStatus] {
        &self.statuses
    }

    /// Returns the limits that refused.
    pub fn violations(&self) -> impl Iterator<Item = &LimitStatus> {
        self.statuses.iter().filter(|status| status.exceeded)
    }

    /// Returns the limits that had enough tokens.
    pub fn passed(&self) -> impl Iterator<Item = &LimitStatus> {
        self.statuses.iter().filter(|status| !status.exceeded)
    }

    /// Returns the violation with the longest wait, the first of them on a tie.
    pub fn primary(&self) -> &LimitStatus {
        &self.statuses[self.primary]
    }

    /// Returns the time until the request would fit if no other call takes tokens.
    pub fn retry_after(&self) -> Duration {
        self.primary().retry_after
    }

    /// Returns the value of an HTTP `Retry-After`: whole seconds, rounded up, at least 1.
    pub fn retry_after_header(&self) -> u64 {
        let wait = self.retry_after();
        (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
    }

    /// Returns the same map as the Python package's `as_dict`, for bodies and logs of mixed fleets.
    ///
    /// It contains entity ids: do not send it to clients of a public service.
    pub fn to_map(&self) -> Value {
        let limits: Vec<Value> = self
            .statuses
            .iter()
            .map(|status| {
                let mut map = json!({
                    "entity_id": status.entity_id,
                    "resource": status.resource,
                    "limit_name": status.limit.name(),
                    "capacity": status.limit.capacity(),
                    "refill_amount": status.limit.refill_amount(),
                    "refill_period_seconds": status.limit.refill_period().as_secs(),
                    "available": status.available,
                    "requested": status.requested,
                    "exceeded": status.exceeded,
                    "retry_after_seconds": seconds(status.retry_after),
                });
                if let (true, Some(members)) = (status.limit.is_quota(), map.as_object_mut()) {
                    members.retain(|name, _| !name.starts_with("refill_"));
                    members.insert("kind".to_owned(), "quota".into());
                    members.insert("resets_at_ms".to_owned(), resets_at_ms(status).into());
                }
                map
            })
            .collect();
        json!({
            "error": "rate_limit_exceeded",
            "message": self.to_string(),
            "retry_after_seconds": seconds(self.retry_after()),
            "retry_after_ms": u64::try_from(self.retry_after().as_millis()).unwrap_or(u64::MAX),
            "limits": limits,
        })
    }
}

/// The next reset of a quota, in epoch ms.
fn resets_at_ms(status: &LimitStatus) -> Option<u64> {
    let next = status.resets_at.or_else(|| status.limit.next_reset(SystemTime::now()))?;
    let since = next.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

/// Returns seconds with three decimals, as the Python package rounds them.
fn seconds(wait: Duration) -> f64 {
    wait.as_millis() as f64 / 1000.0
}

impl fmt::Display for RateLimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let primary = self.primary();
        let names: Vec<&str> = self.violations().map(|status| status.limit.name().as_str()).collect();
        write!(
            f,
            "Rate limit exceeded for {}/{}: [{}]. Retry after {:.1}s",
            primary.entity_id,
            primary.resource,
            names.join(", "),
            seconds(self.retry_after())
        )
    }
}

impl std::error::Error for RateLimitExceeded {}

/// The amount is larger than a bucket's capacity: waiting does not help, only a smaller request or a larger limit does.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{AcquireError, Cost, Limit, RateLimiter, Repository};
///
/// let repository = Repository::embedded().await?;
/// let limiter = RateLimiter::builder(repository).default_limits(Limit::per_minute("tpm", 1_000)?).build();
/// let refused = limiter.acquire("key-1", "gpt-4", Cost::of("tpm", 1_001)).await;
/// let Err(AcquireError::NeverFits(refusal)) = refused else { panic!("it cannot fit") };
/// assert_eq!(refusal.violations()[0].limit.capacity(), 1_000);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NeverFits {
    /// The limits that are too small; never empty.
    violations: Vec<LimitStatus>,
}

impl NeverFits {
    /// Collects the limits whose capacity is too small; `None` if there are none.
    pub(crate) fn new(violations: Vec<LimitStatus>) -> Option<Self> {
        (!violations.is_empty()).then_some(Self { violations })
    }

    /// Returns the limits whose capacity is smaller than the requested amount.
    pub fn violations(&self) -> &[LimitStatus] {
        &self.violations
    }
}

impl fmt::Display for NeverFits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = &self.violations[0];
        write!(
            f,
            "{} tokens of {} never fit {}/{}: the capacity is {}. Ask for less or raise the limit",
            first.requested,
            first.limit.name(),
            first.entity_id,
            first.resource,
            first.limit.capacity()
        )
    }
}

impl std::error::Error for NeverFits {}
