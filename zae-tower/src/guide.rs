//! Guides to read beside the reference. Recipes for axum are in `zae_axum::guide::cookbook`.

/// gRPC services with tonic.
#[doc = include_str!("../docs/tonic.md")]
pub mod tonic {}
