//! Accounting for calls to language models: what is read of responses, and what is charged.

#[path = "../support/mod.rs"]
mod support;

#[path = "../../benches/stream/mod.rs"]
mod stream;

mod bad_input;
mod charges;
mod corpus;
mod generated;
mod ratio;
mod recorded;
mod requests;
mod splits;
