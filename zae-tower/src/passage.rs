//! Results of passing a request to the limiter, and their consequences: [`Passage`], [`Through`].

use bytes::Bytes;
use http::Response;
use zae_limiter::LeaseOrigin;

use crate::{
    decision::Decision,
    guard::SettleGuard,
    headers::HeaderDialect,
    settle::{End, ResponseHead},
};

/// Result of [`ZaeLimit::pass`](crate::ZaeLimit::pass): the request goes on, or is answered.
///
/// See [`ZaeLimit::pass`](crate::ZaeLimit::pass) for an example.
#[derive(Debug)]
pub enum Passage {
    /// It goes on to the handler, with the [`Decision`] in its extensions.
    Through(Through),
    /// It is answered here, with this response.
    Answered(Response<Bytes>),
}

/// A request that goes on. Dropped before its response is known, it counts.
///
/// See [`ZaeLimit::pass`](crate::ZaeLimit::pass) for an example.
#[derive(Debug)]
#[must_use = "what the response says decides how the lease is settled"]
pub struct Through {
    /// The lease, or why there is none.
    pub(crate) kind: PassageKind,
    /// The headers that its response gets.
    pub(crate) dialect: HeaderDialect,
    /// Tells if its response carries the decision.
    pub(crate) announcing: Announcing,
}

/// With what a request goes on.
#[derive(Debug)]
pub(crate) enum PassageKind {
    /// With a lease, of which everything else is known.
    Admitted(SettleGuard),
    /// Without: it was skipped, or let through in shadow mode.
    Unlimited(Decision),
}

/// The decisions that are left in the extensions of responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announcing {
    /// Putting them there costs more than a grant from a reserve.
    MoreThanGrants,
    /// Every decision.
    All,
}

impl Through {
    /// Handles the response: asks the [`SettleRule`](crate::settle::SettleRule), and adds the rate-limit headers and,
    /// where it was more than a plain grant, the [`Decision`]. The guard settles the lease when it is told how the body
    /// ended.
    pub fn respond<B>(self, response: &mut Response<B>) -> SettleGuard {
        let Self { kind, dialect, announcing } = self;
        // A redirect's target has limits of its own.
        let dialect = if response.status().is_redirection() { HeaderDialect::Off } else { dialect };
        match kind {
            PassageKind::Admitted(mut guard) => {
                guard.plan(&ResponseHead::from(&*response));
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

    /// The handler failed with an error in place of a response: the lease is settled at once.
    pub fn fail(self) {
        if let PassageKind::Admitted(mut guard) = self.kind {
            guard.finish(End::ServiceFailed);
        }
    }
}

/// An inner layer's refusal says more than our consent.
fn announce<B>(decision: Decision, response: &mut Response<B>) {
    if !response.extensions().get::<Decision>().is_some_and(Decision::is_refused) {
        response.extensions_mut().insert(decision);
    }
}
