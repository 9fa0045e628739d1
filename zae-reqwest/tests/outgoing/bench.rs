//! A limiter on a table of its own in memory, and helpers for tests.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use serde_json::{Value, json};
use zae_reqwest::{
    EntityId, Limit, Limits, OutgoingLimit, RateLimiter, Repository, ResourceName,
    llm::{Accounting, Tariff, estimate},
    zae_tower::zae_limiter::{EmbeddedStore, ManualClock},
};
use zae_testkit::{DEADLINE, START};

use crate::wire::Wire;

/// A store, and any number of processes on it.
#[derive(Clone)]
pub(crate) struct Bench {
    client: Client,
    clock: Option<Arc<ManualClock>>,
}

impl Bench {
    /// Creates one whose buckets do not refill.
    pub(crate) fn at_a_standstill() -> Self {
        Self { clock: Some(Arc::new(ManualClock::at(START))), ..Self::running() }
    }

    /// Creates one whose buckets refill as time passes.
    pub(crate) fn running() -> Self {
        Self { client: EmbeddedStore::memory().unwrap().client(), clock: None }
    }

    /// Puts the store behind a wire.
    pub(crate) fn on_a_wire(self) -> (Self, Wire) {
        let (wire, client) = Wire::tap(&self.client);
        (Self { client, ..self }, wire)
    }

    /// Creates another process's limiter, with these default limits.
    pub(crate) async fn limiter(&self, limits: impl IntoIterator<Item = Limit>) -> RateLimiter {
        RateLimiter::builder(self.repository(limits).await).deadline(DEADLINE).build()
    }

    /// Creates another process's repository, with these default limits.
    pub(crate) async fn repository(&self, limits: impl IntoIterator<Item = Limit>) -> Repository {
        let mut builder = Repository::builder().client(self.client.clone()).create_table();
        if let Some(clock) = &self.clock {
            builder = builder.clock(Arc::clone(clock) as _);
        }
        let repository = builder.build().await.unwrap();
        repository.set_system_defaults(&Limits::new(limits).unwrap()).await.unwrap();
        repository
    }
}

pub(crate) fn per_minute(requests: u64, tokens: u64) -> [Limit; 2] {
    [Limit::per_minute("rpm", requests).unwrap(), Limit::per_minute("tpm", tokens).unwrap()]
}

/// Creates a limiter with this many requests and tokens, without refill.
pub(crate) async fn limiter(requests: u64, tokens: u64) -> RateLimiter {
    Bench::at_a_standstill().limiter(per_minute(requests, tokens)).await
}

/// Accounts for chats by their model.
pub(crate) fn llm(limiter: &RateLimiter) -> OutgoingLimit {
    let accounting = Accounting::new(Tariff::openai()).estimator(estimate::input_and_max_output(1_000));
    OutgoingLimit::new(limiter).resource(zae_reqwest::find::json::<ResourceName>("/model")).llm(accounting)
}

/// Creates a chat request of 8 characters with at most `most` output tokens, of which half will be used.
pub(crate) fn chat(most: u64) -> Value {
    json!({ "model": "gpt-5", "max_tokens": most, "messages": [{ "role": "user", "content": "Hi there" }] })
}

pub(crate) fn streaming(mut chat: Value) -> Value {
    chat["stream"] = true.into();
    chat["stream_options"] = json!({ "include_usage": true });
    chat
}

/// Returns the tokens that are left once everything is settled; afterwards the limiter takes no more.
pub(crate) async fn left(limiter: &RateLimiter, resource: &str) -> (i64, i64) {
    limiter.shutdown().await;
    let entity = EntityId::new(zae_reqwest::DEFAULT_ENTITY).unwrap();
    let left = limiter.available(&entity, &ResourceName::new(resource).unwrap()).await.unwrap();
    (left["rpm"], left["tpm"])
}
