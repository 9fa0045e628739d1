//! Limiters on a table of their own, with a stopped clock.

use std::{sync::Arc, time::Duration};

use zae_limiter::{EntityId, Limit, Limits, ManualClock, RateLimiter, Repository, ResourceName};

use crate::{DEADLINE, START, Wire, limits, store::TestStore};

/// A table of its own, with a stopped clock.
pub struct Bench {
    pub store: TestStore,
    pub clock: Arc<ManualClock>,
}

impl Bench {
    pub fn new() -> Self {
        Self::on(TestStore::new())
    }

    /// Like [`Bench::new`], but always on an embedded store.
    pub fn embedded() -> Self {
        Self::on(TestStore::embedded())
    }

    /// As [`Bench::new`], on an embedded store behind a socket.
    pub fn served() -> Self {
        Self::on(TestStore::served())
    }

    fn on(store: TestStore) -> Self {
        Self { store, clock: Arc::new(ManualClock::at(START)) }
    }

    /// Creates another process's state: its own client and caches on the same table.
    pub async fn process(&self) -> (Wire, Repository) {
        let (wire, client) = Wire::tap(&self.store.client());
        let builder = Repository::builder().client(client).clock(self.clock.clone()).create_table();
        let repository = builder.build().await.unwrap();
        wire.take();
        (wire, repository)
    }

    /// Creates another process with a limiter; `limits` are the system's defaults.
    pub async fn limiter(&self, limits: &Limits) -> (Wire, RateLimiter) {
        let (wire, repository) = self.process().await;
        repository.set_system_defaults(limits).await.unwrap();
        wire.take();
        (wire, RateLimiter::builder(repository).deadline(DEADLINE).build())
    }

    pub fn advance(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }
}

/// Creates a repository on an embedded store of its own.
pub async fn repository() -> Repository {
    Bench::embedded().process().await.1
}

/// Creates a limiter with `permitted` as the system's defaults.
pub async fn limiter(permitted: impl IntoIterator<Item = Limit>) -> RateLimiter {
    limiter_on_a_wire(permitted).await.0
}

/// Like [`limiter`], with the wire to its store.
pub async fn limiter_on_a_wire(permitted: impl IntoIterator<Item = Limit>) -> (RateLimiter, Wire) {
    let (wire, limiter) = Bench::embedded().limiter(&limits(permitted)).await;
    (limiter, wire)
}

/// Returns the tokens left of `limit` once everything is settled; afterwards the limiter takes no more.
pub async fn left(limiter: &RateLimiter, entity: &str, limit: &str) -> i64 {
    left_of(limiter, entity, "default", limit).await
}

/// Like [`left`], for a resource.
pub async fn left_of(limiter: &RateLimiter, entity: &str, resource: &str, limit: &str) -> i64 {
    // Boxed: tests that ask often would not fit on a thread's stack.
    Box::pin(limiter.shutdown()).await;
    let (entity, resource) = (EntityId::new(entity).unwrap(), ResourceName::new(resource).unwrap());
    Box::pin(limiter.available(&entity, &resource)).await.unwrap()[limit]
}
