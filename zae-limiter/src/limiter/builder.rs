//! Builds a limiter: [`RateLimiterBuilder`].
//!
//! Settings are clamped instead of refused: no duration or count makes a limiter incorrect, only slower or larger. So
//! `build` cannot fail and needs no `Result`. Mistakes in the environment (table, credentials, namespace) were reported
//! when the [`Repository`] was opened.
//!
//! Building neither connects nor spawns anything. It records the current runtime ([`HomeRuntime`]) and wraps the
//! repository's clock to limit its deviation from DynamoDB's ([`StoreClock`]).

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio_util::task::TaskTracker;

use super::{DEFAULT_DEADLINE, DEFAULT_FLUSH_DELAY, DEFAULT_MAX_LANES, DEFAULT_RESERVE_LIFE, Inner, RateLimiter};
use crate::{
    engine::{
        acquire::{front::Front, local::LocalShares},
        lane::lanes::Lanes,
        runtime::{
            breaker::Breaker,
            context::{Closing, Context, EngineOptions, HandOver, Stranded},
            deadlines::LONGEST,
            home::HomeRuntime,
            store_clock::StoreClock,
        },
        telemetry,
    },
    model::{limit::Limits, reserve::Reserve, shards::Shards, status::OnUnavailable, unsettled::Unsettled},
    random::Random,
    repository::Repository,
};

/// Builder for a [`RateLimiter`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use zae_limiter::{Limit, OnUnavailable, RateLimiter, Repository, Reserve};
///
/// let limiter = RateLimiter::builder(Repository::embedded().await?)
///     .default_limits(Limit::per_minute("rpm", 100)?) // where the table stores none
///     .deadline(Duration::from_millis(100))
///     .on_unavailable(OnUnavailable::Local)
///     .reserve(Reserve::Parents)
///     .build();
/// # let _ = limiter;
/// # Ok(())
/// # }
/// ```
///
/// All settings are optional. For a single call, [`Acquire`](crate::Acquire) overrides deadline, policy, reserve and
/// limits.
#[must_use = "call `build`"]
pub struct RateLimiterBuilder {
    /// The namespace that the limiter works on.
    repository: Repository,
    /// Bounds an acquire, and each write that an acquire waits for.
    deadline: Duration,
    /// Time that a settlement waits to share a write.
    flush_delay: Duration,
    /// Bounds the number of asks in one lane's queue.
    max_waiting: usize,
    /// Bounds the number of lanes, and thereby the front and the local shares.
    max_lanes: u64,
    /// Fraction of each limit, 0 to 1, that this process grants under [`OnUnavailable::Local`].
    local_share: f64,
    /// The setting for debiting tokens ahead of use.
    reserve: Reserve,
    /// Time from the write that debits a lot to its expiry.
    reserve_life: Duration,
    /// See [`longest_reserve_life`](Self::longest_reserve_life).
    longest_reserve_life: Option<Duration>,
    /// Tells if a bucket that is written too often is split.
    shards: Shards,
    /// The policy that overrides the stored one.
    on_unavailable: Option<OnUnavailable>,
    /// Limits that apply if none are stored.
    default_limits: Option<Limits>,
    /// The source of jitter and stamps.
    random: Random,
    hand_over: HandOver,
}

impl fmt::Debug for RateLimiterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiterBuilder")
            .field("repository", &self.repository)
            .field("reserve", &self.reserve)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl RateLimiterBuilder {
    /// Starts with the defaults documented at each setter.
    pub(super) fn new(repository: Repository) -> Self {
        Self {
            repository,
            deadline: DEFAULT_DEADLINE,
            flush_delay: DEFAULT_FLUSH_DELAY,
            max_waiting: 10_000,
            max_lanes: DEFAULT_MAX_LANES,
            local_share: 0.1,
            reserve: Reserve::Off,
            reserve_life: DEFAULT_RESERVE_LIFE,
            longest_reserve_life: None,
            shards: Shards::default(),
            on_unavailable: None,
            default_limits: None,
            random: Random::default(),
            hand_over: HandOver::default(),
        }
    }

    /// Bounds the duration of an acquire, including resolving its limits. Default: [`DEFAULT_DEADLINE`], 250 ms.
    ///
    /// A write that is unanswered at the deadline is followed in the background, and the tokens it took for this
    /// acquire are given back. A short deadline therefore costs grants while the store is slow, but no tokens for long.
    /// It should leave room for establishing a connection: the first acquire of a process takes a TLS handshake, a
    /// batch read and a write.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the time that a settlement nobody awaits may wait to share a write with others. Default:
    /// [`DEFAULT_FLUSH_DELAY`], 50 ms. While a lane's reserve is in use, it is half of the
    /// [`reserve_life`](RateLimiterBuilder::reserve_life) if that is longer: the reserve is replenished at least that
    /// often.
    pub fn flush_delay(mut self, delay: Duration) -> Self {
        self.flush_delay = delay;
        self
    }

    /// Bounds the number of acquires that may wait at one bucket; further ones fail as overloaded. Default: 10 000.
    ///
    /// Such acquires fail with [`UnavailableReason::Overloaded`](crate::error::UnavailableReason::Overloaded), to which
    /// the outage policy applies. One write serves up to 1024 waiting acquires, so 10 000 take ten consecutive writes:
    /// most acquires in a longer queue would miss their deadlines.
    pub fn max_waiting(mut self, acquires: usize) -> Self {
        self.max_waiting = acquires.max(1);
        self
    }

    /// Bounds the number of buckets that are remembered. Default: 32 768 ([`DEFAULT_MAX_LANES`]). The buckets of the
    /// most recently served entities are kept in addition: of up to an eighth as many entities, and at most 4 096.
    ///
    /// A remembered bucket takes up to 8 KiB of resident memory with glibc's allocator, including everything that its
    /// first acquire allocates, so the default stays below 256 MiB. With mimalloc or jemalloc it takes about 1 KiB; a
    /// service with many more busy keys than the default should use one of them and raise the bound. Forgetting a
    /// bucket only costs its next acquire one more call.
    pub fn max_lanes(mut self, lanes: u64) -> Self {
        self.max_lanes = lanes.max(1);
        self
    }

    /// Sets the policy for when DynamoDB is unreachable, overriding the stored one. Default: the stored policy,
    /// otherwise block.
    ///
    /// This setting applies to this process only. To change the policy of all clients at once, store one:
    /// [`Repository::set_system_defaults`](crate::Repository::set_system_defaults).
    pub fn on_unavailable(mut self, policy: OnUnavailable) -> Self {
        self.on_unavailable = Some(policy);
        self
    }

    /// Sets the fraction of each limit that this process grants by itself under [`OnUnavailable::Local`], between 0 and
    /// 1. With N processes, 1/N keeps their sum within the limit. Default: 0.1.
    ///
    /// Values outside this range are clamped, and NaN is 0. Each limit grants at least one token, so that a small share
    /// does not close a small limit: with many processes and tiny limits, the sum may exceed the limit.
    pub fn local_share(mut self, share: f64) -> Self {
        self.local_share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        self
    }

    /// Enables debiting tokens ahead of use. Default: [`Reserve::Off`].
    ///
    /// [`Reserve::Parents`] suits hierarchies in which many keys share one parent's item.
    pub fn reserve(mut self, reserve: Reserve) -> Self {
        self.reserve = reserve;
        self
    }

    /// Sets the lifetime of tokens that were debited ahead: they are used in its first seven eighths, and returned in
    /// its last. A longer lifetime saves writes, and widens the bound of [`Reserve`] by rate times lifetime. Between 10
    /// ms and a minute; default: [`DEFAULT_RESERVE_LIFE`], one second.
    pub fn reserve_life(mut self, life: Duration) -> Self {
        self.reserve_life = life.clamp(Duration::from_millis(10), Duration::from_secs(60));
        self
    }

    /// Lets the lifetime of tokens that were debited ahead grow with the number of processes that share a bucket, up to
    /// this: as long as needed to keep the bucket's item at a few hundred writes a second. So processes that ask only a
    /// few times a second are served from a reserve too, and a thousand of them do not wear out one item. At most a
    /// minute; default: the [`reserve_life`](RateLimiterBuilder::reserve_life) itself, which does not grow.
    ///
    /// The bound of [`Reserve`] is then that of the longest life. Its documentation has a table of what to choose.
    pub fn longest_reserve_life(mut self, life: Duration) -> Self {
        self.longest_reserve_life = Some(life.min(Duration::from_secs(60)));
        self
    }

    /// Sets what becomes of a bucket that is asked more often than one DynamoDB item can be written. Default:
    /// [`Shards::Never`].
    pub fn shards(mut self, shards: Shards) -> Self {
        self.shards = shards;
        self
    }

    /// Sets the lowest level of limits: they apply to entities and resources for which the table stores none at any of
    /// its four levels. They are not written to the table; their buckets get a lifetime, like buckets of stored
    /// defaults.
    pub fn default_limits(mut self, limits: impl Into<Limits>) -> Self {
        self.default_limits = Some(limits.into());
        self
    }

    /// Sets a callback for settlements that could not be stored: DynamoDB was too busy or unreachable for five minutes,
    /// or for 30 s after [`shutdown`](RateLimiter::shutdown). It is called by the task that writes settlements, so it
    /// should return quickly. By default they are counted and logged as a warning.
    pub fn on_unsettled(mut self, take: impl Fn(Unsettled) + Send + Sync + 'static) -> Self {
        self.hand_over = HandOver(Some(Arc::new(take)));
        self
    }

    /// Seeds all random numbers.
    #[cfg(feature = "sim")]
    pub(crate) fn seed(mut self, seed: u64) -> Self {
        self.random = Random::seeded(seed);
        self
    }

    /// Builds the limiter. Nothing is sent yet.
    ///
    /// Everything that outlives a call (connections, settlements) runs on the runtime on which the limiter is built; if
    /// it is built outside of a runtime, on the first one that calls it. If a server has a runtime per worker, build
    /// the limiter earlier, on the program's own runtime. Do not build it on a runtime that is not always driven (such
    /// as a current-thread runtime outside of `block_on`).
    pub fn build(self) -> RateLimiter {
        telemetry::describe();
        let options = EngineOptions {
            write_timeout: self.deadline,
            flush_delay: self.flush_delay.min(LONGEST),
            reserve_life: self.reserve_life,
            longest_reserve_life: self.longest_reserve_life.unwrap_or_default().max(self.reserve_life),
            max_waiting: self.max_waiting,
            max_lanes: self.max_lanes,
            shards: self.shards,
        };
        let front = Front::new(self.max_lanes, self.random.bits());
        let shared = Arc::new(Context {
            clock: Arc::new(StoreClock::new(
                Arc::clone(self.repository.clock()),
                self.repository.store().dates.clone(),
            )),
            wall: Arc::clone(self.repository.clock()),
            store: self.repository.store().clone(),
            namespace: self.repository.namespace_id().clone(),
            breaker: Breaker::default(),
            deadlines: Arc::default(),
            options,
            closing: Closing::default(),
            tasks: TaskTracker::new(),
            home: HomeRuntime::here(),
            random: self.random,
            hand_over: self.hand_over,
            seat: OnceLock::new(),
            stranded: Stranded::default(),
        });
        let inner = Inner {
            local: LocalShares::new(self.local_share, self.max_lanes),
            lanes: Lanes::new(shared),
            front,
            reserve: self.reserve,
            repository: self.repository,
            deadline: self.deadline,
            on_unavailable: self.on_unavailable,
            default_limits: self.default_limits,
        };
        RateLimiter { inner: Arc::new(inner) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;
    use crate::{
        bucket::key::BucketKey,
        model::{
            cost::Cost,
            limit::Limit,
            name::{EntityId, ResourceName},
        },
    };

    /// Counts all live buckets, wherever they are kept.
    #[tokio::test]
    async fn buckets_beyond_the_bound_are_forgotten() {
        const BOUND: usize = 16;
        let repository = Repository::embedded().await.unwrap();
        let limits = Limits::from(Limit::per_minute("rpm", 100).unwrap());
        repository.set_system_defaults(limits).await.unwrap();
        let limiter = RateLimiter::builder(repository).max_lanes(BOUND as u64).build();
        let resource = ResourceName::new("gpt-4").unwrap();
        let mut seen: Vec<Weak<_>> = Vec::new();
        for number in 0..10 * BOUND {
            let entity = EntityId::new(format!("visitor-{number}")).unwrap();
            let lease = limiter.acquire(entity.clone(), resource.clone(), Cost::of("rpm", 1)).await.unwrap();
            lease.commit().await.unwrap();
            let key = BucketKey { entity, resource: resource.clone(), shard: 0 };
            seen.push(Arc::downgrade(&limiter.inner.lanes.lane(key)));
        }
        limiter.shutdown().await;
        // The cache frees evicted entries with a delay.
        (0..1_000).for_each(|_| limiter.inner.lanes.settle());
        let alive = seen.iter().filter(|lane| lane.strong_count() > 0).count();
        assert!((BOUND / 2..=BOUND + BOUND / 8).contains(&alive), "{alive} of {}", seen.len());
    }
}
