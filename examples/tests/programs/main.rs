//! The example programs, as newcomers run them.

mod actix;
mod function;
mod llm_gateway;
mod metrics;
mod outgoing;
