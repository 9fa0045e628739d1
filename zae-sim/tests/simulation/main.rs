//! The simulation: its table against real engines, and runs that are the same each time and show no violation.

mod as_dynamodb;
mod clocks;
mod expressions;
mod handing_over;
mod load;
mod neighbours;
mod runs;
mod stage;
mod table;
mod troubles;
