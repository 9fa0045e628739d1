//! Server-sent events (WHATWG HTML, section 9.2) that arrive in pieces: [`SseScan`].
//!
//! ```text
//! event: message_delta      a field and its value; one space behind the colon is left out
//! data: {"usage": {         data goes over several lines,
//! data:  "output_tokens": 9}}
//! : keep-alive              a comment
//!                           an empty line: the event is complete
//! ```
//!
//! A line is read in three steps, each of which may be split: its field's name, the space after the colon, its value.
//! The fields `data` and `event` matter; `id`, `retry` and fields invented by providers do not.
//!
//! Lines end in `
//! `, `\r
//! ` or `\r`; a line that begins with a colon is a comment; `data` may span several lines; an empty line ends the
//! event. Data that begins with a brace is passed directly to the JSON scanner. Anything else is text, whose beginning
//! is kept to recognise words like `[DONE]`.

use memchr::memchr2;

use super::{json::JsonScan, sink::EventSink};

/// Maximum length of a known event name.
const MAX_NAME: usize = 40;
/// U+FEFF in UTF-8, which may precede the first event.
const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// The scanner. It keeps an event's name, and the parts of its data that [`JsonScan`] keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct SseScan {
    /// The next part of the line.
    line: Line,
    /// True if the last byte was a carriage return: a line feed after it ends no further line.
    after_cr: bool,
    /// The byte order mark, which may have arrived partially.
    bom: Bom,
    /// The name of the line's field so far.
    field: Vec<u8>,
    /// The event's name, from its last field `event`.
    name: Vec<u8>,
    /// The kind of the event's data.
    data: Data,
    /// The beginning of data that is not JSON, to be compared with words.
    text: Vec<u8>,
    /// The scanner for data that is JSON.
    json: JsonScan,
}

/// Progress through a byte order mark at the start of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bom {
    /// The number of bytes of the mark so far.
    Awaited(usize),
    /// The stream continues without it, or after it.
    Over,
}

impl Default for Bom {
    fn default() -> Self {
        Self::Awaited(0)
    }
}

/// The part of a line that comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// In the field's name; at the start of the line when it is empty.
    #[default]
    Field,
    /// After the colon, where one space is ignored.
    Colon(Field),
    /// In the value, to the end of the line.
    Value(Field),
}

/// The field of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// A line of the event's data.
    Data,
    /// The event's name.
    Event,
    /// A comment, or an irrelevant field.
    Other,
}

impl Field {
    /// Returns the field of that name; names are case-sensitive.
    fn of(name: &[u8]) -> Self {
        match name {
            b"data" => Self::Data,
            b"event" => Self::Event,
            _ => Self::Other,
        }
    }
}

/// The kind of the event's data, over all of its lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Data {
    /// None yet, but perhaps white space.
    #[default]
    None,
    /// An object.
    Json,
    /// Something else.
    Text,
}

impl SseScan {
    /// Processes the next bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8], events: &mut impl EventSink) {
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
            self.part(line, events);
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

    /// Processes the next bytes of a line.
    fn part(&mut self, mut bytes: &[u8], events: &mut impl EventSink) {
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
        if let (Line::Colon(field), Some(first)) = (self.line, bytes.first()) {
            if *first == b' ' {
                bytes = &bytes[1..];
            }
            self.line = Line::Value(field);
            match field {
                Field::Event => self.name.clear(),
                // Lines of data are joined by line breaks, so that no word spans two of them.
                Field::Data => self.data(b"\n", events),
                Field::Other => {}
            }
        }
        match self.line {
            Line::Value(Field::Data) => self.data(bytes, events),
            Line::Value(Field::Event) => keep(&mut self.name, bytes),
            _ => {}
        }
    }

    /// Processes the next bytes of data.
    fn data(&mut self, mut bytes: &[u8], events: &mut impl EventSink) {
        if self.data == Data::None {
            bytes = bytes.trim_ascii_start();
            self.data = match bytes.first() {
                None => Data::None,
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
            Data::None => {}
        }
    }

    /// Returns true if no event is incomplete.
    pub(super) fn is_between_events(&self) -> bool {
        self.bom == Bom::Over
            && !self.after_cr
            && self.line == Line::Field
            && self.field.is_empty()
            && self.data == Data::None
            && self.name.is_empty()
    }

    /// Ends the input. An event without a final empty line counts as far as it goes.
    pub(super) fn end(&mut self, events: &mut impl EventSink) {
        self.event_end(events);
    }

    /// Ends a line; an empty one ends the event.
    fn line_end(&mut self, events: &mut impl EventSink) {
        let line = std::mem::take(&mut self.line);
        let empty = line == Line::Field && self.field.is_empty();
        self.field.clear();
        if empty {
            self.event_end(events);
        }
    }

    /// Ends the event: its data is complete, and reported before its name. An event without data does not count.
    fn event_end(&mut self, events: &mut impl EventSink) {
        match std::mem::take(&mut self.data) {
            Data::Json => {
                self.json.end(events);
                events.event(&self.name);
            }
            Data::Text => {
                events.data(self.text.trim_ascii_end());
                events.event(&self.name);
            }
            Data::None => {}
        }
        self.name.clear();
    }
}

/// Appends `bytes` to `kept`, up to one byte more than the longest known word.
fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    // One more than the longest, so that a longer word is not mistaken for a known one.
    let room = (MAX_NAME + 1).saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::seen::seen_however_cut;

    fn scan(text: &str) -> Vec<String> {
        seen_however_cut(text, SseScan::push)
    }

    #[test]
    fn lines_end_in_three_ways() {
        for ending in ["\n", "\r\n", "\r"] {
            let text = ":comment\nevent: a\nid: 7\ndata:{\"usage\":1}\n\ndata: {\"x\":\ndata: 1,\ndata:\"usage\":2}\n\n\
                        : ping\n\ndata: [DONE]\n\n";
            let seen = scan(&text.replace('\n', ending));
            assert_eq!(
                seen,
                ["usage=1", "document", "event a", "usage=2", "document", "event ", "data [DONE]", "event "],
                "{ending:?}"
            );
        }
    }

    #[test]
    fn a_byte_order_mark_and_a_missing_space_do_no_harm() {
        assert_eq!(scan("\u{feff}data:{\"usage\":1}\n\n"), ["usage=1", "document", "event "]);
        assert_eq!(scan("data:\ndata:  {\"usage\":1}\n\n"), ["usage=1", "document", "event "]);
        assert_eq!(scan("data: hello\n\ndata\n\ndataset: {\"usage\":1}\n\n"), ["data hello", "event "]);
    }

    #[test]
    fn what_is_cut_short_is_broken() {
        assert_eq!(
            scan("data: {\"usage\":{\"a\"\n\ndata: {\"usage\":1}\n\n"),
            ["broken Usage", "event ", "usage=1", "document", "event "]
        );
    }
}
