//! Results: text and tables for people, JSON or YAML for programs.

mod escape;
mod meter;
mod page;
mod style;
mod table;
mod time;
pub(crate) mod units;
mod width;
mod wrap;

use std::io::{self, Write};

use serde::Serialize;

use super::{args::Format, error::CliError};

pub(crate) use escape::{Breaks, escaped, harmless};
pub(crate) use meter::Meter;
pub(crate) use page::Page;
pub(crate) use style::{Colour, Stream, Tone, shown_in_colour};
pub(crate) use table::{Align, Cell, Table};
pub(crate) use width::columns;

/// The result of a command. Its fields are the JSON and YAML; [`Report::page`] is the text.
pub(crate) trait Report: Serialize {
    /// Writes the text form.
    fn page(&self, page: &mut Page);
}

/// Writes results in the chosen format.
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

    /// The format to write in.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Writes the result of a command, once, at its end.
    ///
    /// # Errors
    /// [`CliError::OutputClosed`] if the output was closed.
    pub(crate) fn show<R: Report>(&self, report: &R) -> Result<(), CliError> {
        let text = match self.format {
            Format::Table => {
                let mut page = Page::new(self.colour, self.now_ms, columns());
                report.page(&mut page);
                page.into_text()
            }
            Format::Json => {
                serde_json::to_string_pretty(report).map_err(|error| CliError::failed("write JSON", error))? + "\n"
            }
            Format::Yaml => serde_saphyr::to_string(report).map_err(|error| CliError::failed("write YAML", error))?,
        };
        write_all(&text)
    }

    /// Prints progress: on stdout for people, on stderr if stdout contains a document.
    pub(crate) fn progress(&self, line: &str) {
        let line = harmless(line, Breaks::Escaped);
        // Progress that cannot be written is no reason to stop.
        let _ = match self.format {
            Format::Table => writeln!(io::stdout().lock(), "{line}"),
            Format::Json | Format::Yaml => writeln!(io::stderr().lock(), "{line}"),
        };
    }
}

/// Writes text to stdout.
///
/// # Errors
/// [`CliError::OutputClosed`] if the output was closed.
pub(crate) fn write_all(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(CliError::OutputClosed),
        Err(error) => Err(CliError::failed("write the result", error)),
    }
}
