//! A deterministic simulation of the limiter: the real engine, in any number of processes, on a table of its own.
//!
//! One seed determines everything: the actions of processes and their times, the latency of messages, and the faults. A
//! run takes no real waiting time, and the same seed gives the same history, byte for byte. Each history is checked
//! against the invariants of `DESIGN.md`.

pub mod check;
pub mod dice;
pub mod fleet;
pub mod minimise;
pub mod play;
pub mod schedule;
pub mod table;
pub mod trace;
pub mod world;
