//! The `zae-deploy` binary as its users run it, on a table in this process that is served over loopback HTTP.
//!
//! Its output, here and in the tests of stacks, limits and the local stack, is compared with the files in `snapshots/`;
//! `UPDATE_SNAPSHOTS=1` rewrites them.

mod audit;
mod bad_input;
mod buckets;
mod cost;
mod docs;
mod doctor;
mod entities;
mod environment;
mod errors;
mod explain;
mod help;
mod interop;
mod limits;
mod namespaces;
mod prices;
mod read_only;
mod removals;
mod resources;
mod stage;
mod system;
mod top;
mod usage;
