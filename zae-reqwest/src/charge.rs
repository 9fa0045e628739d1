//! The charge of a call that was sent: [`Charge`], and [`MeteredBody`], which tells it how the response ended.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use zae_tower::{
    Lease,
    llm::Meter,
    settle::{End, ResponseHead, SettleRule, Verdict},
    zae_limiter::REQUEST_LIMIT_NAMES,
};

/// The charge of a call that was sent. Settled once: when told how the call ended, or as dropped when it is dropped.
pub(crate) struct Charge {
    open: Option<Open>,
}

struct Open {
    lease: Arc<Lease>,
    rule: Arc<dyn SettleRule>,
    meter: Option<Meter>,
    planned: Verdict,
}

impl Charge {
    pub(crate) fn new(lease: Arc<Lease>, rule: Arc<dyn SettleRule>, meter: Option<Meter>) -> Self {
        Self { open: Some(Open { lease, rule, meter, planned: Verdict::Keep }) }
    }

    /// The head of the response is there.
    pub(crate) fn start(&mut self, response: &ResponseHead<'_>) {
        if let Some(open) = &mut self.open {
            open.planned = open.rule.on_response(response, &open.lease);
            if let Some(meter) = &mut open.meter {
                meter.start(response.status, response.headers);
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(meter) = self.open.as_mut().and_then(|open| open.meter.as_mut()) {
            meter.push(bytes);
        }
    }

    /// The call ended so; only the first call counts. The settlement is queued, never waited for.
    pub(crate) fn finish(&mut self, end: End) {
        let Some(Open { lease, rule, meter, planned }) = self.open.take() else { return };
        if lease.is_settled() {
            return settled(end, "by_caller");
        }
        // Without a response there is nothing to read.
        if let Some(meter) = meter.filter(|_| end != End::ServiceFailed) {
            meter.settle(&lease, end);
        }
        match rule.on_end(end, planned, &lease) {
            Verdict::Refund => {
                drop(lease.roll_back());
                settled(end, "refund");
            }
            _ => {
                drop(lease.commit());
                settled(end, "keep");
            }
        }
    }

    /// The provider refused the call: it counts as a request and used no tokens.
    pub(crate) fn refused(&mut self) {
        let Some(Open { lease, .. }) = self.open.take() else { return };
        for (name, taken) in lease.consumed() {
            if !REQUEST_LIMIT_NAMES.contains(&name.as_str()) {
                // It fails only on a lease that the caller has settled.
                let _ = lease.adjust(&name, -taken);
            }
        }
        drop(lease.commit());
        settled(End::Complete, "refused");
    }
}

fn settled(end: End, verdict: &'static str) {
    let end = match end {
        End::Complete => "complete",
        End::BodyFailed => "body_failed",
        End::ServiceFailed => "never_sent",
        _ => "dropped",
    };
    metrics::counter!("zae_client_settlements_total", "end" => end, "verdict" => verdict).increment(1);
    tracing::trace!(end, verdict, "call settled");
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.finish(End::Dropped);
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charge").field("open", &self.open.is_some()).finish()
    }
}

pin_project! {
    /// A response's body that passes on every frame at once and unchanged, and whose end, whichever it is, settles the
    /// charge.
    pub(crate) struct MeteredBody<B> {
        #[pin]
        body: B,
        charge: Charge,
    }
}

impl<B: Body> MeteredBody<B> {
    pub(crate) fn new(body: B, mut charge: Charge) -> Self {
        // Nobody polls a body that has nothing to give.
        if body.is_end_stream() {
            charge.finish(End::Complete);
        }
        Self { body, charge }
    }
}

impl<B: Body<Data = Bytes>> Body for MeteredBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(context));
        match &frame {
            None => this.charge.finish(End::Complete),
            Some(Err(_)) => this.charge.finish(End::BodyFailed),
            Some(Ok(frame)) => {
                if let Some(bytes) = frame.data_ref() {
                    this.charge.push(bytes);
                }
                // A reader that knows the length asks no more.
                if this.body.is_end_stream() {
                    this.charge.finish(End::Complete);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
