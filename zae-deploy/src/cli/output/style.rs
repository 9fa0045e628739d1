//! Colours of the output.

use std::io::{self, IsTerminal};

use super::escape::painted;
use crate::cli::args::ColorChoice;

/// Enables or disables colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    On,
    Off,
}

impl Colour {
    pub(crate) fn is_on(self) -> bool {
        self == Self::On
    }
}

/// An output stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// The meaning of a text, which determines its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Good,
    Bad,
    Warn,
    Dim,
    Strong,
}

impl Tone {
    /// Formats `text` in this tone.
    pub(crate) fn paint(self, text: &str, colour: Colour) -> String {
        match (colour, self.code()) {
            (Colour::On, Some(code)) if !text.is_empty() => painted(code, text),
            _ => text.to_owned(),
        }
    }

    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("32"),
            Self::Bad => Some("31"),
            Self::Warn => Some("33"),
            Self::Dim => Some("2"),
            Self::Strong => Some("1"),
        }
    }
}

/// Determines if `stream` is coloured: as chosen, otherwise on terminals that support it, unless `NO_COLOR` is set.
pub(crate) fn shown_in_colour(choice: ColorChoice, stream: Stream) -> Colour {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let terminal = || match stream {
        Stream::Stdout => io::stdout().is_terminal(),
        Stream::Stderr => io::stderr().is_terminal(),
    };
    let dumb = || set("TERM").is_some_and(|term| term == "dumb");
    let on = match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => set("NO_COLOR").is_none() && !dumb() && terminal(),
    };
    if on { Colour::On } else { Colour::Off }
}
