//! Rules for the final charge of a request: [`SettleRule`].
//!
//! The lease of an admitted request is settled once, when the response's body has ended in whichever way, so that the
//! whole of a streamed response counts. The rule decides if the charge is kept or given back. By default ([`Standard`])
//! it is kept, whatever the status, and even if the client did not wait for the end; otherwise a client could read
//! everything but the last bytes, disconnect, and pay nothing. It is given back only if the inner service failed with
//! an error instead of a response.
//!
//! A response that switches protocols (101, a WebSocket) has no body, and is settled as soon as its head is available.
//! Messages on the connection need leases of their own from the [`RateLimiter`](crate::RateLimiter), for example one
//! per message.
//!
//! A settlement's difference is written within 50 ms, with others if there are any. For a process that may stand still
//! or end once it has answered, as a function does, [`before_response`] settles before the answer.
//!
//! The handler takes precedence under every rule: if it commits or rolls back through its
//! [`LeaseHandle`](crate::LeaseHandle), that stands, and its adjustments are part of the charge.
//!
//! ```
//! use zae_tower::settle;
//! let free_server_errors = settle::refund_on(|status| status.is_server_error());
//! let free_cache_hits = settle::by_response(|response| match response.headers.get("x-cache") {
//!     Some(value) if value == "hit" => settle::Verdict::Refund,
//!     _ => settle::Verdict::Keep,
//! });
//! let only_what_the_handler_commits = settle::by_handler();
//! ```

mod before_response;

use std::{any::type_name, fmt};

use http::{Extensions, HeaderMap, Response, StatusCode};
use zae_limiter::Lease;
pub use zae_llm::End;

pub use before_response::{BeforeResponse, SettledBody, SettledService, before_response};

/// The decision about the charge.
///
/// See the [module](self) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Keeps the charge, adjustments included.
    Keep,
    /// Gives all of it back.
    Refund,
}

/// The head of a response.
///
/// See [`SettleRule`] for an example.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ResponseHead<'a> {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: &'a HeaderMap,
    /// Values that the handler and inner layers left for outer ones.
    pub extensions: &'a Extensions,
}

impl<'a, B> From<&'a Response<B>> for ResponseHead<'a> {
    fn from(response: &'a Response<B>) -> Self {
        Self { status: response.status(), headers: response.headers(), extensions: response.extensions() }
    }
}

/// Decides about the charge of an admitted request.
///
/// ```
/// use zae_tower::{Lease, settle::{End, ResponseHead, SettleRule, Verdict}};
///
/// /// Charges one token per 1000 bytes announced.
/// #[derive(Debug)]
/// struct BySize;
///
/// impl SettleRule for BySize {
///     fn on_response(&self, response: &ResponseHead<'_>, lease: &Lease) -> Verdict {
///         let length = response.headers.get("content-length").and_then(|length| length.to_str().ok());
///         if let Some(bytes) = length.and_then(|length| length.parse::<i64>().ok()) {
///             // Fails when the handler has settled already, or the limit is not among those charged.
///             let _ = lease.adjust("kilobytes", bytes / 1000);
///         }
///         Verdict::Keep
///     }
/// }
/// ```
pub trait SettleRule: Send + Sync + 'static {
    /// Plans the settlement when the head of the response is available. It may adjust the lease.
    fn on_response(&self, response: &ResponseHead<'_>, lease: &Lease) -> Verdict {
        let _ = (response, lease);
        Verdict::Keep
    }

    /// Decides when the request has ended. `planned` is the result of [`on_response`](SettleRule::on_response),
    /// [`Verdict::Keep`] if there was no response. Must not block: it may run in a destructor.
    fn on_end(&self, end: End, planned: Verdict, lease: &Lease) -> Verdict {
        let _ = lease;
        match end {
            End::ServiceFailed => Verdict::Refund,
            _ => planned,
        }
    }
}

/// The default rule: the charge is kept, unless the inner service failed.
///
/// See the [module](self) for an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standard;

impl SettleRule for Standard {}

/// The default rule, except that the charge is given back if `refund` returns true for the response's status.
///
/// Consider what clients can provoke: a client that can cause such a status at will is not limited.
pub fn refund_on<F>(refund: F) -> ByStatus<F>
where
    F: Fn(StatusCode) -> bool + Send + Sync + 'static,
{
    ByStatus(refund)
}

/// The default rule, except that `judge` decides by the head of the response.
pub fn by_response<F>(judge: F) -> ByResponse<F>
where
    F: Fn(&ResponseHead<'_>) -> Verdict + Send + Sync + 'static,
{
    ByResponse(judge)
}

/// Keeps only what the handler commits: a lease that is still open when the response is complete is given back. If the
/// client did not wait for the end, the charge is kept.
pub fn by_handler() -> ByHandler {
    ByHandler
}

/// A rule by status. Created by [`refund_on`].
///
/// See the [module](self) for an example.
#[derive(Clone, Copy)]
pub struct ByStatus<F>(F);

impl<F> SettleRule for ByStatus<F>
where
    F: Fn(StatusCode) -> bool + Send + Sync + 'static,
{
    fn on_response(&self, response: &ResponseHead<'_>, _: &Lease) -> Verdict {
        if (self.0)(response.status) { Verdict::Refund } else { Verdict::Keep }
    }
}

impl<F> fmt::Debug for ByStatus<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByStatus").field(&type_name::<F>()).finish()
    }
}

/// A rule by the head of the response. Created by [`by_response`].
///
/// See the [module](self) for an example.
#[derive(Clone, Copy)]
pub struct ByResponse<F>(F);

impl<F> SettleRule for ByResponse<F>
where
    F: Fn(&ResponseHead<'_>) -> Verdict + Send + Sync + 'static,
{
    fn on_response(&self, response: &ResponseHead<'_>, _: &Lease) -> Verdict {
        (self.0)(response)
    }
}

impl<F> fmt::Debug for ByResponse<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByResponse").field(&type_name::<F>()).finish()
    }
}

/// The rule that leaves the decision to the handler. Created by [`by_handler`].
///
/// See the [module](self) for an example.
#[derive(Clone, Copy, Debug)]
pub struct ByHandler;

impl SettleRule for ByHandler {
    fn on_end(&self, end: End, planned: Verdict, _: &Lease) -> Verdict {
        match end {
            End::Complete | End::ServiceFailed => Verdict::Refund,
            _ => planned,
        }
    }
}
