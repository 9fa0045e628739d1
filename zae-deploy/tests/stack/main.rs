//! Stacks: the template by itself, against `moto` where that supports it, and against a scripted CloudFormation
//! otherwise.
//!
//! `moto` (the AWS stand-in of the Python world), `cfn-lint` and the Python package `zae-limiter` are installed once
//! into a virtual environment in the target directory. If that is not possible, their tests are skipped with a notice;
//! `ZAE_REQUIRE_INTEROP=1` makes that a failure.
//!
//! `moto` does not support conditions, change sets of existing stacks or failures. [`moto`] therefore passes it
//! templates with resolved conditions ([`resolve`]), and [`flows`] plays updates and failures against [`fake`], which
//! gives scripted answers in the formats of the API's documentation.

mod archive;
mod commands;
mod export;
mod fake;
mod flows;
mod form;
mod iam;
mod inventory;
mod lifecycle;
mod moto;
mod resolve;
mod run;
mod security;
mod session;
mod shown;
mod template;
mod venv;
