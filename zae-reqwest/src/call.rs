//! An outgoing request, as extractors see it: [`Call`].
//!
//! Its body is read at most once for each purpose, and only if somebody asks: as JSON, or as a request to a model. A
//! compressed body is decoded first, within the bound of what is parsed, and sent as it is.

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
use zae_tower::{
    RequestHead,
    llm::{
        ContentDecoder, LlmRequest,
        json::{self, Claim},
    },
};

/// Number of coded bytes that are decoded at a time: they hold a megabyte at most.
const PIECE: usize = 1_024;

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
    /// The request, which is sent in the end.
    request: Request,
    /// The values that extractors and middleware share.
    extensions: Extensions,
    /// Maximum size of a body that is parsed, in bytes.
    max_parsed: usize,
    /// The body without its content codings, if it has some; `None` within if it cannot be decoded.
    decoded: OnceLock<Option<Bytes>>,
    /// The body as a request to a model.
    read: OnceLock<LlmRequest>,
    /// The body as a document; `None` within if it is none.
    json: OnceLock<Option<Value>>,
}

impl Call {
    /// Wraps a request, of whose body at most `max_parsed` bytes are parsed.
    pub(crate) fn new(request: Request, extensions: Extensions, max_parsed: usize) -> Self {
        let (decoded, read, json) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { request, extensions, max_parsed, decoded, read, json }
    }

    /// Unwraps the request.
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

    /// Returns its body without its content codings; `None` if it has none, or cannot be decoded to at most the size
    /// that is parsed.
    fn decoded_body(&self) -> Option<&Bytes> {
        let decode = || {
            let mut decoder = ContentDecoder::new(self.request.headers()).ok()??;
            let mut text = Vec::new();
            for piece in self.body()?.chunks(PIECE) {
                text.extend(decoder.push(piece).ok()?);
                if text.len() > self.max_parsed {
                    return None;
                }
            }
            text.extend(decoder.end().ok()?);
            (text.len() <= self.max_parsed).then(|| text.into())
        };
        self.decoded.get_or_init(decode).as_ref()
    }

    /// Returns true if its body has content codings.
    pub(crate) fn is_coded(&self) -> bool {
        !matches!(ContentDecoder::new(self.request.headers()), Ok(None))
    }

    /// Returns the format that its body claims to have, and its body without content codings.
    pub(crate) fn claimed_body(&self) -> Option<(Claim, &[u8])> {
        let headers = self.request.headers();
        match self.decoded_body() {
            Some(text) => Some((json::claim_decoded(headers, text), text)),
            None => self.body().map(|body| (json::claim(headers, body), body)),
        }
    }

    /// Returns its body as JSON; `None` if it is not JSON, or larger than [`Accounting::body_limit`] allows (32 MiB by
    /// default). Parsed once, at the first call: the document takes several times the body's memory, which
    /// [`find::json`](crate::find::json) avoids.
    ///
    /// [`Accounting::body_limit`]: crate::llm::Accounting::body_limit
    pub fn json(&self) -> Option<&Value> {
        let parse = || {
            let (_, body) = self.claimed_body().filter(|(_, body)| body.len() <= self.max_parsed)?;
            serde_json::from_slice(body).ok()
        };
        self.json.get_or_init(parse).as_ref()
    }

    /// Returns its body as a request to a model. Parsed once; one that is too large for [`json`](Call::json) is
    /// [estimated unparsed](LlmRequest::unparsed).
    pub fn llm(&self) -> &LlmRequest {
        self.read.get_or_init(|| match self.body().unwrap_or_default() {
            _ if self.decoded_body().is_some() => {
                LlmRequest::from(self.decoded_body().cloned().unwrap_or_default()).at(self.path())
            }
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
