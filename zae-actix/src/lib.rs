//! Rate limits for [actix-web](https://docs.rs/actix-web), shared by all workers and processes through one DynamoDB
//! table.
//!
//! [`ZaeLimit`] works as a middleware without further settings: the entity is an [`EntityId`] that an earlier
//! middleware put into the request's extensions, otherwise the peer's address; the resource is the pattern of the
//! route; the cost is one request from every limit that counts requests. Limits are stored in the table, or given with
//! [`default_limits`](ZaeLimit::default_limits); without any, every request is answered with 500, and the log names the
//! command that stores some.
//!
//! ```
//! # #[cfg(feature = "embedded")]
//! # #[actix_web::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use actix_web::{App, HttpServer, web};
//! use zae_actix::{Limit, Repository, ZaeLimit};
//!
//! let repository = Repository::embedded().await?; // in production `Repository::open("default").await?`
//! let limit = ZaeLimit::new(repository).default_limits(Limit::per_minute("rpm", 60)?);
//!
//! let shared = limit.clone(); // made once, cloned into every worker
//! let server = HttpServer::new(move || {
//!     App::new().wrap(shared.clone()).route("/users/{id}", web::get().to(|| async { "hello" }))
//! });
//! # let _ = server;
//! // server.bind(("127.0.0.1", 8080))?.run().await?;
//! limit.shutdown().await; // settles what is still open
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "embedded"))]
//! # fn main() {}
//! ```
//!
//! # In handlers
//!
//! [`Lease`] holds the tokens taken for the current request: adjust it when the real cost is known. [`RateLimited`] is
//! the decision. [`LimitError`] turns an error of the limiter into the middleware's response.
//!
//! # Language models
//!
//! [`ZaeLimit::llm`] estimates the cost of a call from its JSON body, and settles it by the usage that the response
//! reports, streamed or not; see [`llm`].
//!
//! # Where to wrap
//!
//! [`App::wrap`](actix_web::App::wrap) limits everything, including paths that no route matches (resource `default`);
//! [`Scope::wrap`](actix_web::Scope::wrap) and [`Resource::wrap`](actix_web::Resource::wrap) limit their contents. The
//! middleware wrapped last runs first: wrap this one before authentication (which identifies the client), CORS and
//! compression, so that they are around it. If several limits are around a handler, all of them must grant, and all of
//! their headers are sent.
//!
//! # Workers
//!
//! An actix-web server has a runtime per worker, and workers end before the program does. A limiter runs on the runtime
//! on which it was created: create it before the server, under `#[actix_web::main]` or `#[tokio::main]` (whose threads
//! then share the work), clone it into the workers, and call [`ZaeLimit::shutdown`] after the server has stopped. This
//! settles whatever the workers left unsettled, including connections that outlived the server's shutdown timeout.
//!
//! # Errors
//!
//! A handler's error is a response, and charged as one. If an inner middleware fails with an [`Error`], its response
//! will carry the rate-limit headers, and the [settle rule](settle) sees it: a 5xx counts as
//! [`End::ServiceFailed`](settle::End::ServiceFailed), which by default gives back the charge; anything else counts as
//! a response.
//!
//! # The rest
//!
//! This crate re-exports all of [`zae_tower`], so it is the only dependency needed. Where actix-web provides more than
//! a plain Tower service does, [`entity`], [`resource`], [`cost`], [`limits`] and [`skip`] have actix-web versions
//! under the same names. The shared parts use [`http`] 1, and actix-web uses 0.2: settle rules see statuses and headers
//! of [`http`] 1.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `aws` | yes | connect to AWS: credentials, region, proxies, TLS |
//! | `sso` | no | credentials of IAM Identity Center as well |
//! | `login` | no | credentials of `aws login` as well |
//! | `embedded` | no | an in-process store, for development and tests |
//! | `tiktoken` | no | OpenAI's tokenizers as an estimator: `llm::estimate::tokens` |
//!
//! [`Error`]: actix_web::Error

#![cfg_attr(docsrs, feature(doc_cfg))]

/// Compiles the examples of the crate's README.
#[cfg(all(doctest, feature = "embedded"))]
#[doc = include_str!("../README.md")]
struct Readme;

mod body;
pub mod cost;
mod current;
mod decision;
pub mod entity;
mod error;
mod future;
mod layer;
pub mod limits;
mod payload;
pub mod resource;
mod service;
pub mod skip;
mod standing_route;
mod translate;

pub use body::ResponseBody;
pub use decision::{Lease, RateLimited};
pub use error::{LimitError, NotLimited};
pub use future::ResponseFuture;
pub use http;
pub use layer::ZaeLimit;
pub use payload::RequestBody;
pub use service::ZaeLimitService;
pub use standing_route::standing;
pub use zae_tower::{self, *};

/// A request as extractors see it: method, target, headers, and three extensions: [`EntityId`], [`PeerIp`] and
/// [`MatchedRoute`]. An extractor of your own implements [`Extract<Head>`](extract::Extract), and may read the body,
/// see [`extract::PeekBody`]; closures see all of actix-web's request except the body, see [`entity::from_fn`].
pub type Head = http::Request<RequestBody>;
