//! The setting for debiting tokens ahead of use: [`Reserve`].
//!
//! The setting is public; the mechanism is [`engine::reserve`](crate::engine::reserve). [`Exactness`] is the effective
//! setting for one bucket of one acquire.

use serde::{Deserialize, Serialize};

/// Allows a process to debit tokens before it needs them, keep them for a short while, and grant from them without
/// asking the table.
///
/// It is meant for buckets that many processes use many times a second, above all parents: a thousand keys of one
/// project share one item. Such a bucket then costs a few writes per second and process instead of one per acquire, and
/// a grant takes no round trip. The amount held follows the demand: what this process needs in three quarters of the
/// reserve's lifetime, at most 0.5 % of the capacity and half of the bucket's balance. Buckets with little demand or a
/// small capacity work as without a reserve.
///
/// Tokens leave the bucket before they are used, so in the long run never more is granted than the limit allows. In an
/// interval of τ seconds at most capacity + rate·τ + min(rate·L, N·(B−1)) is granted, with L the life of a reserve
/// ([`reserve_life`](crate::RateLimiterBuilder::reserve_life)), N the number of processes and B the most that one of
/// them holds (0.5 % of the capacity). For a limit per minute and a life of one second that is at most 1.7 % of the
/// capacity, whatever the number of processes. [`guide::engine`](crate::guide::engine) has the
/// argument.
///
/// The price: while a bucket is nearly empty, a process that was just refused answers from memory for about one
/// [`reserve_life`](crate::RateLimiterBuilder::reserve_life) before it asks again, so that a thousand processes do not
/// poll for every refilled token. And the tokens
/// held by a process that crashes are gone until refill replaces them.
///
/// A fleet of small processes needs tokens that live longer than a second, or none of them asks often enough to hold
/// any. With [`longest_reserve_life`](crate::RateLimiterBuilder::longest_reserve_life) the life grows with the number
/// of processes, to N/75 seconds, as far as is allowed; the bound is then that of the longest life:
///
/// | processes | acquires a second | life wanted | a process holds | excess at most, with a limit of 4000 a second |
/// |---|---|---|---|---|
/// | 32 | 2000 | 1 s | 19 tokens, its 0.5 % | 608 tokens |
/// | 250 | 2000 | 3.3 s | 19 tokens | 4750 tokens |
/// | 1000 | 2000 | 13.3 s | 19 tokens | 19 000 tokens |
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{RateLimiter, Repository, Reserve};
///
/// let limiter = RateLimiter::builder(Repository::embedded().await?).reserve(Reserve::Parents).build();
/// # let _ = limiter;
/// # Ok(())
/// # }
/// ```
///
/// For example, of a limit of 60 000 requests a minute, a process holds at most 299 tokens. At 500 acquires a second in
/// one process the goal is three quarters of a second's demand, 375, so it holds 299 and writes two or three times a
/// second instead of up to 500 times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Reserve {
    /// Every acquire is decided by the table: exact to the token.
    #[default]
    Off,
    /// Only the buckets of parents, if an entity cascades.
    Parents,
    /// Every bucket with enough demand.
    All,
}

/// The two ways to take from a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exactness {
    /// The table decides.
    Strict,
    /// Tokens debited ahead of use are acceptable.
    Reserved,
}

impl Reserve {
    /// Returns the mode for an acquiring entity's own bucket.
    pub(crate) fn child(self) -> Exactness {
        match self {
            Self::All => Exactness::Reserved,
            Self::Off | Self::Parents => Exactness::Strict,
        }
    }

    /// Returns the mode for its parent's bucket.
    pub(crate) fn parent(self) -> Exactness {
        match self {
            Self::All | Self::Parents => Exactness::Reserved,
            Self::Off => Exactness::Strict,
        }
    }
}
