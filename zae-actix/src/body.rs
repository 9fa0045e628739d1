//! The body of a limited service's responses: [`ResponseBody`].

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use pin_project_lite::pin_project;
use zae_tower::{adapter::SettleGuard, settle::End};

pin_project! {
    /// The inner service's body, whose end settles the lease.
    ///
    /// All four ends of a body count: it reports its end, it fails, its last bytes are taken, or it is dropped.
    ///
    /// See [`ZaeLimit`](crate::ZaeLimit) for an example.
    pub struct ResponseBody<B> {
        #[pin]
        body: B,
        guard: SettleGuard,
        // Bytes still to come, if known.
        left: Option<u64>,
    }
}

impl<B: MessageBody> ResponseBody<B> {
    pub(crate) fn new(body: B, mut guard: SettleGuard) -> Self {
        let size = body.size();
        // An empty body is never polled.
        if size.is_eof() {
            guard.finish(End::Complete);
        }
        let left = match size {
            BodySize::Sized(bytes) => Some(bytes),
            BodySize::None | BodySize::Stream => None,
        };
        Self { body, guard, left }
    }
}

impl<B: MessageBody> MessageBody for ResponseBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        if self.guard.is_filter() { BodySize::Stream } else { self.body.size() }
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        let mut this = self.project();
        loop {
            match ready!(this.body.as_mut().poll_next(context)) {
                None => {
                    let rest = this.guard.rest();
                    this.guard.finish(End::Complete);
                    return Poll::Ready((!rest.is_empty()).then_some(Ok(rest)));
                }
                Some(Err(error)) => {
                    this.guard.finish(End::BodyFailed);
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Ok(bytes)) => {
                    let is_empty = bytes.is_empty();
                    *this.left = this.left.map(|left| left.saturating_sub(bytes.len() as u64));
                    let mut passed = this.guard.pass(bytes);
                    if *this.left == Some(0) {
                        passed = with(passed, this.guard.rest());
                        this.guard.finish(End::Complete);
                    }
                    if is_empty || !passed.is_empty() {
                        return Poll::Ready(Some(Ok(passed)));
                    }
                }
            }
        }
    }

    /// A caller that takes the whole body at once (compression does) has reached its end.
    fn try_into_bytes(self) -> Result<Bytes, Self> {
        let Self { body, mut guard, left } = self;
        match body.try_into_bytes() {
            Ok(bytes) => {
                let bytes = guard.pass(bytes);
                let bytes = with(bytes, guard.rest());
                guard.finish(End::Complete);
                Ok(bytes)
            }
            Err(body) => Err(Self { body, guard, left }),
        }
    }
}

/// Joins what is passed on and what was held back.
fn with(bytes: Bytes, rest: Bytes) -> Bytes {
    if rest.is_empty() { bytes } else { [bytes, rest].concat().into() }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("guard", &self.guard).finish_non_exhaustive()
    }
}
