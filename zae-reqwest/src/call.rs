//! A request on its way out, as extractors see it: [`Call`].

use std::{
    fmt,
    pin::pin,
    sync::OnceLock,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, header::CONTENT_LENGTH};
use http_body::Body as _;
use reqwest::{Body, Request};
use serde_json::Value;
use zae_tower::{RequestHead, llm::LlmRequest};

/// A request on its way out. All extractors of [`zae_tower`] that look at heads work on it, and those of
/// [`find`](crate::find) look at the rest.
///
/// ```
/// use zae_reqwest::{Call, ResourceName, find};
/// let by_model = find::from_fn(|call: &Call| {
///     let model = call.json()?.get("model")?.as_str()?;
///     Some(ResourceName::new(format!("{}/{model}", call.host())))
/// });
/// ```
pub struct Call {
    request: Request,
    extensions: Extensions,
    /// The largest body that is parsed, in bytes.
    max_parsed: usize,
    read: OnceLock<LlmRequest>,
    json: OnceLock<Option<Value>>,
}

impl Call {
    pub(crate) fn new(request: Request, extensions: Extensions, max_parsed: usize) -> Self {
        Self { request, extensions, max_parsed, read: OnceLock::new(), json: OnceLock::new() }
    }

    pub(crate) fn into_parts(self) -> (Request, Extensions) {
        (self.request, self.extensions)
    }

    /// The request itself.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The host of its URL; empty where it has none.
    pub fn host(&self) -> &str {
        self.request.url().host_str().unwrap_or_default()
    }

    /// Its body; `None` where it has none, or streams one, which can be sent only once and is not looked at.
    pub fn body(&self) -> Option<&[u8]> {
        self.request.body()?.as_bytes()
    }

    /// Returns true if it has no body, and so calls no model.
    pub(crate) fn is_bodiless(&self) -> bool {
        self.request.body().is_none_or(|body| body.as_bytes().is_some_and(<[u8]>::is_empty))
    }

    /// Its body as JSON; `None` where it is none, or larger than [`Accounting::body_limit`] allows (10 MiB unless set
    /// otherwise). Parsed once, when it is first asked for: the document takes several times the body's memory, which
    /// [`find::json`](crate::find::json) does without.
    ///
    /// [`Accounting::body_limit`]: crate::llm::Accounting::body_limit
    pub fn json(&self) -> Option<&Value> {
        let parse = || {
            let body = self.body().filter(|body| body.len() <= self.max_parsed)?;
            serde_json::from_slice(body).ok()
        };
        self.json.get_or_init(parse).as_ref()
    }

    /// Its body as a request to a model. Parsed once; one that is too large for [`json`](Call::json) is
    /// [estimated unparsed](LlmRequest::unparsed).
    pub fn llm(&self) -> &LlmRequest {
        self.read.get_or_init(|| match self.body().unwrap_or_default() {
            body if body.len() <= self.max_parsed => {
                self.shared_body().map_or_else(|| LlmRequest::parse(body), LlmRequest::from).at(self.path())
            }
            body => LlmRequest::unparsed(body).at(self.path()),
        })
    }

    /// The body without a copy: a clone of one that can be sent again is one frame.
    fn shared_body(&self) -> Option<Bytes> {
        let body = pin!(self.request.try_clone()?.body_mut().take()?);
        match body.poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
            _ => None,
        }
    }

    /// Sends `body` in place of the one it has.
    pub(crate) fn replace_body(&mut self, body: Bytes) {
        // The length of the other one, if somebody set it by hand.
        self.request.headers_mut().remove(CONTENT_LENGTH);
        *self.request.body_mut() = Some(Body::from(body));
    }
}

impl RequestHead for Call {
    fn method(&self) -> &Method {
        self.request.method()
    }

    fn path(&self) -> &str {
        self.request.url().path()
    }

    fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// With `reqwest-middleware`, what [`with_extension`](reqwest_middleware::RequestBuilder::with_extension) put
    /// there; otherwise empty, for `reqwest` shows nobody its requests' extensions.
    fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither query nor headers: they may hold keys.
        f.debug_struct("Call")
            .field("method", self.request.method())
            .field("host", &self.host())
            .field("path", &self.request.url().path())
            .finish_non_exhaustive()
    }
}
