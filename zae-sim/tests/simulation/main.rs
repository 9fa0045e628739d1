//! The simulation: its table against real engines, and runs that are the same each time and show no violation.

mod as_dynamodb;
mod expressions;
mod load;
mod runs;
mod table;
