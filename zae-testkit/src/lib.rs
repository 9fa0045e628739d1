//! The tools that tests and benchmarks of zae's crates share: stores, wires that fail on demand, driven time, and
//! other programs (the published Python package, Lambda functions).

#![allow(
    missing_docs,
    missing_debug_implementations,
    clippy::new_without_default,
    reason = "names explain a test's tools, and nobody prints or defaults them"
)]

mod body;
pub mod child;
pub mod driven;
pub mod front;
pub mod function;
pub mod ideal;
mod limiters;
mod log;
pub mod measures;
pub mod raw;
pub mod recorded;
pub mod records;
pub mod snapshot;
pub mod store;
pub mod table;
mod tap;
pub mod venv;
mod wire;

use std::time::Duration;

use zae_limiter::{Limit, Limits};

pub use body::{Script, read};
pub use limiters::{Bench, left, left_of, limiter, limiter_on_a_wire, repository};
pub use log::{Log, LogGuard};
pub use tap::tap;
pub use wire::{Fault, Units, Wire};

/// 2026-01-01T00:00:00Z in epoch ms.
pub const START: i64 = 1_767_225_600_000;

/// Long enough that a busy test machine is never mistaken for a dead store.
pub const DEADLINE: Duration = Duration::from_secs(10);

pub fn limits(limits: impl IntoIterator<Item = Limit>) -> Limits {
    Limits::new(limits).unwrap()
}

pub fn rpm(rate: u64) -> Limit {
    Limit::per_minute("rpm", rate).unwrap()
}

pub fn tpm(rate: u64) -> Limit {
    Limit::per_minute("tpm", rate).unwrap()
}
