//! Removing the chunk of usage that a client did not ask for: [`UnwantedChunk`].
//!
//! OpenAI reports the usage of a stream in a chunk of its own, without choices, if the request asks for it. Where the
//! layer asked and not the client, a client that takes the first choice of each chunk would stumble over it. Events are
//! passed on as they are complete, and this one is left out.

use std::mem;

use bytes::Bytes;
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use memchr::{memchr2, memmem};
use serde_json::Value;

/// Maximum length of an event that is looked at. After a longer one everything is passed on.
const MAX_EVENT: usize = 64 * 1024;

/// Removes the chunk with usage and without choices from a stream of chat completions.
///
/// ```
/// use bytes::Bytes;
/// use http::{HeaderMap, HeaderValue};
/// use zae_llm::UnwantedChunk;
///
/// let mut headers = HeaderMap::new();
/// assert!(UnwantedChunk::of(&headers).is_none(), "it is no stream of events");
/// headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
/// let mut filter = UnwantedChunk::of(&headers).expect("a filter");
/// let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
/// let stream = format!("data: {{\"choices\":[{{}}]}}\n\n{usage}data: [DONE]\n\n");
/// let passed = filter.pass(Bytes::from(stream));
/// assert_eq!(passed, "data: {\"choices\":[{}]}\n\ndata: [DONE]\n\n");
/// assert!(filter.rest().is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct UnwantedChunk {
    /// The beginning of an event.
    held: Vec<u8>,
    progress: Looking,
}

/// The progress of the search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Looking {
    #[default]
    ForIt,
    /// It was found, or cannot be.
    NoMore,
}

impl UnwantedChunk {
    /// Returns the filter for a response with these headers; `None` if it is no stream of events, or cannot be changed:
    /// coded, or of an announced length.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let is_stream = headers.get(CONTENT_TYPE)?.as_bytes().starts_with(b"text/event-stream");
        let is_fixed = headers.contains_key(CONTENT_ENCODING) || headers.contains_key(CONTENT_LENGTH);
        (is_stream && !is_fixed).then(Self::default)
    }

    /// Returns the part of the next bytes to pass on, which may be empty.
    pub fn pass(&mut self, bytes: Bytes) -> Bytes {
        if self.progress == Looking::NoMore {
            return bytes;
        }
        let all = if self.held.is_empty() {
            bytes
        } else {
            let mut held = mem::take(&mut self.held);
            held.extend_from_slice(&bytes);
            held.into()
        };
        let mut at = 0;
        while let Some(length) = event_length(&all[at..]) {
            let event = &all[at..at + length];
            if is_unwanted(event) {
                self.progress = Looking::NoMore;
                // The second half of a line ending that was cut belongs to the event before.
                let endings = event.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
                return [&all[..at + endings], &all[at + length..]].concat().into();
            }
            at += length;
        }
        if all.len() - at > MAX_EVENT {
            self.progress = Looking::NoMore;
            return all;
        }
        self.held.extend_from_slice(&all[at..]);
        all.slice(..at)
    }

    /// Returns what is left at the end of the stream: the beginning of an event.
    pub fn rest(&mut self) -> Bytes {
        self.progress = Looking::NoMore;
        mem::take(&mut self.held).into()
    }
}

/// Returns the length of the first event, with the empty line that ends it.
fn event_length(bytes: &[u8]) -> Option<usize> {
    let (mut line, mut has_fields) = (0, false);
    while let Some(found) = memchr2(b'\n', b'\r', &bytes[line..]) {
        let end = line + found;
        let ending = if bytes[end..].starts_with(b"\r\n") { 2 } else { 1 };
        if end == line && has_fields {
            return Some(end + ending);
        }
        has_fields |= end > line;
        line = end + ending;
    }
    None
}

/// Returns true if the event has usage and no choices.
fn is_unwanted(event: &[u8]) -> bool {
    let has = |name: &[u8]| memmem::find(event, name).is_some();
    if !has(b"\"usage\"") || !has(b"\"choices\"") {
        return false;
    }
    let lines = event.split(|byte| matches!(byte, b'\n' | b'\r'));
    let data: Vec<&[u8]> = lines.filter_map(|line| line.strip_prefix(b"data:")).collect();
    let Ok(chunk) = serde_json::from_slice::<Value>(&data.join(&b'\n')) else { return false };
    chunk["usage"].is_object() && chunk["choices"].as_array().is_some_and(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const BEFORE: &str = ": ok\n\ndata: {\"choices\":[],\"prompt_filter_results\":[],\"usage\":null}\n\n\
                           data: {\"choices\":[{\"delta\":{\"content\":\"\\\"choices\\\":[]\\\"usage\\\"\"}}],\"usage\":{}}\n\n";
    const IT: &str = "event: x\ndata: {\"id\":\"1\", \"choices\" : [ ],\ndata: \"usage\":{\"prompt_tokens\":1}}\n\n";
    const AFTER: &str = "data: [DONE]\n\n";

    #[test]
    fn it_is_left_out_wherever_the_stream_is_cut() {
        for ending in ["\n", "\r\n", "\r"] {
            let stream = [BEFORE, IT, AFTER].concat().replace('\n', ending);
            let expected = [BEFORE, AFTER].concat().replace('\n', ending);
            for size in 1..stream.len() {
                let mut filter = UnwantedChunk::default();
                let mut passed: Vec<u8> = Vec::new();
                for chunk in stream.as_bytes().chunks(size) {
                    passed.extend(filter.pass(Bytes::copy_from_slice(chunk)));
                }
                passed.extend(filter.rest());
                let passed = String::from_utf8(passed).unwrap();
                // Half of a line ending that was cut may be left, as a further empty line, which changes nothing.
                let lines = |text: &str| {
                    text.split(['\n', '\r']).filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
                };
                assert_eq!(lines(&passed), lines(&expected), "{ending:?} by {size}");
                assert!(ending == "\r\n" || passed == expected, "{ending:?} by {size}");
            }
        }
    }

    #[test]
    fn everything_else_is_passed_on() {
        let endless = format!("data: {}", "x".repeat(2 * MAX_EVENT));
        for stream in [BEFORE, "", "data: {\"choices\":[]", "{\"choices\":[],\"usage\":{}}", &endless] {
            let mut filter = UnwantedChunk::default();
            let passed = filter.pass(Bytes::from(stream.to_owned()));
            assert_eq!([passed, filter.rest()].concat(), stream.as_bytes());
            assert!(filter.held.is_empty());
        }
        for (name, value) in
            [("content-encoding", "gzip"), ("content-length", "10"), ("content-type", "application/json")]
        {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
            assert!(UnwantedChunk::of(&headers).is_some());
            headers.insert(name, HeaderValue::from_static(value));
            assert!(UnwantedChunk::of(&headers).is_none(), "{name}");
        }
    }
}
