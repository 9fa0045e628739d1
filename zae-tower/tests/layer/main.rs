//! The layer with other services and servers.

mod body_end;
mod contract;
mod decisions;
mod hostile;
mod servers;
mod support;
