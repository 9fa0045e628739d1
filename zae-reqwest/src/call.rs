//! An outgoing request, as extractors see it: [`Call`].

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

/// An outgoing request. All extractors of [`zae_tower`] that inspect heads work on it, and those of
/// [`find`](crate::find) inspect the rest.
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
    /// Maximum size of a body that is parsed, in bytes.
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

    /// Returns the request itself.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Returns the host of its URL; empty if it has none.
    pub fn host(&self) -> &str {
        self.request.url().host_str().unwrap_or_default()
    }

    /// Returns its body; `None` if it has none, or a streaming one, which can be sent only once and is not inspected.
    pub fn body(&self) -> Option<&[u8]> {
        self.request.body()?.as_bytes()
    }

    /// Returns true if it has no body and therefore calls no model.
    pub(crate) fn is_bodiless(&self) -> bool {
        self.request.body().is_none_or(|body| body.as_bytes().is_some_and(<[u8]>::is_empty))
    }

    /// Returns its body as JSON; `None` if it is not JSON, or larger than [`Accounting::body_limit`] allows (32 MiB by
    /// default). Parsed once, at the first call: the document takes several times the body's memory, which
    /// [`find::json`](crate::find::json) avoids.
    ///
    /// [`Accounting::body_limit`]: crate::llm::Accounting::body_limit
    pub fn json(&self) -> Option<&Value> {
        let parse = || {
            let body = self.body().filter(|body| body.len() <= self.max_parsed)?;
            serde_json::from_slice(body).ok()
        };
        self.json.get_or_init(parse).as_ref()
    }

    /// Returns its body as a request to a model. Parsed once; one that is too large for [`json`](Call::json) is
    /// [estimated unparsed](LlmRequest::unparsed).
    pub fn llm(&self) -> &LlmRequest {
        self.read.get_or_init(|| match self.body().unwrap_or_default() {
            body if body.len() <= self.max_parsed => {
                self.shared_body().map_or_else(|| LlmRequest::parse(body), LlmRequest::from).at(self.path())
            }
            body => LlmRequest::unparsed(body).at(self.path()),
        })
    }

    /// Returns the body without copying it: a clone of a reusable body is a single frame.
    fn shared_body(&self) -> Option<Bytes> {
        let body = pin!(self.request.try_clone()?.body_mut().take()?);
        match body.poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
            _ => None,
        }
    }

    /// Replaces its body.
    pub(crate) fn replace_body(&mut self, body: Bytes) {
        // Removes the previous body's length, which may have been set manually.
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

    /// With `reqwest-middleware`, the values set by
    /// [`with_extension`](reqwest_middleware::RequestBuilder::with_extension); otherwise empty, because `reqwest` does
    /// not expose its requests' extensions.
    fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Omits query and headers, which may contain keys.
        f.debug_struct("Call")
            .field("method", self.request.method())
            .field("host", &self.host())
            .field("path", &self.request.url().path())
            .finish_non_exhaustive()
    }
}
