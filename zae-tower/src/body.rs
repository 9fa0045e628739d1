//! The body of a limited service's responses: [`ResponseBody`].
//!
//! The lease is settled when the body ends, and a body can end in four ways: with a last frame, with an error, with a
//! frame after which the body reports that it is done, or by being dropped. All four reach the [`SettleGuard`]. Frames
//! pass through unchanged as they arrive; where usage is to be read, a meter inspects their bytes.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{guard::SettleGuard, settle::End};

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
        },
        /// The body of the layer's own response, in one piece.
        Refusal { body: Bytes },
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
        // An empty body is never polled.
        if body.is_end_stream() {
            guard.finish(End::Complete);
        }
        Self { kind: BodyKind::Limited { body, guard } }
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProjection::Limited { mut body, guard } => {
                let frame = ready!(body.as_mut().poll_frame(context));
                if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
                    guard.see(data);
                }
                match &frame {
                    None => guard.finish(End::Complete),
                    // Nothing follows trailers, and many readers do not poll again after them.
                    Some(Ok(frame)) if frame.is_trailers() => guard.finish(End::Complete),
                    Some(Err(_)) => guard.finish(End::BodyFailed),
                    Some(Ok(_)) if body.is_end_stream() => guard.finish(End::Complete),
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
            BodyKind::Limited { body, .. } => body.is_end_stream(),
            BodyKind::Refusal { body } => body.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            BodyKind::Limited { body, .. } => body.size_hint(),
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
