//! Results: for people as text and tables, for programs as JSON or YAML.

mod page;
mod style;
mod table;
mod time;
pub(crate) mod units;

use std::io::{self, Write};

use serde::Serialize;

use super::{args::Format, error::CliError};

pub(crate) use page::Page;
pub(crate) use style::{Colour, Stream, Tone, shown_in_colour};
pub(crate) use table::{Align, Cell, Table};

/// What a command has found out or done. Its fields are the JSON and YAML; [`Report::page`] is the text.
pub(crate) trait Report: Serialize {
    /// Writes it for people.
    fn page(&self, page: &mut Page);
}

/// Where and how results go.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    colour: Colour,
    now_ms: i64,
}

impl Output {
    pub(crate) fn new(format: Format, colour: Colour, now_ms: i64) -> Self {
        Self { format, colour, now_ms }
    }

    /// Whether a program reads it.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Writes the result of a command: once, at its end.
    ///
    /// # Errors
    /// [`CliError::OutputClosed`] when nobody reads any more.
    pub(crate) fn show<R: Report>(&self, report: &R) -> Result<(), CliError> {
        let text = match self.format {
            Format::Table => {
                let mut page = Page::new(self.colour, self.now_ms);
                report.page(&mut page);
                harmless(&page.into_text())
            }
            Format::Json => {
                serde_json::to_string_pretty(report).map_err(|error| CliError::failed("write JSON", error))? + "\n"
            }
            Format::Yaml => serde_saphyr::to_string(report).map_err(|error| CliError::failed("write YAML", error))?,
        };
        write_all(&text)
    }

    /// Says that something is going on: on stdout for people, on stderr where stdout holds a document.
    pub(crate) fn progress(&self, line: &str) {
        // Progress that nobody reads is no reason to stop.
        let _ = match self.format {
            Format::Table => writeln!(io::stdout().lock(), "{line}"),
            Format::Json | Format::Yaml => writeln!(io::stderr().lock(), "{line}"),
        };
    }
}

/// `text` without control characters, other than line ends and the colours of [`Tone`]: stored texts must not reach the
/// terminal as commands.
fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let painted = Tone::codes().find(|code| rest.starts_with(code.as_str()));
        let taken = painted.as_ref().map_or(next.len_utf8(), String::len);
        if next.is_control() && next != '\n' && painted.is_none() {
            harmless.extend(next.escape_debug());
        } else {
            harmless.push_str(&rest[..taken]);
        }
        rest = &rest[taken..];
    }
    harmless
}

/// Writes text to stdout.
///
/// # Errors
/// [`CliError::OutputClosed`] when nobody reads any more.
pub(crate) fn write_all(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(CliError::OutputClosed),
        Err(error) => Err(CliError::failed("write the result", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Colour, Tone, harmless};

    #[test]
    fn stored_texts_cannot_command_the_terminal() {
        let painted = format!("{} a\u{1b}[2Jb\u{7}c\r\n", Tone::Good.paint("ok", Colour::On));
        assert_eq!(harmless(&painted), "\u{1b}[32mok\u{1b}[0m a\\u{1b}[2Jb\\u{7}c\\r\n");
    }
}
