//! The engine's surroundings: the home runtime, deadlines, the circuit breaker, and the context that all lanes share.
//!
//! - [`home`] is the runtime that the limiter works on, so that its lanes outlive the worker that happened to ask.
//! - [`deadlines`] keeps the deadlines of all waiters with one timer.
//! - [`breaker`] stops asking a store that only fails, and lets one request a second find out whether it answers again.
//! - [`moment`] is an instant by both clocks, for what must end although one of them stands still.
//! - [`store_clock`] is the clock that refills go by, held to DynamoDB's.
//! - [`context`] is what the lanes of one limiter share: store, namespace, clock, options, and the others above.
//!
//! Two clocks are in use: refills go by the wall clock in epoch milliseconds (`i64`), everything else by tokio's
//! [`Instant`](tokio::time::Instant), which tests pause. What is held ahead of use ends by both ([`moment`]).

pub(crate) mod breaker;
pub(crate) mod context;
pub(crate) mod deadlines;
pub(crate) mod home;
pub(crate) mod moment;
pub(crate) mod store_clock;
