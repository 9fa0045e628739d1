//! A request to a model and its size: [`LlmRequest`].

mod endpoint;
mod form;
mod inject;
mod media;
mod members;
mod pieces;
mod sniff;

use std::sync::Arc;

use bytes::Bytes;
use memchr::memchr;

use self::{
    endpoint::Endpoint,
    inject::string_end,
    members::Members,
    pieces::{Size, walk, walk_form},
};
pub use self::{form::form_field, inject::include_usage};
pub(crate) use self::{
    media::{Detail, Extent, Media, MediaKind},
    pieces::Pieces,
};
use crate::json::JsonError;

/// From this length on, in bytes, a string without a space is a file and no text.
const LONG: usize = 4 * 1024;

/// A request to a model, of whichever provider, as far as estimates need it.
///
/// It is read by a scanner that keeps no document: beside the body itself it holds a few numbers. It reads what model
/// servers read: a byte order mark, halves of surrogate pairs, `100000.0` or `1e5` or `"100000"` for a whole number.
///
/// ```
/// use zae_llm::LlmRequest;
/// let request = LlmRequest::parse(br#"{"model":"gpt-5","max_completion_tokens":300,"n":2,"stream":true,
///     "messages":[{"role":"user","content":"How are you?"}]}"#);
/// assert_eq!(request.model(), Some("gpt-5"));
/// assert_eq!(request.max_output(), Some(600));
/// assert_eq!(request.characters(), "userHow are you?".len() as u64);
/// assert!(request.is_stream());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LlmRequest {
    kept: Kept,
    bytes: u64,
    members: Members,
    size: Size,
    problem: Option<JsonError>,
    key: Option<Arc<str>>,
    endpoint: Endpoint,
    operation: &'static str,
}

/// The body, as far as it is looked at again.
#[derive(Clone, Debug, PartialEq)]
enum Kept {
    Json(Bytes),
    Form(Bytes),
    File(Bytes),
    Nothing,
}

/// Reads a request's body, and keeps it without a copy.
impl From<Bytes> for LlmRequest {
    fn from(body: Bytes) -> Self {
        let bytes = body.len() as u64;
        let read = Members::read(&body);
        // One that says two things is JSON, of a size.
        let (members, problem) = match read {
            Ok(members) => (members, None),
            Err(problem @ JsonError::Ambiguous { .. }) => (Members::default(), Some(problem)),
            Err(problem) => return Self::other(body, problem),
        };
        let mut size = Size::default();
        // It was read to its end before.
        let walked = walk(&body, &mut size);
        let (key, endpoint, operation) = (None, Endpoint::default(), "");
        let kept = Kept::Json(body);
        Self { kept, bytes, members, size, problem: problem.or(walked.err()), key, endpoint, operation }
    }
}

impl LlmRequest {
    /// A body that is no JSON, as `problem` says.
    fn other(body: Bytes, problem: JsonError) -> Self {
        let bytes = body.len() as u64;
        let (mut size, mut members, mut problem) = (Size::of_text(&body), Members::default(), Some(problem));
        let form = form::parts(&body).map(|parts| {
            let mut size = Size::default();
            walk_form(&parts, &mut size);
            (size, form::members(&parts))
        });
        let kept = match form {
            Some((of_form, read)) => {
                size = of_form;
                match read {
                    Ok(read) => members = read,
                    Err(ambiguous) => problem = Some(ambiguous),
                }
                Kept::Form(body)
            }
            None if size.media > 0 => Kept::File(body),
            None => Kept::Nothing,
        };
        let (key, endpoint, operation) = (None, Endpoint::default(), "");
        Self { kept, bytes, members, size, problem, key, endpoint, operation }
    }

    /// Reads a request's body: JSON, or a multipart form. Any other is taken for text, and one that is no text for a
    /// file.
    ///
    /// ```
    /// use zae_llm::LlmRequest;
    /// let form = b"--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b\r\n\
    ///     Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--b--\r\n";
    /// let request = LlmRequest::parse(form);
    /// assert_eq!((request.model(), request.media()), (Some("whisper-1"), 1));
    /// ```
    pub fn parse(body: &[u8]) -> Self {
        Bytes::copy_from_slice(body).into()
    }

    /// A request whose body is too long to be parsed: its size is told by the strings in it, and it has no
    /// [`model`](Self::model) and no bound of its [output](Self::max_output).
    ///
    /// Strings without a space that are longer than 4 KiB count as files, since bodies this long mostly consist of
    /// files; all others count as text.
    ///
    /// ```
    /// use zae_llm::LlmRequest;
    /// let request = LlmRequest::unparsed(br#"{"model":"gpt-5","prompt":"How are you?"}"#);
    /// assert_eq!((request.model(), request.characters()), (None, "gpt-5How are you?".len() as u64));
    /// ```
    pub fn unparsed(body: &[u8]) -> Self {
        let bytes = body.len() as u64;
        let (members, size) = (Members::default(), sketch(body));
        let kept = Kept::Nothing;
        let (key, endpoint, operation) = (None, Endpoint::default(), "");
        Self { kept, bytes, members, size, problem: None, key, endpoint, operation }
    }

    /// Adds the path that the request goes to, without the query. It tells calls that answer no tokens (embeddings,
    /// rerankers) and those that cost none (moderations, counts of tokens, files), and the model where only the path
    /// has it: Gemini, Bedrock, Azure.
    ///
    /// ```
    /// use zae_llm::LlmRequest;
    /// let request = LlmRequest::parse(br#"{"contents":[]}"#).at("/v1beta/models/gemini-2.5-pro:generateContent");
    /// assert_eq!((request.model(), request.is_free()), (Some("gemini-2.5-pro"), false));
    /// assert!(LlmRequest::parse(b"{}").at("/v1/moderations").is_free());
    /// assert!(!LlmRequest::parse(b"{}").at("/v1/embeddings").answers_tokens());
    /// ```
    #[must_use]
    pub fn at(mut self, path: &str) -> Self {
        self.endpoint = Endpoint::of(path);
        self.operation = endpoint::operation(path, self.endpoint);
        if self.members.model.is_none() {
            self.members.model = endpoint::model(path);
        }
        self
    }

    /// Adds the key that asks, for estimators that [learn](crate::estimate::learned) by it.
    #[must_use]
    pub fn of_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The key that asks, where it is known.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Returns the operation that the path asks for, by OpenTelemetry's names.
    pub(crate) fn operation(&self) -> &'static str {
        self.operation
    }

    /// Returns false for calls that answer no tokens, as embeddings do.
    pub fn answers_tokens(&self) -> bool {
        self.endpoint == Endpoint::Answers
    }

    /// Returns true for calls that cost no tokens.
    pub fn is_free(&self) -> bool {
        self.endpoint == Endpoint::Free
    }

    /// The number of answers asked for, at least 1.
    pub fn choices(&self) -> u64 {
        self.members.choices.max(1)
    }

    /// Why the body cannot be read as JSON, or not in one way only: it has a member that matters twice.
    pub fn problem(&self) -> Option<&JsonError> {
        self.problem.as_ref()
    }

    /// The length of the body, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The model that is asked, where the body says it. Gemini and Bedrock have it in the path.
    pub fn model(&self) -> Option<&str> {
        self.members.model.as_deref()
    }

    /// Returns true if the body asks for a streamed answer.
    pub fn is_stream(&self) -> bool {
        self.members.stream
    }

    /// The most tokens that may be answered, over all of the choices asked for; `None` where the body sets no bound. Of
    /// several bounds it is the largest.
    ///
    /// ```
    /// use zae_llm::LlmRequest;
    /// let bound = |body: &[u8]| LlmRequest::parse(body).max_output();
    /// assert_eq!(bound(br#"{"max_tokens":300,"n":2}"#), Some(600));
    /// assert_eq!(bound(br#"{"generationConfig":{"maxOutputTokens":300}}"#), Some(300));
    /// assert_eq!(bound(br#"{"inferenceConfig":{"maxTokens":300}}"#), Some(300));
    /// assert_eq!(bound(br#"{"prompt":"How are you?"}"#), None);
    /// ```
    pub fn max_output(&self) -> Option<u64> {
        // Of legacy completions all are paid for from which the best are answered.
        Some(self.members.bound?.saturating_mul(self.members.choices.max(1)))
    }

    /// Returns the number of characters of text that the model is to read. Pictures and files are not among them.
    pub fn characters(&self) -> u64 {
        self.size.characters
    }

    /// Returns the number of pictures, sounds and files that the model is to read.
    ///
    /// ```
    /// use zae_llm::LlmRequest;
    /// let request = LlmRequest::parse(br#"{"messages":[{"role":"user","content":[
    ///     {"type":"text","text":"What is this?"},
    ///     {"type":"image_url","image_url":{"url":"https://example.com/cat.png"}}]}]}"#);
    /// assert_eq!(request.media(), 1);
    /// ```
    pub fn media(&self) -> u64 {
        self.size.media
    }

    /// Returns true if it tells the model of tools.
    pub(crate) fn has_tools(&self) -> bool {
        self.members.tools
    }

    /// Returns the number of messages.
    pub(crate) fn messages(&self) -> u64 {
        self.members.messages
    }

    /// All that the model is to read, piece by piece.
    pub(crate) fn walk(&self, reader: &mut impl Pieces) {
        match &self.kept {
            Kept::Nothing => {
                reader.opaque(self.size.characters);
                (0..self.size.media).for_each(|_| reader.media(Media::UNSEEN));
            }
            Kept::File(body) => reader.media(Media::plain(body)),
            Kept::Form(body) => walk_form(&form::parts(body).unwrap_or_default(), reader),
            // It was walked before, and to its end.
            Kept::Json(body) => {
                let _ = walk(body, reader);
            }
        }
    }
}

/// Measures the strings of a JSON text, except for names of members; a text that is not JSON counts as one string.
fn sketch(body: &[u8]) -> Size {
    let mut size = Size::default();
    let mut count = |text: &[u8]| match text.len() >= LONG && memchr(b' ', text).is_none() {
        true => size.media(Media::UNSEEN),
        // Bytes that continue a character of UTF-8 are none of their own.
        false => size.characters += text.iter().filter(|byte| **byte & 0xC0 != 0x80).count() as u64,
    };
    if !matches!(body.trim_ascii_start().first(), Some(b'{' | b'[')) {
        count(body);
    } else {
        let mut at = 0;
        while let Some(start) = memchr(b'"', &body[at..]).map(|quote| at + quote) {
            let end = string_end(body, start).unwrap_or(body.len());
            if body[end..].trim_ascii_start().first() != Some(&b':') {
                count(&body[start + 1..(end - 1).max(start + 1)]);
            }
            at = end;
        }
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(text: &str) -> (u64, u64) {
        let request = LlmRequest::parse(text.as_bytes());
        (request.characters(), request.media())
    }

    #[test]
    fn text_counts_wherever_a_provider_puts_it() {
        for text in [
            r#"{"model":"m","messages":[{"content":"12345678"}]}"#,
            r#"{"model":"m","input":"12345678","max_output_tokens":99}"#,
            r#"{"input":["1234","5678"]}"#,
            r#"{"input":[17,18]}"#,
            r#"{"system":"1234","messages":[{"content":[{"text":"5678"}]}],"max_tokens":1}"#,
            r#"{"contents":[{"parts":[{"text":"12345678"}]}],"generationConfig":{"temperature":0.5}}"#,
            r#"{"tools":[{"name":"f"}],"prompt":"123"}"#,
            r#"{"prompt":"äöüßäöüß"}"#,
            r#"{"prompt":"1234\ud83d567"}"#,
            "\u{feff}{\"prompt\":\"12345678\"}",
            "12345678",
            "no  json",
        ] {
            let expected = if text == "12345678" { 0 } else { 8 };
            assert_eq!(size(text), (expected, 0), "{text}");
        }
    }

    #[test]
    fn media_count_as_such() {
        let base64 = "A".repeat(100_000);
        for text in [
            format!(r#"{{"m":[{{"image_url":{{"url":"data:image/png;base64,{base64}"}}}}]}}"#),
            format!(r#"{{"input":[{{"image_url":"data:image/png;base64,{base64}"}}]}}"#),
            format!(r#"{{"m":[{{"source":{{"data":"{base64}"}}}}]}}"#),
            format!(r#"{{"contents":[{{"parts":[{{"inlineData":{{"data":"{base64}"}}}}]}}]}}"#),
            format!(r#"{{"m":[{{"image":{{"source":{{"bytes":"{base64}"}}}}}}]}}"#),
            format!(r#"{{"m":[{{"input_audio":{{"data":"{base64}"}}}}]}}"#),
        ] {
            assert_eq!(size(&text), (0, 1), "{}", &text[..60]);
        }
        let binary = LlmRequest::parse(&[0xFF; 5_000]);
        assert_eq!((binary.characters(), binary.media(), binary.bytes()), (0, 1, 5_000));
        assert_eq!(size(r#"{"m":[{"source":{"type":"text","data":"1234"}}]}"#), (8, 0), "a text is none");
        let call = r#"{"m":[{"type":"tool_use","input":{"url":"https://example.com/","source":{"data":"x"}}}]}"#;
        assert_eq!(size(call), (8 + 20 + 1, 0), "an address in the data of a tool is text");
        let result =
            r#"{"m":[{"type":"tool_result","content":[{"type":"image","source":{"type":"url","url":"https://x"}}]}]}"#;
        assert_eq!(size(result).1, 1, "a picture in a result is one");
        let sealed = r#"{"m":[{"type":"thinking","thinking":"1234","signature":"ErUBCkYIBxgCIkBq"}]}"#;
        assert_eq!(size(sealed), (8 + 4, 0), "what only its writer reads is neither");
    }

    #[test]
    fn what_is_too_long_to_be_parsed_is_told_by_its_strings() {
        let sketch = |text: &str| {
            let request = LlmRequest::unparsed(text.as_bytes());
            (request.characters(), request.media())
        };
        let words = "Who are you? ".repeat(1_000);
        let base64 = "A/+z".repeat(2_000);
        let body = format!(
            r#"{{"messages" : [{{"content":[{{"text" : "{words}"}},
                {{"image_url":{{"url":"data:image/png;base64,{base64}"}}}}]}}]}}"#
        );
        assert_eq!(sketch(&body), (13_000, 1));
        assert_eq!(sketch(&body), size(&body));
        assert_eq!(sketch(r#"["äöü\"!", {}]"#), (6, 0));
        assert_eq!(sketch(&words), (13_000, 0));
        assert_eq!(sketch(&base64), (0, 1));
        for broken in ["", "{", "{\"", "{\"\\", "{\"a\\\"", "[\"\"", "\"", "{\"a\""] {
            assert!(sketch(broken).0 <= broken.len() as u64, "{broken}");
        }
    }

    #[test]
    fn bounds_of_the_output_are_found_or_ignored() {
        // Servers take a number that is written as text. Anything that they refuse is ignored.
        let bound = |text: &str| LlmRequest::parse(text.as_bytes()).max_output();
        assert_eq!(bound(r#"{"max_tokens":5,"max_completion_tokens":7}"#), Some(7));
        assert_eq!(bound(r#"{"max_output_tokens":5,"n":0}"#), Some(5));
        assert_eq!(bound(r#"{"max_tokens":5,"n":2,"best_of":4}"#), Some(20));
        assert_eq!(bound(r#"{"generationConfig":{"maxOutputTokens":5,"candidateCount":3}}"#), Some(15));
        assert_eq!(bound(r#"{"inferenceConfig":{"maxTokens":5}}"#), Some(5));
        assert_eq!(bound(r#"{"max_tokens":18446744073709551615,"n":9}"#), Some(u64::MAX));
        assert_eq!(bound(r#"{"max_tokens":"5"}"#), Some(5));
        for none in [r#"{"max_tokens":-1}"#, r#"{"max_tokens":"x"}"#, r#"{"max_tokens":null}"#, "[]", "{"] {
            assert_eq!(bound(none), None, "{none}");
        }
    }
}
