//! Bodies: read to their end, or scripted frame by frame.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;

/// A body of scripted frames that may or may not know its end in advance.
#[derive(Debug, Default)]
pub struct Script {
    pub frames: VecDeque<Result<Frame<Bytes>, std::io::Error>>,
    pub announces_end: bool,
}

impl Body for Script {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(self.frames.pop_front())
    }

    fn is_end_stream(&self) -> bool {
        self.announces_end && self.frames.is_empty()
    }
}

/// Reads a body to its end.
pub async fn read<B: Body>(body: B) -> Bytes
where
    B::Error: std::fmt::Debug,
{
    body.collect().await.unwrap().to_bytes()
}
