//! A body whose beginning was read ahead: [`Peeked`].

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// Yields the beginning, then the error that occurred while it was read, then the rest.
    #[derive(Debug)]
    pub(crate) struct Peeked<B: Body> {
        beginning: Bytes,
        given: bool,
        failed: Option<B::Error>,
        #[pin]
        rest: B,
    }
}

impl<B: Body> Peeked<B> {
    pub(crate) fn new(beginning: Bytes, rest: B) -> Self {
        Self { given: beginning.is_empty(), beginning, failed: None, rest }
    }

    pub(crate) fn failing(beginning: Bytes, rest: B, error: B::Error) -> Self {
        Self { failed: Some(error), ..Self::new(beginning, rest) }
    }

    pub(crate) fn beginning(&self) -> &Bytes {
        &self.beginning
    }
}

impl<B: Body<Data = Bytes>> Body for Peeked<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if !*this.given {
            *this.given = true;
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(this.beginning)))));
        }
        if let Some(error) = this.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        this.rest.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.given && self.failed.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.size_hint();
        if self.given {
            return rest;
        }
        let length = self.beginning.len() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(length));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(length));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    #[tokio::test]
    async fn nothing_is_lost_and_the_length_stays() {
        let peeked = Peeked::new(Bytes::from_static(b"begin"), Full::new(Bytes::from_static(b"ning")));
        assert_eq!(peeked.size_hint().exact(), Some(9));
        assert!(!peeked.is_end_stream());
        assert_eq!(peeked.collect().await.unwrap().to_bytes(), "beginning");
        assert!(Peeked::new(Bytes::new(), Full::<Bytes>::default()).is_end_stream());
    }
}
