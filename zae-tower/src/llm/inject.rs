//! Asking OpenAI for the usage of streams: [`include_usage`].

use bytes::Bytes;
use serde_json::Value;

const OPTIONS: &str = "stream_options";
const INCLUDE: &str = "include_usage";

/// The body of a streaming chat completion (or legacy completion) that asks for usage, or `None` when `body` is not one,
/// or asks already. OpenAI then sends one more chunk, with `usage` and without choices, before `[DONE]`.
///
/// The rest of the body is left byte for byte as it is.
///
/// ```
/// use zae_tower::llm::include_usage;
/// let asking = include_usage(br#"{"messages":[],"stream":true}"#).unwrap();
/// assert_eq!(asking, r#"{"stream_options":{"include_usage":true},"messages":[],"stream":true}"#);
/// assert_eq!(include_usage(&asking), None);
/// assert_eq!(include_usage(br#"{"messages":[]}"#), None);
/// ```
pub fn include_usage(body: &[u8]) -> Option<Bytes> {
    include_usage_in(body, &serde_json::from_slice(body).ok()?)
}

/// As [`include_usage`], of a body that was parsed.
pub(super) fn include_usage_in(body: &[u8], request: &Value) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let is_completion = request.get("messages").is_some() || request.get("prompt").is_some();
    if !is_completion || request.get("stream") != Some(&Value::Bool(true)) {
        return None;
    }
    match request.get(OPTIONS) {
        None => insert(text, 0, &format!("\"{OPTIONS}\":{{\"{INCLUDE}\":true}}")),
        Some(Value::Null) => replace(text, member(text, 0, OPTIONS)?, &format!("{{\"{INCLUDE}\":true}}")),
        Some(Value::Object(options)) => {
            let (start, _) = member(text, 0, OPTIONS)?;
            match options.get(INCLUDE) {
                Some(Value::Bool(true)) => None,
                Some(_) => replace(text, member(text, start, INCLUDE)?, "true"),
                None => insert(text, start, &format!("\"{INCLUDE}\":true")),
            }
        }
        Some(_) => None,
    }
}

/// `text` with `member` as the first one of the object that begins at or after `at`.
fn insert(text: &str, at: usize, member: &str) -> Option<Bytes> {
    let inside = at + text[at..].find('{')? + 1;
    let comma = if text[inside..].trim_start().starts_with('}') { "" } else { "," };
    Some(format!("{}{member}{comma}{}", &text[..inside], &text[inside..]).into())
}

fn replace(text: &str, (start, end): (usize, usize), value: &str) -> Option<Bytes> {
    Some(format!("{}{value}{}", &text[..start], &text[end..]).into())
}

/// Where the value of member `name` of the object that begins at or after `at` stands. `text` is valid JSON. Of several
/// members of the same name the last one counts, as it does for parsers.
fn member(text: &str, at: usize, name: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut at = at + text[at..].find('{')? + 1;
    let mut found = None;
    loop {
        at = skip(bytes, at, |byte| byte.is_ascii_whitespace() || byte == b',');
        if bytes.get(at) != Some(&b'"') {
            return found;
        }
        let key = at..string_end(bytes, at)?;
        at = skip(bytes, key.end, |byte| byte.is_ascii_whitespace() || byte == b':');
        let end = value_end(bytes, at)?;
        if serde_json::from_str::<String>(&text[key]).is_ok_and(|key| key == name) {
            found = Some((at, end));
        }
        at = end;
    }
}

fn skip(bytes: &[u8], at: usize, over: impl Fn(u8) -> bool) -> usize {
    bytes[at..].iter().position(|byte| !over(*byte)).map_or(bytes.len(), |skipped| at + skipped)
}

/// The end of the string whose opening quote is at `at`.
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

/// The end of the value that begins at `at`.
fn value_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        at = match bytes.get(at)? {
            b'"' => string_end(bytes, at)?,
            b'{' | b'[' => {
                depth += 1;
                at + 1
            }
            b'}' | b']' => {
                depth -= 1;
                at + 1
            }
            _ => skip(bytes, at, |byte| {
                !matches!(byte, b',' | b'}' | b']' | b'{' | b'[' | b'"') && !byte.is_ascii_whitespace()
            }),
        };
        if depth == 0 {
            return Some(at);
        }
        at = skip(bytes, at, |byte| byte.is_ascii_whitespace() || matches!(byte, b',' | b':'));
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
                r#"{"stream":true,"messages":[{"stream_options":{"a":1}}],"stream_options" : { } }"#,
                r#"{"stream":true,"messages":[{"stream_options":{"a":1}}],"stream_options" : {"include_usage":true } }"#,
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
