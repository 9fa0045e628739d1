//! Keeps stored texts from reaching the terminal as control sequences.

use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
};

/// Marks that enclose coloured text until it is written. They are random per process, so that no stored text can
/// contain them: all other control sequences are escaped.
static MARK: LazyLock<String> = LazyLock::new(|| format!("\u{1b}{:016x};", RandomState::new().hash_one(())));

/// The treatment of line breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breaks {
    /// The text has several lines.
    Kept,
    /// The text is a single line: a line break in it would fake another.
    Escaped,
}

/// Encloses `text` in the colour of `code`.
pub(super) fn painted(code: &str, text: &str) -> String {
    format!("{mark}{code}m{text}{mark}0m", mark = *MARK)
}

/// Makes `text` safe for the terminal: keeps its colours, and escapes every other control character.
pub(crate) fn harmless(text: &str, breaks: Breaks) -> String {
    let mut parts = text.split(MARK.as_str());
    let mut harmless = escaped(parts.next().unwrap_or_default(), breaks);
    for part in parts {
        let (code, rest) = part.split_once('m').unwrap_or(("0", part));
        harmless.push_str(&format!("\u{1b}[{code}m{}", escaped(rest, breaks)));
    }
    harmless
}

/// Escapes the characters of `text` that control the terminal or the order of display.
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

/// Returns true for control characters, line separators, and characters that change the direction of text.
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
