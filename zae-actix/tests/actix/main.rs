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
mod standing;
