//! The call-site form, for clients that offer no seam: [`OutgoingLimit::acquire`] and [`Permit`].

use std::{ops::Deref, time::Duration};

use http::{HeaderMap, StatusCode};
use tokio::time::Instant;
use zae_tower::{Cost, EntityId, IntoName, Lease, ResourceName, ValidationError};

use crate::{
    error::CallError,
    outgoing::{OutgoingLimit, Subject},
    provider::Answer,
};

/// Tokens for one call, made at the place of the call. A [`Lease`], and so it is ended as one: with
/// [`settle_from`](zae_tower::llm::SettleFrom::settle_from) where the usage is known, else with
/// [`commit`](Lease::commit). Dropped without, it gives everything back.
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
    /// pauses of the scope called as the resource is.
    ///
    /// Cancel-safe: dropped at any point, nothing stays taken.
    ///
    /// # Errors
    /// [`CallError::NotYet`] when it would take longer than [`max_wait`](OutgoingLimit::max_wait),
    /// [`CallError::Limiter`] when the limiter says never or cannot be asked, or a name is not valid.
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
        let subject = Subject { entity, scope: resource.clone(), resource, cost, max_wait, tariff: None, model: None };
        let admitted = self.admit(&subject).await?;
        Ok(Permit { lease: admitted.lease, waited: admitted.waited })
    }

    /// Learns from an answer that another client got: from its status, its headers, and the body of an error, as far as
    /// that client shows them. Calls for `scope` then keep the pause that the provider asks for; returned is how long.
    ///
    /// [`acquire`](OutgoingLimit::acquire) keeps the pauses of the scope called as its resource is; the middleware
    /// keeps those of `{host}/{resource}`, unless [`pause_scope`](OutgoingLimit::pause_scope) says otherwise.
    ///
    /// Returned is the pause from now on, never longer than [`max_pause`](OutgoingLimit::max_pause); `None` where the
    /// answer asks for none, or pauses are [ignored](crate::Pauses::Ignored). Values that cannot be are taken for none.
    /// If the table cannot be written, or takes longer than 250 ms, this process keeps the pause alone, and the log
    /// says so.
    ///
    /// Cancel-safe: dropped at any point, this process keeps the pause; the others are told of it or not.
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

    /// As [`learn`](OutgoingLimit::learn), from the answer to a call that was sent at the instant `sent`. A refusal
    /// without a time makes the guessed pause longer only where the call was sent after the last one had ended.
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
