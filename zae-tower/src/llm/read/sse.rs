//! Server-sent events (WHATWG HTML, section 9.2) that arrive in pieces: [`SseScan`].

use std::sync::LazyLock;

use memchr::{memchr2, memmem};

use super::{found::Events, json::JsonScan};

/// Longer event names are none that we know.
const MAX_NAME: usize = 40;
const DONE: &[u8] = b"[DONE]";
const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// The scanner. Of an event it keeps the name, and of its data what [`JsonScan`] keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct SseScan {
    line: Line,
    after_cr: bool,
    bom: Bom,
    field: Vec<u8>,
    name: Vec<u8>,
    data: Data,
    text: Vec<u8>,
    json: JsonScan,
}

/// How much of a byte order mark the stream began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bom {
    Awaited(usize),
    Over,
}

impl Default for Bom {
    fn default() -> Self {
        Self::Awaited(0)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// In the field's name; at the start of the line when it is empty.
    #[default]
    Field,
    /// Right after the colon, where one space is left out.
    Colon(Field),
    Value(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Other,
}

impl Field {
    fn of(name: &[u8]) -> Self {
        match name {
            b"data" => Self::Data,
            b"event" => Self::Event,
            _ => Self::Other,
        }
    }
}

/// What the event's data is, over all of its lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Data {
    /// None yet, but perhaps white space.
    #[default]
    None,
    /// An object.
    Json,
    /// An object that need not be looked at.
    Passed,
    /// Something else.
    Text,
}

impl SseScan {
    /// Looks at the next bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8], events: &mut impl Events) {
        while let Some(&byte) = bytes.first() {
            if let Bom::Awaited(at) = self.bom {
                if BOM.get(at) == Some(&byte) {
                    self.bom = if at + 1 == BOM.len() { Bom::Over } else { Bom::Awaited(at + 1) };
                    bytes = &bytes[1..];
                    continue;
                }
                self.bom = Bom::Over;
            }
            if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = memchr2(b'\n', b'\r', bytes);
            let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.part(line, ends_event(rest), events);
            bytes = match rest.split_first() {
                Some((ending, rest)) => {
                    self.after_cr = *ending == b'\r';
                    self.line_end(events);
                    rest
                }
                None => rest,
            };
        }
    }

    /// The next bytes of a line. `last` when they end it, and the event with it.
    fn part(&mut self, mut bytes: &[u8], last: bool, events: &mut impl Events) {
        if self.line == Line::Field {
            let colon = bytes.iter().position(|byte| *byte == b':');
            let (name, rest) = bytes.split_at(colon.unwrap_or(bytes.len()));
            keep(&mut self.field, name);
            if colon.is_none() {
                return;
            }
            self.line = Line::Colon(Field::of(&self.field));
            bytes = &rest[1..];
        }
        let mut whole = false;
        if let (Line::Colon(field), Some(first)) = (self.line, bytes.first()) {
            if *first == b' ' {
                bytes = &bytes[1..];
            }
            self.line = Line::Value(field);
            whole = last;
            if field == Field::Event {
                self.name.clear();
            }
        }
        match self.line {
            Line::Value(Field::Data) => self.data(bytes, whole, events),
            Line::Value(Field::Event) => keep(&mut self.name, bytes),
            _ => {}
        }
    }

    /// The next bytes of data. `whole` when they are a line, and the event's last one.
    fn data(&mut self, mut bytes: &[u8], whole: bool, events: &mut impl Events) {
        if self.data == Data::None {
            bytes = bytes.trim_ascii_start();
            self.data = match bytes.first() {
                None => Data::None,
                Some(b'{') if whole && !is_interesting(bytes) => Data::Passed,
                Some(b'{') => {
                    self.json.reset();
                    Data::Json
                }
                Some(_) => {
                    self.text.clear();
                    Data::Text
                }
            };
        }
        match self.data {
            Data::Json => self.json.push(bytes, events),
            Data::Text => keep(&mut self.text, bytes),
            Data::None | Data::Passed => {}
        }
    }

    /// No more bytes will come. An event that was not ended by an empty line counts as far as it goes.
    pub(super) fn end(&mut self, events: &mut impl Events) {
        self.event_end(events);
    }

    fn line_end(&mut self, events: &mut impl Events) {
        let line = std::mem::take(&mut self.line);
        let empty = line == Line::Field && self.field.is_empty();
        self.field.clear();
        if empty {
            self.event_end(events);
        }
    }

    fn event_end(&mut self, events: &mut impl Events) {
        match std::mem::take(&mut self.data) {
            Data::Json => {
                self.json.end(events);
                events.event(&self.name);
            }
            Data::Passed => events.event(&self.name),
            Data::Text if self.text.trim_ascii_end() == DONE => events.done(),
            Data::Text => events.event(&self.name),
            Data::None => {}
        }
        self.name.clear();
    }
}

/// Whether an empty line follows the line ending that `rest` begins with.
fn ends_event(rest: &[u8]) -> bool {
    let next = rest.strip_prefix(b"\r\n").or(rest.get(1..));
    next.is_some_and(|next| matches!(next.first(), Some(b'\n' | b'\r')))
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    // One more than the longest, so that a longer one is no known one.
    let room = (MAX_NAME + 1).saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

/// Whether an object may have usage or an error that is not `null`.
fn is_interesting(object: &[u8]) -> bool {
    static USAGE: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("\"usage"));
    // A member's name, or the type of the document.
    static ERROR: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("\"error\""));
    has_more_than_null(object, &USAGE, b"\":") || has_more_than_null(object, &ERROR, b":")
}

fn has_more_than_null(object: &[u8], name: &memmem::Finder<'_>, end: &[u8]) -> bool {
    name.find_iter(object).any(|at| {
        let after = &object[at + name.needle().len()..];
        let null = after.strip_prefix(end).and_then(|value| value.trim_ascii_start().strip_prefix(b"null"));
        !null.is_some_and(|rest| matches!(rest.first(), Some(b',' | b'}')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::read::seen::{Seen, seen_however_cut};

    fn scan(text: &str) -> Vec<String> {
        seen_however_cut(text, SseScan::push)
    }

    #[test]
    fn lines_end_in_three_ways() {
        for ending in ["\n", "\r\n", "\r"] {
            let text = ":comment\nevent: a\nid: 7\ndata:{\"usage\":1}\n\ndata: {\"x\":\ndata: 1,\ndata:\"usage\":2}\n\n\
                        : ping\n\ndata: [DONE]\n\n";
            let seen = scan(&text.replace('\n', ending));
            assert_eq!(seen, ["Usage=1", "document", "event a", "Usage=2", "document", "event ", "done"], "{ending:?}");
        }
    }

    #[test]
    fn events_without_usage_are_passed_over_and_still_named() {
        let text = "event: message_stop\ndata: {\"a\":1}\n\ndata: {\"usage\": null}\n\n";
        let mut seen = Seen::default();
        SseScan::default().push(text.as_bytes(), &mut seen);
        assert_eq!(seen.0, ["event message_stop", "event "]);
    }

    #[test]
    fn a_byte_order_mark_and_a_missing_space_do_no_harm() {
        assert_eq!(scan("\u{feff}data:{\"usage\":1}\n\n"), ["Usage=1", "document", "event "]);
        assert_eq!(scan("data:\ndata:  {\"usage\":1}\n\n"), ["Usage=1", "document", "event "]);
        assert_eq!(scan("data: hello\n\ndata\n\ndataset: {\"usage\":1}\n\n"), ["event "]);
    }

    #[test]
    fn what_is_cut_short_is_broken() {
        assert_eq!(
            scan("data: {\"usage\":{\"a\"\n\ndata: {\"usage\":1}\n\n"),
            ["broken Usage", "event ", "Usage=1", "document", "event "]
        );
    }
}
