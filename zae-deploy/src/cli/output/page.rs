//! Text for people, line by line.

use unicode_width::UnicodeWidthStr;

use super::{
    escape::{Breaks, harmless},
    style::{Colour, Tone},
    table::Table,
    time,
};

/// The page on which a report writes itself.
#[derive(Debug)]
pub(crate) struct Page {
    text: String,
    colour: Colour,
    now_ms: i64,
    width: Option<usize>,
}

impl Page {
    /// Creates a page of `width` columns, or without a bound.
    pub(crate) fn new(colour: Colour, now_ms: i64, width: Option<usize>) -> Self {
        Self { text: String::new(), colour, now_ms, width }
    }

    /// Returns the number of columns, if bounded.
    pub(crate) fn width(&self) -> Option<usize> {
        self.width
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(&harmless(line.as_ref().trim_end(), Breaks::Escaped));
        self.text.push('\n');
    }

    /// Writes a line of `symbol`s below or above other lines, at most `length` of them.
    pub(crate) fn rule(&mut self, symbol: char, length: usize) {
        let length = self.width.map_or(length, |width| width.min(length));
        self.line(String::from(symbol).repeat(length));
    }

    /// Writes an empty line.
    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// Writes a heading.
    pub(crate) fn heading(&mut self, heading: &str) {
        let heading = self.paint(Tone::Strong, heading);
        self.line(heading);
    }

    /// Writes a line that begins with a green tick.
    pub(crate) fn done(&mut self, line: &str) {
        let tick = self.paint(Tone::Good, "✓");
        self.line(format!("{tick} {line}"));
    }

    /// Writes a table.
    pub(crate) fn table(&mut self, table: &Table) {
        self.text.push_str(&table.render(self.colour, self.width));
    }

    /// Writes labels and values, with the values aligned.
    pub(crate) fn fields<'a>(&mut self, indent: usize, fields: impl IntoIterator<Item = (&'a str, String)>) {
        let fields: Vec<(&str, String)> = fields.into_iter().collect();
        let widest = fields.iter().map(|(label, _)| label.width()).max().unwrap_or(0);
        for (label, value) in fields {
            let space = " ".repeat(widest - label.width() + 1);
            self.line(format!("{}{label}:{space}{value}", " ".repeat(indent)));
        }
    }

    /// Formats `text` in `tone`.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        tone.paint(text, self.colour)
    }

    /// Formats the age of a stored timestamp, for example `3 days ago`; `None` for any other text.
    pub(crate) fn ago(&self, timestamp: &str) -> Option<String> {
        time::ago(timestamp, self.now_ms)
    }

    /// Formats a timestamp with its age.
    pub(crate) fn when(&self, timestamp: &str) -> String {
        match self.ago(timestamp) {
            Some(ago) => format!("{timestamp} {}", self.paint(Tone::Dim, &format!("({ago})"))),
            None => timestamp.to_owned(),
        }
    }
}
