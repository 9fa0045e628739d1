//! Skips most server-sent events, which contain no usage: [`SsePrefilter`].
//!
//! Of a stream's thousands of events, two or three matter. Whole events are therefore skipped at the speed of a search
//! for the words without which an event is irrelevant, and only those with one of the words go to [`SseScan`], byte by
//! byte.
//!
//! An event is skipped if it has none of the words, or has them only as keys of `null`, as OpenAI's chunks have
//! `"usage":null`. To determine that, the event must be complete, so the beginning of a split one is held until its
//! end. This delays nothing: the bytes themselves were passed on before the reader saw them.
//!
//! The words come from the providers' tables, in `Tables::markers`.

use std::sync::LazyLock;

use aho_corasick::packed::Searcher;
use memchr::{memchr_iter, memmem, memrchr_iter};

use super::{sink::EventSink, sse::SseScan};
use crate::providers::tables;

/// Maximum length of the beginning of an event that is held. A longer event goes directly to the scanner.
const MAX_HELD: usize = 4 * 1024;

/// Skipped events are counted up to this number: only the beginning matters.
const MAX_COUNTED: usize = 8;

/// The scanner for events, behind the filter. Its reports do not depend on how the stream is split, except for the
/// names of irrelevant events.
#[derive(Clone, Debug, Default)]
pub(super) struct SsePrefilter {
    /// The scanner for events that may be relevant.
    events: SseScan,
    /// The beginning of an event; empty unless the scanner is between events.
    held: Vec<u8>,
    /// Number of skipped events, up to [`MAX_COUNTED`].
    passed: usize,
}

impl SsePrefilter {
    /// Processes the next bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8], found: &mut impl EventSink) {
        if !self.held.is_empty() {
            let (first, rest) = bytes.split_at(first_event_end(bytes).unwrap_or(bytes.len()));
            if self.held.len() + first.len() > MAX_HELD {
                self.release(found);
            } else {
                // Line ends may be split.
                let seam = self.held.len().saturating_sub(2);
                self.held.extend_from_slice(first);
                if first_event_end(&self.held[seam..]).is_none() {
                    return;
                }
                bytes = rest;
                let mut held = std::mem::take(&mut self.held);
                self.all(&held, found);
                if self.held.is_empty() {
                    held.clear();
                    self.held = held;
                }
            }
        }
        self.all(bytes, found);
    }

    /// Processes all of the next bytes.
    fn all(&mut self, mut bytes: &[u8], found: &mut impl EventSink) {
        while !bytes.is_empty() {
            bytes = self.next(bytes, found);
        }
    }

    /// Processes some of the next bytes, and returns the rest.
    fn next<'b>(&mut self, bytes: &'b [u8], found: &mut impl EventSink) -> &'b [u8] {
        if !self.events.is_between_events() {
            let (event, rest) = bytes.split_at(first_event_end(bytes).unwrap_or(bytes.len()));
            self.events.push(event, found);
            return rest;
        }
        let marker = first_marker(bytes);
        let (passed, bytes) = bytes.split_at(last_event_end(&bytes[..marker.unwrap_or(bytes.len())]));
        if self.passed < MAX_COUNTED && !passed.is_empty() {
            let events = memmem::find_iter(passed, b"data:").take(MAX_COUNTED).count();
            self.passed += events;
            found.passed(events);
        }
        // Searched from the end of the skipped part, which contains none.
        let end = marker.and_then(|at| Some(at - passed.len() + first_event_end(&bytes[at - passed.len()..])?));
        match end {
            None if bytes.len() <= MAX_HELD => {
                self.held.extend_from_slice(bytes);
                &[]
            }
            end => {
                let (event, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                self.events.push(event, found);
                rest
            }
        }
    }

    /// Passes the held event to the scanner.
    fn release(&mut self, found: &mut impl EventSink) {
        self.events.push(&self.held, found);
        self.held.clear();
    }

    /// Ends the input abruptly. Everything that arrived counts.
    pub(super) fn stop(&mut self, found: &mut impl EventSink) {
        self.release(found);
    }

    /// Ends the input. An event without a final empty line counts as far as it goes.
    pub(super) fn end(&mut self, found: &mut impl EventSink) {
        self.release(found);
        self.events.end(found);
    }
}

/// Finds the first relevant word, ignoring keys whose value is `null`.
fn first_marker(bytes: &[u8]) -> Option<usize> {
    // `None` if the processor does not support searching for several words at once; then nothing is skipped.
    static SEARCHER: LazyLock<Option<Searcher>> = LazyLock::new(|| Searcher::new(&tables().markers));
    let Some(searcher) = &*SEARCHER else { return Some(0) };
    let is_null = |end: usize| {
        // Some words include the quote after the key, and some end within the key.
        let rest = &bytes[end..];
        let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
        let value = rest.strip_prefix(b":").unwrap_or_default().trim_ascii_start();
        value.strip_prefix(b"null").is_some_and(|rest| matches!(rest.first(), Some(b',' | b'}')))
    };
    searcher.find_iter(bytes).find(|found| !is_null(found.end())).map(|found| found.start())
}

/// Finds the end of the first event whose end is recognised. Empty lines after a lone carriage return are not
/// recognised: they are rare, and the scanner handles them.
fn first_event_end(bytes: &[u8]) -> Option<usize> {
    memchr_iter(b'\n', bytes).find(|at| is_empty_line(bytes, *at)).map(|at| at + 1)
}

/// Returns the number of `bytes` up to the last recognised end of an event.
fn last_event_end(bytes: &[u8]) -> usize {
    memrchr_iter(b'\n', bytes).find(|at| is_empty_line(bytes, *at)).map_or(0, |at| at + 1)
}

/// Returns true if the line feed at `end` ends an empty line, and so an event.
fn is_empty_line(bytes: &[u8], end: usize) -> bool {
    bytes[..end].ends_with(b"\n") || bytes[..end].ends_with(b"\n\r")
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::read::{
        ApiFormat, Reading,
        seen::Seen,
        tally::{Documents, Received, UsageTally},
    };

    #[test]
    fn events_that_tell_nothing_are_passed_over() {
        let quiet = "event: ping\ndata: {\"a\":1,\"usage\": null,\"error\":null}\r\n\r\ndata: {\"x\":\n\n: comment\n\n";
        let telling = "event: a\ndata: {\"usage\":1}\n\ndata: [DONE]\n\nevent: error\ndata: x\n\n";
        let text = format!("{quiet}{telling}{quiet}{telling}");
        let expected = ["usage=1", "document", "event a", "data [DONE]", "event ", "data x", "event error"].repeat(2);
        for size in 1..text.len() {
            let (mut seen, mut prefilter) = (Seen::default(), SsePrefilter::default());
            // The scanner checks the start of the stream for a byte order mark.
            prefilter.push(b"\n", &mut seen);
            text.as_bytes().chunks(size).for_each(|piece| prefilter.push(piece, &mut seen));
            assert_eq!(seen.0, expected, "by {size}");
        }
    }

    #[test]
    fn little_is_held_back_from_the_scanner() {
        let mut prefilter = SsePrefilter::default();
        let mut seen = Seen::default();
        prefilter.push(b"\n", &mut seen);
        prefilter.push(b"data: {\"text\":\"", &mut seen);
        for _ in 0..1_000 {
            prefilter.push(&[b'x'; 1_000], &mut seen);
            assert!(prefilter.held.capacity() <= 2 * MAX_HELD);
        }
        prefilter.push(b"\",\"usage\":1}\n\n", &mut seen);
        assert_eq!(seen.0, ["usage=1", "document", "event "]);
    }

    /// Building blocks of streams that are relevant, irrelevant, or misleading.
    const PIECES: [&str; 36] = [
        "\n",
        "\n\n",
        "\r",
        "\r\n",
        "\r\n\r\n",
        "data:",
        "data: ",
        "event: ",
        ": comment",
        "{",
        "}",
        "{\"x\":[1,",
        "\"usage\":",
        "\"us",
        "age\":",
        "null",
        ",",
        "{\"prompt_tokens\":3}",
        "\"error\":",
        "[DONE]",
        "event: error\n",
        "event: message_stop\r\n",
        "event: response.failed\n",
        "event: ping\n",
        "data: {\"message\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n",
        "data: {\"usage\":{\"output_tokens\":9}}\n\n",
        "data: {\"usage\":{\"output_tokens\":9},\"type\":\"response.completed\"}\n\n",
        "data: {\"amazon-bedrock-invocationMetrics\":{\"inputTokenCount\":5,\"outputTokenCount\":6}}\n\n",
        "data: {\"choices\":[],\"usage\":null}\n\n",
        "data: {\"error\":null,\"usage\":nullx}\n\n",
        "data: {\"type\":\"error\"}\n\n",
        "data: {}\r\n\r\n",
        "data: {\r\n",
        "data: \"usage\":{\"output_tokens\":9}}\r\n",
        "data: [DONE]\n\n",
        "data: x\n\n",
    ];

    fn reading(mut push: impl FnMut(&mut UsageTally)) -> [Option<Reading>; 2] {
        let mut tally = UsageTally::new(ApiFormat::Auto, Documents::InEvents);
        push(&mut tally);
        [Received::Part, Received::Whole].map(|came| tally.reading(came))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_is_passed_over_would_have_told_nothing(
            pieces in vec(select(&PIECES), 1..40),
            long in 0..40usize,
            sizes in vec(1..60usize, 1..8),
        ) {
            let mut pieces = pieces;
            let padding = format!(": {}", "x".repeat(MAX_HELD));
            if long < pieces.len() {
                pieces.insert(long, &padding);
            }
            let stream = pieces.concat();
            let all = reading(|tally| {
                let mut scan = SseScan::default();
                scan.push(stream.as_bytes(), tally);
                scan.end(tally);
            });
            let skimmed = reading(|tally| {
                let mut prefilter = SsePrefilter::default();
                let (mut rest, mut sizes) = (stream.as_bytes(), sizes.iter().cycle());
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                    prefilter.push(piece, tally);
                    rest = after;
                }
                prefilter.end(tally);
            });
            prop_assert_eq!(skimmed, all, "{}", stream);
        }
    }
}
