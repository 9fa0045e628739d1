//! Rate limits for [axum](https://docs.rs/axum), shared by all processes through one DynamoDB table.
//!
//! [`ZaeLimit`] works as a layer without further settings: the entity is an [`EntityId`] that an earlier layer put into
//! the request's extensions, otherwise the peer's address; the resource is the matched route; the cost is one request
//! from every limit that counts requests.
//!
//! ```
//! # #[cfg(feature = "embedded")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::net::SocketAddr;
//! use axum::{Router, routing::get};
//! use zae_axum::{Limit, Repository, ZaeLimit};
//!
//! let repository = Repository::embedded().await?; // in production `Repository::open("default").await?`
//! let limit = ZaeLimit::new(repository).default_limits(Limit::per_minute("rpm", 60)?);
//! let app: Router = Router::new().route("/users/{id}", get(|| async { "hello" })).layer(limit.clone());
//!
//! // The peer's address is known where the server is told to provide it.
//! let service = app.into_make_service_with_connect_info::<SocketAddr>();
//! # let _ = service;
//! // axum::serve(listener, service).with_graceful_shutdown(…).await?;
//! limit.shutdown().await;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "embedded"))]
//! # fn main() {}
//! ```
//!
//! # In handlers
//!
//! [`Lease`] holds the tokens taken for the current request: adjust it when the real cost is known. [`RateLimited`] is
//! the layer's decision. [`LimitError`] turns an error of the limiter into the layer's response.
//!
//! # Per route
//!
//! [`limit_route`] limits by an async function of extractors, in the manner of [`axum::middleware::from_fn`], which
//! returns the [`Charge`].
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
//! # The rest
//!
//! This crate re-exports all of [`zae_tower`], so it is the only dependency needed. Where axum provides more than a
//! plain Tower service does, [`entity`] and [`resource`] have axum versions under the same names.

#![cfg_attr(docsrs, feature(doc_cfg))]

/// Compiles the examples of the crate's README.
#[cfg(all(doctest, feature = "embedded"))]
#[doc = include_str!("../README.md")]
struct Readme;

mod charge;
mod connect;
mod decision;
pub mod entity;
mod error;
pub mod guide;
mod layer;
mod lease;
mod rejection;
pub mod resource;
mod standing_route;

pub use charge::{
    Charge, ChargeFn, Charged, IntoCharge, RouteLimit, RouteLimitFuture, RouteLimitLayer, RouteLimitService,
    limit_route, limit_route_with_state,
};
pub use connect::OnAxum;
pub use decision::RateLimited;
pub use error::LimitError;
pub use layer::ZaeLimit;

pub use lease::Lease;
pub use rejection::NotLimited;
pub use standing_route::standing;
pub use zae_tower::{self, *};
