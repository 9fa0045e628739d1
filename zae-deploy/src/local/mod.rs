//! The whole stack on a laptop: one process, no Docker, no AWS account.
//!
//! An embedded DynamoDB answers over HTTP with the table, a stream, and expiry of items; the aggregator reads the
//! stream in this process, and the provisioner is called as it is on AWS. Any AWS SDK can use the endpoint.
//!
//! The stack is one of CloudFormation's, as far as `deploy`, `status`, `list` and `delete` can tell, and so are others
//! that they make beside it: tables, functions, archives and custom resources work, and the rest of a template is
//! noted.
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
