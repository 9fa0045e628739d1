//! OpenAI's own tokenizers as an estimator: [`Tokens`].

use tiktoken_rs::{
    CoreBPE, cl100k_base_singleton, o200k_base_singleton,
    tokenizer::{Tokenizer, get_tokenizer},
};

use super::{Estimator, media::MediaTally};
use crate::{
    LlmRequest, Usage,
    request::{Media, Pieces},
};

/// Text is cut into pieces of so many bytes: the tokenizer's time grows with the square of a word's length, and its
/// patterns give up on long runs of spaces.
const PIECE: usize = 1_024;
/// So much text is counted exactly, in bytes; the rest is taken to be like it. A few milliseconds of work.
const EXACT: usize = 64 * 1_024;
/// Number of tokens that OpenAI adds per message, and for the answer's beginning.
const PER_MESSAGE: u64 = 3;

/// OpenAI's tokenizer of the model that is asked, or of its newest models. Made by
/// [`estimate::tokens`](super::tokens).
///
/// See the [module](super) for an example.
#[derive(Clone, Copy, Debug)]
pub struct Tokens {
    /// In place of the provider's rule.
    media: Option<u64>,
}

impl Tokens {
    pub(super) const fn new() -> Self {
        Self { media: None }
    }

    /// Counts `tokens` per picture, sound or file, in place of what the model's provider documents for its size.
    #[must_use]
    pub fn media(mut self, tokens: u64) -> Self {
        self.media = Some(tokens);
        self
    }
}

impl Estimator for Tokens {
    fn estimate(&self, request: &LlmRequest) -> Usage {
        let media = MediaTally::new(request.model(), self.media);
        let encoding = encoding(request.model());
        let mut count = Count { encoding, tokens: 0, exact: 0, rest: 0, media, characters: 0 };
        request.walk(&mut count);
        let like_it = if count.exact == 0 { 0 } else { (count.tokens * count.rest).div_ceil(count.exact) };
        let messages = request.messages();
        let framing = if messages == 0 { 0 } else { (messages + 1) * PER_MESSAGE };
        let tools = if request.has_tools() { count.media.rule.tools } else { 0 };
        let tokens = count.tokens + like_it + framing + tools + count.characters.div_ceil(4);
        Usage::new(tokens.saturating_add(count.media.tokens), 0)
    }
}

/// Models are the client's choice, so that only the two tokenizers in use are ever loaded.
fn encoding(model: Option<&str>) -> &'static CoreBPE {
    match model.and_then(get_tokenizer) {
        Some(Tokenizer::Cl100kBase) => cl100k_base_singleton(),
        _ => o200k_base_singleton(),
    }
}

struct Count {
    encoding: &'static CoreBPE,
    tokens: u64,
    /// Bytes that `tokens` counts.
    exact: u64,
    /// Bytes beyond.
    rest: u64,
    media: MediaTally,
    characters: u64,
}

impl Pieces for Count {
    fn text(&mut self, mut text: &str) {
        while !text.is_empty() {
            if self.exact >= EXACT as u64 {
                self.rest += text.len() as u64;
                return;
            }
            let (piece, rest) = text.split_at(piece_end(text));
            self.tokens += self.encoding.count_ordinary(piece) as u64;
            self.exact += piece.len() as u64;
            text = rest;
        }
    }

    fn token(&mut self) {
        self.tokens += 1;
    }

    fn media(&mut self, media: Media<'_>) {
        self.media.add(&media);
    }

    fn opaque(&mut self, characters: u64) {
        self.characters += characters;
    }
}

/// Returns the end of the first piece of `text`: before a space where there is one, as tokens begin with their space.
fn piece_end(text: &str) -> usize {
    if text.len() <= PIECE {
        return text.len();
    }
    let bound = text.floor_char_boundary(PIECE);
    text[..bound].rfind(' ').filter(|end| *end > 0).unwrap_or(bound)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn tokens(body: &str) -> u64 {
        Tokens::new().estimate(&LlmRequest::parse(body.as_bytes())).input()
    }

    fn prompt(text: &str) -> u64 {
        tokens(&serde_json::json!({"model": "gpt-5", "prompt": text}).to_string())
    }

    #[test]
    fn counts_are_the_models_own() {
        // From OpenAI's cookbook.
        assert_eq!(prompt("antidisestablishmentarianism"), 6);
        assert_eq!(prompt("2 + 2 = 4"), 7);
        assert_eq!(prompt("お誕生日おめでとう"), 8);
        let old = serde_json::json!({"model": "gpt-4", "prompt": "お誕生日おめでとう"}).to_string();
        assert_eq!(tokens(&old), 9);
        let chat = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}]}"#;
        assert_eq!(tokens(chat), 3 + 1 + 1 + 3, "two words, the message, the answer's beginning");
        assert_eq!(tokens(r#"{"input":[[1,2,3]],"model":"text-embedding-3-small"}"#), 3);
    }

    #[test]
    fn cuts_cost_little_and_the_rest_is_like_the_beginning() {
        let sentence = "The quick brown fox jumps over the lazy dog. ";
        let whole = o200k_base_singleton().count_ordinary(&sentence.repeat(1_000)) as u64;
        assert!(prompt(&sentence.repeat(1_000)).abs_diff(whole) <= whole / 200, "{whole}");
        let long = prompt(&sentence.repeat(100_000));
        assert!(long.abs_diff(100 * whole) <= whole, "{long} of {}", 100 * whole);
    }

    #[test]
    fn hostile_text_takes_no_longer_than_other() {
        o200k_base_singleton();
        let started = Instant::now();
        for text in
            [" ".repeat(1 << 20), "a".repeat(1 << 20), "\n \r".repeat(1 << 18), "\u{1f468}\u{200d}".repeat(1 << 17)]
        {
            assert!(prompt(&text) > 0);
        }
        // Squares would be hours.
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    }
}
