//! Processes in driven time: the wall clock and tokio's paused clock advance together, so a sleep of ten minutes takes
//! no time and every run of a test is deterministic.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use zae_limiter::{Clock, Limits, RateLimiter, RateLimiterBuilder, Repository};

use crate::{DEADLINE, Fault, START, Wire, store::TestStore};

/// A wall clock that follows tokio's clock, starting at [`START`].
#[derive(Debug)]
pub struct Driven(Instant);

impl Clock for Driven {
    fn now_ms(&self) -> i64 {
        START + i64::try_from(self.0.elapsed().as_millis()).unwrap()
    }
}

/// A table with a given latency, and the processes on it. For tests with `start_paused`.
pub struct Fleet {
    pub store: TestStore,
    pub clock: Arc<Driven>,
    pub delay: Duration,
}

impl Fleet {
    pub fn new(delay: Duration) -> Self {
        Self { store: TestStore::new(), clock: Arc::new(Driven(Instant::now())), delay }
    }

    pub async fn repository(&self) -> (Wire, Repository) {
        let (wire, client) = Wire::tap(&self.store.client());
        let builder = Repository::builder().client(client).clock(self.clock.clone()).create_table();
        let repository = builder.build().await.unwrap();
        (wire, repository)
    }

    /// Creates a process whose limiter is configured by `with`; `limits` are the system's defaults.
    pub async fn process(
        &self,
        limits: &Limits,
        with: impl FnOnce(RateLimiterBuilder) -> RateLimiterBuilder,
    ) -> (Wire, RateLimiter) {
        let (wire, repository) = self.repository().await;
        repository.set_system_defaults(limits).await.unwrap();
        wire.reset();
        if !self.delay.is_zero() {
            let ms = u64::try_from(self.delay.as_millis()).unwrap();
            // Consecutive trips take different times, as on a network: lockstep between processes would be an artefact.
            wire.fail(move |_, _| Fault::Trip(rand::random_range(ms - ms * 2 / 5..=ms + ms * 2 / 5)));
        }
        (wire, with(RateLimiter::builder(repository).deadline(DEADLINE)).build())
    }
}
