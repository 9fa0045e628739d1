//! The source of all randomness in the engine: [`Random`].
//!
//! A simulation replays a schedule from a seed, so nothing in the engine may use the thread's generator directly.
//! Without the feature `sim` this type is empty and costs nothing.

#[cfg(feature = "sim")]
use std::sync::{Mutex, PoisonError};

#[cfg(feature = "sim")]
use rand::{Rng, SeedableRng, rngs::StdRng};
use rand::{
    TryRngCore,
    distr::uniform::{SampleRange, SampleUniform},
    rngs::OsRng,
};

/// The source of everything random in the engine: jitter, the first shard to ask, the stamps of new buckets and of
/// refunds. It is the thread's generator, and the system's for stamps, unless a simulation gives a seed.
#[derive(Debug, Default)]
pub(crate) struct Random {
    /// The generator of a simulation; `None` for the thread's own.
    #[cfg(feature = "sim")]
    seeded: Option<Mutex<StdRng>>,
}

impl Random {
    /// Creates a generator with a fixed seed.
    #[cfg(feature = "sim")]
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { seeded: Some(Mutex::new(StdRng::seed_from_u64(seed))) }
    }

    /// Returns a number in `range`.
    pub(crate) fn of<T: SampleUniform>(&self, range: impl SampleRange<T>) -> T {
        #[cfg(feature = "sim")]
        if let Some(seeded) = &self.seeded {
            return seeded.lock().unwrap_or_else(PoisonError::into_inner).random_range(range);
        }
        rand::random_range(range)
    }

    /// 64 random bits that no other process has, from the system's own source: the thread's generator is in memory, and
    /// so in every process that is restored from one snapshot of it.
    pub(crate) fn bits(&self) -> u64 {
        #[cfg(feature = "sim")]
        if self.seeded.is_some() {
            return self.of(0..=u64::MAX);
        }
        OsRng.try_next_u64().unwrap_or_else(|_| self.of(0..=u64::MAX))
    }
}
