//! Limits the requests of Tower services against a DynamoDB table, for hyper, axum, tonic and everything else that
//! implements [`tower_service::Service`] over [`http::Request`].
//!
//! ```
//! # #[cfg(feature = "embedded")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt, service_fn};
//! use zae_tower::{Limit, Repository, ZaeLimit};
//!
//! async fn hello(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     Ok(Response::new(Full::from("hello")))
//! }
//!
//! let repository = Repository::embedded().await?; // no AWS; `Repository::open` is the real one
//! repository.set_system_defaults(Limit::per_minute("rpm", 1)?).await?;
//!
//! let limit = ZaeLimit::new(repository);
//! let service = limit.layer(service_fn(hello));
//! assert_eq!(service.clone().oneshot(Request::new(())).await?.status(), 200);
//! assert_eq!(service.oneshot(Request::new(())).await?.status(), 429);
//!
//! limit.shutdown().await; // settles what is still open
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "embedded"))]
//! # fn main() {}
//! ```
//!
//! # Defaults
//!
//! By default, `ZaeLimit::new(repository)` limits
//!
//! - **by entity**: the [`EntityId`] that an earlier layer put into the request's extensions, otherwise the peer's
//!   address if the server provides [`PeerIp`] (IPv6 by /64), otherwise one entity shared by all,
//!   [`anonymous`](entity::ANONYMOUS), with one warning in the log. [`require_entity`](ZaeLimit::require_entity)
//!   refuses instead of sharing.
//! - **by resource**: the route if the framework's adapter provides [`MatchedRoute`], otherwise
//!   [`default`](resource::DEFAULT). Never the raw path: clients choose its values.
//! - **at a cost** of 1 of each limit that counts requests: `rps`, `rpm`, `rph`, `rpd`, `requests`.
//! - **against the limits** stored in the table, otherwise [`default_limits`](ZaeLimit::default_limits). If there are
//!   neither, or none that the cost names, **the answer is 500**, and the log names the command or call that sets them
//!   (`zae-deploy system set-defaults -l rpm:100`).
//!
//! Each is an extractor that can be replaced: see [`entity`], [`resource`], [`cost`], [`limits`], and
//! [`extract`](mod@extract) for your own.
//!
//! # The way of a request
//!
//! 1. The extractors run one after the other, the entity's first. A bad value is a 400 (or 401) that describes the
//!    problem. Extractors that read the body do so within bounds of [time](ZaeLimit::body_timeout) and
//!    [memory](ZaeLimit::body_budget); a permit of an inner concurrency limit is held meanwhile.
//! 2. The limiter takes the cost from the buckets: in the response's future, or immediately from a [`Reserve`].
//!    Meanwhile, whatever `poll_ready` reserved in the inner service stays reserved; the limiter's deadline bounds this
//!    time.
//! 3. If it is refused, the response names the limit and the wait, see [`Refusal`]. gRPC requests get gRPC statuses.
//! 4. If it is admitted, the [`Decision`], and with it the lease, goes into its extensions, and the inner service is
//!    called. Its handler may adjust the lease when the real cost is known.
//! 5. The response carries `RateLimit` and `RateLimit-Policy` (see [`HeaderDialect`]), added to those of other layers.
//! 6. When its body ends, in whichever way, the lease is settled; see [`settle`].
//!
//! Put the layer inside of authentication (which identifies the client), CORS and compression, and outside of
//! everything expensive. Inside of a retry layer, each attempt is charged; outside of it, all attempts are charged
//! once.
//!
//! Calls to language models are estimated and settled with [`ZaeLimit::llm`]; see [`llm`].
//!
//! # Metrics and events
//!
//! | metric | kind | labels | counts |
//! |---|---|---|---|
//! | `zae_http_decisions_total` | counter | `outcome` = `admitted`, `blind`, `local`, `refused`, `would_refuse`, `skipped`; `reason` = `none`, `exceeded`, `never_fits`, `disabled`, `unavailable`, `bad_request`, `unauthorized`, `misconfigured` | requests |
//! | `zae_http_decision_seconds` | histogram | | time until the decision, extractors included, in seconds, where it was not made at once (from a reserve) |
//! | `zae_http_settlements_total` | counter | `end` = `complete`, `body_failed`, `dropped`, `service_failed`; `verdict` = `keep`, `refund`, `by_handler` | leases settled |
//!
//! | event | level | fields | when |
//! |---|---|---|---|
//! | `request decided` | `TRACE`; `DEBUG` when refused or in shadow mode would be | `outcome`, `reason`, `entity`, `resource`, `error` | each request |
//! | `request settled` | `TRACE` | `end`, `verdict` | each lease |
//! | `requests without identity share …` | `WARN` | | once per layer |
//! | `the limiter cannot decide …` | `ERROR` | `error` | at most once a minute per layer |
//! | `the limiter's store is away …` | `WARN` | `error`, when refused | at most once a minute per layer |
//! | `the limiter failed in a handler` | `ERROR` | `error` | a [`LimitError`] becomes a 5xx |
//!
//! Entity ids appear in events and never in metrics. Secrets appear in neither: extractors hash them first, and errors
//! omit values.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `aws` | yes | connect to AWS: credentials, region, proxies, TLS |
//! | `sso` | no | credentials of IAM Identity Center as well |
//! | `login` | no | credentials of `aws login` as well |
//! | `embedded` | no | an in-process store, for development and tests |
//! | `tiktoken` | no | OpenAI's tokenizers as an estimator of [`llm`] requests: `llm::estimate::tokens` |

#![cfg_attr(docsrs, feature(doc_cfg))]

/// Compiles the examples of the crate's README.
#[cfg(all(doctest, feature = "embedded"))]
#[doc = include_str!("../README.md")]
struct Readme;

mod api_key;
mod body;
mod client_ip;
pub mod cost;
mod decision;
pub mod entity;
mod error;
pub mod extract;
mod future;
mod gate;
mod grpc;
mod guard;
pub mod guide;
mod headers;
mod held;
mod layer;
pub mod limits;
mod line;
pub mod llm;
mod passage;
mod problem;
mod refusal;
mod request;
pub mod resource;
mod route_names;
mod service;
mod settings;
pub mod settle;
pub mod skip;
pub mod standing;
mod telemetry;

/// Building blocks for adapters: the parts of their extractors and, for frameworks that do not use Tower services, the
/// steps by which a request passes the limiter.
///
/// 1. Translate the framework's request into an [`http::Request`], or implement [`RequestHead`] for it. Add [`PeerIp`]
///    and [`MatchedRoute`] to its extensions if the framework knows them.
/// 2. Call [`ZaeLimit::pass`]. [`Passage::Answered`](adapter::Passage::Answered) is the whole response.
/// 3. With [`Passage::Through`](adapter::Passage::Through), call the handler. Translate the extensions back, so that
///    the handler finds the [`Decision`] and its lease.
/// 4. When the response is available, [`Through::respond`](adapter::Through::respond) adds the headers and returns a
///    [`SettleGuard`](adapter::SettleGuard). Keep it in the response's body, show it the bytes that pass, and tell it
///    how the body ended. If it is dropped before that, it settles as for a client that disconnected.
///
/// `zae-actix` is such an adapter; `zae-axum`, which uses Tower services, only needs the parts of the extractors.
pub mod adapter {
    pub use crate::{
        extract::BodyText,
        guard::{SettleGuard, Settled},
        held::Held,
        passage::{Passage, Through},
        route_names::RouteNames,
    };
}

pub use body::ResponseBody;
pub use decision::{Decision, LeaseHandle, Outcome};
pub use error::LimitError;
pub use future::ResponseFuture;
pub use headers::HeaderDialect;
pub use layer::ZaeLimit;
pub use problem::Problem;
pub use refusal::Refusal;
pub use request::{MatchedRoute, PeerIp, RequestHead};
pub use service::ZaeLimitService;
pub use settings::{AcquireSettings, Settings};
pub use zae_limiter::{
    self, AcquireError, Cost, EntityId, IntoName, Lease, LeaseError, LeaseOrigin, Limit, LimitStatus, Limits,
    OnUnavailable, RateLimiter, Repository, Reserve, ResourceName, ValidationError,
};
