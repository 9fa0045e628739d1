//! The body of a limited service's responses: [`ResponseBody`].
//!
//! The lease is settled when the body ends, and a body can end in four ways: with a last frame, with an error, with a
//! frame after which the body reports that it is done, or by being dropped. All four reach the [`SettleGuard`]. Frames
//! pass through unchanged as they arrive; where usage is to be read, a meter inspects their bytes. Where clients are
//! told what a call costs, a frame of trailers follows, or the body's own have one field more.

use std::{
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
            // The cost to tell.
            cost: TrailingCost,
        },
        /// The body of the layer's own response, in one piece.
        Refusal { body: Bytes },
    }
}

/// The cost of a call in the trailers of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TrailingCost {
    /// It is told once the body has ended.
    Awaited,
    /// It comes after the body's last frame, in micro-dollars.
    Known(u64),
    /// It is not told, or was.
    None,
}

impl TrailingCost {
    /// Ends the body, which settles the lease. Returns the cost, if it is to be told.
    fn end(&mut self, guard: &mut SettleGuard, end: End) -> Option<u64> {
        let cost = guard.finish_priced(end);
        let told = std::mem::replace(self, Self::None);
        cost.filter(|_| told == Self::Awaited)
    }
}

/// Adds the cost to trailers.
fn add(cost: u64, trailers: &mut HeaderMap) {
    trailers.insert(COST_FIELD, HeaderValue::from(cost));
}

/// Returns a frame that tells the cost.
fn trailers(cost: u64) -> Frame<Bytes> {
    let mut fields = HeaderMap::new();
    add(cost, &mut fields);
    Frame::trailers(fields)
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
        let cost = if guard.tells_cost() { TrailingCost::Awaited } else { TrailingCost::None };
        // An empty body is never polled.
        let cost = if body.is_end_stream() {
            guard.finish(End::Complete);
            TrailingCost::None
        } else {
            cost
        };
        Self { kind: BodyKind::Limited { body, guard, cost } }
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProjection::Limited { mut body, guard, cost } => {
                if let TrailingCost::Known(known) = *cost {
                    *cost = TrailingCost::None;
                    return Poll::Ready(Some(Ok(trailers(known))));
                }
                let mut frame = ready!(body.as_mut().poll_frame(context));
                if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
                    guard.see(data);
                }
                match &mut frame {
                    None => frame = cost.end(guard, End::Complete).map(|cost| Ok(trailers(cost))),
                    // Nothing follows trailers, and many readers do not poll again after them.
                    Some(Ok(frame)) if frame.is_trailers() => {
                        if let (Some(cost), Some(fields)) = (cost.end(guard, End::Complete), frame.trailers_mut()) {
                            add(cost, fields);
                        }
                    }
                    Some(Err(_)) => guard.finish(End::BodyFailed),
                    Some(Ok(_)) if body.is_end_stream() => {
                        *cost = cost.end(guard, End::Complete).map_or(TrailingCost::None, TrailingCost::Known);
                    }
                    Some(Ok(_)) => {}
                }
                Poll::Ready(frame)
            }
            KindProjection::Refusal { body } => {
                let bytes = std::mem::take(body);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            BodyKind::Limited { body, cost, .. } => !matches!(cost, TrailingCost::Known(_)) && body.is_end_stream(),
            BodyKind::Refusal { body } => body.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            BodyKind::Limited { body, cost: TrailingCost::None, .. } => body.size_hint(),
            // A server that knows the length sends no trailers over HTTP/1.1.
            BodyKind::Limited { body, .. } => {
                let mut hint = SizeHint::new();
                hint.set_lower(body.size_hint().lower());
                hint
            }
            BodyKind::Refusal { body } => SizeHint::with_exact(body.len() as u64),
        }
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
