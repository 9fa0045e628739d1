//! Multipart forms, as sound is uploaded: [`parts`].
//!
//! ```text
//! --boundary
//! Content-Disposition: form-data; name="model"
//!
//! whisper-1
//! --boundary
//! Content-Disposition: form-data; name="file"; filename="call.mp3"
//! …
//! --boundary--
//! ```
//!
//! The first line is the boundary, so that no header is needed to read the rest.

use memchr::memmem;

use super::members::{Members, number};
use crate::json::JsonError;

/// The longest boundary that RFC 2046 allows, with its two dashes.
const MAX_BOUNDARY: usize = 72;
/// Parts are looked at up to so many.
const MAX_PARTS: usize = 100;

/// A part of a form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    pub(super) name: &'a [u8],
    pub(super) is_file: bool,
    pub(super) content: &'a [u8],
}

/// Returns the parts of a multipart form; `None` where `body` is none.
pub(super) fn parts(body: &[u8]) -> Option<Vec<Part<'_>>> {
    let start = body.strip_prefix(b"\r\n").unwrap_or(body);
    let end = memmem::find(&start[..start.len().min(MAX_BOUNDARY + 2)], b"\r\n")?;
    let boundary = start[..end].trim_ascii_end();
    if !boundary.starts_with(b"--") || boundary.len() < 3 {
        return None;
    }
    let delimiter = [b"\r\n", boundary].concat();
    let mut rest = &start[end + 2..];
    let mut parts = Vec::new();
    while parts.len() < MAX_PARTS {
        let Some(headers_end) = memmem::find(rest, b"\r\n\r\n") else { break };
        let (headers, content) = (&rest[..headers_end], &rest[headers_end + 4..]);
        // One that has no end is as long as the body.
        let end = memmem::find(content, &delimiter).unwrap_or(content.len());
        parts.extend(disposition(headers).map(|(name, is_file)| Part { name, is_file, content: &content[..end] }));
        rest = content.get(end + delimiter.len()..).unwrap_or_default();
    }
    (!parts.is_empty()).then_some(parts)
}

/// Returns the name of a part with these headers, and whether it is a file.
fn disposition(headers: &[u8]) -> Option<(&[u8], bool)> {
    let mut lines = headers.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let line = lines.find(|line| line.len() > 20 && line[..20].eq_ignore_ascii_case(b"content-disposition:"))?;
    let value = line[20..].trim_ascii();
    if !value.starts_with(b"form-data") {
        return None;
    }
    let name = &value[memmem::find(value, b" name=")? + 6..];
    let name = match name.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|byte| *byte == b'"').next(),
        None => name.split(|byte| *byte == b';').next(),
    };
    Some((name?, memmem::find(value, b"filename").is_some()))
}

/// Returns the text of the field `name` of a multipart form; `None` where `body` is none, or has no such field.
///
/// ```
/// let form = b"--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b--\r\n";
/// assert_eq!(zae_llm::form_field(form, "model"), Ok(Some("whisper-1".to_owned())));
/// assert_eq!(zae_llm::form_field(b"{}", "model"), Ok(None));
/// ```
///
/// # Errors
/// [`JsonError::Ambiguous`] where the field is there more than once.
pub fn form_field(body: &[u8], name: &str) -> Result<Option<String>, JsonError> {
    let parts = parts(body).unwrap_or_default();
    let mut fields = parts.iter().filter(|part| part.name == name.as_bytes() && !part.is_file);
    let text = fields.next().and_then(|part| std::str::from_utf8(part.content).ok());
    match fields.next() {
        Some(_) => Err(JsonError::Ambiguous { name: name.to_owned() }),
        None => Ok(text.map(|text| text.trim().to_owned())),
    }
}

/// Reads the members of a form that matter.
pub(super) fn members(parts: &[Part<'_>]) -> Result<Members, JsonError> {
    let mut members = Members::default();
    let mut seen: Vec<&[u8]> = Vec::new();
    for part in parts {
        let text = std::str::from_utf8(part.content).ok().filter(|text| text.len() <= 256).map(str::trim);
        let Some(text) = text.filter(|_| matches!(part.name, b"model" | b"stream" | b"n")) else { continue };
        if seen.contains(&part.name) {
            return Err(JsonError::Ambiguous { name: String::from_utf8_lossy(part.name).into_owned() });
        }
        seen.push(part.name);
        match part.name {
            b"model" => members.model = Some(text.to_owned()),
            b"stream" => members.stream = text.eq_ignore_ascii_case("true"),
            _ => members.choices = number(text).unwrap_or(0),
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "--x9\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--x9\r\n\
        content-disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n\
        \x01\x02\r\n\r\n--x\r\n--x9\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n--x9--\r\n";

    #[test]
    fn parts_have_names_and_end_at_the_boundary() {
        let parts = parts(FORM.as_bytes()).unwrap();
        let seen: Vec<_> = parts.iter().map(|part| (part.name, part.is_file, part.content)).collect();
        let expected: [(&[u8], bool, &[u8]); 3] =
            [(b"model", false, b"whisper-1"), (b"file", true, b"\x01\x02\r\n\r\n--x"), (b"stream", false, b"true")];
        assert_eq!(seen, expected);
        let members = members(&parts).unwrap();
        assert_eq!((members.model.as_deref(), members.stream), (Some("whisper-1"), true));
        let twice = FORM.replace("name=\"stream\"\r\n\r\ntrue", "name=\"model\"\r\n\r\ngpt-4o");
        assert!(super::members(&super::parts(twice.as_bytes()).unwrap()).is_err());
    }

    #[test]
    fn what_is_no_form_is_none() {
        for text in ["", "--", "--x", "{}", "--x\r\n", "-- \r\n\r\n\r\n", "--x\r\nfoo: bar\r\n\r\nbody\r\n--x--"] {
            assert!(parts(text.as_bytes()).is_none(), "{text:?}");
        }
        for end in 0..FORM.len() {
            let _ = parts(&FORM.as_bytes()[..end]);
        }
    }
}
