//! Guides that accompany the reference.
//!
//! - [`concepts`]: limits, buckets, leases, parents, in five minutes.
//! - [`testing`]: your own service under test, with a driven clock and a store in the process.
//! - [`operations`]: settings, cost, outages, metrics and alerts.
//! - [`troubleshooting`]: symptoms, causes and remedies.
//! - [`migration`]: from the Python package, call by call.
//! - [`engine`]: how a lane and a reserve work, and the argument that they are exact.
//!
//! Recipes for HTTP services are in `zae_axum::guide` and `zae_tower::guide`, outgoing calls in `zae_reqwest::guide`,
//! and deployment in `zae_deploy::guide`.

/// Limits, buckets, leases, parents: everything needed to use the limiter.
///
#[doc = include_str!("../docs/overview.svg")]
#[cfg_attr(feature = "embedded", doc = include_str!("../docs/concepts.md"))]
pub mod concepts {}

/// Your own service under test, with a driven clock and a store in the process.
#[cfg_attr(feature = "embedded", doc = include_str!("../docs/testing.md"))]
pub mod testing {}

/// Settings, cost, outages, metrics and alerts.
#[doc = include_str!("../docs/operations.md")]
pub mod operations {}

/// Symptoms, causes and remedies.
#[doc = include_str!("../docs/troubleshooting.md")]
pub mod troubleshooting {}

/// Moving services from the Python package, with a table of calls and commands.
#[doc = include_str!("../docs/migration.md")]
pub mod migration {}

/// The states of a lane and of a reserve, and the argument that they are exact.
#[doc = include_str!("../docs/engine.md")]
pub mod engine {}
