//! Settling before the answer is returned: [`BeforeResponse`].
//!
//! A lease is settled when the response's body has ended, and what that changes is written some time later. Where the
//! process may stand still or end as soon as it has answered, that may be minutes later, or never. This layer, around
//! the limit, takes the whole body, which settles the lease, waits until everything that was booked is stored, and only
//! then answers.

use std::{
    collections::VecDeque,
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::Buf;
use http::{HeaderValue, Response};
use http_body::{Body, Frame, SizeHint};
use tower_layer::Layer;
use tower_service::Service;
use zae_limiter::RateLimiter;

use crate::llm::COST_FIELD;

/// Stores every settlement before the answer is returned, for functions that are frozen once they have answered. Goes
/// around the limit.
///
/// The [cost](crate::llm::Accounting::tell_cost) of a call is a header then.
///
/// An answer takes one write more where the cost of its request has changed since it was admitted, and none where
/// it has not. Its body is held in memory until it is complete, so nothing is streamed.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower::ServiceBuilder;
/// use zae_tower::{Limit, RateLimiter, Repository, ZaeLimit, settle};
///
/// let limiter = RateLimiter::new(Repository::embedded().await?);
/// let layers = ServiceBuilder::new()
///     .layer(settle::before_response(&limiter))
///     .layer(ZaeLimit::new(&limiter).default_limits(Limit::per_minute("rpm", 600)?));
/// # let _ = layers;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
pub fn before_response(limiter: impl Into<RateLimiter>) -> BeforeResponse {
    BeforeResponse { limiter: limiter.into() }
}

/// A layer that answers once everything is settled. Made by [`before_response`].
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct BeforeResponse {
    limiter: RateLimiter,
}

impl<S> Layer<S> for BeforeResponse {
    type Service = SettledService<S>;

    fn layer(&self, inner: S) -> SettledService<S> {
        SettledService { inner, limiter: self.limiter.clone() }
    }
}

/// A service that answers once everything is settled. Made by [`BeforeResponse`]; see [`before_response`] for an
/// example.
#[derive(Clone, Debug)]
pub struct SettledService<S> {
    inner: S,
    limiter: RateLimiter,
}

/// An answer that is to come.
type Answering<D, B, E> = Pin<Box<dyn Future<Output = Result<Response<SettledBody<D, B>>, E>> + Send>>;

impl<R, S, B> Service<R> for SettledService<S>
where
    S: Service<R, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
{
    type Response = Response<SettledBody<B::Data, B::Error>>;
    type Error = S::Error;
    type Future = Answering<B::Data, B::Error, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (answering, limiter) = (self.inner.call(request), self.limiter.clone());
        Box::pin(async move {
            let answer = match answering.await {
                Ok(response) => {
                    let (mut head, body) = response.into_parts();
                    let body = SettledBody::read(body).await;
                    // Of a complete body it is known before the head is sent.
                    if let Some(cost) = body.cost() {
                        head.headers.insert(COST_FIELD, cost);
                    }
                    Ok(Response::from_parts(head, body))
                }
                Err(error) => Err(error),
            };
            if let Err(error) = limiter.flush().await {
                tracing::warn!(%error, "answered before everything was settled");
            }
            answer
        })
    }
}

/// The whole of another body: its frames, and the error that it ended with. See [`before_response`] for an example.
pub struct SettledBody<D, E> {
    frames: VecDeque<Frame<D>>,
    error: Option<E>,
}

impl<D: Buf, E> SettledBody<D, E> {
    /// Returns the cost in its trailers.
    fn cost(&self) -> Option<HeaderValue> {
        self.frames.back()?.trailers_ref()?.get(COST_FIELD).cloned()
    }

    /// Reads `body` to its end, and drops it.
    async fn read<B: Body<Data = D, Error = E>>(body: B) -> Self {
        let mut body = pin!(body);
        let mut read = Self { frames: VecDeque::new(), error: None };
        while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
            match frame {
                Ok(frame) => read.frames.push_back(frame),
                Err(error) => {
                    read.error = Some(error);
                    break;
                }
            }
        }
        read
    }
}

/// Frames and error are moved out, whatever they are.
impl<D, E> Unpin for SettledBody<D, E> {}

impl<D: Buf, E> Body for SettledBody<D, E> {
    type Data = D;
    type Error = E;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<D>, E>>> {
        let next = self.frames.pop_front().map(Ok);
        Poll::Ready(next.or_else(|| self.error.take().map(Err)))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.error.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let data = self.frames.iter().filter_map(Frame::data_ref);
        let length = u64::try_from(data.map(Buf::remaining).sum::<usize>()).unwrap_or(u64::MAX);
        if self.error.is_none() {
            return SizeHint::with_exact(length);
        }
        // Announced as that long, it would pass for complete.
        let mut hint = SizeHint::new();
        hint.set_lower(length);
        hint
    }
}

impl<D, E> fmt::Debug for SettledBody<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.error.is_some();
        f.debug_struct("SettledBody").field("frames", &self.frames.len()).field("failed", &failed).finish()
    }
}
