//! The way of an acquire: from a request to tokens taken, held ahead, and given back.
//!
//! | room | holds | talks to |
//! |---|---|---|
//! | [`acquire`] | one acquire: its limits, one ask per bucket, the refusals, the shares for outages | repository, lanes |
//! | [`lane`] | one bucket: a queue, decisions over an image, the write, settlements | store |
//! | [`reserve`] | tokens debited ahead of use; pure decisions, kept by the lane | nothing |
//! | [`runtime`] | the runtime to work on, one timer for all deadlines, the circuit breaker | tokio |
//! | [`telemetry`] | every metric and event, in one place | `metrics`, `tracing` |
//!
//! Data flows down, from an acquire to its lanes to the store, and answers flow back through channels. Nothing here
//! knows DynamoDB's attributes: a lane hands a plan of [`bucket`](crate::bucket) to the store, and gets an image back.
//!
//! [`guide::engine`](crate::guide::engine) draws the states of a lane and of a reserve, and argues that they are exact.

pub(crate) mod acquire;
pub(crate) mod lane;
pub(crate) mod reserve;
pub(crate) mod runtime;
pub(crate) mod telemetry;
