//! The layer as other services and servers meet it.

mod body_end;
mod contract;
mod decisions;
mod hostile;
mod servers;
mod support;
