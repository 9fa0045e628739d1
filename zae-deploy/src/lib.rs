//! The stack, its Lambda functions, and every admin command.

pub mod manifest;
pub mod provisioner;
