//! The middleware and its settings: [`ZaeLimit`].

use std::{fmt, sync::Arc};

use actix_web::{HttpResponse, dev::ServiceRequest};
use zae_tower::{
    Cost, EntityId, Limits, RateLimiter, Refusal, ResourceName, Settings,
    entity::DefaultEntity,
    extract::{Extractor, StoredLimits},
    llm::{Accounting, LlmCost},
    resource::DefaultResource,
    standing::StandingHandler,
};

use crate::current;

pub(crate) type Render = Arc<dyn Fn(&Refusal, HttpResponse) -> HttpResponse + Send + Sync>;

/// Limits the requests of the apps, scopes and resources that it wraps.
///
/// Create it once, before the server, and give each worker's app a clone: the clones share all state (the limiter, its
/// caches, the record of what was logged). See the [crate's documentation](crate) for the defaults.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use actix_web::{App, web};
/// use zae_actix::{Cost, EntityId, Limit, Repository, ZaeLimit, entity, settle, skip};
///
/// #[derive(Clone)]
/// struct User { id: u64 } // what an authentication middleware leaves in the request's extensions
///
/// let repository = Repository::embedded().await?;
/// let limit = ZaeLimit::new(repository)
///     .entity(entity::from_fn(|request| {
///         use actix_web::HttpMessage;
///         request.extensions().get::<User>().map(|user| EntityId::new(format!("user:{}", user.id)))
///     }))
///     .require_entity()
///     .cost(Cost::of("rpm", 1))
///     .default_limits(Limit::per_minute("rpm", 600)?)
///     .skip(skip::cors_preflight)
///     .settle(settle::refund_on(|status| status.is_server_error()));
/// let app = App::new().wrap(limit.clone()).route("/", web::get().to(|| async { "hello" }));
/// # let _ = app;
/// // …serve…
/// limit.shutdown().await;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
#[must_use = "a middleware does nothing until something is wrapped in it"]
pub struct ZaeLimit<E = DefaultEntity, Rs = DefaultResource, C = Cost, L = StoredLimits> {
    limit: zae_tower::ZaeLimit<E, Rs, C, L>,
    render: Option<Render>,
}

impl ZaeLimit {
    /// Enforces the limits stored in the table; takes a [`Repository`](zae_tower::Repository) or a [`RateLimiter`] with
    /// your own settings. Call it on the program's own runtime, not in the closure that creates each worker's app: the
    /// limiter runs on the runtime on which it was created, and workers end before it has settled everything.
    pub fn new(limiter: impl Into<RateLimiter>) -> Self {
        Self { limit: zae_tower::ZaeLimit::new(limiter), render: None }
    }
}

impl<E, Rs, C, L> ZaeLimit<E, Rs, C, L> {
    /// Sets the entity to limit; see [`entity`](crate::entity). Requests in which the extractor finds none share one
    /// entity, or are refused with [`require_entity`](ZaeLimit::require_entity).
    pub fn entity<X: Extractor<Output = EntityId>>(self, extractor: X) -> ZaeLimit<X, Rs, C, L> {
        ZaeLimit { limit: self.limit.entity(extractor), render: self.render }
    }

    /// Sets the resource to limit; see [`resource`](crate::resource). If the extractor finds nothing, the resource is
    /// `default`.
    pub fn resource<X: Extractor<Output = ResourceName>>(self, extractor: X) -> ZaeLimit<E, X, C, L> {
        ZaeLimit { limit: self.limit.resource(extractor), render: self.render }
    }

    /// Sets the cost of a request: a [`Cost`], or an extractor; see [`cost`](crate::cost). If it finds nothing, the
    /// cost is 1 of each limit that counts requests.
    pub fn cost<X: Extractor<Output = Cost>>(self, extractor: X) -> ZaeLimit<E, Rs, X, L> {
        ZaeLimit { limit: self.limit.cost(extractor), render: self.render }
    }

    /// Replaces the stored limits with a [`Limits`], or with the result of an extractor; see [`limits`](crate::limits).
    /// If it finds nothing, the stored limits apply.
    pub fn limits<X: Extractor<Output = Limits>>(self, extractor: X) -> ZaeLimit<E, Rs, C, X> {
        ZaeLimit { limit: self.limit.limits(extractor), render: self.render }
    }

    fn with(self, change: impl FnOnce(zae_tower::ZaeLimit<E, Rs, C, L>) -> zae_tower::ZaeLimit<E, Rs, C, L>) -> Self {
        Self { limit: change(self.limit), render: self.render }
    }

    zae_tower::limit_settings!();

    /// Changes several settings at once, for example those that a program keeps in one place; see [`Settings`].
    pub fn configure(self, change: impl FnOnce(Settings) -> Settings) -> Self {
        self.with(|limit| limit.configure(change))
    }

    /// Exempts requests for which `predicate` is true. If it is set several times, one matching predicate suffices.
    pub fn skip<F>(self, predicate: F) -> Self
    where
        F: Fn(&ServiceRequest) -> bool + Send + Sync + 'static,
    {
        self.with(|limit| limit.skip(move |_| current::with(&predicate).unwrap_or(false)))
    }

    /// Customises the response to a refused request, given the reason and the default response.
    ///
    /// ```
    /// # use zae_actix::{Refusal, Repository, ZaeLimit};
    /// # fn example(repository: Repository) {
    /// let limit = ZaeLimit::new(repository)
    ///     .refusal(|_: &Refusal, response| response.set_body("{\"error\":\"slow down\"}").map_into_boxed_body());
    /// # }
    /// ```
    pub fn refusal<F>(mut self, render: F) -> Self
    where
        F: Fn(&Refusal, HttpResponse) -> HttpResponse + Send + Sync + 'static,
    {
        self.render = Some(Arc::new(render));
        self
    }

    /// Enables accounting for calls to language models: takes an estimate from the request's JSON body instead of
    /// [`cost`](ZaeLimit::cost), and settles it by the usage in the response, streamed or not. Takes an [`Accounting`],
    /// or a [`Tariff`](crate::llm::Tariff) if its defaults will do; see [`llm`](crate::llm).
    ///
    /// The body is read (up to [`Accounting::body_limit`]; a longer one is a 413) and forwarded unchanged; the
    /// response's bytes pass through as they arrive. Wrap it before compression, so that compression is around it. The
    /// [`settle`](crate::settle) rule still decides if the charge is kept at all.
    ///
    /// [`Accounting::include_usage`] changes the length of requests. If an outer middleware holds a clone of the
    /// `HttpRequest`, actix-web does not allow changes to its head: such a request is forwarded unchanged, with a
    /// warning in the log, and its estimate stands. (actix-web reports this by a panic, which is caught; programs built
    /// with `panic = "abort"` must not combine the two.)
    ///
    /// ```
    /// # use actix_web::{App, web};
    /// # use zae_actix::{Repository, ZaeLimit};
    /// # async fn chat() -> &'static str { "…" }
    /// # fn example(repository: Repository) {
    /// use zae_actix::{llm::Tariff, resource};
    /// let model = resource::json_field("model").among(["gpt-5"]);
    /// let limit = ZaeLimit::new(repository).resource(model).llm(Tariff::openai());
    /// let app = App::new().service(web::resource("/v1/chat/completions").wrap(limit).route(web::post().to(chat)));
    /// # let _ = app;
    /// # }
    /// ```
    pub fn llm(self, accounting: impl Into<Accounting>) -> ZaeLimit<E, Rs, LlmCost, L> {
        ZaeLimit { limit: self.limit.llm(accounting), render: self.render }
    }

    /// Returns a handler that answers with the limits and the usage of the caller's own entity; see
    /// [`standing`](crate::standing()), which makes a service of it.
    pub fn standing(&self) -> StandingHandler<E> {
        self.limit.standing()
    }

    /// Returns the limiter that decides.
    pub fn limiter(&self) -> &RateLimiter {
        self.limit.limiter()
    }

    /// Writes all pending settlements and waits until they are stored; see [`RateLimiter::shutdown`]. Call it after the
    /// server has stopped.
    ///
    /// Requests that are still being served get a second to finish: workers drop their last connections after the
    /// server reports that it has stopped.
    ///
    /// Cancel-safe: if it is dropped early, the writing continues.
    pub fn shutdown(&self) -> impl Future<Output = ()> + Send + use<E, Rs, C, L> {
        self.limit.shutdown()
    }

    pub(crate) fn parts(&self) -> (zae_tower::ZaeLimit<E, Rs, C, L>, Option<Render>) {
        (self.limit.clone(), self.render.clone())
    }
}

impl<E, Rs, C, L> Clone for ZaeLimit<E, Rs, C, L> {
    fn clone(&self) -> Self {
        let (limit, render) = self.parts();
        Self { limit, render }
    }
}

impl<E: fmt::Debug, Rs: fmt::Debug, C: fmt::Debug, L: fmt::Debug> fmt::Debug for ZaeLimit<E, Rs, C, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.limit.fmt(f)
    }
}
