//! Explicit permits, for clients that cannot be wrapped: [`OutgoingLimit::acquire`] and [`Permit`].

use std::{ops::Deref, time::Duration};

use http::{HeaderMap, StatusCode};
use tokio::time::Instant;
use zae_tower::{
    Cost, EntityId, IntoName, Lease, ResourceName, ValidationError,
    llm::{CallLabels, UsageChunk},
};

use crate::{
    error::CallError,
    outgoing::{OutgoingLimit, Subject},
    provider::Answer,
};

/// Tokens for one call, acquired explicitly by the caller. It is a [`Lease`] and ends as one: with
/// [`settle_from`](zae_tower::llm::SettleFrom::settle_from) if the usage is known, otherwise with
/// [`commit`](Lease::commit). If it is dropped without either, it gives everything back.
///
/// See [`OutgoingLimit::acquire`] for an example.
#[must_use = "a permit that is dropped without `commit` gives its tokens back"]
#[derive(Debug)]
pub struct Permit {
    lease: Lease,
    waited: Duration,
}

impl Permit {
    /// Returns the time that was spent waiting for it.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl Deref for Permit {
    type Target = Lease;

    fn deref(&self) -> &Lease {
        &self.lease
    }
}

impl OutgoingLimit {
    /// Takes `cost` for one call, and waits for it as the limit's middleware does: in the same lines, and for the
    /// pauses of the scope named like the resource.
    ///
    /// Cancel-safe: if it is dropped at any point, no tokens stay taken.
    ///
    /// # Errors
    /// [`CallError::NotYet`] if it would take longer than [`max_wait`](OutgoingLimit::max_wait), [`CallError::Limiter`]
    /// if the limiter refuses permanently or is unreachable, or a name is not valid.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_reqwest::{Cost, Limit, Limits, OutgoingLimit, Repository, llm::{SettleFrom, Tariff, Usage}};
    /// # let repository = Repository::embedded().await?;
    /// # let limits = Limits::new([Limit::per_minute("rpm", 100)?, Limit::per_minute("tpm", 10_000)?])?;
    /// # repository.set_system_defaults(&limits).await?;
    /// let limit = OutgoingLimit::new(repository);
    /// let tariff = Tariff::openai();
    ///
    /// let permit = limit.acquire("team-1", "gpt-5", tariff.cost(&Usage::new(200, 300))).await?;
    /// let used = Usage::new(180, 95); // what the client of your choice reports
    /// permit.settle_from(&used, &tariff)?.await?; // adjusted and committed
    /// assert_eq!(permit.consumed()["tpm"], 275);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub async fn acquire(
        &self,
        entity: impl IntoName<EntityId>,
        resource: impl IntoName<ResourceName>,
        cost: Cost,
    ) -> Result<Permit, CallError> {
        let invalid = |error: ValidationError| CallError::Limiter(error.into());
        let entity = entity.into_name().map_err(invalid)?;
        let resource = resource.into_name().map_err(invalid)?;
        let max_wait = self.max_wait;
        let subject = Subject {
            entity,
            scope: resource.clone(),
            resource,
            cost,
            max_wait,
            tariff: None,
            labels: CallLabels::default(),
            chunk: UsageChunk::default(),
        };
        let admitted = self.admit(&subject).await?;
        Ok(Permit { lease: admitted.lease, waited: admitted.waited })
    }

    /// Learns from a response that another client received: from its status, its headers, and the body of an error, as
    /// far as that client exposes them. Calls for `scope` then observe the pause that the provider asks for, which is
    /// returned.
    ///
    /// [`acquire`](OutgoingLimit::acquire) observes the pauses of the scope named like its resource; the middleware
    /// observes those of `{host}/{resource}`, unless [`pause_scope`](OutgoingLimit::pause_scope) sets another.
    ///
    /// Returns the remaining pause, never longer than [`max_pause`](OutgoingLimit::max_pause); `None` if the response
    /// asks for none, or pauses are [ignored](crate::Pauses::Ignored). Impossible values are ignored. If the table
    /// cannot be written, or takes longer than 250 ms, only this process observes the pause, and the log says so.
    ///
    /// Cancel-safe: if it is dropped at any point, this process observes the pause; the others may or may not learn of
    /// it.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use http::{HeaderMap, HeaderValue, StatusCode};
    /// use zae_reqwest::{CallError, Cost, OutgoingLimit, ResourceName};
    /// # use zae_reqwest::{Limit, Limits, Repository};
    /// # let repository = Repository::embedded().await?;
    /// # repository.set_system_defaults(&Limits::new([Limit::per_minute("rpm", 100)?])?).await?;
    /// let limit = OutgoingLimit::new(repository).max_wait(Duration::from_secs(5));
    ///
    /// // What some other client got from the provider:
    /// let mut headers = HeaderMap::new();
    /// headers.insert("retry-after", HeaderValue::from_static("20"));
    /// let scope = ResourceName::new("gpt-5")?;
    /// let pause = limit.learn(&scope, StatusCode::TOO_MANY_REQUESTS, &headers, b"").await;
    /// assert_eq!(pause, Some(Duration::from_secs(20)));
    ///
    /// let refused = limit.acquire("team-1", "gpt-5", Cost::requests(1)).await.unwrap_err();
    /// assert!(matches!(refused, CallError::NotYet(_)));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub async fn learn(
        &self,
        scope: &ResourceName,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Duration> {
        self.learn_of(Instant::now(), scope, status, headers, body).await
    }

    /// Like [`learn`](OutgoingLimit::learn), from the response to a call that was sent at the instant `sent`. A refusal
    /// without a time lengthens the guessed pause only if the call was sent after the last pause had ended.
    ///
    /// Cancel-safe: as [`learn`](OutgoingLimit::learn).
    pub async fn learn_of(
        &self,
        sent: Instant,
        scope: &ResourceName,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Duration> {
        let answer = Answer::read(status, headers, body);
        self.pauses.learn(scope, status, &answer, sent).await
    }
}
