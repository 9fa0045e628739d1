//! The service created by the layer: [`ZaeLimitService`].
//!
//! Tower's contract is easy to break with an asynchronous decision: `call` may only be called on the instance whose
//! `poll_ready` succeeded. So `call` takes that instance with it into the future and leaves a clone in its place.
//!
//! A request that is decided at once calls the inner service in `call` itself, on the instance at hand, and clones
//! nothing.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::Response;
use tower_service::Service;
use zae_limiter::{Cost, EntityId, Limits, ResourceName};

use crate::{
    body::ResponseBody,
    extract::{Extract, Extractor, Peeked},
    future::ResponseFuture,
    gate::{AtOnce, Gate},
    request::RequestHead,
};

/// A service whose requests are limited. Created by [`ZaeLimit`](crate::ZaeLimit).
///
/// Refusals are ordinary responses; errors are the inner service's own. The limiter is consulted in the response's
/// future (or in `call`, if a reserve has the tokens and no extractor has to wait), never in `poll_ready`. Whatever
/// `poll_ready` reserved in the inner service (a concurrency permit, for example) is therefore held until the limiter
/// answers.
///
/// See the [crate](crate) for an example.
pub struct ZaeLimitService<S, E, Rs, C, L> {
    /// The inner service; polled ready before each call.
    inner: S,
    /// The parts that all requests share.
    gate: Arc<Gate<E, Rs, C, L>>,
}

impl<S, E, Rs, C, L> ZaeLimitService<S, E, Rs, C, L> {
    pub(crate) fn new(inner: S, gate: Arc<Gate<E, Rs, C, L>>) -> Self {
        Self { inner, gate }
    }

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

impl<S: Clone, E, Rs, C, L> Clone for ZaeLimitService<S, E, Rs, C, L> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.gate))
    }
}

impl<S: fmt::Debug, E, Rs, C, L> fmt::Debug for ZaeLimitService<S, E, Rs, C, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZaeLimitService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<R, S, B, E, Rs, C, L> Service<R> for ZaeLimitService<S, E, Rs, C, L>
where
    R: RequestHead + Send + 'static,
    S: Service<R, Response = Response<B>> + Clone,
    B: http_body::Body,
    E: Extract<R> + Extractor<Output = EntityId>,
    Rs: Extract<R> + Extractor<Output = ResourceName>,
    C: Extract<R> + Extractor<Output = Cost>,
    L: Extract<R> + Extractor<Output = Limits>,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, R>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: R) -> Self::Future {
        let known = match self.gate.at_once(&mut request) {
            AtOnce::Through(through) => return ResponseFuture::serving(self.inner.call(request), through),
            known => known,
        };
        // The instance that was polled ready is the one that must be called; the clone waits for its own turn.
        let not_ready = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, not_ready);
        let gate = Arc::clone(&self.gate);
        ResponseFuture::new(ready, async move {
            let passage = gate.pass_from(known, &mut request).await;
            // Later layers may change the body.
            request.extensions_mut().remove::<Peeked>();
            (request, passage)
        })
    }
}
