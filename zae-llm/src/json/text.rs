//! Strings of a JSON text: [`Text`].

use memchr::memchr;

/// Approximate size of the pieces in which text with escapes is passed on, in bytes.
const PIECE: usize = 4 * 1024;

/// A string as written, without its quotes; its escapes are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// Wraps a string whose escapes were checked.
    pub(super) fn new(written: &'a [u8]) -> Self {
        Self(written)
    }

    /// Returns its length as written.
    pub(crate) fn written_len(self) -> usize {
        self.0.len()
    }

    /// Returns true if its decoded form is `text`.
    pub(crate) fn is(self, text: &str) -> bool {
        if memchr(b'\\', self.0).is_none() {
            return self.0 == text.as_bytes();
        }
        // An escape is at most six times as long as its character.
        self.0.len() <= 6 * text.len() && self.to_text() == text
    }

    /// Returns its decoded form. Anything that is not a character becomes U+FFFD.
    pub(crate) fn to_text(self) -> String {
        let mut text = String::new();
        self.pieces(|piece| text.push_str(piece));
        text
    }

    /// Returns the decoded form of its first `bytes` bytes.
    pub(crate) fn start(self, bytes: usize) -> String {
        Self(&self.0[..bytes.min(self.0.len())]).to_text()
    }

    /// Passes its decoded form to `each`, piece by piece. Borrowed if nothing is escaped, otherwise in pieces of a few
    /// kB.
    pub(crate) fn pieces(self, mut each: impl FnMut(&str)) {
        let mut buffer = String::new();
        let mut rest = self.0;
        while let Some(escape) = memchr(b'\\', rest) {
            plain(&rest[..escape], &mut buffer, &mut each);
            let (character, length) = unescaped(&rest[escape..]);
            buffer.push(character);
            rest = &rest[escape + length..];
            if buffer.len() >= PIECE {
                each(&buffer);
                buffer.clear();
            }
        }
        if buffer.is_empty() {
            return lossy(rest, each);
        }
        plain(rest, &mut buffer, &mut each);
        if !buffer.is_empty() {
            each(&buffer);
        }
    }
}

/// Passes on bytes without escapes: short ones collect in `buffer`, long ones go directly to `each`.
fn plain(bytes: &[u8], buffer: &mut String, each: &mut impl FnMut(&str)) {
    if bytes.len() < PIECE {
        return lossy(bytes, |piece| buffer.push_str(piece));
    }
    each(buffer);
    buffer.clear();
    lossy(bytes, each);
}

/// Passes on the text of `bytes`; each run of invalid UTF-8 becomes U+FFFD.
fn lossy(bytes: &[u8], mut each: impl FnMut(&str)) {
    for chunk in bytes.utf8_chunks() {
        if !chunk.valid().is_empty() {
            each(chunk.valid());
        }
        if !chunk.invalid().is_empty() {
            each("\u{FFFD}");
        }
    }
}

/// Decodes the escape at the beginning of `bytes`; returns its character and its length.
fn unescaped(bytes: &[u8]) -> (char, usize) {
    let character = match bytes.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode(bytes),
        Some(other) => char::from(*other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (character, 2.min(bytes.len()))
}

/// Decodes `\uXXXX`, and a second one with it if they form a surrogate pair. An unpaired surrogate is U+FFFD.
fn unicode(bytes: &[u8]) -> (char, usize) {
    let first = unit(bytes).unwrap_or(0xFFFD);
    let second = if (0xD800..0xDC00).contains(&first) { bytes.get(6..).and_then(unit) } else { None };
    if let Some(second) = second.filter(|second| (0xDC00..0xE000).contains(second)) {
        let scalar = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6.min(bytes.len()))
}

/// Decodes the UTF-16 unit `\uXXXX` at the beginning of `bytes`.
fn unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| Some((unit << 4) | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(written: &str) -> String {
        Text::new(written.as_bytes()).to_text()
    }

    #[test]
    fn escapes_mean_what_they_mean_elsewhere() {
        for written in [r"a\n\t\r\b\f\/\\\u0022", r"\ud83d\ude00", r"\u00e4ö", "plain", "", r"\u0000"] {
            let theirs: String = serde_json::from_str(&format!("\"{written}\"")).unwrap();
            assert_eq!(text(written), theirs);
        }
        assert_eq!(text(r"\ud83d"), "\u{FFFD}");
        assert_eq!(text(r"\ud83dx\ude00"), "\u{FFFD}x\u{FFFD}");
        assert_eq!(text(r"\ud83d\ud83d\ude00"), "\u{FFFD}\u{1F600}");
        assert_eq!(Text::new(b"a\xffb").to_text(), "a\u{FFFD}b");
    }

    #[test]
    fn names_are_known_in_every_spelling() {
        let is = |written: &str, name: &str| Text::new(written.as_bytes()).is(name);
        assert!(is("model", "model") && is(r"\u006dodel", "model") && is(r"\u006D\u006F\u0064\u0065\u006c", "model"));
        assert!(!is("Model", "model") && !is(r"\u004dodel", "model") && !is("models", "model"));
    }

    #[test]
    fn long_texts_come_in_bounded_pieces_and_whole() {
        let written = format!("{}{}", "\\n\u{e4}".repeat(10_000), "x".repeat(3 * PIECE));
        let (mut longest_owned, mut all) = (0, String::new());
        Text::new(written.as_bytes()).pieces(|piece| {
            if piece.contains('\n') {
                longest_owned = longest_owned.max(piece.len());
            }
            all.push_str(piece);
        });
        assert_eq!(all, written.replace("\\n", "\n"));
        assert!(longest_owned <= 2 * PIECE, "{longest_owned}");
    }
}
