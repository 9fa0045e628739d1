//! The model: validated values without I/O.
//!
//! Everything that crosses the public interface is checked once, on construction: every existing
//! [`EntityId`](name::EntityId) is valid and can become a part of a key. The checks are those of the Python package, so
//! that both accept the same names.
//!
//! | kind | unit outside | unit in a bucket |
//! |---|---|---|
//! | amounts, capacities, refills, balances | whole tokens, `u64` or `i64` | millitokens (mt), `i64` |
//! | refill periods | [`Duration`](std::time::Duration) of whole seconds | milliseconds |
//! | waits | [`Duration`](std::time::Duration) to the millisecond | milliseconds |
//! | instants | epoch milliseconds, `i64`; `YYYY-MM-DDTHH:MM:SSZ` in records | epoch milliseconds; `ttl` in epoch seconds |
//!
//! Only the bucket's arithmetic uses thousandths: [`Params::from`](crate::bucket::Params) converts a limit, and
//! statuses convert back, rounding balances down and waits up. [`MAX_TOKENS`](limit::MAX_TOKENS) is chosen so that a
//! capacity in millitokens, and the sum of a few of them, fits into 63 bits; no intermediate step has to handle an
//! overflow.
//!
//! Returned types are `#[non_exhaustive]` and serialise as the command line prints them. Types that other clients store
//! too keep unknown values (`AuditAction::Other`) instead of failing, because a newer client may have written them.

pub(crate) mod access;
pub(crate) mod amount;
pub(crate) mod audit;
pub(crate) mod availability;
pub(crate) mod bucket;
pub(crate) mod capacity;
pub(crate) mod cost;
pub(crate) mod defaults;
pub(crate) mod document;
pub(crate) mod entity;
pub(crate) mod explain;
pub(crate) mod fanout;
pub(crate) mod limit;
pub(crate) mod name;
pub(crate) mod namespace;
pub(crate) mod operation;
pub(crate) mod parameters;
pub(crate) mod pause;
pub(crate) mod provisioner;
pub(crate) mod quota;
pub(crate) mod reserve;
#[allow(dead_code, reason = "parameter schedules and sessions are evaluated, but no limit uses them yet")]
pub(crate) mod schedule;
pub(crate) mod shards;
pub(crate) mod status;
pub(crate) mod unsettled;
pub(crate) mod usage;
pub(crate) mod version;
