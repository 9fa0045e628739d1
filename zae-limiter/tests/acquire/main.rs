//! Acquires, leases and settlements: what they answer, cost and report, alone and beside others, with a store that
//! works and one that does not.

mod alone;
mod calls;
mod coalescer;
mod exactness;
mod explained;
mod faults;
mod neighbours;
mod observability;
mod runtimes;
mod troubles;
mod unavailable;
