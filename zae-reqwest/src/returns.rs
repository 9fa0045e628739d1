//! Tokens that a call gives back, and the calls of its line that wait for them: [`Returns`].
//!
//! A call at the head of a line sleeps until refill has made up what is missing. If a call of the same process gives
//! tokens back meanwhile, its wait ends early. Those of other processes are not noticed, but expected: if recent calls
//! gave back half of their tokens, refill has only to make up the other half, and the wait is half as long.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use zae_tower::{Lease, LeaseHandle};

use crate::wait::{Key, Lines};

/// Tells the line of a call what it kept of its tokens, when it is dropped after the settlement.
#[derive(Debug)]
pub(crate) struct Returns {
    lines: Lines,
    /// The line that the call stood in, or would have.
    key: Key,
    lease: LeaseHandle,
    /// The sum of the tokens that it took, to tell at the end if it gave some back.
    taken: i64,
}

impl Returns {
    /// Notes the tokens that `lease` stands for before the call.
    pub(crate) fn new(lines: Lines, key: Key, lease: LeaseHandle) -> Self {
        let taken = all(&lease);
        Self { lines, key, lease, taken }
    }
}

impl Drop for Returns {
    fn drop(&mut self) {
        if self.lines.is_busy(&self.key) {
            self.lines.settled(&self.key, self.taken, all(&self.lease));
        }
    }
}

/// Returns the sum of all tokens that `lease` stands for.
fn all(lease: &Lease) -> i64 {
    lease.consumed().values().fold(0, |sum, tokens| sum.saturating_add(*tokens))
}

pin_project! {
    /// A body whose end settles a call, after which its line learns what it gave back.
    #[derive(Debug)]
    pub(crate) struct Returning<B> {
        // Settles the call at its end; in front, so that it is dropped first.
        #[pin]
        body: B,
        returns: Option<Returns>,
    }
}

impl<B: Body> Returning<B> {
    /// Wraps the body that settles the call. One that is empty has settled it already.
    pub(crate) fn new(body: B, returns: Returns) -> Self {
        let returns = (!body.is_end_stream()).then_some(returns);
        Self { body, returns }
    }
}

impl<B: Body<Data = Bytes>> Body for Returning<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(context));
        if !matches!(frame, Some(Ok(_))) || this.body.is_end_stream() {
            *this.returns = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
