//! Accounting for calls to language models in a layer: reading requests, and charging.

mod bodies;
mod charges;
mod chunks;
mod corpus;
mod costs;
mod models;
mod requests;
