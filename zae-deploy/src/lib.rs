//! The stack, its Lambda functions, and every admin command.

pub mod aggregator;
pub mod artifact;
pub mod cli;
pub mod function;
pub mod local;
pub mod manifest;
pub mod package;
pub mod provisioner;
pub mod stack;
pub mod template;
