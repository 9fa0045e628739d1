//! A request's body, for extractors that read it ahead of the handler: [`RequestBody`].

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::{dev::ServiceRequest, http::header::CONTENT_LENGTH};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::current;

/// The body of a [`Head`](crate::Head): the bytes read so far, or access to the payload, which stays with actix-web's
/// request because it is bound to its thread.
///
/// An extractor that reads it replaces it with one made of bytes, which is then passed to the handler; see
/// [`PeekBody`](crate::extract::PeekBody).
///
/// See [`Head`](crate::Head).
pub struct RequestBody(PayloadState);

enum PayloadState {
    /// Minimum number of bytes, if the request declares it.
    Unread {
        at_least: u64,
    },
    Read(Bytes),
}

impl RequestBody {
    pub(crate) fn of(request: &ServiceRequest) -> Self {
        if let (_, actix_web::dev::Payload::None) = request.parts() {
            return Self(PayloadState::Read(Bytes::new()));
        }
        let length = request.headers().get(CONTENT_LENGTH);
        let at_least = length.and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(0);
        Self(PayloadState::Unread { at_least })
    }

    /// Returns the bytes with which an extractor replaced the payload.
    pub(crate) fn replacement(self) -> Option<Bytes> {
        match self.0 {
            PayloadState::Read(bytes) if !bytes.is_empty() => Some(bytes),
            PayloadState::Read(_) | PayloadState::Unread { .. } => None,
        }
    }
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Self(PayloadState::Read(bytes))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let chunk = match &mut self.0 {
            PayloadState::Read(bytes) if bytes.is_empty() => None,
            PayloadState::Read(bytes) => Some(Ok(std::mem::take(bytes))),
            PayloadState::Unread { .. } => ready!(current::poll_payload(context)),
        };
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, PayloadState::Read(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            PayloadState::Read(bytes) => SizeHint::with_exact(bytes.len() as u64),
            PayloadState::Unread { at_least } => {
                let mut hint = SizeHint::new();
                hint.set_lower(*at_least);
                hint
            }
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            PayloadState::Unread { .. } => "RequestBody(unread)",
            PayloadState::Read(_) => "RequestBody(read)",
        })
    }
}
