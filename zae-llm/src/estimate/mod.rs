//! Estimates of a call's usage, guessed from its request: [`Estimator`].
//!
//! An estimate is taken from the limits before the call, and replaced by what the provider reports after it. Too high,
//! it holds tokens back while the call runs; too low, it lets calls run into debt, which the next ones wait for.
//!
//! ```
//! use zae_llm::{LlmRequest, Usage, estimate::{self, Estimator}};
//! let request = LlmRequest::parse(br#"{"max_tokens":300,"prompt":"Tell me a long story about a fox."}"#);
//! let guess = |estimator: &dyn Estimator| estimator.estimate(&request);
//! assert_eq!(guess(&estimate::characters()), Usage::new(9, 0));
//! assert_eq!(guess(&estimate::max_output(1_000)), Usage::new(0, 300));
//! assert_eq!(guess(&estimate::input_and_max_output(1_000)), Usage::new(9, 300));
//! assert_eq!(guess(&estimate::input_and_max_output(1_000).at_most(8, 200)), Usage::new(8, 200));
//! assert_eq!(guess(&estimate::characters().plus(estimate::fixed(Usage::new(0, 50)))), Usage::new(9, 50));
//! assert_eq!(guess(&estimate::from_fn(|request| Usage::new(request.bytes(), 0))), Usage::new(63, 0));
//! ```

mod classes;
mod learned;
mod media;
mod text;
#[cfg(feature = "tiktoken")]
mod tokens;

use std::{any::type_name, fmt};

#[cfg(feature = "tiktoken")]
pub use self::tokens::Tokens;
pub use self::{
    learned::Learned,
    text::{TextEstimator, tokens_of},
};
use crate::{LlmRequest, Usage};

/// The output that a request without a bound of its own is estimated at, in tokens, where nothing better is known.
pub const DEFAULT_OUTPUT: u64 = 1_000;
/// Number of tokens that a picture, a sound or a file counts, where nothing better is known.
pub const MEDIA_TOKENS: u64 = 1_000;

/// Guesses what a call will use.
///
/// ```
/// use zae_llm::{LlmRequest, Usage, estimate::Estimator};
///
/// /// Half of the characters are tokens, as in some languages.
/// struct Dense;
///
/// impl Estimator for Dense {
///     fn estimate(&self, request: &LlmRequest) -> Usage {
///         Usage::new(request.characters().div_ceil(2), request.max_output().unwrap_or(1_000))
///     }
/// }
/// # let _ = Dense.at_most(100_000, 8_000);
/// ```
pub trait Estimator: Send + Sync + 'static {
    /// The guess. Of its kinds, `input_uncached` and `output` suffice: what a cache will do is not known.
    fn estimate(&self, request: &LlmRequest) -> Usage;

    /// A call to `model` by `key` was settled with `usage`, all of it: the time to learn.
    fn learn(&self, key: Option<&str>, model: Option<&str>, usage: &Usage) {
        let _ = (key, model, usage);
    }

    /// This guess and `other`'s, added.
    fn plus<X: Estimator>(self, other: X) -> Plus<Self, X>
    where
        Self: Sized,
    {
        Plus(self, other)
    }

    /// This guess, but at most so many tokens of input and of output; for limits that are smaller than what a model
    /// could answer, which would refuse such calls for ever.
    fn at_most(self, input: u64, output: u64) -> AtMost<Self>
    where
        Self: Sized,
    {
        AtMost { estimator: self, input, output }
    }
}

/// A quarter of the text's characters as input, rounded up, and [`MEDIA_TOKENS`] per picture, sound or file; no output.
///
/// About right for English; other languages, code and numbers have more tokens per character.
///
/// ```
/// use zae_llm::{LlmRequest, Usage, estimate::{self, Estimator}};
/// let request = LlmRequest::parse(br#"{"input":[{"type":"input_text","text":"What is this?"},
///     {"type":"input_image","image_url":"https://example.com/cat.png"}]}"#);
/// let words = estimate::characters().media(0).estimate(&request).input();
/// assert_eq!(estimate::characters().media(85).estimate(&request), Usage::new(words + 85, 0));
/// ```
pub fn characters() -> Characters {
    Characters { media: MEDIA_TOKENS }
}

/// The text's tokens by the classes of its characters, for every script and for code, data and encodings. Media have
/// the tokens that the model's provider documents for their size, pages or seconds, as far as their bytes tell these,
/// and else [`MEDIA_TOKENS`]. No output.
///
/// Within 30 % of OpenAI's tokenizer for each of 87 kinds of text in 49 languages, other texts than those that it was
/// fitted to, where a quarter of the characters is off by up to 87 %. [`guide::estimates`](crate::guide::estimates) has
/// the table.
///
/// ```
/// use zae_llm::{LlmRequest, Usage, estimate::{self, Estimator}};
/// let chinese = LlmRequest::parse(r#"{"prompt":"渡轮晚了一个小时才离开港口"}"#.as_bytes());
/// assert_eq!(estimate::characters().estimate(&chinese), Usage::new(4, 0));
/// assert_eq!(estimate::text().estimate(&chinese), Usage::new(11, 0)); // as the tokenizer says
/// ```
pub fn text() -> TextEstimator {
    TextEstimator::new()
}

/// The input by [`text`], and the output by what earlier calls of the same key and model used: nine of ten stay below.
/// A bound that the request sets caps it. Until eight calls have been settled, the bound counts, or
/// [`DEFAULT_OUTPUT`].
///
/// All that is learned lives in this process, for 10 000 keys and models.
///
/// ```
/// use zae_llm::{LlmRequest, Usage, estimate::{self, Estimator}};
/// let estimator = estimate::learned();
/// let request = LlmRequest::parse(br#"{"model":"gpt-5","messages":[]}"#).of_key("alice");
/// assert_eq!(estimator.estimate(&request).output, 1_000);
/// for _ in 0..100 {
///     estimator.learn(Some("alice"), Some("gpt-5"), &Usage::new(9, 50)); // layers and meters do it
/// }
/// assert!(estimator.estimate(&request).output < 100);
/// ```
pub fn learned() -> Learned<TextEstimator> {
    Learned::over(text())
}

/// [`learned`] over an estimator of your choice for the input.
///
/// ```
/// use zae_llm::estimate;
/// let estimator = estimate::learned_over(estimate::characters()).until_then(300);
/// # let _ = estimator;
/// ```
pub fn learned_over<E: Estimator>(input: E) -> Learned<E> {
    Learned::over(input)
}

/// The bound of the output that the request sets (`max_tokens`, `max_completion_tokens`, … times the choices asked
/// for), or `default` where it sets none; no input.
///
/// ```
/// use zae_llm::{LlmRequest, Usage, estimate::{self, Estimator}};
/// let estimator = estimate::max_output(1_000);
/// let bounded = LlmRequest::parse(br#"{"max_completion_tokens":300,"n":2,"messages":[]}"#);
/// assert_eq!(estimator.estimate(&bounded), Usage::new(0, 600));
/// assert_eq!(estimator.estimate(&LlmRequest::parse(br#"{"messages":[]}"#)), Usage::new(0, 1_000));
/// ```
pub fn max_output(default: u64) -> MaxOutput {
    MaxOutput { default }
}

/// [`characters`] and [`max_output`]: the call's upper bound, more or less.
pub fn input_and_max_output(default: u64) -> Plus<Characters, MaxOutput> {
    characters().plus(max_output(default))
}

/// The text's tokens as OpenAI's tokenizer of the model has them (of its newest models where the model is another), and
/// media as by [`text`]; no output.
///
/// The first use of each tokenizer takes a moment, and some memory for good. The first 64 kB of a text are counted, the
/// rest is taken to be like it.
///
/// ```
/// use zae_llm::{LlmRequest, Usage, estimate::{self, Estimator}};
/// let request = LlmRequest::parse(br#"{"model":"gpt-5","prompt":"antidisestablishmentarianism"}"#);
/// assert_eq!(estimate::tokens().estimate(&request), Usage::new(6, 0));
/// let bound = estimate::tokens().plus(estimate::max_output(1_000));
/// ```
#[cfg(feature = "tiktoken")]
pub fn tokens() -> Tokens {
    Tokens::new()
}

/// Always the same.
///
/// ```
/// use zae_llm::{LlmRequest, Usage, estimate::{self, Estimator}};
/// let typical = estimate::fixed(Usage::new(800, 200));
/// assert_eq!(typical.estimate(&LlmRequest::parse(b"{}")), Usage::new(800, 200));
/// ```
pub fn fixed(usage: Usage) -> Fixed {
    Fixed(usage)
}

/// Estimates the usage with `function`.
///
/// ```
/// use zae_llm::{LlmRequest, Usage, estimate::{self, Estimator}};
/// // Embeddings answer no tokens, and each byte of a text is less than one.
/// let embeddings = estimate::from_fn(|request| Usage::new(request.bytes() / 4, 0));
/// assert_eq!(embeddings.estimate(&LlmRequest::parse(br#"{"input":"How are you?"}"#)), Usage::new(6, 0));
/// ```
pub fn from_fn<F>(function: F) -> FromFn<F>
where
    F: Fn(&LlmRequest) -> Usage + Send + Sync + 'static,
{
    FromFn(function)
}

/// Made by [`characters`].
///
/// See the [module](self) for an example.
#[derive(Clone, Copy, Debug)]
pub struct Characters {
    media: u64,
}

impl Characters {
    /// Counts `tokens` per picture, sound or file.
    #[must_use]
    pub fn media(mut self, tokens: u64) -> Self {
        self.media = tokens;
        self
    }
}

impl Estimator for Characters {
    fn estimate(&self, request: &LlmRequest) -> Usage {
        Usage::new(request.characters().div_ceil(4).saturating_add(request.media().saturating_mul(self.media)), 0)
    }
}

/// Made by [`max_output`].
///
/// See the [module](self) for an example.
#[derive(Clone, Copy, Debug)]
pub struct MaxOutput {
    default: u64,
}

impl Estimator for MaxOutput {
    fn estimate(&self, request: &LlmRequest) -> Usage {
        // Without a bound each of the answers may be so long.
        let default = || self.default.saturating_mul(request.choices());
        Usage::new(0, request.max_output().unwrap_or_else(default))
    }
}

/// Made by [`Estimator::plus`].
///
/// See the [module](self) for an example.
#[derive(Clone, Copy, Debug)]
pub struct Plus<A, B>(A, B);

impl<A: Estimator, B: Estimator> Estimator for Plus<A, B> {
    fn estimate(&self, request: &LlmRequest) -> Usage {
        self.0.estimate(request) + self.1.estimate(request)
    }

    fn learn(&self, key: Option<&str>, model: Option<&str>, usage: &Usage) {
        self.0.learn(key, model, usage);
        self.1.learn(key, model, usage);
    }
}

/// Made by [`Estimator::at_most`].
///
/// See the [module](self) for an example.
#[derive(Clone, Copy, Debug)]
pub struct AtMost<E> {
    estimator: E,
    input: u64,
    output: u64,
}

impl<E: Estimator> Estimator for AtMost<E> {
    fn estimate(&self, request: &LlmRequest) -> Usage {
        let guess = self.estimator.estimate(request);
        if guess.input() <= self.input && guess.output <= self.output {
            return guess;
        }
        Usage::new(guess.input().min(self.input), guess.output.min(self.output)).reasoning_within(guess.reasoning)
    }

    fn learn(&self, key: Option<&str>, model: Option<&str>, usage: &Usage) {
        self.estimator.learn(key, model, usage);
    }
}

/// Made by [`fixed`].
///
/// See the [module](self) for an example.
#[derive(Clone, Copy, Debug)]
pub struct Fixed(Usage);

impl Estimator for Fixed {
    fn estimate(&self, _: &LlmRequest) -> Usage {
        self.0
    }
}

/// Made by [`from_fn`].
///
/// See the [module](self) for an example.
#[derive(Clone, Copy)]
pub struct FromFn<F>(F);

impl<F> Estimator for FromFn<F>
where
    F: Fn(&LlmRequest) -> Usage + Send + Sync + 'static,
{
    fn estimate(&self, request: &LlmRequest) -> Usage {
        (self.0)(request)
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FromFn").field(&type_name::<F>()).finish()
    }
}
