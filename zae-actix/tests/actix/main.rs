//! The middleware through real actix-web apps, beside the axum adapter, and behind a real server.

#![recursion_limit = "256"]
#![allow(clippy::future_not_send, reason = "actix-web's services stay on their thread")]

mod ask;
mod body_end;
mod defaults;
mod errors;
mod handlers;
mod llm;
mod parity;
mod server;
mod settings;
// A limiter on a table of its own in memory: the same for both adapters.
#[path = "../../../zae-axum/tests/support/mod.rs"]
mod support;
