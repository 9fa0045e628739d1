//! The example programs, as newcomers run them.

mod llm_gateway;
mod outgoing;
mod quickstart;
