//! Guides to read beside the reference.

/// Tariffs, estimates, the final charge, and what is read of responses.
#[doc = include_str!("../docs/accounting.md")]
pub mod accounting {}

/// Contents of a provider's file, and the steps to add one.
#[doc = include_str!("../docs/providers.md")]
pub mod providers {}

/// The accuracy of estimates: text by script and kind, media, tools, output.
#[doc = include_str!("../docs/estimates.md")]
pub mod estimates {}
