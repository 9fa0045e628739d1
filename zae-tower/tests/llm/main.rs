//! Accounting for calls to language models in a layer: what is read of requests, and what is charged.

mod bodies;
mod charges;
mod corpus;
mod models;
mod requests;
