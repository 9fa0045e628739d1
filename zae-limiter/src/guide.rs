//! Guides to read beside the reference.

/// Moving services from the Python package, with a table of calls and commands.
#[doc = include_str!("../docs/migration.md")]
pub mod migration {}

/// Symptoms, causes and what to do about them.
#[cfg_attr(feature = "embedded", doc = include_str!("../docs/troubleshooting.md"))]
pub mod troubleshooting {}
