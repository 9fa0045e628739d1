//! Wraps text to a given width.

use unicode_width::UnicodeWidthChar;

/// Wraps `text` into lines, none wider than `width`: after a space or a character that joins parts of a name, and
/// within a word only if there is neither.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    // Length of the line up to the last possible break.
    let mut part = 0;
    for character in text.chars() {
        let wide = character.width().unwrap_or(0);
        if used + wide > width && !line.is_empty() {
            let rest = if part > 0 && part < line.len() { line.split_off(part) } else { String::new() };
            lines.push(line.trim_end().to_owned());
            line = if rest.is_empty() && character == ' ' { String::new() } else { rest };
            used = line.chars().map(|character| character.width().unwrap_or(0)).sum();
            part = 0;
            if line.is_empty() && character == ' ' {
                continue;
            }
        }
        line.push(character);
        used += wide;
        if matches!(character, ' ' | '/' | ':' | '=' | '@' | '-') {
            part = line.len();
        }
    }
    lines.push(line.trim_end().to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_end_where_words_do_and_nothing_is_lost() {
        assert_eq!(wrap("tpm: 10,000/min (burst: 15,000)", 12), ["tpm: 10,000/", "min (burst:", "15,000)"]);
        assert_eq!(wrap("assumed-role/a-role", 13), ["assumed-role/", "a-role"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("abcd efgh", 4), ["abcd", "efgh"]);
        assert_eq!(wrap("東京都", 4), ["東京", "都"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
