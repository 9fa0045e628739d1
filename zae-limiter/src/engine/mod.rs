//! The acquire path: resolve, choose a shard, decide with one write, hand out a lease.

pub(crate) mod image;
pub(crate) mod plan;
#[cfg(test)]
mod plan_tests;
