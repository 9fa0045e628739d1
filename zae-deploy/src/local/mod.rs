//! A whole stack on a laptop: one process, no Docker, no AWS account.
//!
//! An embedded DynamoDB serves the table over HTTP, with a stream and expiry of items; the aggregator reads the stream
//! in this process, and the provisioner is called as on AWS. Any AWS SDK can use the endpoint.
//!
//! The stack is a CloudFormation stack, as far as `deploy`, `status`, `list` and `delete` can tell, as are others that
//! they create beside it: tables, functions, archives and custom resources work, and the other resources of a template
//! are only recorded.
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use zae_deploy::local::{Local, Options};
//! let local = Local::start(Options::default().port(0)).await?;
//! println!("AWS_ENDPOINT_URL={}", local.endpoint());
//! local.stop().await;
//! # Ok(())
//! # }
//! ```

mod cloud;
pub mod control;
mod database;
mod front;
mod guard;
mod options;
mod ports;
mod position;
mod private;
mod start;
mod stream;

pub use options::{DEFAULT_PORT, Data, Options};
pub use start::{Local, LocalError};
