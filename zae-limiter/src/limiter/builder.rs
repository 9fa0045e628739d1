//! Setting up a limiter: [`RateLimiterBuilder`].
//!
//! Settings are clamped, not refused: there is no value of a duration or a count that makes a limiter wrong, only
//! slower or larger. So `build` cannot fail and needs no `Result`. What can be wrong about a setup (table, credentials,
//! namespace) was found when the [`Repository`] was opened.
//!
//! Building connects nothing and spawns nothing. It notes the runtime that it is called on ([`HomeRuntime`]) and wraps
//! the repository's clock so that it never runs further from DynamoDB's than the answers allow ([`StoreClock`]).

use std::{fmt, sync::Arc, time::Duration};

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
    model::{limit::Limits, reserve::Reserve, status::OnUnavailable, unsettled::Unsettled},
    random::Random,
    repository::Repository,
};

/// Sets up a [`RateLimiter`].
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
/// Each setting can be left out. For one call, [`Acquire`](crate::Acquire) overrides deadline, policy, reserve and
/// limits.
#[must_use = "call `build`"]
pub struct RateLimiterBuilder {
    /// The namespace that the limiter will work on.
    repository: Repository,
    /// Bounds an acquire, and each write that somebody waits for.
    deadline: Duration,
    /// Time that a settlement waits for a write to share.
    flush_delay: Duration,
    /// Bounds the asks in one lane's queue.
    max_waiting: usize,
    /// Bounds the lanes, and through them the front and the local shares.
    max_lanes: u64,
    /// Part of each limit, 0 to 1, that this process grants under [`OnUnavailable::Local`].
    local_share: f64,
    /// The setting for debiting tokens ahead of use.
    reserve: Reserve,
    /// Time from the write that debits a lot to its end.
    reserve_life: Duration,
    /// The policy that overrides the stored one.
    on_unavailable: Option<OnUnavailable>,
    /// Limits where none are stored.
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
    /// Starts with the defaults that each setter names.
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
            on_unavailable: None,
            default_limits: None,
            random: Random::default(),
            hand_over: HandOver::default(),
        }
    }

    /// Bounds the duration of an acquire, resolving included. Default: [`DEFAULT_DEADLINE`], 250 ms.
    ///
    /// A write that is not answered by then is followed in the background, and what it took for this acquire is given
    /// back. So a short deadline costs grants during a slow spell, and never tokens for long. It should leave room for
    /// a connection to be made: the first acquire of a process takes a TLS handshake, a batch read and a write.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how long a settlement that nobody waits for may wait to share a write with others. Default:
    /// [`DEFAULT_FLUSH_DELAY`], 50 ms. Where tokens are held in reserve and in use it is half of the
    /// [`reserve_life`](RateLimiterBuilder::reserve_life), if that is longer: the reserve is filled up at least that
    /// often.
    pub fn flush_delay(mut self, delay: Duration) -> Self {
        self.flush_delay = delay;
        self
    }

    /// Bounds the number of acquires that may wait at one bucket; further ones are answered as overloaded. Default:
    /// 10 000.
    ///
    /// Such acquires fail with [`UnavailableReason::Overloaded`](crate::error::UnavailableReason::Overloaded), which
    /// the outage policy applies to. One write serves up to 1024 of those that wait, so 10 000 are ten writes one after
    /// the other: a longer queue would mostly be answered after its deadlines.
    pub fn max_waiting(mut self, acquires: usize) -> Self {
        self.max_waiting = acquires.max(1);
        self
    }

    /// Bounds the number of buckets that are remembered. Default: 32 768 ([`DEFAULT_MAX_LANES`]). The buckets of the
    /// entities served last come on top: of up to an eighth as many entities, and at most 4 096.
    ///
    /// A remembered bucket costs up to 8 KiB of resident memory with glibc's allocator, everything that its first
    /// acquire leaves behind included, so the default stays below 256 MiB. With mimalloc or jemalloc it is about 1 KiB;
    /// a service with many more busy keys than the default does well to use one of them and raise the bound. A bucket
    /// that was forgotten costs its next acquire one more call and nothing else.
    pub fn max_lanes(mut self, lanes: u64) -> Self {
        self.max_lanes = lanes.max(1);
        self
    }

    /// Sets the policy for when DynamoDB is unreachable, overriding the stored one. Default: the stored policy, else
    /// block.
    ///
    /// The limiter's word holds for this process only. To change the policy of all clients at once, store one:
    /// [`Repository::set_system_defaults`](crate::Repository::set_system_defaults).
    pub fn on_unavailable(mut self, policy: OnUnavailable) -> Self {
        self.on_unavailable = Some(policy);
        self
    }

    /// The part of each limit that this process grants by itself under [`OnUnavailable::Local`], between 0 and 1. With
    /// N processes, 1/N keeps their sum within the limit. Default: 0.1.
    ///
    /// Values outside are clamped, and one that is no number is 0. Of each limit at least one token is granted, so that
    /// a small limit is not closed by a small share: with many processes and tiny limits the sum may exceed the limit.
    pub fn local_share(mut self, share: f64) -> Self {
        self.local_share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        self
    }

    /// Sets whether tokens may be debited ahead of use. Default: [`Reserve::Off`].
    ///
    /// [`Reserve::Parents`] suits hierarchies, where many keys meet in one parent's item.
    pub fn reserve(mut self, reserve: Reserve) -> Self {
        self.reserve = reserve;
        self
    }

    /// Sets the lifetime of tokens that were debited ahead: they are used in its first seven eighths, and returned in
    /// its last. Longer saves writes, and widens the bound of [`Reserve`] by rate times life. Between 10 ms and a
    /// minute; default: [`DEFAULT_RESERVE_LIFE`], one second.
    pub fn reserve_life(mut self, life: Duration) -> Self {
        self.reserve_life = life.clamp(Duration::from_millis(10), Duration::from_secs(60));
        self
    }

    /// Sets the lowest level of limits: they hold for entities and resources for which the table stores none at any of
    /// its four levels. They are not written to the table; buckets of them get a lifetime like those of stored
    /// defaults.
    pub fn default_limits(mut self, limits: impl Into<Limits>) -> Self {
        self.default_limits = Some(limits.into());
        self
    }

    /// Hands over what could not be booked: settlements that DynamoDB did not take for five minutes, or for 30 s of
    /// [`shutdown`](RateLimiter::shutdown), because it was too busy or could not be reached. It is called where
    /// settlements are written, so it should return soon. Default: they are counted and warned of.
    pub fn on_unsettled(mut self, take: impl Fn(Unsettled) + Send + Sync + 'static) -> Self {
        self.hand_over = HandOver(Some(Arc::new(take)));
        self
    }

    /// Takes everything random from `seed`.
    #[cfg(feature = "sim")]
    pub(crate) fn seed(mut self, seed: u64) -> Self {
        self.random = Random::seeded(seed);
        self
    }

    /// The limiter. Nothing is sent yet.
    ///
    /// Everything that it does for longer than a call (connections, settlements) is done on the runtime that it is
    /// built on; outside of any, on the first that asks it. So where a server has a runtime per worker, build it
    /// before, on the program's own; a runtime that is kept but not run (a current-thread one outside of `block_on`) is
    /// no place for it.
    pub fn build(self) -> RateLimiter {
        telemetry::describe();
        let options = EngineOptions {
            write_timeout: self.deadline,
            flush_delay: self.flush_delay.min(LONGEST),
            reserve_life: self.reserve_life,
            max_waiting: self.max_waiting,
            max_lanes: self.max_lanes,
        };
        let front = Front::new(self.max_lanes, self.random.bits());
        let shared = Arc::new(Context {
            clock: Arc::new(StoreClock::new(
                Arc::clone(self.repository.clock()),
                self.repository.store().dates.clone(),
            )),
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

    /// Counted by what is still alive, wherever it may be kept.
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
        // The cache frees evicted entries a little later.
        (0..1_000).for_each(|_| limiter.inner.lanes.settle());
        let alive = seen.iter().filter(|lane| lane.strong_count() > 0).count();
        assert!((BOUND / 2..=BOUND + BOUND / 8).contains(&alive), "{alive} of {}", seen.len());
    }
}
