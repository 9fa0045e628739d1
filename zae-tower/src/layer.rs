//! The layer and its settings: [`ZaeLimit`].

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Response;
use tokio_util::task::TaskTracker;
use tower_layer::Layer;
use zae_limiter::{Cost, EntityId, Limits, RateLimiter, ResourceName};

use crate::{
    entity::DefaultEntity,
    extract::{Extract, Extractor, StoredLimits},
    gate::Gate,
    llm::{Accounting, LlmCost},
    passage::Passage,
    refusal::Refusal,
    request::RequestHead,
    resource::DefaultResource,
    service::ZaeLimitService,
    settings::Settings,
    standing::StandingHandler,
    telemetry::Notices,
};

/// Time that a shutdown waits for requests that are still being served.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// Limits the requests of the services it wraps.
///
/// All state (the limiter, its caches, what was logged) belongs to the layer and its clones; services may be cloned and
/// re-layered per route and per connection at will. See the [crate's documentation](crate) for the defaults.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_tower::{Cost, Limit, Repository, ZaeLimit, entity, settle, skip};
/// let repository = Repository::embedded().await?;
/// let layer = ZaeLimit::new(repository)
///     .entity(entity::header("x-user-id"))
///     .require_entity()
///     .cost(Cost::of("rpm", 1))
///     .default_limits(Limit::per_minute("rpm", 600)?)
///     .skip(skip::cors_preflight)
///     .settle(settle::refund_on(|status| status.is_server_error()));
/// // …serve…
/// layer.shutdown().await;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
#[must_use = "a layer does nothing until it wraps a service"]
pub struct ZaeLimit<E = DefaultEntity, Rs = DefaultResource, C = Cost, L = StoredLimits> {
    gate: Gate<E, Rs, C, L>,
}

impl ZaeLimit {
    /// Enforces the limits stored in the table; takes a [`Repository`](zae_limiter::Repository) or a [`RateLimiter`]
    /// with your own settings.
    pub fn new(limiter: impl Into<RateLimiter>) -> Self {
        Self {
            gate: Gate {
                limiter: limiter.into(),
                entity: Arc::new(DefaultEntity),
                resource: Arc::default(),
                cost: Arc::new(Cost::requests(1)),
                limits: Arc::new(StoredLimits),
                settings: Arc::default(),
                notices: Arc::new(Notices::default()),
                open: TaskTracker::new(),
            },
        }
    }
}

/// Copies `$gate` with the given fields replaced.
macro_rules! with {
    ($gate:expr, $changed:ident: $value:expr, $($kept:ident),*) => {{
        let gate = $gate;
        ZaeLimit {
            gate: Gate {
                $changed: Arc::new($value),
                $($kept: gate.$kept,)*
                limiter: gate.limiter,
                settings: gate.settings,
                notices: gate.notices,
                open: gate.open,
            },
        }
    }};
}

impl<E, Rs, C, L> ZaeLimit<E, Rs, C, L> {
    /// Sets the extractor of the entity to limit; see [`entity`](crate::entity). Requests in which it finds none share
    /// one entity, or are refused with [`require_entity`](ZaeLimit::require_entity).
    pub fn entity<X: Extractor<Output = EntityId>>(self, extractor: X) -> ZaeLimit<X, Rs, C, L> {
        with!(self.gate, entity: extractor, resource, cost, limits)
    }

    /// Sets the extractor of the resource to limit; see [`resource`](crate::resource). If it finds nothing, the
    /// resource is `default`.
    pub fn resource<X: Extractor<Output = ResourceName>>(self, extractor: X) -> ZaeLimit<E, X, C, L> {
        with!(self.gate, resource: extractor, entity, cost, limits)
    }

    /// Sets the tokens that a request takes: a [`Cost`], or an extractor of one; see [`cost`](crate::cost). If it finds
    /// nothing, the cost is 1 of each limit that counts requests.
    pub fn cost<X: Extractor<Output = Cost>>(self, extractor: X) -> ZaeLimit<E, Rs, X, L> {
        with!(self.gate, cost: extractor, entity, resource, limits)
    }

    /// Replaces the stored limits with a [`Limits`], or with the result of an extractor; see [`limits`](crate::limits).
    /// If it finds nothing, the stored limits apply.
    pub fn limits<X: Extractor<Output = Limits>>(self, extractor: X) -> ZaeLimit<E, Rs, C, X> {
        with!(self.gate, limits: extractor, entity, resource, cost)
    }

    crate::limit_settings!();

    /// Changes several settings at once, for example those that a program keeps in one place; see [`Settings`].
    ///
    /// ```
    /// # use zae_tower::{Repository, ZaeLimit};
    /// # fn example(repository: Repository) {
    /// use zae_tower::{Reserve, Settings};
    /// fn ours(settings: Settings) -> Settings {
    ///     settings.require_entity().reserve(Reserve::Parents)
    /// }
    /// let layer = ZaeLimit::new(repository).configure(ours);
    /// # }
    /// ```
    pub fn configure(mut self, change: impl FnOnce(Settings) -> Settings) -> Self {
        self.gate.settings = Arc::new(change(Arc::unwrap_or_clone(self.gate.settings)));
        self
    }

    /// Exempts requests for which `predicate` is true. If it is set several times, one matching predicate suffices.
    pub fn skip<F>(mut self, predicate: F) -> Self
    where
        F: Fn(&dyn RequestHead) -> bool + Send + Sync + 'static,
    {
        Arc::make_mut(&mut self.gate.settings).skip.push(Arc::new(predicate));
        self
    }

    /// Customises the response to a refused request, given the reason and the default response.
    ///
    /// ```
    /// # use zae_tower::{Refusal, Repository, ZaeLimit};
    /// # fn example(repository: Repository) {
    /// let layer = ZaeLimit::new(repository).refusal(|_: &Refusal, mut response| {
    ///     *response.body_mut() = "slow down".into();
    ///     response.headers_mut().insert("content-type", http::HeaderValue::from_static("text/plain"));
    ///     response
    /// });
    /// # }
    /// ```
    pub fn refusal<F>(mut self, render: F) -> Self
    where
        F: Fn(&Refusal, Response<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
    {
        Arc::make_mut(&mut self.gate.settings).render = Some(Arc::new(render));
        self
    }

    /// Enables accounting for calls to language models: takes an estimate from the request's JSON body instead of
    /// [`cost`](ZaeLimit::cost), and settles it by the usage in the response, streamed or not. Takes an [`Accounting`],
    /// or a [`Tariff`](crate::llm::Tariff) if its defaults will do; see [`llm`](crate::llm).
    ///
    /// The body is read (up to [`Accounting::body_limit`]; a longer one is a 413) and forwarded unchanged; the
    /// response's bytes pass through as they arrive. Put the layer inside of compression. The [`settle`](crate::settle)
    /// rule still decides if the charge is kept at all.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::convert::Infallible;
    /// # use bytes::Bytes;
    /// # use http::{Request, Response};
    /// # use http_body_util::{BodyExt, Full};
    /// # use tower::{Layer, ServiceExt, service_fn};
    /// use zae_tower::{EntityId, Limit, Limits, Repository, ResourceName, ZaeLimit, llm::Tariff, resource};
    /// # let repository = Repository::embedded().await?;
    /// let limits = Limits::new([Limit::per_minute("rpm", 100)?, Limit::per_minute("tpm", 10_000)?])?;
    /// repository.set_system_defaults(&limits).await?;
    /// let model = resource::json_field("model").among(["gpt-5"]);
    /// let layer = ZaeLimit::new(repository).resource(model).llm(Tariff::openai());
    /// # let layer = layer.deadline(std::time::Duration::from_secs(10));
    /// # let model = |_: Request<Full<Bytes>>| async {
    /// #     let answer = r#"{"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":100}}"#;
    /// #     let response = Response::builder().header("content-type", "application/json");
    /// #     Ok::<_, Infallible>(response.body(Full::from(answer)).unwrap())
    /// # };
    /// # let request = Request::new(Full::from(r#"{"model":"gpt-5","max_tokens":500,"messages":[]}"#));
    /// let response = layer.layer(service_fn(model)).oneshot(request).await?;
    /// response.into_body().collect().await?; // prompt_tokens: 20, completion_tokens: 100
    /// layer.shutdown().await;
    /// let (who, what) = (EntityId::new("anonymous")?, ResourceName::new("gpt-5")?);
    /// assert!(layer.limiter().available(&who, &what).await?["tpm"] >= 10_000 - 120); // and not 10 000 - 500
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn llm(self, accounting: impl Into<Accounting>) -> ZaeLimit<E, Rs, LlmCost, L> {
        let accounting = accounting.into();
        let mut limit = self.cost(LlmCost::new(accounting.clone()));
        Arc::make_mut(&mut limit.gate.settings).accounting = Some(accounting);
        limit
    }

    /// Decides about `request` as the layer does before it calls the inner service, for [adapters](crate::adapter) of
    /// frameworks that do not use Tower services.
    ///
    /// A body that extractors read stays unchanged in the request's extensions ([`Peeked`](crate::extract::Peeked));
    /// the adapter takes it out before others can change the body.
    ///
    /// Cancel-safe: if it is dropped before the decision, no tokens stay taken.
    ///
    /// ```
    /// # use zae_tower::{ZaeLimit, adapter::Passage, settle::End};
    /// # type Handler = fn(http::Request<()>) -> http::Response<String>;
    /// # async fn example(limit: ZaeLimit, handle: Handler) -> http::Response<String> {
    /// let mut request = http::Request::new(());
    /// match limit.pass(&mut request).await {
    ///     Passage::Answered(refusal) => refusal.map(|body| String::from_utf8_lossy(&body).into_owned()),
    ///     Passage::Through(through) => {
    ///         let mut response = handle(request);
    ///         let mut guard = through.respond(&mut response);
    ///         // …when the body has been sent:
    ///         guard.finish(End::Complete);
    ///         response
    ///     }
    /// }
    /// # }
    /// ```
    pub fn pass<R>(&self, request: &mut R) -> impl Future<Output = Passage> + Send
    where
        R: RequestHead + Send,
        E: Extract<R> + Extractor<Output = EntityId>,
        Rs: Extract<R> + Extractor<Output = ResourceName>,
        C: Extract<R> + Extractor<Output = Cost>,
        L: Extract<R> + Extractor<Output = Limits>,
    {
        self.gate.pass(request)
    }

    /// Returns a handler that answers with the limits and the usage of the caller's own entity, for a route of your own
    /// API; see [`standing`](crate::standing).
    pub fn standing(&self) -> StandingHandler<E> {
        StandingHandler::new(self.gate.limiter.clone(), Arc::clone(&self.gate.entity))
    }

    /// Returns the limiter that decides.
    pub fn limiter(&self) -> &RateLimiter {
        &self.gate.limiter
    }

    /// Writes all pending settlements and waits until they are stored; see [`RateLimiter::shutdown`]. Call it after the
    /// server has stopped.
    ///
    /// Requests that are still being served get a second to finish: servers may report that they have stopped before
    /// their last connections are closed.
    ///
    /// Cancel-safe: if it is dropped early, the writing continues.
    pub fn shutdown(&self) -> impl Future<Output = ()> + Send + use<E, Rs, C, L> {
        let (limiter, open) = (self.gate.limiter.clone(), self.gate.open.clone());
        async move {
            // From here on no request is admitted.
            limiter.shutdown().await;
            open.close();
            if tokio::time::timeout(LAST_REQUESTS, open.wait()).await.is_err() {
                tracing::debug!(requests = open.len(), "still being served; what they are charged stays as it is");
            }
            limiter.shutdown().await;
        }
    }
}

impl<S, E, Rs, C, L> Layer<S> for ZaeLimit<E, Rs, C, L> {
    type Service = ZaeLimitService<S, E, Rs, C, L>;

    fn layer(&self, inner: S) -> Self::Service {
        ZaeLimitService::new(inner, Arc::new(self.gate.clone()))
    }
}

impl<E, Rs, C, L> Clone for ZaeLimit<E, Rs, C, L> {
    fn clone(&self) -> Self {
        Self { gate: self.gate.clone() }
    }
}

impl<E: fmt::Debug, Rs: fmt::Debug, C: fmt::Debug, L: fmt::Debug> fmt::Debug for ZaeLimit<E, Rs, C, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ZaeLimit").field(&self.gate).finish()
    }
}
