//! The layer, its extractors and limits per route, in routers and behind a real server.

mod contract;
mod defaults;
mod handlers;
mod request_path;
mod routes;
mod server;
mod standing;
mod support;
