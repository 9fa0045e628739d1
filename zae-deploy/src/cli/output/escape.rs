//! Texts that others have stored must not reach the terminal as commands.

use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
};

/// Marks that stand around painted text until it is written. They are drawn when the process starts, so that no stored
/// text can contain it: whatever else looks like a command to the terminal is escaped.
static MARK: LazyLock<String> = LazyLock::new(|| format!("\u{1b}{:016x};", RandomState::new().hash_one(())));

/// The treatment of line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breaks {
    /// The text has several lines.
    Kept,
    /// The text is one line: a line end in it would look like another.
    Escaped,
}

/// `text` as painted in the colour of `code`.
pub(super) fn painted(code: &str, text: &str) -> String {
    format!("{mark}{code}m{text}{mark}0m", mark = *MARK)
}

/// `text` as the terminal may have it: with its colours, and every other control character escaped.
pub(crate) fn harmless(text: &str, breaks: Breaks) -> String {
    let mut parts = text.split(MARK.as_str());
    let mut harmless = escaped(parts.next().unwrap_or_default(), breaks);
    for part in parts {
        let (code, rest) = part.split_once('m').unwrap_or(("0", part));
        harmless.push_str(&format!("\u{1b}[{code}m{}", escaped(rest, breaks)));
    }
    harmless
}

/// `text` without characters that act on the terminal or on the order in which the rest is shown.
pub(crate) fn escaped(text: &str, breaks: Breaks) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmful(character) && (character != '\n' || breaks == Breaks::Escaped) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Control characters, separators of lines, and what turns the direction of text.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::{Breaks, harmless, painted};

    #[test]
    fn stored_texts_cannot_command_the_terminal() {
        let text = format!("{} a\u{1b}[2Jb\u{7}c\r\n", painted("32", "ok"));
        assert_eq!(harmless(&text, Breaks::Kept), "\u{1b}[32mok\u{1b}[0m a\\u{1b}[2Jb\\u{7}c\\r\n");
        assert_eq!(harmless("a\nb\u{9b}1mc\u{202e}", Breaks::Escaped), "a\\nb\\u{9b}1mc\\u{202e}");
    }

    #[test]
    fn the_colours_of_this_program_in_a_stored_text_are_none() {
        assert_eq!(harmless("x\u{1b}[31my\u{1b}[0m", Breaks::Kept), "x\\u{1b}[31my\\u{1b}[0m");
        let text = painted("31", "x\u{1b}[32my");
        assert_eq!(harmless(&text, Breaks::Escaped), "\u{1b}[31mx\\u{1b}[32my\u{1b}[0m");
    }
}
