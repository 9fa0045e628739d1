//! Compares the simulation's table with real engines, and checks that runs are reproducible and show no violation.

mod as_dynamodb;
mod clocks;
mod expressions;
mod fleet;
mod handing_over;
mod load;
mod neighbours;
mod refunds;
mod runs;
mod stage;
mod table;
mod troubles;
mod waits;
