//! The engine's surroundings: the home runtime, deadlines, the circuit breaker, and the context that all lanes share.

pub(crate) mod breaker;
pub(crate) mod context;
pub(crate) mod deadlines;
pub(crate) mod home;
