//! Acquires, leases and settlements: their results, cost and metrics, alone and beside others, with a working and a
//! failing store.

mod alone;
mod calls;
mod coalescer;
mod exactness;
mod explained;
mod faults;
mod neighbours;
mod observability;
mod reference;
mod runtimes;
mod several;
mod troubles;
mod unavailable;
