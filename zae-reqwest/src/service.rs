//! The limit as a Tower layer over services of [`reqwest::Request`].

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::Extensions;
use reqwest::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::{error::ServiceError, outgoing::OutgoingLimit};

/// A service with limited requests; created by [`OutgoingLimit`] as a layer.
///
/// The limiter is consulted in the response's future, never in `poll_ready`; whatever `poll_ready` reserved in the
/// inner service stays reserved while a call waits, for up to [`max_wait`](OutgoingLimit::max_wait).
///
/// ```
/// # use zae_reqwest::OutgoingLimit;
/// # type Outcome = Result<(), Box<dyn std::error::Error>>;
/// # async fn example(limit: OutgoingLimit, request: reqwest::Request) -> Outcome {
/// use tower::{ServiceBuilder, ServiceExt};
/// use zae_reqwest::ServiceError;
///
/// let service = ServiceBuilder::new().concurrency_limit(64).layer(limit).service(reqwest::Client::new());
/// match service.oneshot(request).await {
///     Ok(response) => println!("{}", response.status()),
///     Err(ServiceError::Limited(error)) => println!("not called; again in {:?}", error.retry_after()),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LimitedService<S> {
    inner: S,
    limit: OutgoingLimit,
}

impl<S> fmt::Debug for LimitedService<S> {
    /// Omits the inner service: a client prints the headers that it sends with every call, keys included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitedService").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<S> LimitedService<S> {
    /// Returns a reference to the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Unwraps the inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S> Layer<S> for OutgoingLimit {
    type Service = LimitedService<S>;

    fn layer(&self, inner: S) -> LimitedService<S> {
        LimitedService { inner, limit: self.clone() }
    }
}

impl<S> Service<Request> for LimitedService<S>
where
    S: Service<Request, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Error + Send + 'static,
{
    type Response = Response;
    type Error = ServiceError<S::Error>;
    type Future = ResponseFuture<S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(ServiceError::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The instance that was polled ready is the one that must be called; the clone waits for its own turn.
        let not_ready = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, not_ready);
        let limit = self.limit.clone();
        ResponseFuture(Box::pin(async move {
            let mut call = limit.look_at(request, Extensions::new());
            let sent = limit.prepare(&mut call).await?;
            let (request, _) = call.into_parts();
            match ready.call(request).await {
                Ok(response) => Ok(limit.receive(sent, response).await?),
                Err(error) => {
                    sent.failed(&error);
                    Err(ServiceError::Inner(error))
                }
            }
        }))
    }
}

/// The future of a limited service.
///
/// Cancel safety: if it is dropped while it waits, no tokens stay taken; if it is dropped after the request was sent,
/// the call counts.
///
/// See [`LimitedService`] for an example.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture<E>(Pin<Box<dyn Future<Output = Result<Response, ServiceError<E>>> + Send>>);

impl<E> Future for ResponseFuture<E> {
    type Output = Result<Response, ServiceError<E>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl<E> fmt::Debug for ResponseFuture<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
