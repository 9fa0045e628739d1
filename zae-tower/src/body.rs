//! The body of a limited service's responses: [`ResponseBody`].
//!
//! The lease is settled when the body ends, and bodies end in four ways: a last frame, an error, a frame after which
//! the body says that it is done, or a drop. All of them meet in the [`SettleGuard`]. Frames pass through as they come;
//! a meter looks at their bytes where usage is to be read.

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
    /// A body ends in one of four ways, and all count: it says so, it fails, its last frame is taken by a reader that
    /// then knows enough, or it is dropped.
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
        /// The layer's own, in one piece.
        Refusal { body: Bytes },
    }
}

impl<B> ResponseBody<B> {
    /// Makes the body of a refusal.
    pub(crate) fn refusal(body: Bytes) -> Self {
        Self { kind: BodyKind::Refusal { body } }
    }
}

impl<B: Body> ResponseBody<B> {
    /// Passes on every frame of `body` at once and unchanged, shows it to `guard`, and tells `guard` how `body` ended.
    pub fn limited(body: B, mut guard: SettleGuard) -> Self {
        // Nobody polls a body that has nothing to give.
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
                    // Nothing comes behind trailers, and many a reader does not ask for more.
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
