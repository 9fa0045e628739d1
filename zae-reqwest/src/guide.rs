//! Guides that accompany the reference.

/// Waiting, pauses and settlement of outgoing calls, with the reasons.
#[doc = include_str!("../docs/outgoing.md")]
pub mod outgoing {}
