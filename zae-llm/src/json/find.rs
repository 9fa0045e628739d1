//! Finds a member of a JSON text: [`Pointer`].

use std::{borrow::Cow, fmt};

use super::{JsonError, Scanner, Token};

/// Maximum length of a text that is extracted from a body, in bytes as written.
pub(super) const MAX_TEXT: usize = 8 * 1024;

/// The location of a member: a JSON pointer (RFC 6901), or the name of a member of the outermost object.
///
/// ```
/// use zae_llm::json::Pointer;
/// let body = br#"{"model":"gpt-5","metadata":{"tags":["a","b"]}}"#;
/// assert_eq!(Pointer::new("model").find(body), Ok(Some("gpt-5".to_owned())));
/// assert_eq!(Pointer::new("/metadata/tags/1").find(body), Ok(Some("b".to_owned())));
/// assert_eq!(Pointer::new("user").find(body), Ok(None));
/// assert_eq!(Pointer::new("/metadata/tags/1").to_string(), "`/metadata/tags/1`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<Cow<'static, str>>);

/// A member of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PointerMember {
    /// Its name is the next one of the pointer.
    OnTheWay,
    /// Another member, whose value is skipped.
    Other,
}

/// A container on the path to the member.
#[derive(Debug)]
struct Step {
    /// Number of array items that have begun; `None` in an object.
    items: Option<usize>,
    /// True if the next container, or the member itself, was found in it: a second one would be ambiguous.
    found: bool,
}

impl Pointer {
    /// Parses a pointer; a `name` without a leading `/` is a member of the outermost object.
    pub fn new(name: &'static str) -> Self {
        match name.strip_prefix('/') {
            Some(pointer) => {
                Self(pointer.split('/').map(|part| part.replace("~1", "/").replace("~0", "~").into()).collect())
            }
            None => Self(vec![name.into()]),
        }
    }

    /// Returns the name at this step, for errors.
    fn name(&self, index: usize) -> String {
        self.0[index].clone().into_owned()
    }

    /// Returns the text at the location; `None` if there is no such member, or `null`. All of `body` is read, so a
    /// result implies that it is valid JSON.
    ///
    /// # Errors
    /// [`JsonError`] if the body is malformed, the member is ambiguous, or it is not text.
    pub fn find(&self, body: &[u8]) -> Result<Option<String>, JsonError> {
        let mut scanner = Scanner::new(body);
        // The open containers on the path, outermost first.
        let mut way: Vec<Step> = Vec::with_capacity(self.0.len());
        let mut found = None;
        let mut member = PointerMember::OnTheWay;
        while let Some(token) = scanner.next()? {
            let depth = scanner.depth();
            match token {
                Token::Key(key) => {
                    let is_next = depth == way.len() && key.is(&self.0[depth - 1]);
                    member = if is_next { PointerMember::OnTheWay } else { PointerMember::Other };
                    continue;
                }
                Token::ObjectEnd | Token::ArrayEnd => {
                    way.truncate(depth);
                    continue;
                }
                _ => {}
            }
            let opens = matches!(token, Token::ObjectStart | Token::ArrayStart);
            let outside = if opens { depth - 1 } else { depth };
            if outside != way.len() || !self.takes(&mut way, member)? {
                continue;
            }
            match token {
                Token::ObjectStart | Token::ArrayStart if way.len() < self.0.len() => {
                    way.push(Step { items: (token == Token::ArrayStart).then_some(0), found: false });
                }
                _ if outside < self.0.len() => {}
                Token::Text(text) if text.written_len() <= MAX_TEXT => found = Some(text.to_text()),
                Token::Null => {}
                _ => return Err(JsonError::NotText { name: self.name(self.0.len() - 1) }),
            }
        }
        Ok(found)
    }

    /// Returns true if the value that begins within the last container of `way` is on the path too; in an object, the
    /// value of a matching `member`.
    fn takes(&self, way: &mut [Step], member: PointerMember) -> Result<bool, JsonError> {
        let index = way.len();
        let Some(within) = way.last_mut() else { return Ok(true) };
        let name = &self.0[index - 1];
        let takes = match &mut within.items {
            None => member == PointerMember::OnTheWay,
            Some(items) => {
                *items += 1;
                name.parse::<usize>() == Ok(*items - 1)
            }
        };
        if takes && std::mem::replace(&mut within.found, true) {
            return Err(JsonError::Ambiguous { name: self.name(index - 1) });
        }
        Ok(takes)
    }
}

/// Displays it for messages: a name in backticks, and a pointer with its slashes.
impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [name] => write!(f, "`{name}`"),
            steps => write!(f, "`/{}`", steps.join("/")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pointer: &'static str, body: &str) -> Result<Option<String>, JsonError> {
        Pointer::new(pointer).find(body.as_bytes())
    }

    #[test]
    fn members_are_found_where_pointers_point() {
        for (pointer, body, text) in [
            ("model", r#"{"a":{"model":"no"},"model":"yes","b":["model","no"]}"#, Some("yes")),
            ("/model", "\u{feff}{\"model\":\"yes\"}", Some("yes")),
            ("model", r#"{"\u006dodel":"\u0079es"}"#, Some("yes")),
            ("/a/b", r#"{"b":"no","a":{"a":{"b":"no"},"b":"yes"}}"#, Some("yes")),
            ("/a/1/b", r#"{"a":[{"b":"no"},{"c":0,"b":"yes"},{"b":"no"}]}"#, Some("yes")),
            ("/a~1b/~0", r#"{"a/b":{"~":"yes"}}"#, Some("yes")),
            ("a/b", r#"{"a/b":"yes"}"#, Some("yes")),
            ("model", r#"{"Model":"no"}"#, None),
            ("model", r#"{"model":null}"#, None),
            ("model", "[]", None),
            ("model", "7", None),
            ("/a/b", r#"{"a":"b"}"#, None),
            ("/a/b", r#"{"a":[1,2]}"#, None),
            ("/0", r#"["yes","no"]"#, Some("yes")),
        ] {
            assert_eq!(find(pointer, body), Ok(text.map(str::to_owned)), "{pointer} in {body}");
        }
    }

    #[test]
    fn what_readers_disagree_about_is_an_error() {
        let ambiguous = |pointer, body| matches!(find(pointer, body), Err(JsonError::Ambiguous { .. }));
        assert!(ambiguous("model", r#"{"model":"a","model":"a"}"#));
        assert!(ambiguous("model", r#"{"model":null,"m\u006fdel":"a"}"#));
        assert!(ambiguous("/a/b", r#"{"a":{"b":"x"},"a":{}}"#));
        assert!(!ambiguous("/a/b", r#"{"a":{"c":"x","c":"y","b":"z"},"d":1,"d":2}"#));
        for body in [r#"{"model":7}"#, r#"{"model":["a"]}"#, r#"{"model":{}}"#, r#"{"model":true}"#] {
            assert!(matches!(find("model", body), Err(JsonError::NotText { .. })), "{body}");
        }
        let long = format!(r#"{{"model":"{}"}}"#, "a".repeat(MAX_TEXT + 1));
        assert!(matches!(find("model", &long), Err(JsonError::NotText { .. })));
        assert!(matches!(find("model", r#"{"model":"a"} x"#), Err(JsonError::Malformed { .. })));
    }
}
