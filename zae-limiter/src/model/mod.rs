//! The model: validated values without I/O.

pub(crate) mod cost;
pub(crate) mod entity;
pub(crate) mod limit;
pub(crate) mod name;
pub(crate) mod status;
