//! Sends requests to an app and collects its responses.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use actix_http::Request;
use actix_web::{
    Error, HttpResponse,
    body::{MessageBody, to_bytes},
    dev::{Service, ServiceResponse},
    test::TestRequest,
};
use zae_actix::{
    settle::{End, SettleRule, Verdict},
    zae_limiter::Lease,
};

pub(crate) const ALICE: &str = "203.0.113.7:4711";

/// A complete response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of<B: MessageBody>(response: HttpResponse<B>) -> Self {
        let status = response.status().as_u16();
        let mut headers = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in response.headers() {
            let value = value.to_str().unwrap().to_owned();
            headers.entry(name.as_str().to_owned()).or_default().push(value);
        }
        let Ok(body) = to_bytes(response.into_body()).await else { panic!("the body broke") };
        Self { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// Returns the only value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let [value] = self.headers.get(name)?.as_slice() else { panic!("{name} has several values") };
        Some(value)
    }
}

/// Sends a request. If the app fails, the response is its error, as with a real server.
pub(crate) async fn ask<S, B>(app: &S, request: TestRequest) -> Answer
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    match app.call(request.to_request()).await {
        Ok(response) => Answer::of(response.into_parts().1).await,
        Err(error) => Answer::of(error.error_response()).await,
    }
}

/// Requests `path` as the client at `peer`.
pub(crate) async fn get<S, B>(app: &S, path: &str, peer: &str) -> Answer
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    ask(app, TestRequest::get().uri(path).peer_addr(peer.parse::<SocketAddr>().unwrap())).await
}

/// The default rule, plus a record of how requests ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends(Arc<Mutex<Vec<End>>>);

impl Ends {
    pub(crate) fn take(&self) -> Vec<End> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl SettleRule for Ends {
    fn on_end(&self, end: End, planned: Verdict, lease: &Lease) -> Verdict {
        self.0.lock().unwrap().push(end);
        zae_actix::settle::Standard.on_end(end, planned, lease)
    }
}
