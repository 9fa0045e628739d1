//! The future of a limited service: [`ResponseFuture`].

use std::{
    fmt,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_web::{
    Error, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse},
};
use pin_project_lite::pin_project;
use zae_tower::{
    Decision, Outcome,
    adapter::{Passage, SettleGuard, Through},
    settle::End,
};

use crate::{Head, body::ResponseBody, current::With, layer::Render, translate};

pin_project! {
    /// Decides about a request and, if it is admitted, waits for the inner service's response.
    ///
    /// Cancel safety: if it is dropped before the decision, no tokens stay taken; if it is dropped after it, the
    /// request counts.
    ///
    /// See [`ZaeLimit`](crate::ZaeLimit) for an example.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S>
    where
        S: Service<ServiceRequest>,
    {
        #[pin]
        state: FutureState<S::Future>,
        inner: Rc<S>,
        render: Option<Render>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum FutureState<F> {
        Deciding {
            #[pin]
            deciding: With<(Passage, Head)>,
        },
        Serving {
            #[pin]
            serving: F,
            through: Option<Through>,
        },
    }
}

impl<S: Service<ServiceRequest>> ResponseFuture<S> {
    pub(crate) fn new(deciding: With<(Passage, Head)>, inner: Rc<S>, render: Option<Render>) -> Self {
        Self { state: FutureState::Deciding { deciding }, inner, render }
    }
}

impl<S, B> Future for ResponseFuture<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Output = Result<ServiceResponse<EitherBody<ResponseBody<B>>>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Deciding { deciding } => {
                    let ((passage, head), request) = ready!(deciding.poll(context));
                    let mut request = request.expect("a future is not polled after its end");
                    match passage {
                        Passage::Answered(refusal) => {
                            let response = refuse(refusal, this.render.as_ref());
                            return Poll::Ready(Ok(request.into_response(response).map_into_right_body()));
                        }
                        Passage::Through(through) => {
                            translate::tell(&mut request, head);
                            let serving = this.inner.call(request);
                            this.state.set(FutureState::Serving { serving, through: Some(through) });
                        }
                    }
                }
                StateProjection::Serving { serving, through } => {
                    let result = ready!(serving.poll(context));
                    let through = through.take().expect("a future is not polled after its end");
                    return Poll::Ready(match result {
                        Ok(response) => Ok(admit(response, through)),
                        Err(error) => Err(fail(error, through)),
                    });
                }
            }
        }
    }
}

fn refuse(refusal: http::Response<bytes::Bytes>, render: Option<&Render>) -> HttpResponse {
    let response = translate::response(refusal);
    let (Some(render), Some(decision)) = (render, response.extensions().get::<Decision>().cloned()) else {
        return response;
    };
    let Outcome::Refused(reason) = decision.outcome() else { return response };
    let mut response = render(reason, response);
    response.extensions_mut().insert(decision.clone());
    response
}

fn admit<B: MessageBody>(
    mut response: ServiceResponse<B>,
    through: Through,
) -> ServiceResponse<EitherBody<ResponseBody<B>>> {
    let mut head = translate::response_head(response.response());
    let guard = through.respond(&mut head);
    let changes = translate::changes(head.headers(), response.headers());
    translate::write(&changes, response.headers_mut());
    if let Some(decision) = head.extensions_mut().remove::<Decision>() {
        response.response_mut().extensions_mut().insert(decision);
    }
    response.map_body(|_, body| EitherBody::left(ResponseBody::new(body, guard)))
}

/// An error becomes a response later: the rule sees it, and the rate-limit headers are added to it.
///
/// An error that blames the client counts as a response, because middleware refuses that way, and clients that can
/// provoke it should not get it for free.
fn fail(mut error: Error, through: Through) -> Error {
    let response = error.error_response();
    let mut head = translate::response_head(&response);
    let mut guard: SettleGuard = through.respond(&mut head);
    guard.finish(if head.status().is_server_error() { End::ServiceFailed } else { End::Complete });
    let changes = translate::changes(head.headers(), response.headers());
    let decision = head.extensions_mut().remove::<Decision>();
    error.add_response_mapper(move |mut response| {
        translate::write(&changes, response.headers_mut());
        if let Some(decision) = &decision {
            response.extensions_mut().insert(decision.clone());
        }
        response
    });
    error
}

impl<S: Service<ServiceRequest>> fmt::Debug for ResponseFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            FutureState::Deciding { .. } => "deciding",
            FutureState::Serving { .. } => "serving",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish_non_exhaustive()
    }
}
