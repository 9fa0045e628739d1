//! The layer with other services and servers.

mod before_response;
mod body_end;
mod contract;
mod decisions;
mod hostile;
mod servers;
mod support;
