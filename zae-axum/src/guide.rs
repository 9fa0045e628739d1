//! Guides that accompany the reference.

/// Recipes: login throttling, plans per tenant, webhooks, charging by size.
#[doc = include_str!("../docs/cookbook.md")]
pub mod cookbook {}
