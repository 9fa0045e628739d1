//! The Lambda functions as deployed: the real binaries, polling a fake runtime API, writing to a DynamoDB and an S3 on
//! other sockets. (The DynamoDB is the embedded one over HTTP; the S3 only stores objects.)
//!
//! `ZAE_LAMBDA_BINARIES` names a folder whose binaries are tested instead, for example that of a `--profile dist`
//! build.

mod archive;
mod batches;
mod cold_start;
mod cost;
mod crashes;
mod failures;
mod package;
mod pending;
mod provisioner;
mod python_runtime;
mod reference;
mod refill;
mod shards;
mod support;
mod traces;
