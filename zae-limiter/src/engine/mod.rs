//! The way of an acquire: from a request to tokens taken, held ahead, and given back.

pub(crate) mod acquire;
pub(crate) mod lane;
pub(crate) mod reserve;
pub(crate) mod runtime;
pub(crate) mod telemetry;
