//! The stack, its Lambda functions, and every admin command.
//!
//! [`guide`] shows how to deploy and operate a stack, from the command line and from programs. [`stack`] creates,
//! updates, finds and removes stacks; [`template`] is their CloudFormation template.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `local` | yes | `zae-deploy local`: the whole stack in one process, on an embedded DynamoDB |
//! | `sso` | yes | credentials of IAM Identity Center as well |
//! | `login` | yes | credentials of `aws login` as well |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod advice;
pub mod aggregator;
pub mod artifact;
pub mod cli;
pub mod function;
pub mod guide;
#[cfg(feature = "local")]
pub mod local;
pub mod manifest;
pub mod package;
pub mod provisioner;
mod resource_name;
pub mod stack;
pub mod template;
