//! The future of a limited service: [`ResponseFuture`].
//!
//! It is in one of two states: deciding, with the polled-ready inner service kept for the call, or serving. If it is
//! dropped while deciding, no tokens stay taken. If it is dropped while serving, the request counts, and its lease is
//! settled as dropped.
//!
//! The decision is boxed, one allocation per request that has to wait for it. Naming its type would name those of four
//! extractors and the limiter, and make the future as large as the largest of them; a request that a reserve grants
//! needs neither.
//!
//! The inner service moves in when the decision begins and is called when it ends. Its readiness (a permit of a
//! concurrency limit, for example) is held meanwhile, as Tower's contract requires; this is why the documentation
//! advises to put concurrency limits outside.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    body::ResponseBody,
    guard::SettleGuard,
    passage::{Passage, Through},
};

/// A decision that has to wait is boxed, once per request: it spans the extractors and the limiter, whose futures have
/// unnameable types.
type Deciding<R> = Pin<Box<dyn Future<Output = (R, Passage)> + Send>>;

pin_project! {
    /// Decides about a request and, if it is admitted, waits for the inner service's response.
    ///
    /// Cancel safety: if it is dropped before the decision, no tokens stay taken; if it is dropped after it, the
    /// request counts.
    ///
    /// See [`ZaeLimit`](crate::ZaeLimit) for an example.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, R>
    where
        S: Service<R>,
    {
        #[pin]
        state: State<S, R, S::Future>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, R, F> {
        /// Waits for the limiter; `ready` is the instance that was polled ready.
        Deciding { deciding: Deciding<R>, ready: S },
        /// Waits for the inner service.
        Serving {
            #[pin]
            serving: F,
            through: Option<Through>,
        },
    }
}

impl<S: Service<R>, R> ResponseFuture<S, R> {
    /// Starts with a request that was decided in `call`.
    #[inline(always)]
    pub(crate) fn serving(serving: S::Future, through: Through) -> Self {
        Self { state: State::Serving { serving, through: Some(through) } }
    }

    /// Starts with a pending decision.
    pub(crate) fn new(ready: S, deciding: impl Future<Output = (R, Passage)> + Send + 'static) -> Self {
        Self { state: State::Deciding { deciding: Box::pin(deciding), ready } }
    }
}

impl<S, R, B> Future for ResponseFuture<S, R>
where
    S: Service<R, Response = Response<B>>,
    B: http_body::Body,
{
    type Output = Result<Response<ResponseBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Deciding { deciding, ready } => {
                    let (request, passage) = ready!(deciding.as_mut().poll(context));
                    match passage {
                        Passage::Answered(response) => return Poll::Ready(Ok(response.map(ResponseBody::refusal))),
                        Passage::Through(through) => {
                            let serving = ready.call(request);
                            this.state.set(State::Serving { serving, through: Some(through) });
                        }
                    }
                }
                StateProjection::Serving { serving, through } => {
                    let result = ready!(serving.poll(context));
                    return Poll::Ready(finish(result, through.take()));
                }
            }
        }
    }
}

/// Ties the lease to the response's body, or settles it if there is no response.
fn finish<B: http_body::Body, E>(
    result: Result<Response<B>, E>,
    through: Option<Through>,
) -> Result<Response<ResponseBody<B>>, E> {
    match result {
        Ok(mut response) => {
            let guard = through.map_or_else(SettleGuard::nothing, |through| through.respond(&mut response));
            Ok(response.map(|body| ResponseBody::limited(body, guard)))
        }
        Err(error) => {
            if let Some(through) = through {
                through.fail();
            }
            Err(error)
        }
    }
}

impl<S: Service<R>, R> fmt::Debug for ResponseFuture<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Deciding { .. } => "deciding",
            State::Serving { .. } => "serving",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish()
    }
}
