//! Reads usage from responses as they pass through: [`UsageReader`].
//!
//! Bytes flow in one direction, and each step only knows the next one:
//!
//! ```text
//!                  ┌─ prefilter ─ sse ──┐
//! bytes ─ (decode) ┼─ frames ───────────┼─ json ─ (place, bytes) ─ tally ─ counts ─ Reading
//!                  └────────────────────┘
//! ```
//!
//! | step | knows | keeps |
//! |---|---|---|
//! | [`decode`] | codings of the content | a window, where the response is compressed |
//! | [`prefilter`] | the words without which an event tells nothing | an event that is cut, up to 4 KiB |
//! | [`sse`] | lines, fields and ends of events | an event's name |
//! | [`frames`] | lengths and headers of AWS's frames | a frame's headers |
//! | [`json`] | braces, strings and a few known places | the value at such a place, up to 16 KiB |
//! | [`tally`] | which usage of several counts, and whether more may come | one usage |
//! | [`counts`] | the shapes of the providers | nothing |
//!
//! None of them builds a document, and none depends on where the bytes are split: the tests split every recorded
//! response at every byte.

mod counts;
mod decode;
mod frames;
mod head;
mod json;
mod prefilter;
#[cfg(test)]
mod seen;
mod sink;
mod sse;
mod tally;
#[cfg(test)]
mod tests;
mod unwanted;

use std::fmt;

use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};

pub use self::{
    decode::{ContentDecoder, Undecodable},
    unwanted::UnwantedChunk,
};
use self::{
    frames::FrameScan,
    head::head_counts,
    json::{JsonScan, RECORD_SEPARATOR},
    prefilter::SsePrefilter,
    tally::{Documents, Received, UsageTally},
};
use crate::{ApiFormat, End, Usage, providers::AGENT_HEADER};

/// The result of reading a response.
///
/// ```
/// use zae_llm::{Reading, Unseen, Usage};
///
/// fn charged(reading: &Reading, estimate: Usage) -> Usage {
///     match reading {
///         Reading::Final(usage) => *usage,
///         Reading::SoFar(usage) if usage.total() > estimate.total() => *usage,
///         _ => estimate,
///     }
/// }
/// assert_eq!(charged(&Reading::Unseen(Unseen::BrokeOff), Usage::new(9, 40)), Usage::new(9, 40));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reading {
    /// The complete usage of the call.
    Final(Usage),
    /// Usage of the call up to the point where the response broke off, became unreadable, or turned out to be an error:
    /// a lower bound.
    SoFar(Usage),
    /// No usage, with the reason.
    Unseen(Unseen),
}

impl Reading {
    /// Returns the usage, final or not.
    pub fn usage(&self) -> Option<&Usage> {
        match self {
            Self::Final(usage) | Self::SoFar(usage) => Some(usage),
            Self::Unseen(_) => None,
        }
    }
}

/// The reason why a response had no usage.
///
/// See [`Reading`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unseen {
    /// It is not a success.
    ErrorStatus,
    /// Its compression is unknown, or invalid. gzip, deflate, brotli and zstd are supported.
    Compressed,
    /// It is neither JSON nor events.
    UnknownFormat,
    /// It broke off before its usage; this includes bodies that are not read.
    BrokeOff,
    /// It is complete and has none. OpenAI streams only have usage on request: [`include_usage`](crate::include_usage).
    Absent,
    /// It is malformed for its declared format.
    Malformed,
    /// The provider reported an error instead of the rest of its response.
    ErrorEvent,
    /// The provider refused the call within a response that began as a success (a limit was reached, or it is
    /// overloaded), so it used no tokens.
    Refused,
    /// Its usage is impossible: negative, fractional, or beyond a billion tokens.
    Absurd,
}

impl Unseen {
    /// Returns the label for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ErrorStatus => "error_status",
            Self::Compressed => "compressed",
            Self::UnknownFormat => "unknown_format",
            Self::BrokeOff => "broke_off",
            Self::Absent => "absent",
            Self::Malformed => "malformed",
            Self::ErrorEvent => "error_event",
            Self::Refused => "refused",
            Self::Absurd => "absurd",
        }
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ErrorStatus => "the response is not a success",
            Self::Compressed => "the response's compression is not one that can be read; ask for another one, or none",
            Self::UnknownFormat => "the response is neither JSON nor a stream of events",
            Self::BrokeOff => "the response broke off before its usage came",
            Self::Absent => "the response has no usage; OpenAI streams need `stream_options.include_usage`",
            Self::Malformed => "the response cannot be read",
            Self::ErrorEvent => "the provider reported an error in the midst of the response",
            Self::Refused => "the provider refused the call after it had begun to answer",
            Self::Absurd => "the response's usage is negative, fractional or absurdly large",
        })
    }
}

/// Reads the usage of one response as its bytes pass through.
///
/// It never holds bytes back and only keeps possible usage: at most about 100 kB, usually a few hundred bytes, however
/// long the response and its lines are. Chunks may begin and end anywhere. It reads JSON (also in a list or one
/// document per line), server-sent events, and AWS event streams; the first byte determines which, whatever the content
/// type is. A compressed response (gzip, deflate, brotli, zstd) is decoded for reading, which takes the coding's window
/// of additional memory.
///
/// ```
/// use http::{HeaderMap, HeaderValue, StatusCode};
/// use zae_llm::{ApiFormat, End, Reading, Usage, UsageReader};
///
/// let mut headers = HeaderMap::new();
/// headers.insert("content-type", HeaderValue::from_static("application/json"));
/// let mut reader = UsageReader::new(ApiFormat::Auto, StatusCode::OK, &headers);
/// reader.push(b"{\"choices\":[],\"usage\":{\"prompt_tok");
/// reader.push(b"ens\":12,\"completion_tokens\":30}}");
/// assert_eq!(reader.finish(End::Complete), Reading::Final(Usage::new(12, 30)));
/// ```
///
/// A clone has everything that was read. It does not continue reading a compressed response, because a decoder cannot
/// be cloned.
#[derive(Debug)]
pub struct UsageReader {
    /// The decoder of a compressed response.
    decoder: Option<Box<ContentDecoder>>,
    /// The scanner for the transport of documents.
    wire: Wire,
    /// The tally of the findings.
    tally: UsageTally,
    /// Usage that headers report.
    head: Option<Usage>,
}

impl Clone for UsageReader {
    fn clone(&self) -> Self {
        let (wire, tally) = (self.wire.clone(), self.tally.clone());
        let mut clone = Self { decoder: None, wire, tally, head: self.head };
        if self.decoder.is_some() {
            clone.give_up();
        }
        clone
    }
}

/// The transports of documents, each with its scanner.
#[derive(Clone, Debug)]
enum Wire {
    /// One document, or a list of them.
    Json(Box<JsonScan>),
    /// One document after the other.
    Lines(Box<JsonScan>),
    /// Server-sent events.
    Events(Box<SsePrefilter>),
    /// Frames of an AWS event stream.
    Frames(Box<FrameScan>),
    /// Undetermined until the first byte, and in doubt by the content type. Contains the number of bytes of a byte
    /// order mark.
    Guess(ContentType, usize),
    /// None that can be read, for this reason.
    Skip(Unseen),
}

/// The format announced by the content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ContentType {
    /// `application/json` and all that end in `+json`.
    Json,
    /// One document per line, by any of the common names.
    Lines,
    /// `text/event-stream`.
    Events,
    /// `application/vnd.amazon.eventstream`.
    Frames,
    /// The same of an agent.
    AgentFrames,
    /// None, or an unspecific one.
    Unsaid,
    /// One without usage: text, audio, images.
    Other,
}

/// U+FEFF in UTF-8, which some servers send before the first document.
const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

impl Wire {
    /// Returns the way in which this transport reports documents.
    fn documents(&self) -> Documents {
        if matches!(self, Self::Events(_)) { Documents::InEvents } else { Documents::Alone }
    }
}

impl UsageReader {
    /// Creates a reader for a response with this head.
    pub fn new(format: ApiFormat, status: StatusCode, headers: &HeaderMap) -> Self {
        let (decoder, wire) = match ContentDecoder::new(headers) {
            _ if !status.is_success() => (None, Wire::Skip(Unseen::ErrorStatus)),
            Err(Undecodable) => (None, Wire::Skip(Unseen::Compressed)),
            Ok(decoder) => (decoder.map(Box::new), Wire::Guess(content_type(headers), 0)),
        };
        let mut tally = UsageTally::new(format, Documents::Alone);
        let head = if status.is_success() { head_counts(headers, &mut tally) } else { None };
        Self { decoder, wire, tally, head }
    }

    /// Processes the next bytes of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        match self.decoder.as_mut().map(|decoder| decoder.push(bytes)) {
            None => self.read(bytes),
            Some(Ok(decoded)) => self.read(&decoded),
            Some(Err(Undecodable)) => self.give_up(),
        }
    }

    /// Stops reading.
    fn give_up(&mut self) {
        self.decoder = None;
        self.tally.malformed();
        self.wire = Wire::Skip(Unseen::Compressed);
    }

    /// Processes decoded bytes. The first one other than white space selects the scanner.
    fn read(&mut self, mut bytes: &[u8]) {
        if let Wire::Guess(content_type, mark) = &mut self.wire {
            while bytes.first().is_some_and(|byte| BYTE_ORDER_MARK.get(*mark) == Some(byte)) {
                *mark += 1;
                bytes = &bytes[1..];
            }
            let is_before = |byte: &&u8| byte.is_ascii_whitespace() || **byte == RECORD_SEPARATOR;
            let Some(first) = bytes.iter().find(|byte| !is_before(byte)) else { return };
            self.wire = wire(*content_type, *first);
            self.tally.set_documents(self.wire.documents());
        }
        match &mut self.wire {
            Wire::Json(scan) | Wire::Lines(scan) => scan.push(bytes, &mut self.tally),
            Wire::Events(scan) => scan.push(bytes, &mut self.tally),
            Wire::Frames(scan) => scan.push(bytes, &mut self.tally),
            Wire::Guess(..) | Wire::Skip(_) => {}
        }
    }

    /// Returns the reading, given the end of the response.
    pub fn finish(self, end: End) -> Reading {
        self.end(end).0
    }

    /// Returns the reading, given the end of the response, and the format of its usage.
    pub(crate) fn end(mut self, end: End) -> (Reading, Option<ApiFormat>) {
        if end == End::Complete
            && let Some(mut decoder) = self.decoder.take()
        {
            match decoder.end() {
                Ok(rest) => self.read(&rest),
                Err(Undecodable) => self.give_up(),
            }
        }
        // A document marks its own end; everything else needs to be read to its end.
        let came = match &self.wire {
            _ if end == End::Complete => Received::Whole,
            Wire::Json(scan) if scan.is_between_documents() => Received::Document,
            _ => Received::Part,
        };
        if end == End::Complete {
            match &mut self.wire {
                Wire::Json(scan) | Wire::Lines(scan) => scan.end(&mut self.tally),
                Wire::Events(scan) => scan.end(&mut self.tally),
                Wire::Frames(scan) => scan.end(&mut self.tally),
                Wire::Guess(..) | Wire::Skip(_) => {}
            }
        } else if let Wire::Events(scan) = &mut self.wire {
            scan.stop(&mut self.tally);
        }
        let format = self.tally.format();
        let read = self.tally.reading(came);
        let reading = match (read, self.head, self.wire) {
            (Some(Reading::Final(usage)), _, _) => Reading::Final(usage),
            (_, Some(usage), _) if self.tally.has_failed() => Reading::SoFar(usage),
            (_, Some(usage), _) => Reading::Final(usage),
            (None | Some(Reading::Unseen(Unseen::Malformed)), None, Wire::Skip(reason)) => Reading::Unseen(reason),
            (Some(reading), None, _) => reading,
            (None, None, _) if end != End::Complete => Reading::Unseen(Unseen::BrokeOff),
            (None, None, _) => Reading::Unseen(Unseen::Absent),
        };
        (reading, format)
    }
}

/// Parses the content type, ignoring parameters.
fn content_type(headers: &HeaderMap) -> ContentType {
    if headers.contains_key(AGENT_HEADER) {
        return ContentType::AgentFrames;
    }
    let Some(content_type) = headers.get(CONTENT_TYPE) else { return ContentType::Unsaid };
    let Ok(content_type) = content_type.to_str() else { return ContentType::Other };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/event-stream" => ContentType::Events,
        "application/vnd.amazon.eventstream" => ContentType::Frames,
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/stream+json"
        | "application/json-seq" => ContentType::Lines,
        "application/json" | "text/json" => ContentType::Json,
        json if json.ends_with("+json") => ContentType::Json,
        "" | "application/octet-stream" => ContentType::Unsaid,
        _ => ContentType::Other,
    }
}

/// Returns the transport of a body that begins with `first`, ignoring white space and a byte order mark.
fn wire(content_type: ContentType, first: u8) -> Wire {
    match (first, content_type) {
        (b'{' | b'[', ContentType::Lines) => Wire::Lines(Box::default()),
        (b'{' | b'[', _) => Wire::Json(Box::default()),
        (b'd' | b'e' | b'i' | b'r' | b':', _) => Wire::Events(Box::default()),
        (0, ContentType::AgentFrames) => Wire::Frames(Box::new(FrameScan::of_agent())),
        // The first byte of a frame's length, which is always zero.
        (0, ContentType::Json | ContentType::Lines | ContentType::Events | ContentType::Unsaid) => {
            Wire::Frames(Box::default())
        }
        (_, ContentType::Json) => Wire::Json(Box::default()),
        (_, ContentType::Lines) => Wire::Lines(Box::default()),
        (_, ContentType::Events) => Wire::Events(Box::default()),
        (_, ContentType::Frames) => Wire::Frames(Box::default()),
        (_, ContentType::Unsaid | ContentType::Other | ContentType::AgentFrames) => Wire::Skip(Unseen::UnknownFormat),
    }
}
