//! The service: [`RouteLimitService`].

use std::{
    any::type_name,
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use tower_service::Service;

use super::{ChargeFn, extract::Verdict};

/// A service whose requests are charged by a function. Created by [`limit_route`](crate::limit_route).
///
/// See [`limit_route`](crate::limit_route) for an example.
pub struct RouteLimitService<F, S, T, L> {
    limited: L,
    charge: F,
    state: S,
    extractors: PhantomData<fn() -> T>,
}

impl<F, S, T, L> RouteLimitService<F, S, T, L> {
    pub(super) fn new(limited: L, charge: F, state: S) -> Self {
        Self { limited, charge, state, extractors: PhantomData }
    }
}

impl<F: Clone, S: Clone, T, L: Clone> Clone for RouteLimitService<F, S, T, L> {
    fn clone(&self) -> Self {
        Self::new(self.limited.clone(), self.charge.clone(), self.state.clone())
    }
}

impl<F, S, T, L: fmt::Debug> fmt::Debug for RouteLimitService<F, S, T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteLimitService")
            .field("limited", &self.limited)
            .field("charge", &type_name::<F>())
            .finish_non_exhaustive()
    }
}

impl<F, S, T, L> Service<Request> for RouteLimitService<F, S, T, L>
where
    F: ChargeFn<T, S>,
    S: Clone + Send + Sync + 'static,
    T: 'static,
    L: Service<Request, Response: IntoResponse, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = L::Error;
    type Future = RouteLimitFuture<L::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), L::Error>> {
        self.limited.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The instance that was polled ready is the one that must be called; the clone waits for its own turn.
        let not_ready = self.limited.clone();
        let mut ready = std::mem::replace(&mut self.limited, not_ready);
        let (charge, state) = (self.charge.clone(), self.state.clone());
        RouteLimitFuture(Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let verdict = match charge.charge(&mut parts, &state).await {
                Ok(Some(charge)) => Verdict::Charge(charge),
                Ok(None) => Verdict::NotLimited,
                Err(response) => return Ok(response),
            };
            parts.extensions.insert(verdict);
            ready.call(Request::from_parts(parts, body)).await.map(IntoResponse::into_response)
        }))
    }
}

/// The future of a [`RouteLimitService`].
///
/// See [`limit_route`](crate::limit_route) for an example.
#[must_use = "futures do nothing unless polled"]
pub struct RouteLimitFuture<E>(Pin<Box<dyn Future<Output = Result<Response, E>> + Send>>);

impl<E> Future for RouteLimitFuture<E> {
    type Output = Result<Response, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl<E> fmt::Debug for RouteLimitFuture<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteLimitFuture").finish_non_exhaustive()
    }
}
