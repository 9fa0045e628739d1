//! The tokens of a JSON text: [`Scanner`].

use memchr::memchr2;

use super::{JsonError, Text, number};

/// Maximum nesting depth.
pub(crate) const MAX_DEPTH: usize = 512;
/// Number of 64-bit words that hold a bit for each container.
const WORDS: usize = MAX_DEPTH / 64;
/// U+FEFF in UTF-8; some clients begin their bodies with it.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A token of a JSON text. Texts and numbers are slices of the text itself, as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    /// `{`
    ObjectStart,
    /// `}`
    ObjectEnd,
    /// `[`
    ArrayStart,
    /// `]`
    ArrayEnd,
    /// The name of a member; its value follows.
    Key(Text<'a>),
    /// A string that is not a name, without its quotes.
    Text(Text<'a>),
    /// As written, including `NaN` and the infinities.
    Number(&'a [u8]),
    /// `true` or `false`.
    Bool(bool),
    /// `null`
    Null,
}

/// The tokens that may come next, apart from white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// A value, after a name, a comma, or at the beginning.
    Value,
    /// A value or the end, after `[`.
    FirstItem,
    /// A name or the end, after `{`.
    FirstKey,
    /// A name, after a comma.
    Key,
    /// A comma or the end, after a value.
    CommaOrEnd,
    /// Nothing: the text is complete.
    Nothing,
}

/// Splits one JSON text into tokens. After an error it yields no more tokens.
///
/// It allocates nothing: it keeps one bit for each open container, to distinguish objects from lists, and so reads
/// texts of any length in constant memory. Beyond the grammar it accepts what the parsers of model servers accept; see
/// the [module above](super).
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    /// The text.
    bytes: &'a [u8],
    /// Position of the next byte; at the end of the text after an error.
    at: usize,
    /// The tokens that may come next.
    expect: Expect,
    /// Number of open containers.
    depth: usize,
    /// A bit for each open container: set for objects.
    objects: [u64; WORDS],
}

impl<'a> Scanner<'a> {
    /// Starts at the beginning of `bytes`, after a byte order mark.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let at = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        Self { bytes, at, expect: Expect::Value, depth: 0, objects: [0; WORDS] }
    }

    /// Returns the position of the next token, or of the white space before it.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Returns the number of open containers.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Returns the next token; `None` at the end of a complete text.
    ///
    /// Cost: proportional to the token's length; nothing is copied or allocated.
    ///
    /// # Errors [`JsonError::Malformed`] with the position, [`JsonError::TooDeep`] beyond [`MAX_DEPTH`]; every later
    /// call fails, too.
    pub(crate) fn next(&mut self) -> Result<Option<Token<'a>>, JsonError> {
        loop {
            self.skip_space();
            let byte = self.bytes.get(self.at).copied();
            let token = match (self.expect, byte) {
                (Expect::Nothing, None) => return Ok(None),
                (Expect::CommaOrEnd, Some(b',')) => {
                    self.at += 1;
                    self.expect = if self.in_object() { Expect::Key } else { Expect::Value };
                    continue;
                }
                (Expect::CommaOrEnd | Expect::FirstKey, Some(b'}')) if self.in_object() => self.close(Token::ObjectEnd),
                (Expect::CommaOrEnd | Expect::FirstItem, Some(b']')) if !self.in_object() => {
                    self.close(Token::ArrayEnd)
                }
                (Expect::FirstKey | Expect::Key, Some(b'"')) => self.key()?,
                (Expect::Value | Expect::FirstItem, Some(byte)) => self.value(byte)?,
                _ => return Err(self.malformed()),
            };
            return Ok(Some(token));
        }
    }

    /// Skips the next value.
    pub(crate) fn skip_value(&mut self) -> Result<(), JsonError> {
        let depth = self.depth;
        self.next()?;
        self.close_to(depth)
    }

    /// Skips everything until only `depth` containers are open.
    pub(crate) fn close_to(&mut self, depth: usize) -> Result<(), JsonError> {
        while self.depth > depth {
            self.next()?;
        }
        Ok(())
    }

    /// Creates the error of the next byte, and ends the reading.
    fn malformed(&mut self) -> JsonError {
        self.expect = Expect::Key;
        let at = std::mem::replace(&mut self.at, self.bytes.len());
        JsonError::Malformed { at }
    }

    /// Skips JSON's white space.
    fn skip_space(&mut self) {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
    }

    /// Returns true if the innermost open container is an object.
    fn in_object(&self) -> bool {
        self.depth > 0 && self.objects[(self.depth - 1) / 64] & (1 << ((self.depth - 1) % 64)) != 0
    }

    /// Reads the value that begins with `byte`, or enters it.
    fn value(&mut self, byte: u8) -> Result<Token<'a>, JsonError> {
        match byte {
            b'{' => self.open(Token::ObjectStart),
            b'[' => self.open(Token::ArrayStart),
            b'"' => {
                let text = self.string()?;
                self.after_value();
                Ok(Token::Text(text))
            }
            _ => self.word(),
        }
    }

    /// Enters a container.
    ///
    /// # Errors [`JsonError::TooDeep`] beyond [`MAX_DEPTH`].
    fn open(&mut self, token: Token<'a>) -> Result<Token<'a>, JsonError> {
        if self.depth == MAX_DEPTH {
            self.malformed();
            return Err(JsonError::TooDeep);
        }
        let bit = 1 << (self.depth % 64);
        if token == Token::ObjectStart {
            self.objects[self.depth / 64] |= bit;
            self.expect = Expect::FirstKey;
        } else {
            self.objects[self.depth / 64] &= !bit;
            self.expect = Expect::FirstItem;
        }
        self.depth += 1;
        self.at += 1;
        Ok(token)
    }

    /// Leaves the innermost container.
    fn close(&mut self, token: Token<'a>) -> Token<'a> {
        self.depth -= 1;
        self.at += 1;
        self.after_value();
        token
    }

    /// Expects the tokens after a value.
    fn after_value(&mut self) {
        self.expect = if self.depth == 0 { Expect::Nothing } else { Expect::CommaOrEnd };
    }

    /// Reads a name, and the colon after it.
    fn key(&mut self) -> Result<Token<'a>, JsonError> {
        let text = self.string()?;
        self.skip_space();
        if self.bytes.get(self.at) != Some(&b':') {
            return Err(self.malformed());
        }
        self.at += 1;
        self.expect = Expect::Value;
        Ok(Token::Key(text))
    }

    /// Reads the string whose opening quote is next.
    ///
    /// Escapes are checked, so that decoding them later cannot fail; characters are not, so that texts in other
    /// encodings pass.
    fn string(&mut self) -> Result<Text<'a>, JsonError> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            let Some(found) = memchr2(b'"', b'\\', &self.bytes[at..]) else { return Err(self.malformed()) };
            at += found;
            if self.bytes[at] == b'"' {
                self.at = at + 1;
                return Ok(Text::new(&self.bytes[start..at]));
            }
            at += match self.bytes.get(at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                Some(b'u') => match self.bytes.get(at + 2..at + 6) {
                    Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => 6,
                    _ => return Err(self.malformed()),
                },
                _ => return Err(self.malformed()),
            };
        }
    }

    /// Reads a number or a literal.
    ///
    /// JavaScript's literals that are not JSON count as numbers, because Python writes and reads them.
    fn word(&mut self) -> Result<Token<'a>, JsonError> {
        let rest = &self.bytes[self.at..];
        let part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let word = &rest[..rest.iter().take_while(part).count()];
        let token = match word {
            b"true" => Token::Bool(true),
            b"false" => Token::Bool(false),
            b"null" => Token::Null,
            b"NaN" | b"Infinity" | b"-Infinity" => Token::Number(word),
            word if number::is_number(word) => Token::Number(word),
            _ => return Err(self.malformed()),
        };
        self.at += word.len();
        self.after_value();
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8]) -> Result<usize, JsonError> {
        let mut scanner = Scanner::new(text);
        let mut tokens = 0;
        while scanner.next()?.is_some() {
            tokens += 1;
        }
        Ok(tokens)
    }

    #[test]
    fn what_is_accepted_is_what_model_servers_accept() {
        let accepted: [(&[u8], usize); 12] = [
            (b"{}", 2),
            (b" [ ] ", 2),
            (br#"{"a":[1,{"b":null}],"c":"\"\\\/\b\f\n\r\t"}"#, 12),
            (b"\xEF\xBB\xBF{\"a\":1}", 4),
            (br#""\ud83d""#, 1),
            (b"\"\xff\xfe\"", 1),
            (b"[NaN,Infinity,-Infinity,true,false]", 7),
            (b"[-0,0.5,1e5,1E+5,-1.5e-7,100000.0]", 8),
            (b"\r\n\t7", 1),
            (b"\"tab\there\"", 1),
            (b"[[[[]]]]", 8),
            (br#"{"\u006dodel":"x"}"#, 4),
        ];
        for (text, tokens) in accepted {
            assert_eq!(check(text), Ok(tokens), "{}", String::from_utf8_lossy(text));
        }
        for text in [
            "",
            " ",
            "{",
            "[",
            "\"",
            "\"\\\"",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,}",
            "[1,]",
            "[,1]",
            "{,}",
            "[1 2]",
            "{\"a\" 1}",
            "{a:1}",
            "{'a':1}",
            "[01]",
            "[1.]",
            "[.5]",
            "[+1]",
            "[1e]",
            "[-]",
            "[nul]",
            "[nan]",
            "]",
            "}",
            "[}",
            "{]",
            "{} {}",
            "{}x",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "[1]/* */",
            "\u{0}{}",
        ] {
            assert!(matches!(check(text.as_bytes()), Err(JsonError::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn serde_json_accepts_nothing_that_is_refused_here() {
        let pieces = ["{", "}", "[", "]", ",", ":", "\"a\"", "\"\\u00e4\"", "1", "-1.5e3", "true", "null", " "];
        // A deterministic walk through many short texts.
        let mut state = 1_u32;
        let mut valid = 0;
        for _ in 0..200_000 {
            let mut text = String::new();
            for _ in 0..state % 9 + 1 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.push_str(pieces[(state >> 16) as usize % pieces.len()]);
            }
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            valid += u32::from(theirs);
            assert_eq!(check(text.as_bytes()).is_ok(), theirs, "{text}");
        }
        assert!(valid > 100, "{valid}");
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(check(nested(MAX_DEPTH).as_bytes()), Ok(2 * MAX_DEPTH));
        assert_eq!(check(nested(MAX_DEPTH + 1).as_bytes()), Err(JsonError::TooDeep));
        assert_eq!(check("{\"a\":".repeat(100_000).as_bytes()), Err(JsonError::TooDeep));
    }

    #[test]
    fn nothing_comes_after_an_error() {
        let mut scanner = Scanner::new(b"[1,x,{}]");
        assert!(scanner.next().is_ok() && scanner.next().is_ok());
        assert!(scanner.next().is_err() && scanner.next().is_err());
    }
}
