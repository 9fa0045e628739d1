//! Processing of a response: reads it, learns from it, charges it, and passes it on complete.

use std::{error::Error, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{
    StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body_util::BodyExt;
use reqwest::{Body, Response, ResponseBuilderExt};
use tokio::time::{Instant, timeout_at};
use zae_tower::{
    EntityId, Lease, LeaseHandle, LimitStatus, ResourceName, ResponseBody,
    adapter::SettleGuard,
    settle::{End, ResponseHead},
};

use crate::{
    error::{CallError, RefusedForGood, never_sent},
    outgoing::{OutgoingLimit, Refusals},
    peek::Peeked,
    provider::{Answer, Verdict},
    returns::{Returning, Returns},
};

/// Maximum number of bytes of a refusal's body that are read ahead.
const MAX_PEEK: usize = 64 * 1024;
/// Bounds the time that the response may be held back to read them.
const PEEK_TIME: Duration = Duration::from_secs(1);

/// The circumstances of a call's admission, in the extensions of its response.
///
/// ```
/// # fn example(response: &reqwest::Response) {
/// use zae_reqwest::Admission;
/// if let Some(admission) = response.extensions().get::<Admission>() {
///     println!("{} waited {:?}", admission.resource(), admission.waited());
/// }
/// # }
/// ```
///
/// It contains entity ids: do not expose it.
#[derive(Clone, Debug)]
pub struct Admission {
    lease: LeaseHandle,
    waited: Duration,
}

impl Admission {
    pub(crate) fn new(lease: LeaseHandle, waited: Duration) -> Self {
        Self { lease, waited }
    }

    /// Returns the entity that was charged.
    pub fn entity(&self) -> &EntityId {
        self.lease.entity()
    }

    /// Returns the resource that was charged.
    pub fn resource(&self) -> &ResourceName {
        self.lease.resource()
    }

    /// Returns the time that the call waited before it was sent.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Returns every limit's status right after the tokens were taken.
    pub fn statuses(&self) -> &[LimitStatus] {
        self.lease.statuses()
    }

    /// Returns the lease, open until the response's body has ended; adjust it if the real cost becomes known in another
    /// way.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }
}

/// A call that was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) guard: SettleGuard,
    pub(crate) admission: Admission,
    pub(crate) scope: ResourceName,
    /// The instant at which it was sent.
    pub(crate) at: Instant,
    /// Dropped when it is settled.
    pub(crate) returns: Returns,
}

impl Sent {
    /// Records that there is no response. A request that never reached the provider costs nothing; in all other cases
    /// that is uncertain, and the estimate stands.
    pub(crate) fn failed(mut self, error: &(dyn Error + 'static)) {
        self.guard.finish(if never_sent(error) { End::ServiceFailed } else { End::Dropped });
    }
}

impl OutgoingLimit {
    /// Learns from a response, and ties the settlement to the end of its body.
    pub(crate) async fn receive(&self, sent: Sent, response: Response) -> Result<Response, CallError> {
        let Sent { mut guard, admission, scope, at, returns } = sent;
        // The conversions of `reqwest` drop the URL, except in this extension.
        let url = http::Response::builder().url(response.url().clone()).body(());
        let (mut parts, body) = http::Response::<Body>::from(response).into_parts();
        if let Ok(url) = url {
            parts.extensions.extend(url.into_parts().0.extensions);
        }
        let matters = Answer::body_matters(parts.status) && !parts.headers.contains_key(CONTENT_ENCODING);
        let textual = parts
            .headers
            .get(CONTENT_TYPE)
            .is_none_or(|value| value.to_str().is_ok_and(|text| text.contains("json") || text.starts_with("text/")));
        let body = if matters && textual { peek(body).await } else { Peeked::new(Bytes::new(), body) };
        let answer = Answer::read(parts.status, &parts.headers, body.beginning());
        self.pauses.learn(&scope, parts.status, &answer, at).await;
        let mut response = http::Response::from_parts(parts, ());
        guard.plan(&ResponseHead::from(&response));
        let status = response.status();
        if did_not_run(status) {
            guard.unused();
        }
        match &answer.verdict {
            Verdict::NotYet { .. } if status != StatusCode::SERVICE_UNAVAILABLE && status.as_u16() != 529 => {
                metrics::counter!("zae_client_provider_refusals_total", "verdict" => "not_yet").increment(1);
                tracing::debug!(%scope, %status, "the provider refused");
                guard.refuse();
            }
            Verdict::Never { reason } => {
                metrics::counter!("zae_client_provider_refusals_total", "verdict" => "never").increment(1);
                tracing::warn!(%scope, %status, reason, "the provider refuses for good");
                guard.refuse();
                if self.refusals == Refusals::Fail {
                    let (reason, body) = (reason.clone(), body.beginning().clone());
                    return Err(RefusedForGood { status, reason, body }.into());
                }
            }
            _ => {}
        }
        response.extensions_mut().insert(answer);
        response.extensions_mut().insert(admission);
        Ok(Response::from(response.map(|()| Body::wrap(Returning::new(ResponseBody::limited(body, guard), returns)))))
    }
}

/// Returns true if a provider that sends this status has not run the call. For statuses of gateways and timeouts that
/// is uncertain.
fn did_not_run(status: StatusCode) -> bool {
    match status.as_u16() {
        408 | 499 => false,
        400..500 => true,
        code => matches!(code, 500 | 501 | 503 | 529),
    }
}

/// Reads the beginning of a body, and leaves the rest for later.
async fn peek(mut body: Body) -> Peeked<Body> {
    let (mut beginning, until) = (BytesMut::new(), Instant::now() + PEEK_TIME);
    while beginning.len() < MAX_PEEK {
        // Dropping the future of a frame loses no data.
        match timeout_at(until, body.frame()).await {
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => beginning.extend_from_slice(&data),
                // Nothing follows trailers.
                Err(_) => break,
            },
            Ok(Some(Err(error))) => return Peeked::failing(beginning.freeze(), body, error),
            Ok(None) | Err(_) => break,
        }
    }
    Peeked::new(beginning.freeze(), body)
}
