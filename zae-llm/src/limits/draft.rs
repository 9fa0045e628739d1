//! The `RateLimit` field of the IETF draft, in all its forms: the structured field of drafts 8 to 11 (`r`, `t`), its
//! successor (`a`, `w`), and the dictionary of draft 7 (`limit=…, remaining=…, reset=…`).
//!
//! Sources: <https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-08.html> and its later drafts; draft
//! 7 for the dictionary, <https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-07.html>.
//!
//! | written | means |
//! |---|---|
//! | `r`, `a` | amount that is left, in the quota's own unit |
//! | `t`, `w` | seconds until the window ends |
//! | `q`, `pk`, `c` | capacity, partition, cost: not needed, and passed over |

use std::time::Duration;

use http::HeaderMap;

use super::window::{Refill, Window};

/// More members than any server reports.
const MAX_MEMBERS: usize = 32;

/// Returns the windows in all `RateLimit` fields. Malformed ones are ignored, as the draft requires.
pub(super) fn windows(headers: &HeaderMap) -> Vec<Window> {
    let fields = headers.get_all("ratelimit").iter().filter_map(|value| value.to_str().ok());
    fields.flat_map(members).take(MAX_MEMBERS).filter_map(|member| window(&member)).collect()
}

/// Splits a list at commas outside of strings.
fn members(field: &str) -> Vec<String> {
    split(field, ',')
}

/// Splits `text` at `separator`, but not within quoted strings; a backslash in them escapes the next character. Parts
/// are trimmed.
fn split(text: &str, separator: char) -> Vec<String> {
    let (mut parts, mut part, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for character in text.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if character == separator && !quoted => {
                parts.push(std::mem::take(&mut part).trim().to_owned());
                continue;
            }
            _ => {}
        }
        part.push(character);
    }
    parts.push(part.trim().to_owned());
    parts
}

/// Parses one member: a quoted name, and its parameters. `None` without a remaining amount, or with an impossible
/// number.
fn window(member: &str) -> Option<Window> {
    let mut parts = split(member, ';').into_iter();
    let name = parts.next()?;
    let name = name.strip_prefix('"')?.strip_suffix('"')?.to_owned();
    let (mut remaining, mut reset) = (None, None);
    for parameter in parts {
        let Some((key, value)) = parameter.split_once('=') else { continue };
        match key.trim() {
            "r" | "a" => remaining = Some(whole(value)?),
            "t" | "w" => reset = Some(Duration::from_secs(whole(value)?)),
            _ => {}
        }
    }
    Some(Window { name, limit: None, remaining: Some(remaining?), reset, refill: Refill::AtOnce })
}

/// Returns the window of draft 7, whose members are the parts of a single window.
pub(super) fn draft7(headers: &HeaderMap) -> Option<Window> {
    let field = headers.get("ratelimit")?.to_str().ok()?;
    let mut window =
        Window { name: "ratelimit".to_owned(), limit: None, remaining: None, reset: None, refill: Refill::AtOnce };
    for member in members(field) {
        let (key, value) = member.split_once('=')?;
        match key.trim() {
            "limit" => window.limit = Some(whole(value)?),
            "remaining" => window.remaining = Some(whole(value)?),
            "reset" => window.reset = Some(Duration::from_secs(whole(value)?)),
            _ => {}
        }
    }
    window.remaining.is_some().then_some(window)
}

/// Parses an integer of structured fields: up to 15 digits, here without a sign.
fn whole(text: &str) -> Option<u64> {
    let text = text.trim();
    let plain = !text.is_empty() && text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (http::HeaderName::from_static("ratelimit"), value.parse().unwrap())).collect()
    }

    fn read(values: &[&str]) -> Vec<(String, u64, Option<u64>)> {
        let windows = windows(&headers(values)).into_iter();
        windows.map(|w| (w.name, w.remaining.unwrap(), w.reset.map(|reset| reset.as_secs()))).collect()
    }

    #[test]
    fn both_spellings_on_one_line_or_many() {
        let expected = [("burst".to_owned(), 0, Some(7)), ("day".to_owned(), 900, None)];
        assert_eq!(read(&[r#""burst";r=0;t=7, "day";r=900"#]), expected);
        assert_eq!(read(&[r#""burst";a=0;w=7;c=3"#, r#""day";a=900;pk=:R0VU:"#]), expected);
    }

    #[test]
    fn names_may_hold_what_separates() {
        assert_eq!(read(&[r#""a,b;c\"d";r=1;t=2"#]), [(r#"a,b;c\"d"#.to_owned(), 1, Some(2))]);
    }

    #[test]
    fn malformed_members_are_ignored() {
        for bad in [
            "",
            ",",
            "x",
            r#""x""#,
            r#""x";r=-1"#,
            r#""x";r=1.5;t=2"#,
            r#""x";r=9999999999999999"#,
            r#"x;r=1"#,
            r#"""#,
            r#""x;r=1"#,
        ] {
            assert_eq!(read(&[bad]), [], "{bad}");
        }
        assert_eq!(read(&[r#"junk, "ok";r=1;t=2"#]), [("ok".to_owned(), 1, Some(2))]);
    }

    #[test]
    fn draft_7_is_one_window() {
        let window = draft7(&headers(&["limit=100, remaining=0, reset=5"])).unwrap();
        assert_eq!((window.limit, window.remaining, window.reset), (Some(100), Some(0), Some(Duration::from_secs(5))));
        assert!(draft7(&headers(&[r#""x";r=1"#])).is_none());
    }
}
