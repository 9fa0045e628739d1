//! Stacks: the template by itself, against `moto` where it can, and against a scripted CloudFormation where it cannot.
//!
//! `moto` (the AWS stand-in of the Python world), `cfn-lint` and the Python package `zae-limiter` are installed into a
//! virtual environment in the target directory, once. Where that is not possible their tests are skipped with a notice;
//! `ZAE_REQUIRE_INTEROP=1` makes that a failure.
//!
//! `moto` does not know conditions, change sets of existing stacks or failures. [`moto`] therefore hands it templates
//! whose conditions are resolved ([`resolve`]), and [`flows`] plays updates and failures against [`fake`], which
//! answers what a script says in the shapes of the API's documentation.

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
