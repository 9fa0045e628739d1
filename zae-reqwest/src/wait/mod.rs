//! Waiting for tokens, and for pauses to end: [`Wait`], [`WaitReason`].
//!
//! Per entity and resource there is one line in a process, first come, first served. Between processes, jitter keeps
//! those at the heads of their lines from asking at the same moment.

mod line;

use std::{fmt, sync::Arc, time::Duration};

pub(crate) use line::{Lines, QueuePlace};
use zae_tower::{EntityId, ResourceName, zae_limiter::error::RateLimitExceeded};

/// The shortest and the longest jitter.
const JITTER: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(2));

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
        /// The provider's answer, in short: `429`.
        said: Arc<str>,
    },
    /// Others came first.
    Line,
    /// The store could not be asked, and is asked again.
    Store,
}

impl WaitReason {
    /// The word for metrics: `limit`, `provider`, `line`, `store`.
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
            Self::Store => f.write_str("DynamoDB could not be asked"),
        }
    }
}

/// A wait that begins. A call may wait several times, for several reasons.
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
    /// Time that the wait will take, jitter included; for [`WaitReason::Line`], the time that it may take.
    pub expected: Duration,
    /// Time that the call has waited before.
    pub waited: Duration,
}

/// `wait`, and up to a tenth of it more.
pub(crate) fn jittered(wait: Duration) -> Duration {
    let most = (wait / 10).clamp(JITTER.0, JITTER.1);
    wait + most.mul_f64(rand::random::<f64>())
}
