//! A deterministic simulation of the limiter: the real engine, in any number of processes, on a table of its own.
//!
//! One seed decides everything: what processes do and when, how long messages take, what goes wrong. A run takes no
//! time that anybody waits for, and the same seed gives the same history, to the byte. Each history is judged by the
//! invariants of `DESIGN.md`.

pub mod check;
pub mod dice;
pub mod fleet;
pub mod minimise;
pub mod play;
pub mod schedule;
pub mod table;
pub mod trace;
pub mod world;
