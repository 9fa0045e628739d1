//! AWS event streams (`application/vnd.amazon.eventstream`) that arrive in pieces: [`FrameScan`].
//!
//! A frame is a prelude (total length, length of the headers, checksum), headers, a payload and a checksum. Checksums
//! are left to the response's consumer; here lengths suffice.
//!
//! | bytes | content |
//! |---|---|
//! | 0 to 3 | length of the frame |
//! | 4 to 7 | length of the headers |
//! | 8 to 11 | checksum of the eight bytes before |
//! | 12 on | headers: name, type, value; `:message-type` is `event`, `exception` or `error` |
//! | then | payload: JSON, of InvokeModel with the model's own event in base64 |
//! | last 4 | checksum of the frame |
//!
//! SageMaker's frames of the type `PayloadPart` hold pieces of the model's own response, cut anywhere: documents, lines
//! or server-sent events. They are read as one.
//!
//! A stream that fails ends in a frame of the message type `exception`, whose header `:exception-type` names it. An
//! initial `throttlingException` is a refusal: Bedrock did not run the call.

use base64::{Engine, engine::general_purpose::STANDARD};

use memchr::memmem;

use super::{
    json::JsonScan,
    sink::{EventSink, JsonSink, Lost},
    sse::SseScan,
};
use crate::providers::table::{Holds, Place};

/// Bytes before the headers: two lengths and a checksum.
const PRELUDE: usize = 12;
/// Bytes after the payload.
const CHECKSUM: usize = 4;
/// Maximum size of a frame, somewhat more than AWS sends.
const MAX_FRAME: usize = 24 * 1024 * 1024;
/// Number of bytes of a frame's headers that are kept; AWS sends a few hundred bytes.
const MAX_HEADERS: usize = 1024;
/// A header's name, preceded by its length and followed by its type (text). Its value is `event`, `exception` or
/// `error`.
const MESSAGE_TYPE: &[u8] = b"\x0d:message-type\x07";
/// The same for the header that names an event.
const EVENT_TYPE: &[u8] = b"\x0b:event-type\x07";
/// The type of an event that holds a piece of a response.
const PART: &[u8] = b"PayloadPart";
/// The same for the header that names an exception.
const EXCEPTION_TYPE: &[u8] = b"\x0f:exception-type\x07";

/// The scanner. It keeps the prelude and headers, and the parts of a payload that [`JsonScan`] keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct FrameScan {
    /// The next part of the frame.
    state: FrameState,
    /// The headers of the frame, truncated after [`MAX_HEADERS`].
    headers: Vec<u8>,
    /// The scanner of the payload.
    json: JsonScan,
    /// The response that pieces in the frames make up.
    inner: Inner,
    /// The content of what frames hold in base64.
    wrapped: Wrapped,
}

/// The content of what frames hold in base64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wrapped {
    /// The model's own documents.
    #[default]
    Documents,
    /// An answer to the user, which may say anything.
    Answer,
}

/// The scanner of a response in pieces, by its first byte other than white space.
#[derive(Clone, Debug, Default)]
enum Inner {
    /// No piece came.
    #[default]
    Unknown,
    /// Documents, one after the other.
    Json(Box<JsonScan>),
    /// Server-sent events.
    Events(Box<SseScan>),
}

impl Inner {
    /// Scans the next bytes.
    fn push(&mut self, bytes: &[u8], found: &mut impl EventSink) {
        if let (Self::Unknown, Some(first)) = (&self, bytes.trim_ascii_start().first()) {
            *self = match first {
                b'{' | b'[' => Self::Json(Box::default()),
                _ => Self::Events(Box::default()),
            };
        }
        match self {
            Self::Unknown => {}
            Self::Json(scan) => scan.push(bytes, found),
            Self::Events(scan) => scan.push(bytes, found),
        }
    }

    /// Ends the input.
    fn end(&mut self, found: &mut impl EventSink) {
        match self {
            Self::Unknown => {}
            Self::Json(scan) => scan.end(found),
            Self::Events(scan) => scan.end(found),
        }
    }
}

/// The next part of a frame; lengths are in bytes.
#[derive(Clone, Debug)]
enum FrameState {
    /// Its prelude, of which `len` bytes have arrived.
    Prelude { bytes: [u8; PRELUDE], len: usize },
    /// Its headers, with `left` bytes remaining, followed by a payload.
    Headers { left: usize, payload: usize },
    /// Its payload.
    Payload { left: usize },
    /// The checksum of the whole frame, which is not checked.
    Checksum { left: usize },
    /// After something that is not a frame.
    Broken,
}

impl Default for FrameState {
    fn default() -> Self {
        Self::Prelude { bytes: [0; PRELUDE], len: 0 }
    }
}

impl FrameScan {
    /// Creates a scanner for the frames of an agent, which hold its answer and not a model's documents.
    pub(super) fn of_agent() -> Self {
        Self { wrapped: Wrapped::Answer, ..Self::default() }
    }

    /// Scans the next bytes. A frame's type is reported at its start.
    pub(super) fn push(&mut self, mut bytes: &[u8], found: &mut impl EventSink) {
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                FrameState::Broken => return,
                FrameState::Prelude { bytes: prelude, len } => {
                    let taken = bytes.len().min(PRELUDE - *len);
                    prelude[*len..*len + taken].copy_from_slice(&bytes[..taken]);
                    *len += taken;
                    if *len == PRELUDE {
                        self.state = frame(prelude);
                        if matches!(self.state, FrameState::Broken) {
                            found.broken(Lost::Nothing);
                        }
                        self.headers.clear();
                        self.json.reset();
                    }
                    taken
                }
                FrameState::Headers { left, payload } => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    let room = MAX_HEADERS - self.headers.len();
                    self.headers.extend_from_slice(&bytes[..taken.min(room)]);
                    if *left == 0 {
                        self.state = after_headers(*payload);
                        for name in [MESSAGE_TYPE, EXCEPTION_TYPE] {
                            if let Some(value) = header(&self.headers, name) {
                                found.frame(value);
                            }
                        }
                    }
                    taken
                }
                FrameState::Payload { left } => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    let ended = *left == 0;
                    if header(&self.headers, EVENT_TYPE) == Some(PART) {
                        self.inner.push(&bytes[..taken], found);
                    } else {
                        self.json.push(&bytes[..taken], &mut Unwrap(found, self.wrapped));
                    }
                    if ended {
                        self.json.end(found);
                        self.state = FrameState::Checksum { left: CHECKSUM };
                    }
                    taken
                }
                FrameState::Checksum { left } => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    if *left == 0 {
                        self.state = FrameState::default();
                    }
                    taken
                }
            };
            bytes = &bytes[taken..];
        }
    }

    /// Ends the input.
    pub(super) fn end(&mut self, found: &mut impl EventSink) {
        self.inner.end(found);
        if !matches!(self.state, FrameState::Prelude { len: 0, .. } | FrameState::Broken) {
            found.broken(Lost::Usage);
        }
    }
}

/// Parses a complete prelude; returns the state after it.
fn frame(prelude: &[u8; PRELUDE]) -> FrameState {
    let [a, b, c, d, e, f, g, h, ..] = *prelude;
    let total = u32::from_be_bytes([a, b, c, d]) as usize;
    let headers = u32::from_be_bytes([e, f, g, h]) as usize;
    let Some(payload) = total.checked_sub(PRELUDE + CHECKSUM).and_then(|rest| rest.checked_sub(headers)) else {
        return FrameState::Broken;
    };
    match (headers, payload) {
        _ if total > MAX_FRAME => FrameState::Broken,
        (0, payload) => after_headers(payload),
        (left, payload) => FrameState::Headers { left, payload },
    }
}

/// Returns the state after the headers of a frame.
fn after_headers(payload: usize) -> FrameState {
    // An empty payload has no bytes that could end it.
    if payload == 0 { FrameState::Checksum { left: CHECKSUM } } else { FrameState::Payload { left: payload } }
}

/// Returns the value of a text header; `name` is the name preceded by its length and followed by its type.
fn header<'h>(headers: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    let value = &headers[memmem::find(headers, name)? + name.len()..];
    let (length, value) = value.split_first_chunk()?;
    value.get(..usize::from(u16::from_be_bytes(*length)))
}

/// Passes on all reports, including those about the provider's own JSON that InvokeModel wraps in base64.
struct Unwrap<'a, F>(&'a mut F, Wrapped);

impl<F: JsonSink> JsonSink for Unwrap<'_, F> {
    fn value(&mut self, place: Place, bytes: Option<&[u8]>) {
        if place.holds != Holds::Wrapped {
            return self.0.value(place, bytes);
        }
        if self.1 == Wrapped::Answer {
            return;
        }
        let text = bytes.and_then(|bytes| bytes.strip_prefix(b"\"")?.strip_suffix(b"\""));
        if let Some(chunk) = text.and_then(|text| STANDARD.decode(text).ok()) {
            let mut inner = JsonScan::default();
            inner.push(&chunk, self.0);
            inner.end(self.0);
        }
    }

    fn document(&mut self) {
        self.0.document();
    }

    fn broken(&mut self, lost: Lost) {
        self.0.broken(lost);
    }
}
