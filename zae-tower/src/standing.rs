//! The caller's own limits as JSON, for a route of your own API: [`StandingHandler`].
//!
//! # JSON
//!
//! ```json
//! {
//!   "entity": "key-1",
//!   "as_of_ms": 1767225600000,
//!   "limits": [
//!     {
//!       "resource": "gpt-5", "name": "tpm", "limit": 10000, "remaining": 7500, "reset_seconds": 15,
//!       "refill": 10000, "period_seconds": 60, "soft": false, "disabled": false
//!     }
//!   ],
//!   "usage": [
//!     { "resource": "gpt-5", "window": "daily", "start": "2026-01-01T00:00:00Z", "tokens": { "tpm": 2500 } }
//!   ]
//! }
//! ```
//!
//! | member | meaning |
//! |---|---|
//! | `entity` | the caller, as the limit's extractor identifies it |
//! | `as_of_ms` | time of the answer, ms since 1970 |
//! | `limits` | one row for each limit of each bucket that the entity has used, by resource and name |
//! | `limit`, `remaining` | whole tokens; `remaining` is negative in debt |
//! | `reset_seconds` | time until the limit is full again if nothing is taken, rounded up |
//! | `refill`, `period_seconds` | tokens that come back per period |
//! | `soft` | the limit counts and never refuses |
//! | `disabled` | an operator has switched the bucket off: requests get 403 |
//! | `usage` | net consumption in the current window, as the stack's aggregator has counted it; empty without one |
//!
//! The same as a JSON Schema: [`SCHEMA`].

use std::{collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderValue, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use serde::Serialize;
use zae_limiter::{
    EntityId, LimitName, RateLimiter, Repository, ResourceName,
    access::Access,
    usage::{BucketLimit, BucketState, UsageSnapshot, UsageWindow},
};

use crate::{
    LimitError,
    extract::{Extract, ExtractError, Extractor},
    headers::HeaderDialect,
    problem::Problem,
    refusal::Refusal,
};

/// The JSON Schema (draft 2020-12) of the answer.
///
/// See [`StandingHandler`] for an example of the answer.
pub const SCHEMA: &str = include_str!("standing.schema.json");

/// Answers a request with the limits and the usage of the caller's own entity, and of no other.
///
/// Made by [`ZaeLimit::standing`](crate::ZaeLimit::standing): the entity is the one that the limit's own extractor
/// finds in the request. A request without identity gets 401, also where the limit lets such requests share an entity.
///
/// Reads the table past every cache: half a read unit for each bucket, and one for its usage in the current window.
/// Put the route behind a limit of its own if callers may poll it.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_tower::{Cost, Limit, Repository, ZaeLimit, entity};
///
/// let repository = Repository::embedded().await?;
/// let limit = ZaeLimit::new(repository)
///     .entity(entity::header("x-user-id"))
///     .default_limits(Limit::per_minute("rpm", 100)?);
/// limit.limiter().acquire("user-1", "api", Cost::of("rpm", 40)).await.map_err(drop).ok();
///
/// let mut request = http::Request::get("/limits").header("x-user-id", "user-1").body(())?;
/// let response: http::Response<Vec<u8>> = limit.standing().respond(&mut request).await;
/// assert_eq!(response.status(), 200);
/// # limit.shutdown().await;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
pub struct StandingHandler<E> {
    limiter: RateLimiter,
    entity: Arc<E>,
    window: UsageWindow,
}

impl<E> StandingHandler<E> {
    pub(crate) fn new(limiter: RateLimiter, entity: Arc<E>) -> Self {
        Self { limiter, entity, window: UsageWindow::Daily }
    }

    /// Sets the window whose usage is shown; [`UsageWindow::Daily`] if it is not set. The stack's aggregator has to
    /// count windows of this length.
    #[must_use]
    pub fn usage_window(mut self, window: UsageWindow) -> Self {
        self.window = window;
        self
    }

    /// Answers `request` with the caller's standing, or with the [`Problem`] that kept it from being read: 401 without
    /// identity, 400 for one that cannot be used, 503 while the table cannot be read.
    ///
    /// Cancel-safe: it only reads.
    pub async fn respond<R, B: From<Bytes>>(&self, request: &mut R) -> Response<B>
    where
        R: Send,
        E: Extract<R> + Extractor<Output = EntityId>,
    {
        match self.read(request).await {
            Ok(body) => {
                let mut response = Response::new(B::from(Bytes::from(body)));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                response
            }
            Err(problem) => problem.into_response(),
        }
    }

    async fn read<R>(&self, request: &mut R) -> Result<Vec<u8>, Problem>
    where
        R: Send,
        E: Extract<R> + Extractor<Output = EntityId>,
    {
        let refused = |error: ExtractError| Problem::of(&Refusal::from(error), HeaderDialect::Off);
        let entity = self.entity.extract(request).await.map_err(refused)?;
        let Some(entity) = entity else {
            return Err(refused(ExtractError::unauthorized("the request does not say who sends it")));
        };
        let answer = EntityStanding::read(self.limiter.repository(), &self.window, entity)
            .await
            .map_err(|error| error.problem())?;
        serde_json::to_vec(&answer).map_err(|error| {
            tracing::error!(%error, "the caller's limits cannot be written as JSON");
            Problem::internal()
        })
    }
}

impl<E> Clone for StandingHandler<E> {
    fn clone(&self) -> Self {
        Self { limiter: self.limiter.clone(), entity: Arc::clone(&self.entity), window: self.window.clone() }
    }
}

impl<E: fmt::Debug> fmt::Debug for StandingHandler<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandingHandler")
            .field("entity", &self.entity)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

/// The answer's body.
#[derive(Serialize)]
struct EntityStanding {
    entity: EntityId,
    as_of_ms: i64,
    limits: Vec<LimitStanding>,
    usage: Vec<UsageStanding>,
}

impl EntityStanding {
    async fn read(repository: &Repository, window: &UsageWindow, entity: EntityId) -> Result<Self, LimitError> {
        let buckets = repository.buckets(&entity).await?;
        let mut usage = Vec::new();
        for bucket in &buckets {
            usage.extend(repository.current_usage(&entity, &bucket.resource, window).await?.map(UsageStanding::from));
        }
        let limits = buckets.iter().flat_map(LimitStanding::of_bucket).collect();
        Ok(Self { entity, as_of_ms: repository.now_ms(), limits, usage })
    }
}

/// One limit of one bucket.
#[derive(Serialize)]
struct LimitStanding {
    resource: ResourceName,
    name: LimitName,
    limit: i64,
    remaining: i64,
    reset_seconds: u64,
    refill: i64,
    period_seconds: u64,
    soft: bool,
    disabled: bool,
}

impl LimitStanding {
    fn of_bucket(bucket: &BucketState) -> impl Iterator<Item = Self> {
        bucket.limits.iter().map(|limit| Self {
            resource: bucket.resource.clone(),
            name: limit.name.clone(),
            limit: limit.capacity,
            remaining: limit.available,
            reset_seconds: until_full(limit),
            refill: limit.refill_amount,
            period_seconds: limit.refill_period.as_secs(),
            soft: limit.soft,
            disabled: bucket.access == Access::Disabled,
        })
    }
}

/// Seconds until a limit is full if nothing is taken, rounded up.
fn until_full(limit: &BucketLimit) -> u64 {
    let missing = u128::try_from(limit.capacity.saturating_sub(limit.available)).unwrap_or(0);
    let refill = u128::try_from(limit.refill_amount).unwrap_or(0).max(1);
    let ms = (missing * limit.refill_period.as_millis()).div_ceil(refill);
    u64::try_from(ms.div_ceil(1_000)).unwrap_or(u64::MAX)
}

/// The consumption of one resource in the current window.
#[derive(Serialize)]
struct UsageStanding {
    resource: ResourceName,
    window: UsageWindow,
    start: String,
    tokens: BTreeMap<LimitName, i64>,
}

impl From<UsageSnapshot> for UsageStanding {
    fn from(snapshot: UsageSnapshot) -> Self {
        let UsageSnapshot { resource, window, window_start, counters, .. } = snapshot;
        Self { resource, window, start: window_start, tokens: counters }
    }
}
