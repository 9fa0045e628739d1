//! Requests the usage of streams from OpenAI: [`include_usage`].

use std::ops::Range;

use bytes::Bytes;

use crate::json::{JsonError, Scanner, Token};

const OPTIONS: &str = "stream_options";
const INCLUDE: &str = "include_usage";

/// Returns the body of a streaming chat completion (or legacy completion) so that it requests usage. Returns `None` if
/// `body` is not one, or already requests it. OpenAI then sends one more chunk, with `usage` and without choices,
/// before `[DONE]`.
///
/// The rest of the body is left byte for byte as it is.
///
/// ```
/// use zae_llm::include_usage;
/// let asking = include_usage(br#"{"messages":[],"stream":true}"#).unwrap();
/// assert_eq!(asking, r#"{"stream_options":{"include_usage":true},"messages":[],"stream":true}"#);
/// assert_eq!(include_usage(&asking), None);
/// assert_eq!(include_usage(br#"{"messages":[]}"#), None);
/// ```
pub fn include_usage(body: &[u8]) -> Option<Bytes> {
    let asked = Asked::read(body).ok().flatten()?;
    if !asked.is_completion || !asked.streams {
        return None;
    }
    let include = format!("\"{INCLUDE}\":true");
    match asked.options {
        Options::Absent => Some(insert(body, asked.inside, &format!("\"{OPTIONS}\":{{{include}}}"))),
        Options::Null(place) => Some(replace(body, place, &format!("{{{include}}}"))),
        Options::Silent(inside) => Some(insert(body, inside, &include)),
        Options::Declined(place) => Some(replace(body, place, "true")),
        Options::Settled => None,
    }
}

/// A request's stream settings, and their positions.
#[derive(Debug)]
struct Asked {
    is_completion: bool,
    streams: bool,
    options: Options,
    /// Start of the request's members.
    inside: usize,
}

#[derive(Debug)]
enum Options {
    Absent,
    Null(Range<usize>),
    /// An object without the setting; contains the start of its members.
    Silent(usize),
    /// An object with another value than `true`, at that position.
    Declined(Range<usize>),
    /// It already requests usage, or cannot request it.
    Settled,
}

impl Asked {
    /// Parses the settings; `None` for a body that is not an object, or has one of the members twice.
    fn read(body: &[u8]) -> Result<Option<Self>, JsonError> {
        let mut scanner = Scanner::new(body);
        if scanner.next()? != Some(Token::ObjectStart) {
            return Ok(None);
        }
        let mut asked = Self { is_completion: false, streams: false, options: Options::Absent, inside: scanner.at() };
        let (mut streams, mut options) = (None, None);
        while let Some(token) = scanner.next()? {
            let Token::Key(key) = token else { continue };
            if key.is("stream") {
                let value = scanner.next()?;
                if streams.replace(value == Some(Token::Bool(true))).is_some() {
                    return Ok(None);
                }
                scanner.close_to(1)?;
            } else if key.is(OPTIONS) {
                let Some(read) = Options::read(body, &mut scanner)? else { return Ok(None) };
                if options.replace(read).is_some() {
                    return Ok(None);
                }
            } else {
                asked.is_completion |= key.is("messages") || key.is("prompt");
                scanner.skip_value()?;
            }
        }
        asked.streams = streams.unwrap_or(false);
        asked.options = options.unwrap_or(Options::Absent);
        Ok(Some(asked))
    }
}

impl Options {
    /// Parses the value of the options, which comes next; `None` if it contains the setting twice.
    fn read(body: &[u8], scanner: &mut Scanner<'_>) -> Result<Option<Self>, JsonError> {
        match scanner.next()? {
            Some(Token::Null) => return Ok(Some(Self::Null(scanner.at() - "null".len()..scanner.at()))),
            Some(Token::ObjectStart) => {}
            _ => {
                scanner.close_to(1)?;
                return Ok(Some(Self::Settled));
            }
        }
        let mut options = Self::Silent(scanner.at());
        while let Some(Token::Key(key)) = scanner.next()? {
            if !key.is(INCLUDE) {
                scanner.skip_value()?;
                continue;
            }
            if !matches!(options, Self::Silent(_)) {
                return Ok(None);
            }
            let spaces = body[scanner.at()..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let start = scanner.at() + spaces;
            let asks = scanner.next()? == Some(Token::Bool(true));
            scanner.close_to(2)?;
            options = if asks { Self::Settled } else { Self::Declined(start..scanner.at()) };
        }
        Ok(Some(options))
    }
}

/// Returns `body` with `member` as the first one of the object whose members begin at `inside`.
fn insert(body: &[u8], inside: usize, member: &str) -> Bytes {
    let (before, after) = body.split_at(inside);
    let comma: &[u8] = if after.trim_ascii_start().starts_with(b"}") { b"" } else { b"," };
    [before, member.as_bytes(), comma, after].concat().into()
}

fn replace(body: &[u8], place: Range<usize>, value: &str) -> Bytes {
    [&body[..place.start], value.as_bytes(), &body[place.end..]].concat().into()
}

/// Returns the end of the string whose opening quote is at `at`.
pub(super) fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += 1;
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_changed() {
        for (before, after) in [
            (
                r#" { "prompt":"{", "stream": true }"#,
                r#" {"stream_options":{"include_usage":true}, "prompt":"{", "stream": true }"#,
            ),
            (
                r#"{"stream":true,"messages":[{"stream_options":{}}],"stream_options" : { } }"#,
                r#"{"stream":true,"messages":[{"stream_options":{}}],"stream_options" : {"include_usage":true } }"#,
            ),
            (
                r#"{"stream":true,"messages":["\"}"],"x":1.50,"stream_options":{"include_obfuscation":false}}"#,
                r#"{"stream":true,"messages":["\"}"],"x":1.50,"stream_options":{"include_usage":true,"include_obfuscation":false}}"#,
            ),
            (
                r#"{"stream_options":{"a":[{}],"include_usage": false},"stream":true,"messages":[]}"#,
                r#"{"stream_options":{"a":[{}],"include_usage": true},"stream":true,"messages":[]}"#,
            ),
            (
                r#"{"stream_options":null,"stream":true,"messages":[]}"#,
                r#"{"stream_options":{"include_usage":true},"stream":true,"messages":[]}"#,
            ),
        ] {
            let changed = include_usage(before.as_bytes()).unwrap();
            assert_eq!(changed, after, "{before}");
            assert_eq!(include_usage(&changed), None, "{after}");
        }
    }

    #[test]
    fn other_requests_are_left_alone() {
        for text in [
            r#"{"messages":[],"stream":false}"#,
            r#"{"input":"x","stream":true}"#,
            r#"{"messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
            r#"{"messages":[],"stream":true,"stream_options":7}"#,
            r#"{"messages":[],"stream":true"#,
            "[]",
            "",
        ] {
            assert_eq!(include_usage(text.as_bytes()), None, "{text}");
        }
    }
}
