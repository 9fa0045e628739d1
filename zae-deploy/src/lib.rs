//! The stack, its Lambda functions, and every admin command.

pub mod cli;
pub mod manifest;
pub mod provisioner;
