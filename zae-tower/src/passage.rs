//! The result of passing a request to the limiter, and its effect on the response: [`Passage`], [`Through`].

use bytes::Bytes;
use http::{
    HeaderValue, Response,
    header::{CONTENT_LENGTH, TRAILER},
};
use zae_limiter::LeaseOrigin;

use crate::{
    decision::Decision,
    guard::SettleGuard,
    headers::HeaderDialect,
    llm::COST_FIELD,
    settle::{End, ResponseHead},
};

/// Result of [`ZaeLimit::pass`](crate::ZaeLimit::pass): the request proceeds, or is answered.
///
/// See [`ZaeLimit::pass`](crate::ZaeLimit::pass) for an example.
#[derive(Debug)]
pub enum Passage {
    /// The request proceeds to the handler, with the [`Decision`] in its extensions.
    Through(Through),
    /// The request is answered with this response.
    Answered(Response<Bytes>),
}

/// A request that proceeds to its handler. If it is dropped before its response is known, it counts.
///
/// See [`ZaeLimit::pass`](crate::ZaeLimit::pass) for an example.
#[derive(Debug)]
#[must_use = "what the response says decides how the lease is settled"]
pub struct Through {
    /// The lease, or the reason why there is none.
    pub(crate) kind: PassageKind,
    /// The headers that the response gets.
    pub(crate) dialect: HeaderDialect,
    /// Selects the decisions that are put into the response's extensions.
    pub(crate) announcing: Announcing,
}

/// The two ways to proceed.
#[derive(Debug)]
pub(crate) enum PassageKind {
    /// With a lease, from which everything else is read.
    Admitted(SettleGuard),
    /// Without a lease: skipped, or admitted in shadow mode.
    Unlimited(Decision),
}

/// The decisions that are put into the extensions of responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announcing {
    /// Every decision but plain grants: adding one costs more than a grant from a reserve.
    MoreThanGrants,
    /// Every decision.
    All,
}

impl Through {
    /// Processes the response: consults the [`SettleRule`](crate::settle::SettleRule), adds the rate-limit headers and,
    /// unless it was a plain grant, the [`Decision`]. The guard settles the lease when it learns how the body ended.
    pub fn respond<B>(self, response: &mut Response<B>) -> SettleGuard {
        let Self { kind, dialect, announcing } = self;
        // The target of a redirect has limits of its own.
        let dialect = if response.status().is_redirection() { HeaderDialect::Off } else { dialect };
        match kind {
            PassageKind::Admitted(mut guard) => {
                guard.plan(&ResponseHead::from(&*response));
                if guard.tells_cost() && !response.headers().contains_key(CONTENT_LENGTH) {
                    // Without it, HTTP/1.1 sends no trailers.
                    response.headers_mut().append(TRAILER, HeaderValue::from_static(COST_FIELD));
                }
                if let Some(lease) = guard.lease() {
                    dialect.write_granted(response.headers_mut(), lease);
                    if announcing == Announcing::All || lease.origin() != LeaseOrigin::Stored {
                        announce(Decision::admitted(lease.clone()), response);
                    }
                }
                guard
            }
            PassageKind::Unlimited(decision) => {
                dialect.write(response.headers_mut(), decision.statuses(), None);
                announce(decision, response);
                SettleGuard::nothing()
            }
        }
    }

    /// Records that the handler failed with an error instead of a response: the lease is settled at once.
    pub fn fail(self) {
        if let PassageKind::Admitted(mut guard) = self.kind {
            guard.finish(End::ServiceFailed);
        }
    }
}

/// An inner layer's refusal is more informative than this layer's grant.
fn announce<B>(decision: Decision, response: &mut Response<B>) {
    if !response.extensions().get::<Decision>().is_some_and(Decision::is_refused) {
        response.extensions_mut().insert(decision);
    }
}
