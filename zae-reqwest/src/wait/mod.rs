//! Waiting for tokens, and for pauses to end: [`Wait`], [`WaitReason`].
//!
//! A process has one line per entity and resource, first come, first served. Between processes, jitter keeps the heads
//! of lines from asking at the same moment.

mod line;

use std::{fmt, sync::Arc, time::Duration};

pub(crate) use line::{Key, Lines, QueuePlace};
use zae_tower::{EntityId, ResourceName, zae_limiter::error::RateLimitExceeded};

/// The shortest and the longest range of jitter.
const JITTER: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(2));
/// The range of jitter after a wait that is no shorter: several times what round trips to the store differ by, which
/// would decide otherwise.
const TURN: Duration = Duration::from_millis(30);

/// The reason why a call waits.
///
/// See [`OutgoingLimit::on_wait`](crate::OutgoingLimit::on_wait) for an example.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WaitReason {
    /// A limit has too few tokens.
    Limit(Arc<RateLimitExceeded>),
    /// The provider asked for a pause, of this process or of another one on the same table.
    Provider {
        /// The provider's answer in short: `429`.
        said: Arc<str>,
    },
    /// Other calls are ahead in the line.
    Line,
    /// The store was unreachable and is retried.
    Store,
}

impl WaitReason {
    /// Returns the label for metrics: `limit`, `provider`, `line`, `store`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Limit(_) => "limit",
            Self::Provider { .. } => "provider",
            Self::Line => "line",
            Self::Store => "store",
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(exceeded) => {
                let names: Vec<&str> = exceeded.violations().map(|status| status.limit.name().as_str()).collect();
                write!(f, "the limits [{}] are used up", names.join(", "))
            }
            Self::Provider { said } => write!(f, "the provider asked for a pause ({said})"),
            Self::Line => f.write_str("others came first"),
            Self::Store => f.write_str("DynamoDB is unavailable"),
        }
    }
}

/// The start of a wait. A call may wait several times, for different reasons.
///
/// See [`OutgoingLimit::on_wait`](crate::OutgoingLimit::on_wait) for an example.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Wait<'a> {
    /// The entity that waits.
    pub entity: &'a EntityId,
    /// The resource that it waits for.
    pub resource: &'a ResourceName,
    /// The reason for the wait.
    pub reason: &'a WaitReason,
    /// Expected duration of the wait, jitter included; for [`WaitReason::Line`], its maximum.
    pub expected: Duration,
    /// Time that the call has waited before.
    pub waited: Duration,
}

/// Returns a random delay after `wait`, of up to a tenth of it. A call that was refused before takes the first half of
/// that range, any other the second half: so processes take turns instead of overtaking each other.
pub(crate) fn jitter(wait: Duration, refusals: u32) -> Duration {
    let half = (wait / 10).max(wait.min(TURN)).clamp(JITTER.0, JITTER.1) / 2;
    let within = half.mul_f64(rand::random::<f64>());
    if refusals == 0 { half + within } else { within }
}
