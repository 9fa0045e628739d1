//! Accounting for calls to language models: what is read of responses, and what is charged.

mod bad_input;
mod bodies;
mod charges;
mod corpus;
mod generated;
mod models;
mod recorded;
mod requests;
mod splits;
