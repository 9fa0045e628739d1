//! The model: validated values without I/O.

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
