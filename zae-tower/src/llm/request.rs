//! What a request to a model says about its size: [`LlmRequest`].

use memchr::memchr;
use serde_json::Value;

use super::inject::string_end;

/// Members of a request that are no part of what the model reads.
const SETTINGS: [&str; 8] = [
    "model",
    "modelId",
    "user",
    "metadata",
    "service_tier",
    "prompt_cache_key",
    "previous_response_id",
    "safety_identifier",
];
/// Members whose names the model reads too, as it is told of tools by their schema.
const SCHEMAS: [&str; 3] = ["tools", "functions", "toolConfig"];
/// Members that hold or point to a picture, a sound or a file.
const MEDIA: [&str; 9] =
    ["data", "url", "image_url", "file_data", "file_id", "fileUri", "file_uri", "bytes", "s3Location"];
/// What a number counts in characters: it is the id of a token.
const TOKEN_ID: u64 = 4;
/// From this length on, in bytes, a string without a space is a file and no text.
const LONG: usize = 4 * 1024;

/// A request to a model, of whichever provider, as far as estimates need it.
///
/// ```
/// use zae_tower::llm::LlmRequest;
/// let request = LlmRequest::parse(br#"{"model":"gpt-5","max_completion_tokens":300,"n":2,"stream":true,
///     "messages":[{"role":"user","content":"How are you?"}]}"#);
/// assert_eq!(request.model(), Some("gpt-5"));
/// assert_eq!(request.max_output(), Some(600));
/// assert_eq!(request.characters(), "userHow are you?".len() as u64);
/// assert!(request.is_stream());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LlmRequest {
    body: Body,
    bytes: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Body {
    Json(Value),
    Unparsed { characters: u64, media: u64 },
}

impl LlmRequest {
    /// Reads a request's body. One that is no JSON is taken for text, and one that is no text for a file.
    pub fn parse(body: &[u8]) -> Self {
        let bytes = body.len() as u64;
        let body = match (serde_json::from_slice(body), std::str::from_utf8(body)) {
            (Ok(json), _) => Body::Json(json),
            (Err(_), Ok(text)) => Body::Unparsed { characters: text.chars().count() as u64, media: 0 },
            (Err(_), Err(_)) => Body::Unparsed { characters: 0, media: 1 },
        };
        Self { body, bytes }
    }

    /// A request whose body is too long to be parsed: its size is told by the strings in it, and it has no
    /// [`model`](Self::model) and no bound of its [output](Self::max_output).
    ///
    /// Strings without a space that are longer than 4 KiB count as files, as those of which bodies become so long mostly
    /// are; all others as text.
    ///
    /// ```
    /// use zae_tower::llm::LlmRequest;
    /// let request = LlmRequest::unparsed(br#"{"model":"gpt-5","prompt":"How are you?"}"#);
    /// assert_eq!((request.model(), request.characters()), (None, "gpt-5How are you?".len() as u64));
    /// ```
    pub fn unparsed(body: &[u8]) -> Self {
        Self { body: sketch(body), bytes: body.len() as u64 }
    }

    /// The body, if it is JSON and was parsed.
    pub fn json(&self) -> Option<&Value> {
        match &self.body {
            Body::Json(json) => Some(json),
            Body::Unparsed { .. } => None,
        }
    }

    /// The length of the body, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn get(&self, pointer: &str) -> Option<&Value> {
        self.json()?.pointer(pointer)
    }

    /// The model that is asked, where the body says it. Gemini and Bedrock have it in the path.
    pub fn model(&self) -> Option<&str> {
        self.get("/model").or_else(|| self.get("/modelId"))?.as_str()
    }

    /// Whether a streamed answer is asked for, where the body says it.
    pub fn is_stream(&self) -> bool {
        self.get("/stream").and_then(Value::as_bool).unwrap_or(false)
    }

    /// The most tokens that may be answered, over all of the choices asked for; `None` where the body sets no bound.
    pub fn max_output(&self) -> Option<u64> {
        let bounds = [
            "/max_completion_tokens",
            "/max_output_tokens",
            "/max_tokens",
            "/generationConfig/maxOutputTokens",
            "/generation_config/max_output_tokens",
            "/inferenceConfig/maxTokens",
            "/textGenerationConfig/maxTokenCount",
            "/max_tokens_to_sample",
            "/max_gen_len",
        ];
        // Of legacy completions all are paid for from which the best are answered.
        let choices = ["/n", "/best_of", "/generationConfig/candidateCount"];
        let number = |pointer: &&str| self.get(pointer)?.as_u64();
        let most = choices.iter().filter_map(number).max().unwrap_or(1);
        Some(bounds.iter().find_map(number)?.saturating_mul(most.max(1)))
    }

    /// How many characters of text the model is to read. Pictures and files are not among them.
    pub fn characters(&self) -> u64 {
        let mut size = Size::default();
        self.walk(&mut size);
        size.characters
    }

    /// How many pictures, sounds and files the model is to read.
    pub fn media(&self) -> u64 {
        let mut size = Size::default();
        self.walk(&mut size);
        size.media
    }

    /// All that the model is to read, piece by piece.
    pub(super) fn walk(&self, reader: &mut impl Pieces) {
        match &self.body {
            Body::Unparsed { characters, media } => {
                reader.opaque(*characters);
                (0..*media).for_each(|_| reader.media());
            }
            Body::Json(Value::Object(members)) => {
                for (key, value) in members.iter().filter(|(key, _)| !SETTINGS.contains(&key.as_str())) {
                    walk(value, Names::of(key), reader);
                }
            }
            Body::Json(other) => walk(other, Names::Unread, reader),
        }
    }
}

/// What becomes of the pieces of a request.
pub(super) trait Pieces {
    /// Text.
    fn text(&mut self, text: &str);
    /// The id of a token.
    fn token(&mut self);
    /// A picture, a sound, a file.
    fn media(&mut self);
    /// Text of so many characters that was not kept.
    fn opaque(&mut self, characters: u64);
}

#[derive(Debug, Default)]
struct Size {
    characters: u64,
    media: u64,
}

impl Pieces for Size {
    fn text(&mut self, text: &str) {
        self.characters += text.chars().count() as u64;
    }

    fn token(&mut self) {
        self.characters += TOKEN_ID;
    }

    fn media(&mut self) {
        self.media += 1;
    }

    fn opaque(&mut self, characters: u64) {
        self.characters += characters;
    }
}

/// Whether the model reads the names of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    Read,
    Unread,
}

impl Names {
    /// Below the member `key` of the request.
    fn of(key: &str) -> Self {
        if SCHEMAS.contains(&key) { Self::Read } else { Self::Unread }
    }
}

/// The recursion is bounded: the parser refuses more than 128 levels.
fn walk(value: &Value, names: Names, reader: &mut impl Pieces) {
    match value {
        Value::String(text) if is_data_url(text) => reader.media(),
        Value::String(text) => reader.text(text),
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Number(_) => reader.token(),
                    item => walk(item, names, reader),
                }
            }
        }
        Value::Object(members) => {
            let is_text = members.get("type").and_then(Value::as_str) == Some("text");
            for (key, value) in members {
                if names == Names::Read {
                    reader.text(key);
                }
                match value {
                    Value::String(_) if MEDIA.contains(&key.as_str()) && !is_text => reader.media(),
                    value => walk(value, names, reader),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What the strings of a JSON text hold, but for names of members; a text that is no JSON is one of them.
fn sketch(body: &[u8]) -> Body {
    let (mut characters, mut media) = (0, 0);
    let mut count = |text: &[u8]| match text.len() >= LONG && memchr(b' ', text).is_none() {
        true => media += 1,
        // Bytes that continue a character of UTF-8 are none of their own.
        false => characters += text.iter().filter(|byte| **byte & 0xC0 != 0x80).count() as u64,
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
    Body::Unparsed { characters, media }
}

fn is_data_url(text: &str) -> bool {
    text.starts_with("data:") && text.get(..100.min(text.len())).is_some_and(|start| start.contains(";base64,"))
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
            r#"{{"messages" : [{{"content":[{{"text" : "{words}"}},{{"image_url":{{"url":"data:image/png;base64,{base64}"}}}}]}}]}}"#
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
        let bound = |text: &str| LlmRequest::parse(text.as_bytes()).max_output();
        assert_eq!(bound(r#"{"max_tokens":5,"max_completion_tokens":7}"#), Some(7));
        assert_eq!(bound(r#"{"max_output_tokens":5,"n":0}"#), Some(5));
        assert_eq!(bound(r#"{"max_tokens":5,"n":2,"best_of":4}"#), Some(20));
        assert_eq!(bound(r#"{"generationConfig":{"maxOutputTokens":5,"candidateCount":3}}"#), Some(15));
        assert_eq!(bound(r#"{"inferenceConfig":{"maxTokens":5}}"#), Some(5));
        assert_eq!(bound(r#"{"max_tokens":18446744073709551615,"n":9}"#), Some(u64::MAX));
        for none in [r#"{"max_tokens":-1}"#, r#"{"max_tokens":"5"}"#, r#"{"max_tokens":null}"#, "[]", "{"] {
            assert_eq!(bound(none), None, "{none}");
        }
    }
}
