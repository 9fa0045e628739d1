//! Guides that accompany the reference. Recipes for axum are in `zae_axum::guide::cookbook`.

/// Functions on AWS Lambda: settling before the answer, and clocks that stand still.
#[doc = include_str!("../docs/functions.md")]
pub mod functions {}

/// Calls to language models: models, tariffs, estimates, and the final charge.
#[doc = include_str!("../docs/llm.md")]
pub mod llm {}

/// gRPC services with tonic.
#[doc = include_str!("../docs/tonic.md")]
pub mod tonic {}
