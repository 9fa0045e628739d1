//! Access to actix-web's request for extractors.
//!
//! The extractors of [`zae_tower`] need a value that is [`Send`], and actix-web's request is not. They get a
//! [`Head`](crate::Head) instead, and the request and its payload are kept in a task-local while the decision is made.

use std::{
    cell::RefCell,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::{
    HttpMessage,
    dev::{Payload, ServiceRequest},
};
use bytes::Bytes;
use futures_core::Stream;
use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;
use zae_tower::{
    RequestHead,
    extract::{ExtractError, Extracted, IntoExtracted},
};

tokio::task_local! {
    static CURRENT: Current;
}

struct Current {
    request: ServiceRequest,
    payload: RefCell<Payload>,
}

type Deciding<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pin_project! {
    /// A future during which extractors can reach the request, and which returns it at the end.
    pub(crate) struct With<T> {
        #[pin]
        work: TaskLocalFuture<Current, Deciding<T>>,
    }
}

impl<T> With<T> {
    pub(crate) fn new(mut request: ServiceRequest, work: impl Future<Output = T> + Send + 'static) -> Self {
        let payload = RefCell::new(request.take_payload());
        Self { work: CURRENT.scope(Current { request, payload }, Box::pin(work)) }
    }
}

impl<T> Future for With<T> {
    /// The request is present unless the future was polled after its end.
    type Output = (T, Option<ServiceRequest>);

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut work = self.project().work;
        let done = ready!(work.as_mut().poll(context));
        let request = work.take_value().map(|Current { mut request, payload }| {
            request.set_payload(payload.into_inner());
            request
        });
        Poll::Ready((done, request))
    }
}

/// Calls `look` with the request that is being decided; `None` outside of such a decision.
pub(crate) fn with<T>(look: impl FnOnce(&ServiceRequest) -> T) -> Option<T> {
    CURRENT.try_with(|current| look(&current.request)).ok()
}

/// Polls the request's payload for its next bytes.
pub(crate) fn poll_payload(context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
    let poll = |current: &Current| Pin::new(&mut *current.payload.borrow_mut()).poll_next(context);
    match CURRENT.try_with(poll) {
        Ok(chunk) => chunk.map(|chunk| chunk.map(|chunk| chunk.map_err(io::Error::other))),
        Err(_) => Poll::Ready(Some(Err(io::Error::other("no request is being decided here")))),
    }
}

fn not_here() -> ExtractError {
    ExtractError::unavailable("this extractor works under actix-web only", Duration::from_secs(1))
}

/// Converts `function` to the signature that [`zae_tower`] expects.
pub(crate) fn look<F, O>(function: F) -> impl Fn(&dyn RequestHead) -> Result<O, ExtractError> + Send + Sync + 'static
where
    F: Fn(&ServiceRequest) -> O + Send + Sync + 'static,
    O: 'static,
{
    move |_| with(&function).ok_or_else(not_here)
}

/// Like [`look`], for a `function` that returns a future.
pub(crate) fn look_async<F, W, V>(
    function: F,
) -> impl Fn(&dyn RequestHead) -> Pin<Box<dyn Future<Output = Extracted<V>> + Send>> + Send + Sync + 'static
where
    F: Fn(&ServiceRequest) -> W + Send + Sync + 'static,
    W: Future<Output: IntoExtracted<Value = V>> + Send + 'static,
{
    move |_| {
        let work = with(&function);
        Box::pin(async move {
            match work {
                Some(work) => work.await.into_extracted(),
                None => Err(not_here()),
            }
        })
    }
}
