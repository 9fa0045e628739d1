//! The model: validated values without I/O.
//!
//! Everything that crosses the public interface is checked once, when it is made: an [`EntityId`](name::EntityId) that
//! exists is a valid one, and so can become a part of a key. The checks are those of the Python package, so that both
//! sides accept the same names. Amounts are whole tokens here; only the bucket's arithmetic knows thousandths.

pub(crate) mod amount;
pub(crate) mod audit;
pub(crate) mod bucket;
pub(crate) mod capacity;
pub(crate) mod cost;
pub(crate) mod defaults;
pub(crate) mod entity;
pub(crate) mod limit;
pub(crate) mod name;
pub(crate) mod namespace;
pub(crate) mod pause;
pub(crate) mod provisioner;
pub(crate) mod reserve;
pub(crate) mod status;
pub(crate) mod usage;
pub(crate) mod version;
