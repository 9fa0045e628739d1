//! The members of a request's body that matter to a limiter: [`Members`].
//!
//! | meaning | of several | written as |
//! |---|---|---|
//! | the model | `model` goes before `modelId` and its kind | a text of at most 8 KiB |
//! | the bound of the output | the largest, as servers differ | a whole number, also as `1e5` or as text |
//! | the answers asked for | the largest; legacy completions pay for all that they choose from | the same |
//! | messages | | a list, whose items are counted |
//!
//! A member that is there twice is an error: one server takes the first, another the last, and a limiter that guesses
//! is one that can be deceived.

use smallvec::{SmallVec, smallvec};

use crate::{
    json::{JsonError, Scanner, Text, Token, whole},
    providers::{table::Meaning, tables},
};

/// The longest name of a model that is kept, in bytes as it is written.
const MAX_MODEL: usize = 8 * 1024;

/// No tool is described in so few bytes.
const EMPTY: usize = 16;

/// The settings of a request, beside its text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Members {
    pub(super) model: Option<String>,
    pub(super) stream: bool,
    /// The largest bound of the output.
    pub(super) bound: Option<u64>,
    /// The largest number of choices asked for.
    pub(super) choices: u64,
    /// Number of messages.
    pub(super) messages: u64,
    /// It tells the model of tools.
    pub(super) tools: bool,
}

impl Members {
    /// Reads all of `body`.
    pub(super) fn read(body: &[u8]) -> Result<Self, JsonError> {
        let mut scanner = Scanner::new(body);
        let mut members = Self::default();
        let mut section = "";
        let known = &tables().members;
        // JSON readers disagree about which of two equal members counts.
        let mut seen: SmallVec<[bool; 64]> = smallvec![false; known.len()];
        if scanner.next()? != Some(Token::ObjectStart) {
            while scanner.next()?.is_some() {}
            return Ok(members);
        }
        while let Some(token) = scanner.next()? {
            match token {
                Token::ObjectEnd => section = "",
                Token::Key(key) => {
                    let Some(at) = known.iter().position(|member| member.section == section && key.is(member.name))
                    else {
                        let is_schema = section.is_empty() && tables().schemas.iter().any(|name| key.is(name));
                        let start = scanner.at();
                        scanner.skip_value()?;
                        members.tools |= is_schema && scanner.at() - start > EMPTY;
                        continue;
                    };
                    let member = known[at];
                    if std::mem::replace(&mut seen[at], true) {
                        return ambiguous(scanner, member.name);
                    }
                    if members.take(member.meaning, &mut scanner)? {
                        section = member.name;
                    }
                }
                // Values come after their keys.
                _ => {}
            }
        }
        Ok(members)
    }

    /// Takes the value that comes next. True where it is a section, whose members come next.
    fn take(&mut self, meaning: Meaning, scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
        let depth = scanner.depth();
        let Some(token) = scanner.next()? else { return Ok(false) };
        match (meaning, token) {
            (Meaning::Section, Token::ObjectStart) => return Ok(true),
            (Meaning::Model, Token::Text(text)) => self.model = Some(model(text)?),
            (Meaning::ModelId, Token::Text(text)) if self.model.is_none() => self.model = Some(model(text)?),
            (Meaning::Stream, Token::Bool(stream)) => self.stream = stream,
            (Meaning::Bound, token) => self.bound = self.bound.max(count(token)),
            (Meaning::Choices, token) => self.choices = self.choices.max(count(token).unwrap_or(0)),
            (Meaning::Messages, Token::ArrayStart) => self.messages = items(scanner, depth)?,
            _ => {}
        }
        scanner.close_to(depth)?;
        Ok(false)
    }
}

fn model(text: Text<'_>) -> Result<String, JsonError> {
    if text.written_len() > MAX_MODEL {
        return Err(JsonError::NotText { name: "model".to_owned() });
    }
    Ok(text.to_text())
}

/// A whole number, also written as text, as some servers take it.
fn count(token: Token<'_>) -> Option<u64> {
    match token {
        Token::Number(number) => whole(number),
        Token::Text(text) if text.written_len() <= 64 => number(&text.to_text()),
        _ => None,
    }
}

pub(super) fn number(text: &str) -> Option<u64> {
    whole(text.trim().as_bytes())
}

/// Counts the items of the array that was just opened within `depth` containers; reads it to its end.
fn items(scanner: &mut Scanner<'_>, depth: usize) -> Result<u64, JsonError> {
    let mut items = 0;
    while let Some(token) = scanner.next()? {
        let opens = matches!(token, Token::ObjectStart | Token::ArrayStart);
        match scanner.depth() - depth {
            0 => break,
            1 if !opens && !matches!(token, Token::ObjectEnd | Token::ArrayEnd) => items += 1,
            2 if opens => items += 1,
            _ => {}
        }
    }
    Ok(items)
}

/// The error, if the rest is JSON.
fn ambiguous(mut scanner: Scanner<'_>, name: &str) -> Result<Members, JsonError> {
    while scanner.next()?.is_some() {}
    Err(JsonError::Ambiguous { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Members, JsonError> {
        Members::read(body.as_bytes())
    }

    #[test]
    fn the_first_of_two_is_not_guessed() {
        for (body, name) in [
            (r#"{"model":"a","model":"b"}"#, "model"),
            (r#"{"model":"a","\u006dodel":"b"}"#, "model"),
            (r#"{"max_tokens":1,"x":{"max_tokens":2},"max_tokens":100000}"#, "max_tokens"),
            (r#"{"stream":true,"stream":false}"#, "stream"),
            (r#"{"generationConfig":{"maxOutputTokens":1},"generationConfig":{}}"#, "generationConfig"),
            (r#"{"generationConfig":{"maxOutputTokens":1,"maxOutputTokens":9}}"#, "maxOutputTokens"),
        ] {
            assert_eq!(read(body), Err(JsonError::Ambiguous { name: name.to_owned() }), "{body}");
        }
        assert!(matches!(read(r#"{"model":"a","model":"b""#), Err(JsonError::Malformed { .. })));
        let nested = read(r#"{"model":"a","messages":[{"model":"b"},{"model":"c"},7],"x":{"model":"d"}}"#).unwrap();
        assert_eq!((nested.model.as_deref(), nested.messages), (Some("a"), 3));
        assert_eq!(read(r#"{"modelId":"b","model":"a"}"#).unwrap().model.as_deref(), Some("a"));
        assert_eq!(read(r#"{"Model":"b"}"#).unwrap().model, None, "names are exact");
    }

    #[test]
    fn bounds_are_read_in_every_spelling() {
        let bound = |body: &str| read(body).unwrap().bound;
        for spelling in ["100000", "100000.0", "1e5", "\"100000\"", "10.0E+4"] {
            assert_eq!(bound(&format!(r#"{{"max_tokens":{spelling}}}"#)), Some(100_000), "{spelling}");
        }
        for none in ["null", "-1", "NaN", "\"many\"", "[100000]", "{}", "true"] {
            assert_eq!(bound(&format!(r#"{{"max_tokens":{none}}}"#)), None, "{none}");
        }
        assert_eq!(bound(r#"{"max_completion_tokens":1,"max_tokens":100000}"#), Some(100_000), "the largest");
    }
}
