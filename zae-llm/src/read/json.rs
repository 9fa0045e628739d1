//! Finding usage in JSON that arrives in pieces: [`JsonScan`].
//!
//! The scanner keeps no document. It follows the braces, tracks which of a few known locations it is in, and copies
//! only the values there, up to a bound. So a response may have any size, with its usage at either end, and be split
//! anywhere.
//!
//! | it sees | it does |
//! |---|---|
//! | a member at a place of the tables | copies its value, and reports it when it ends |
//! | a member that has places in it | looks at its members, too |
//! | any other value | passes over it, braces counted and strings skipped |
//! | the end of a document | reports it, so that its values count together |
//! | what is no JSON | reports that it is broken, once, and reads no further |
//!
//! The locations form a tree: `response.usage` is the member `usage` of the member `response`. The scanner keeps the
//! open containers on the path to some location ([`Level`]) and skips all others at once, by searching for quotes and
//! counting brackets. A list on the path stands for each of its objects, so `choices.usage` is the usage of any choice,
//! and `predictions.embeddings.statistics` that of any prediction.
//!
//! ```text
//! {"id": "…", "choices": [{"delta": {…}, "usage": {"prompt_tokens": 19}}], "model": "…"}
//!  skipped     Objects    Object, skipped  captured                        skipped
//! ```
//!
//! A document may also be an item of a list, as Gemini streams them. Values are not interpreted here: the tally does
//! that.

mod capture;
mod skip;

use self::{
    capture::Capture,
    skip::{Escape, container_end, string_end},
};
use super::sink::{JsonSink, Lost};
use crate::providers::{
    Wrapper,
    table::{Holds, Place},
    tables,
};

/// The byte before each document of a JSON text sequence (RFC 7464).
pub(super) const RECORD_SEPARATOR: u8 = 0x1E;
/// Maximum length of a known key or type.
const MAX_KEY: usize = 40;

/// The scanner. One or more documents, or one list of them, separated by nothing or white space.
#[derive(Clone, Debug, Default)]
pub(super) struct JsonScan {
    /// The position within the grammar: which tokens may come next.
    state: JsonState,
    /// The open containers of interest, outermost first. Never deeper than the tables.
    open: Vec<Level>,
    /// The key of the next member, without quotes and with escapes as written; truncated after [`MAX_KEY`].
    key: Vec<u8>,
    /// The value that is being read, if it is at a known location.
    value: Capture,
}

/// A container of interest that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// A list of documents.
    List,
    /// The document, or an object in it.
    Object(Wrapper),
    /// A list of such objects.
    Objects(Wrapper),
}

#[derive(Clone, Debug, Default)]
enum JsonState {
    /// Before a document.
    #[default]
    Start,
    /// In an object, before a key.
    BeforeKey,
    /// In a key.
    Key { escaped: bool },
    /// After a key.
    BeforeColon,
    /// Before a value.
    BeforeValue,
    /// In a string, number or literal.
    Scalar(Scalar),
    /// In a container without interest, or one that is captured as a whole.
    Deep { depth: u32, string: Option<Escape> },
    /// After a value.
    AfterValue,
    /// After something that is not JSON.
    Broken,
}

/// A value without members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scalar {
    /// A string, and whether its next byte is escaped.
    Text(Escape),
    /// A number or a literal, which ends before a comma, a bracket or white space.
    Bare,
}

/// Returns true for the white space of JSON, which is narrower than that of ASCII: no form feed.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

impl JsonScan {
    /// Starts over.
    pub(super) fn reset(&mut self) {
        self.state = JsonState::Start;
        self.open.clear();
        self.value.begin(None);
    }

    /// Returns true if no document is incomplete.
    pub(super) fn is_between_documents(&self) -> bool {
        matches!(self.state, JsonState::Start)
    }

    /// Ends the document.
    pub(super) fn end(&mut self, found: &mut impl JsonSink) {
        if !matches!(self.state, JsonState::Start | JsonState::Broken) {
            let holds = self.value.place.map(|place| place.holds);
            found.broken(if holds == Some(Holds::Usage) { Lost::Usage } else { Lost::Nothing });
        }
        self.reset();
    }

    /// Scans the next bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8], found: &mut impl JsonSink) {
        while let Some(&byte) = bytes.first() {
            let taken = match &mut self.state {
                JsonState::Broken => return,
                JsonState::Key { escaped } => {
                    bytes = &bytes[1..];
                    match byte {
                        _ if *escaped => *escaped = false,
                        b'\\' => *escaped = true,
                        b'"' => {
                            self.state = JsonState::BeforeColon;
                            continue;
                        }
                        _ => {}
                    }
                    if self.key.len() <= MAX_KEY {
                        self.key.push(byte);
                    }
                    continue;
                }
                JsonState::Scalar(Scalar::Text(escape)) => {
                    let (taken, ended) = string_end(bytes, escape);
                    self.value.add(&bytes[..taken]);
                    if ended {
                        self.state = JsonState::AfterValue;
                        self.value.end(found);
                    }
                    taken
                }
                JsonState::Scalar(Scalar::Bare) => {
                    let end = bytes.iter().position(|byte| matches!(byte, b',' | b'}' | b']') || is_space(*byte));
                    let taken = end.unwrap_or(bytes.len());
                    self.value.add(&bytes[..taken]);
                    if end.is_some() {
                        self.state = JsonState::AfterValue;
                        self.value.end(found);
                    }
                    taken
                }
                JsonState::Deep { depth, string } => {
                    let (taken, ended) = container_end(bytes, depth, string);
                    self.value.add(&bytes[..taken]);
                    if ended {
                        self.state = JsonState::AfterValue;
                        self.value.end(found);
                    }
                    taken
                }
                _ if is_space(byte) => 1,
                _ => {
                    self.structure(byte, found);
                    1
                }
            };
            bytes = &bytes[taken..];
        }
    }

    /// Processes a byte between tokens.
    fn structure(&mut self, byte: u8, found: &mut impl JsonSink) {
        let is_list = matches!(self.open.last(), Some(Level::List | Level::Objects(_)));
        self.state = match (&self.state, byte) {
            (JsonState::Start, b'{') => self.open(Level::Object(Wrapper::DOCUMENT)),
            (JsonState::Start, b'[') => self.open(Level::List),
            (JsonState::Start, RECORD_SEPARATOR) => JsonState::Start,
            (JsonState::BeforeKey, b'"') => {
                self.key.clear();
                JsonState::Key { escaped: false }
            }
            (JsonState::BeforeColon, b':') => JsonState::BeforeValue,
            (JsonState::BeforeValue, b'{' | b'[') => match self.inner(byte) {
                Some(level) => self.open(level),
                None => self.begin(byte, JsonState::Deep { depth: 1, string: None }),
            },
            (JsonState::BeforeValue, b'"') => self.begin(byte, JsonState::Scalar(Scalar::Text(Escape::No))),
            // An empty list.
            (JsonState::BeforeValue, b']') if is_list => self.close(found),
            (JsonState::BeforeValue, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                self.begin(byte, JsonState::Scalar(Scalar::Bare))
            }
            (JsonState::AfterValue, b',') if is_list => JsonState::BeforeValue,
            (JsonState::AfterValue, b',') => JsonState::BeforeKey,
            (JsonState::AfterValue, b']') if is_list => self.close(found),
            (JsonState::AfterValue | JsonState::BeforeKey, b'}') if !is_list => self.close(found),
            _ => {
                found.broken(Lost::Nothing);
                JsonState::Broken
            }
        };
    }

    /// Enters a container of interest. Returns the state after its bracket.
    fn open(&mut self, level: Level) -> JsonState {
        self.open.push(level);
        match level {
            Level::List | Level::Objects(_) => JsonState::BeforeValue,
            Level::Object(_) => JsonState::BeforeKey,
        }
    }

    /// Leaves the innermost container of interest, and reports a document that ends with it. Returns the state after
    /// its bracket.
    fn close(&mut self, found: &mut impl JsonSink) -> JsonState {
        if self.open.pop() == Some(Level::Object(Wrapper::DOCUMENT)) {
            found.document();
        }
        if self.open.is_empty() { JsonState::Start } else { JsonState::AfterValue }
    }

    /// Enters a value that is skipped or copied as a whole, of which `byte` is the first. Returns `state`.
    fn begin(&mut self, byte: u8, state: JsonState) -> JsonState {
        self.value.begin(self.place());
        self.value.add(&[byte]);
        state
    }

    /// Returns the container of interest that begins with `byte`, if it is one.
    fn inner(&self, byte: u8) -> Option<Level> {
        match self.open.last()? {
            Level::List => (byte == b'{').then_some(Level::Object(Wrapper::DOCUMENT)),
            Level::Objects(wrapper) => (byte == b'{').then_some(Level::Object(*wrapper)),
            Level::Object(within) => {
                let wrapper = tables().wrapper(*within, &self.key)?;
                Some(if byte == b'{' { Level::Object(wrapper) } else { Level::Objects(wrapper) })
            }
        }
    }

    /// Returns the location of the next value, by its container and its key. Items of lists have none.
    fn place(&self) -> Option<Place> {
        match self.open.last()? {
            Level::List | Level::Objects(_) => None,
            Level::Object(within) => tables().place(*within, &self.key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{capture::MAX_VALUE, *};
    use crate::read::seen::{Seen, seen_however_cut};

    fn scan(text: &str) -> Vec<String> {
        seen_however_cut(text, JsonScan::push)
    }

    #[test]
    fn finds_what_stands_in_known_places() {
        assert_eq!(
            scan(r#" {"a":{"usage":1},"usage" : {"x":[{"y":"}\""}]},"b":"\\","type":"t"} "#),
            [r#"usage={"x":[{"y":"}\""}]}"#, r#"type="t""#, "document"]
        );
        assert_eq!(
            scan(r#"{"response":{"output":[{"usage":3}],"usage":null},"usage":{}}"#),
            ["response/usage=null", "usage={}", "document"]
        );
        assert_eq!(
            scan(r#"{"message":"usage","response":[{"usage":1},[{"usage":2}],3,{"usage":4}],"choices":[]}"#),
            ["response/usage=1", "response/usage=4", "document"]
        );
        assert_eq!(
            scan(r#"{"predictions":[{"embeddings":{"values":[0],"statistics":{"token_count":7}}}],"statistics":{}}"#),
            ["predictions.embeddings.statistics/token_count=7", "document"]
        );
    }

    #[test]
    fn lists_and_sequences_are_documents_one_by_one() {
        assert_eq!(
            scan(r#"[{"usageMetadata":{"a":1}}, {"usageMetadata":{"a":2}}]"#),
            [r#"usageMetadata={"a":1}"#, "document", r#"usageMetadata={"a":2}"#, "document"]
        );
        assert_eq!(scan("{\"usage\":1}\n{\"usage\":2}\n"), ["usage=1", "document", "usage=2", "document"]);
        assert_eq!(scan("[]"), [""; 0]);
        assert_eq!(scan("[1,\"a\",[{\"usage\":1}]]"), [""; 0]);
    }

    #[test]
    fn what_is_no_json_is_said_once() {
        for text in ["x", "{x}", "{\"a\" 1}", "{\"a\":}", "{]", "[}", "{\"a\":1,,}", "[DONE] {\"usage\":1}"] {
            assert_eq!(scan(text), ["broken Nothing"], "{text}");
        }
    }

    #[test]
    fn long_values_are_not_kept() {
        let long = format!("{{\"usage\":\"{}\",\"type\":\"t\"}}", "x".repeat(MAX_VALUE));
        let mut seen = Seen::default();
        let mut scanner = JsonScan::default();
        for piece in long.as_bytes().chunks(1000) {
            scanner.push(piece, &mut seen);
        }
        assert_eq!(seen.0, ["usage=too long", r#"type="t""#, "document"]);
        assert!(scanner.value.bytes.capacity() <= 2 * MAX_VALUE);
    }
}
