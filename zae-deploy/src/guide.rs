//! Guides to deploying and operating a stack.
//!
//! - [`deployment`]: from the command line, from a program, or from the template; IAM and encryption.
//! - [`cli`]: every command, its options, exit codes and documents.
//! - [`limits`]: limits as code, in one YAML file per namespace.
//! - [`lambda`]: the functions of a stack, and how to build them.
//! - [`local`]: a whole stack on this machine.

/// Deploying, inspecting and deleting a stack, from the command line, from a program, or from the template.
#[doc = include_str!("../docs/deployment.md")]
pub mod deployment {}

/// Every command, its options, exit codes and documents.
#[doc = include_str!("../docs/cli.md")]
pub mod cli {}

/// Limits as code, in one YAML file per namespace.
#[doc = include_str!("../docs/limits.md")]
pub mod limits {}

/// The functions of a stack, and how to build them.
#[doc = include_str!("../docs/lambda.md")]
pub mod lambda {}

/// A whole stack on this machine.
#[doc = include_str!("../docs/local.md")]
pub mod local {}
