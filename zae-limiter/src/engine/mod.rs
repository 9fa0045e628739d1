//! The path of an acquire: from a request to tokens taken, held ahead, and given back.
//!
//! | room | holds | talks to |
//! |---|---|---|
//! | [`acquire`] | one acquire: its limits, one ask per bucket, the refusals, the shares for outages | repository, lanes |
//! | [`lane`] | one bucket: a queue, decisions over an image, the write, settlements | store |
//! | [`reserve`] | tokens debited ahead of use; pure decisions, kept by the lane | nothing |
//! | [`runtime`] | the runtime to work on, one timer for all deadlines, the circuit breaker | tokio |
//! | [`telemetry`] | every metric and event, in one place | `metrics`, `tracing` |
//!
//! Data flows down, from an acquire to its lanes to the store, and answers return through channels. Nothing here uses
//! DynamoDB's attributes: a lane passes a plan of [`bucket`](crate::bucket) to the store, and gets an image back.
//!
//! # Ownership of tokens
//!
//! At any time each token that left a bucket has exactly one owner, which will give it back or use it up, and ownership
//! is transferred without an await in between:
//!
//! 1. a write in flight ([`lane::drive`]): if its response arrives, the tokens become holds; if it never does, they
//!    count as used;
//! 2. a hold in the channel to the acquire: if the acquire is gone, the channel drops it, and dropping refunds;
//! 3. a hold in a lease: settled, or dropped;
//! 4. a lot of a reserve ([`reserve::lots`]): granted, returned or forfeited by its expiry;
//! 5. a settlement in a lane's queue: written, retried, or abandoned and counted.
//!
//! Therefore nothing has to be cleaned up after a cancelled future, and there is no list of open leases.
//!
//! # Alternatives
//!
//! - *A write per acquire*: 1000 acquires a second on one bucket are 1000 writes, each of which may lose to another.
//!   The queue serves them with as many writes as there are round trips.
//! - *A central task for all lanes*: one slow bucket would delay the others, and a lone acquire would take two task
//!   switches.
//! - *A read before each write*: the failed condition returns the item for the same price.
//! - *Leases with an expiry in the table*: one more write for each acquire, and a sweeper, to detect what dropping
//!   detects immediately. Refill replaces what a crash loses.
//!
//! [`guide::engine`](crate::guide::engine) draws the states of a lane and of a reserve, and proves that they are exact.

pub(crate) mod acquire;
pub(crate) mod lane;
pub(crate) mod reserve;
pub(crate) mod runtime;
pub(crate) mod telemetry;
