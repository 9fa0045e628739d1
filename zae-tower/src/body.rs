//! The body of a limited service's responses: [`ResponseBody`].
//!
//! The lease is settled when the body ends, and a body can end in four ways: with a last frame, with an error, with a
//! frame after which the body reports that it is done, or by being dropped. All four reach the [`SettleGuard`]. Frames
//! pass through unchanged as they arrive; where usage is to be read, a meter inspects their bytes. Where clients are
//! told what a call costs, a frame of trailers follows, or the body's own have one field more; and a chunk of usage
//! that the client did not ask for is left out.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{guard::SettleGuard, llm::COST_FIELD, settle::End};

pin_project! {
    /// The inner service's body, whose end settles the lease, or the body of a refusal.
    ///
    /// All four ends of a body count: it reports its end, it fails, its reader stops after the last frame, or it is
    /// dropped.
    ///
    /// ```
    /// use http_body_util::Full;
    /// use zae_tower::{ResponseBody, adapter::SettleGuard};
    /// fn passed_on(response: http::Response<Full<bytes::Bytes>>, guard: SettleGuard)
    ///     -> http::Response<ResponseBody<Full<bytes::Bytes>>> {
    ///     response.map(|body| ResponseBody::limited(body, guard))
    /// }
    /// ```
    pub struct ResponseBody<B> {
        #[pin]
        kind: BodyKind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum BodyKind<B> {
        /// The inner service's body.
        Limited {
            #[pin]
            body: B,
            guard: SettleGuard,
            tail: Tail,
            additions: Additions,
        },
        /// The body of the layer's own response, in one piece.
        Refusal { body: Bytes },
    }
}

/// The additions to a body, and their state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Additions {
    /// None, or none from here on: frames are passed on as they are.
    None,
    /// The cost in trailers, or the omission of a chunk.
    Some,
}

/// The frames of its own that a response has after those of the inner body.
#[derive(Debug, Default)]
struct Tail {
    frames: VecDeque<Frame<Bytes>>,
}

impl Tail {
    /// Ends the body, which settles the lease: its rest, the trailers, and the cost in them if it is to be told.
    fn end(&mut self, guard: &mut SettleGuard, mut trailers: Option<HeaderMap>) {
        let rest = guard.rest();
        if !rest.is_empty() {
            self.frames.push_back(Frame::data(rest));
        }
        let told = guard.tells_cost();
        if let Some(cost) = guard.finish_priced(End::Complete).filter(|_| told) {
            trailers.get_or_insert_default().insert(COST_FIELD, HeaderValue::from(cost));
        }
        self.frames.extend(trailers.map(Frame::trailers));
    }
}

impl<B> ResponseBody<B> {
    /// Creates the body of a refusal.
    pub(crate) fn refusal(body: Bytes) -> Self {
        Self { kind: BodyKind::Refusal { body } }
    }
}

impl<B: Body> ResponseBody<B> {
    /// Forwards every frame of `body` immediately and unchanged, shows it to `guard`, and notifies `guard` when `body`
    /// ends.
    pub fn limited(body: B, mut guard: SettleGuard) -> Self {
        let has_additions = guard.tells_cost() || guard.is_filter();
        let mut additions = if has_additions { Additions::Some } else { Additions::None };
        // An empty body is never polled.
        if body.is_end_stream() {
            guard.finish(End::Complete);
            additions = Additions::None;
        }
        Self { kind: BodyKind::Limited { body, guard, tail: Tail::default(), additions } }
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProjection::Limited { mut body, guard, tail, additions } => loop {
                if let Some(frame) = tail.frames.pop_front() {
                    return Poll::Ready(Some(Ok(frame)));
                }
                let frame = ready!(body.as_mut().poll_frame(context));
                if *additions == Additions::None {
                    observe(&frame, body.is_end_stream(), guard);
                    return Poll::Ready(frame);
                }
                match frame.map(|frame| frame.map(Frame::into_data)) {
                    Some(Ok(Ok(data))) => {
                        let passed = guard.pass(data);
                        tail.frames.extend((!passed.is_empty()).then(|| Frame::data(passed)));
                        if !body.is_end_stream() {
                            continue;
                        }
                        tail.end(guard, None);
                    }
                    Some(Ok(Err(frame))) => tail.end(guard, frame.into_trailers().ok()),
                    Some(Err(error)) => {
                        guard.finish(End::BodyFailed);
                        return Poll::Ready(Some(Err(error)));
                    }
                    None => tail.end(guard, None),
                }
                *additions = Additions::None;
                return Poll::Ready(tail.frames.pop_front().map(Ok));
            },
            KindProjection::Refusal { body } => {
                let bytes = std::mem::take(body);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            BodyKind::Limited { body, tail, .. } => tail.frames.is_empty() && body.is_end_stream(),
            BodyKind::Refusal { body } => body.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            BodyKind::Limited { body, additions: Additions::None, .. } => body.size_hint(),
            // It may become shorter, and a server that knows the length sends no trailers over HTTP/1.1.
            BodyKind::Limited { .. } => SizeHint::default(),
            BodyKind::Refusal { body } => SizeHint::with_exact(body.len() as u64),
        }
    }
}

/// Shows `guard` a frame that is passed on, and the end of the body.
fn observe<E>(frame: &Option<Result<Frame<Bytes>, E>>, is_last: bool, guard: &mut SettleGuard) {
    if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
        guard.see(data);
    }
    match frame {
        None => guard.finish(End::Complete),
        // Nothing follows trailers, and many readers do not poll again after them.
        Some(Ok(frame)) if is_last || frame.is_trailers() => guard.finish(End::Complete),
        Some(Err(_)) => guard.finish(End::BodyFailed),
        Some(Ok(_)) => {}
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            BodyKind::Limited { .. } => "limited",
            BodyKind::Refusal { .. } => "refusal",
        };
        f.debug_struct("ResponseBody").field("kind", &kind).finish()
    }
}
