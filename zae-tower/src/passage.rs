//! What becomes of a request, and what follows from it: [`Passage`], [`Through`].

use bytes::Bytes;
use http::Response;

use crate::{
    decision::Decision,
    guard::SettleGuard,
    headers::HeaderDialect,
    settle::{End, ResponseHead},
};

/// What becomes of a request. From [`ZaeLimit::pass`](crate::ZaeLimit::pass).
#[derive(Debug)]
pub enum Passage {
    /// It goes on to the handler, with the [`Decision`] in its extensions.
    Through(Through),
    /// It is answered here, with this response.
    Answered(Response<Bytes>),
}

/// A request that goes on. Dropped before its response is known, it counts.
#[derive(Debug)]
#[must_use = "what the response says decides how the lease is settled"]
pub struct Through {
    pub(crate) guard: SettleGuard,
    pub(crate) decision: Decision,
    pub(crate) dialect: HeaderDialect,
    pub(crate) announcing: Announcing,
}

/// Which decisions are left in the extensions of responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announcing {
    /// Putting them there costs more than a grant from a reserve.
    MoreThanGrants,
    All,
}

impl Through {
    /// The response is there: asks the [`SettleRule`](crate::settle::SettleRule), and adds the rate-limit headers and,
    /// where it was more than a plain grant, the [`Decision`]. The guard settles the lease when it is told how the body ended.
    pub fn respond<B>(self, response: &mut Response<B>) -> SettleGuard {
        let Self { mut guard, decision, dialect, announcing } = self;
        guard.plan(&ResponseHead::from(&*response));
        // A redirect's target has limits of its own.
        if !response.status().is_redirection() {
            match decision.lease() {
                Some(lease) => dialect.write_granted(response.headers_mut(), lease),
                None => dialect.write(response.headers_mut(), decision.statuses(), None),
            }
        }
        let silent = announcing == Announcing::MoreThanGrants && decision.is_plain_grant();
        // An inner layer's refusal says more than our consent.
        if !silent && !response.extensions().get::<Decision>().is_some_and(Decision::is_refused) {
            response.extensions_mut().insert(decision);
        }
        guard
    }

    /// The handler failed with an error in place of a response: the lease is settled at once.
    pub fn fail(mut self) {
        self.guard.finish(End::ServiceFailed);
    }
}
