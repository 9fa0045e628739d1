//! The engine's surroundings: the home runtime, deadlines, the circuit breaker, and the context that all lanes share.
//!
//! - [`home`] is the runtime that the limiter works on, so that its lanes outlive the worker that happened to ask.
//! - [`deadlines`] keeps the deadlines of all waiters with one timer.
//! - [`breaker`] stops asking a store that only fails, and lets one request a second find out whether it answers again.
//! - [`context`] is what the lanes of one limiter share: store, namespace, clock, options, and the three above.

pub(crate) mod breaker;
pub(crate) mod context;
pub(crate) mod deadlines;
pub(crate) mod home;
pub(crate) mod store_clock;
