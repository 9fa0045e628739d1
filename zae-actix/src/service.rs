//! The service created by the middleware: [`ZaeLimitService`].

use std::{
    fmt,
    future::{Ready, ready},
    rc::Rc,
    sync::Arc,
};

use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
};
use zae_tower::{Cost, EntityId, Limits, ResourceName, extract::Extract};

use crate::{
    Head,
    body::ResponseBody,
    current::With,
    future::ResponseFuture,
    layer::{Render, ZaeLimit},
    translate,
};

/// A service whose requests are limited. Created by [`ZaeLimit`].
///
/// Refusals are ordinary responses; errors are the inner service's own.
///
/// See the [crate](crate) for an example.
pub struct ZaeLimitService<S, E, Rs, C, L> {
    inner: Rc<S>,
    limit: Arc<zae_tower::ZaeLimit<E, Rs, C, L>>,
    render: Option<Render>,
}

impl<S, E, Rs, C, L> fmt::Debug for ZaeLimitService<S, E, Rs, C, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZaeLimitService").finish_non_exhaustive()
    }
}

impl<S, B, E, Rs, C, L> Transform<S, ServiceRequest> for ZaeLimit<E, Rs, C, L>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
    E: Extract<Head, Output = EntityId>,
    Rs: Extract<Head, Output = ResourceName>,
    C: Extract<Head, Output = Cost>,
    L: Extract<Head, Output = Limits>,
{
    type Response = ServiceResponse<EitherBody<ResponseBody<B>>>;
    type Error = Error;
    type Transform = ZaeLimitService<S, E, Rs, C, L>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        let (limit, render) = self.parts();
        ready(Ok(ZaeLimitService { inner: Rc::new(inner), limit: Arc::new(limit), render }))
    }
}

impl<S, B, E, Rs, C, L> Service<ServiceRequest> for ZaeLimitService<S, E, Rs, C, L>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
    E: Extract<Head, Output = EntityId>,
    Rs: Extract<Head, Output = ResourceName>,
    C: Extract<Head, Output = Cost>,
    L: Extract<Head, Output = Limits>,
{
    type Response = ServiceResponse<EitherBody<ResponseBody<B>>>;
    type Error = Error;
    type Future = ResponseFuture<S>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let limit = Arc::clone(&self.limit);
        let mut head = translate::head(&request);
        let deciding = With::new(request, async move {
            let passage = limit.pass(&mut head).await;
            (passage, head)
        });
        ResponseFuture::new(deciding, Rc::clone(&self.inner), self.render.clone())
    }
}
