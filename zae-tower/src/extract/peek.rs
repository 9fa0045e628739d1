//! Reads a request's body ahead of its handler: [`PeekBody`], [`Peeked`].

use std::{
    future::{Future, poll_fn},
    mem,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use http_body::Body;
use zae_llm::{
    ContentDecoder, Undecodable,
    json::{self, Claim},
};

use super::{
    BodyRules, ExtractError,
    budget::{BodyBudget, Buffer, UsedUp},
};
use crate::{llm::LlmRequest, request::RequestHead};

/// A request whose body extractors can read and leave for the handler. [`http::Request`] implements it if its body can
/// be created from bytes, as `axum::body::Body` and `http_body_util::Full` can; for others there is [`Peeked`].
///
/// ```
/// use zae_tower::{Cost, extract::{Extract, Extracted, Extractor, PeekBody}};
///
/// /// One token per line of the body.
/// struct Lines;
///
/// impl Extractor for Lines {
///     type Output = Cost;
/// }
///
/// impl<R: PeekBody + Send> Extract<R> for Lines {
///     async fn extract(&self, request: &mut R) -> Extracted<Cost> {
///         let body = request.peek_body(64 * 1024).await?; // a longer one is a 413
///         let lines = body.iter().filter(|byte| **byte == b'\n').count();
///         Ok(Some(Cost::of("lines", lines.max(1) as u64)))
///     }
/// }
/// ```
pub trait PeekBody: RequestHead {
    /// Reads the body, at most `limit` bytes, and leaves an equal one in its place.
    ///
    /// # Errors
    /// [`ExtractError`] if the body is longer (413), breaks off (400), takes longer than the layer's
    /// [`body_timeout`](crate::ZaeLimit::body_timeout) (408), or exceeds its
    /// [`body_budget`](crate::ZaeLimit::body_budget) (503).
    fn peek_body(&mut self, limit: usize) -> impl Future<Output = Result<Bytes, ExtractError>> + Send;

    /// Replaces the body with another of the same content type.
    fn replace_body(&mut self, body: Bytes);
}

impl<B> PeekBody for Request<B>
where
    B: Body<Data = Bytes> + From<Bytes> + Send,
{
    async fn peek_body(&mut self, limit: usize) -> Result<Bytes, ExtractError> {
        if self.body().is_end_stream() {
            return Ok(Bytes::new());
        }
        if self.body().size_hint().lower() > limit as u64 {
            return Err(too_large(limit));
        }
        let body = mem::replace(self.body_mut(), B::from(Bytes::new()));
        // Until the body is complete, there is none to leave for the handler.
        self.extensions_mut().insert(BodyLost);
        let bytes = collect(body, limit, BodyRules::of(self)).await?;
        self.extensions_mut().remove::<BodyLost>();
        *self.body_mut() = B::from(bytes.clone());
        Ok(bytes)
    }

    fn replace_body(&mut self, body: Bytes) {
        if self.headers().contains_key(CONTENT_LENGTH) || !self.headers().contains_key(TRANSFER_ENCODING) {
            self.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        *self.body_mut() = B::from(body);
    }
}

/// Marks a request whose body was partially read and cannot be forwarded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLost;

fn too_large(limit: usize) -> ExtractError {
    ExtractError::content_too_large(format!("the request's body must be at most {limit} bytes"))
}

/// Reads `body` to its end: at most `limit` bytes, within the time and the memory that `rules` allow.
async fn collect<B: Body<Data = Bytes>>(body: B, limit: usize, rules: BodyRules) -> Result<Bytes, ExtractError> {
    // The declared length is trusted only if it saves memory.
    let said = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
    let most = said.unwrap_or(limit).min(limit);
    let mut body = pin!(body);
    let mut buffer = Buffer::new(rules.budget);
    let whole = async {
        while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
            let frame = frame.map_err(|_| ExtractError::bad_request("the request's body broke off"))?;
            // Trailers: JSON requests have none.
            let Ok(data) = frame.into_data() else { continue };
            add(&mut buffer, &data, limit, most)?;
        }
        Ok::<_, ExtractError>(())
    };
    match tokio::time::timeout(rules.timeout, whole).await {
        Ok(read) => read?,
        Err(_) => {
            let within = rules.timeout;
            return Err(ExtractError::timed_out(format!("the request's body must arrive within {within:?}")));
        }
    }
    Ok(Bytes::from_owner(buffer.shrunk()))
}

/// A request's body that was read ahead of the handler, in the request's extensions while extractors run.
///
/// An adapter whose requests do not implement [`PeekBody`] (because their bodies are not `Send`, for example) reads the
/// body before it calls the limiter, and stores it here.
///
/// ```
/// use zae_tower::extract::Peeked;
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(Peeked::new(r#"{"model":"gpt-5"}"#.into()));
/// ```
#[derive(Clone, Debug)]
pub struct Peeked {
    bytes: Bytes,
    text: Text,
    request: Arc<LlmRequest>,
}

/// The body without its content codings.
#[derive(Clone, Debug)]
enum Text {
    /// Not looked for yet.
    Unknown,
    /// The body itself.
    Same,
    /// The decoded body.
    Decoded(Bytes),
    /// None that can be read.
    Unreadable,
}

impl Peeked {
    /// Wraps a body that was read.
    pub fn new(bytes: Bytes) -> Self {
        let request = Arc::new(LlmRequest::from(bytes.clone()));
        Self { bytes, text: Text::Unknown, request }
    }

    /// Returns the whole body.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the format that the body claims to have, and the body without its content codings.
    pub(crate) fn claim(&self, headers: &HeaderMap) -> (Claim, &Bytes) {
        match &self.text {
            Text::Unknown | Text::Same => (json::claim(headers, &self.bytes), &self.bytes),
            Text::Decoded(text) => (json::claim_decoded(headers, text), text),
            Text::Unreadable => (Claim::Encoded, &self.bytes),
        }
    }

    /// Returns true if the body has content codings.
    pub(crate) fn is_coded(&self) -> bool {
        matches!(self.text, Text::Decoded(_) | Text::Unreadable)
    }

    /// Returns the body as a request to a model, or other JSON.
    pub fn request(&self) -> &LlmRequest {
        &self.request
    }

    /// Returns the body of `request`, from its extensions if it was already read.
    ///
    /// # Errors
    /// See [`PeekBody::peek_body`].
    pub async fn of<R: PeekBody + Send>(request: &mut R, limit: usize) -> Result<Self, ExtractError> {
        let mut peeked = match request.extensions().get::<Self>() {
            Some(peeked) => peeked.clone(),
            None => Self::new(request.peek_body(limit).await?),
        };
        if matches!(peeked.text, Text::Unknown) {
            peeked.decode(request.headers(), limit, BodyRules::of(request).budget)?;
            request.extensions_mut().insert(peeked.clone());
        }
        let longest = peeked.bytes.len().max(peeked.claim(request.headers()).1.len());
        if longest <= limit { Ok(peeked) } else { Err(too_large(limit)) }
    }

    /// Removes the content codings, to at most `limit` bytes.
    fn decode(&mut self, headers: &HeaderMap, limit: usize, budget: BodyBudget) -> Result<(), ExtractError> {
        // Servers that pass over the header must not find JSON of which the decoder sees something else.
        let is_plain_json = matches!(json::claim_decoded(&HeaderMap::new(), &self.bytes), Claim::Json);
        self.text = match ContentDecoder::new(headers) {
            Ok(None) => Text::Same,
            Ok(Some(_)) if self.bytes.is_empty() => Text::Same,
            Ok(Some(decoder)) if !is_plain_json => match decoded(decoder, &self.bytes, limit, budget)? {
                Some(text) => {
                    self.request = Arc::new(LlmRequest::from(text.clone()));
                    Text::Decoded(text)
                }
                None => Text::Unreadable,
            },
            Ok(Some(_)) | Err(Undecodable) => Text::Unreadable,
        };
        Ok(())
    }
}

/// Number of coded bytes that are decoded at a time: they hold a megabyte at most.
const PIECE: usize = 1_024;

/// Decodes `bytes`; `None` if they cannot be decoded.
fn decoded(
    mut decoder: ContentDecoder,
    bytes: &[u8],
    limit: usize,
    budget: BodyBudget,
) -> Result<Option<Bytes>, ExtractError> {
    let mut buffer = Buffer::new(budget);
    let mut pieces = bytes.chunks(PIECE);
    loop {
        let piece = pieces.next();
        let text = match piece {
            Some(piece) => decoder.push(piece),
            None => decoder.end(),
        };
        let Ok(text) = text else { return Ok(None) };
        add(&mut buffer, &text, limit, limit)?;
        if piece.is_none() {
            // Of what is cut short there may be nothing.
            return Ok((buffer.len() > 0).then(|| Bytes::from_owner(buffer.shrunk())));
        }
    }
}

/// Adds `data` to a buffer of at most `limit` bytes, which grows to `most`.
fn add(buffer: &mut Buffer, data: &[u8], limit: usize, most: usize) -> Result<(), ExtractError> {
    if buffer.len() + data.len() > limit {
        return Err(too_large(limit));
    }
    buffer
        .push(data, most)
        .map_err(|UsedUp| ExtractError::unavailable("too many bodies are being read at once", Duration::from_secs(1)))
}
