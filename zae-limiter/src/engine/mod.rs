//! The acquire path: resolve, choose a shard, decide with one write, hand out a lease.

pub(crate) mod acquire;
pub(crate) mod ask;
pub(crate) mod breaker;
pub(crate) mod deadlines;
pub(crate) mod demand;
pub(crate) mod denied;
pub(crate) mod drive;
pub(crate) mod front;
pub(crate) mod hold;
pub(crate) mod home;
pub(crate) mod image;
pub(crate) mod incarnation;
#[cfg(test)]
mod keeping_tests;
pub(crate) mod lane;
pub(crate) mod lanes;
pub(crate) mod level;
pub(crate) mod lifetime;
pub(crate) mod local;
pub(crate) mod lots;
pub(crate) mod over;
pub(crate) mod plan;
#[cfg(test)]
mod plan_tests;
pub(crate) mod query;
pub(crate) mod queue;
pub(crate) mod refuse;
pub(crate) mod resolve;
pub(crate) mod round;
pub(crate) mod send;
pub(crate) mod shared;
mod shift;
pub(crate) mod stock;
#[cfg(test)]
mod stock_tests;
mod stop;
pub(crate) mod telemetry;
pub(crate) mod watch;
