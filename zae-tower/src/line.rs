//! A short text buffer for each request: [`Line`].
//!
//! Headers and problem bodies are written for every request. Nearly all of them fit into a buffer on the stack.
//!
//! Text that grows beyond 120 bytes moves to the heap as a whole: limit names may have 64 characters, and a response
//! may contain many of them. The buffer is only ever extended by whole `str`s, so it always is valid UTF-8.

use std::fmt;

/// Number of bytes that need no allocation.
const SHORT: usize = 120;

/// Text in a buffer that needs no allocation as long as it is short.
#[derive(Clone)]
pub(crate) struct Line {
    /// The text, as long as it fits.
    short: [u8; SHORT],
    /// Length of the text in `short`, if `long` is empty.
    len: usize,
    /// All of a text that outgrew `short`.
    long: Vec<u8>,
}

impl Default for Line {
    fn default() -> Self {
        Self { short: [0; SHORT], len: 0, long: Vec::new() }
    }
}

impl Line {
    /// Appends text.
    #[inline]
    pub(crate) fn push_str(&mut self, text: &str) {
        let bytes = text.as_bytes();
        match self.short.get_mut(self.len..self.len + bytes.len()) {
            Some(room) if self.long.is_empty() => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            _ => self.push_long(bytes),
        }
    }

    /// Appends to the heap, moving the text there first.
    #[cold]
    fn push_long(&mut self, bytes: &[u8]) {
        if self.long.is_empty() {
            self.long.extend_from_slice(&self.short[..self.len]);
        }
        self.long.extend_from_slice(bytes);
    }

    /// Appends a number in decimal.
    #[inline]
    pub(crate) fn push_number(&mut self, number: u64) {
        match u8::try_from(number) {
            Ok(digit @ 0..=9) => self.push_str(str::from_utf8(&[b'0' + digit]).unwrap_or_default()),
            _ => self.push_str(itoa::Buffer::new().format(number)),
        }
    }

    /// Returns true if nothing was appended.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0 && self.long.is_empty()
    }

    /// Returns the text.
    pub(crate) fn as_str(&self) -> &str {
        // Built from whole `str`s only, so it is always valid.
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Returns the text's bytes.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        if self.long.is_empty() { &self.short[..self.len] } else { &self.long }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_may_outgrow_its_buffer_anywhere() {
        for before in SHORT - 4..SHORT + 4 {
            let (mut line, mut text) = (Line::default(), String::new());
            assert!(line.is_empty());
            for part in [&*"a".repeat(before), "", "bc", "d"] {
                line.push_str(part);
                text.push_str(part);
            }
            for number in [0, 9, 10, u64::MAX] {
                line.push_number(number);
                text.push_str(&number.to_string());
            }
            assert_eq!(line.as_str(), text);
            assert!(!line.is_empty());
        }
    }
}
