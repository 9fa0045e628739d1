//! The source of all randomness in the engine: [`Random`].
//!
//! A simulation replays a schedule from a seed, so nothing in the engine may use the thread's generator directly.
//! Without the feature `sim` this type is empty and costs nothing.

#[cfg(feature = "sim")]
use std::sync::{Mutex, PoisonError};

use rand::distr::uniform::{SampleRange, SampleUniform};
#[cfg(feature = "sim")]
use rand::{Rng, SeedableRng, rngs::StdRng};

/// The source of all randomness in the engine: jitter, the first shard to try, the stamps of new buckets. It is the
/// thread's generator, unless a simulation provides a seed.
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

    /// Returns 64 random bits.
    pub(crate) fn bits(&self) -> u64 {
        self.of(0..=u64::MAX)
    }
}
