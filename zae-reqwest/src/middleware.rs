//! The limit as a middleware of `reqwest-middleware`.

use std::{convert::Infallible, sync::Arc};

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};
use tokio::time::Instant;
use zae_tower::{LeaseHandle, adapter::SettleGuard, llm::DEFAULT_BODY_LIMIT};

use crate::{
    call::Call,
    error::{CallError, ServiceError},
    outgoing::OutgoingLimit,
    response::{Admission, Sent},
    returns::Returns,
    telemetry,
};

/// Each run is one call, regardless of what earlier calls left in the request's extensions: inside of a retry
/// middleware, each attempt is charged; outside of it, all of them together once.
#[async_trait]
impl Middleware for OutgoingLimit {
    async fn handle(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        let mut call = self.look_at(request, std::mem::take(extensions));
        let prepared = self.prepare(&mut call).await;
        let (request, ours) = call.into_parts();
        *extensions = ours;
        let sent = prepared.map_err(limited)?;
        match next.run(request, extensions).await {
            Ok(response) => self.receive(sent, response).await.map_err(limited),
            Err(error) => {
                sent.failed(&error);
                Err(error)
            }
        }
    }
}

/// Adds one layer more than seems necessary: the enclosing errors display their causes, not themselves.
fn limited(error: CallError) -> Error {
    Error::middleware(ServiceError::<Infallible>::Limited(error))
}

impl OutgoingLimit {
    /// Wraps a request for the extractors. Bodies up to the accounting's limit are parsed.
    pub(crate) fn look_at(&self, request: Request, extensions: Extensions) -> Call {
        let max_parsed = self.accounting.as_ref().map_or(DEFAULT_BODY_LIMIT, zae_tower::llm::Accounting::max_body);
        Call::new(request, extensions, max_parsed)
    }

    /// Decides about a call that is sent next. If it is dropped before it returns, no tokens stay taken; after that,
    /// the call counts.
    pub(crate) async fn prepare(&self, call: &mut Call) -> std::result::Result<Sent, CallError> {
        let subject = self.look(call).await.map_err(CallError::Unusable)?;
        let admitted = self.admit(&subject).await?;
        let lease = LeaseHandle::from(admitted.lease);
        let guard = SettleGuard::new(lease.clone(), Arc::clone(&self.settle), telemetry::settled);
        let meter = self.accounting.as_ref().zip(subject.tariff).map(|(accounting, tariff)| {
            accounting.meter_by(tariff).labelled(subject.labels).usage_chunk(subject.chunk)
        });
        let key = (subject.entity, subject.resource);
        let returns = Returns::new(self.lines.clone(), key, lease.clone());
        Ok(Sent {
            returns,
            guard: guard.metered(meter),
            admission: Admission::new(lease, admitted.waited),
            scope: subject.scope,
            at: Instant::now(),
        })
    }
}
