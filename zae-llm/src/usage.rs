//! Usage of a call to a model: [`Usage`].

use std::{
    iter::Sum,
    ops::{Add, AddAssign},
};

/// Tokens that one call (or several, added up) used, by kind. Units: whole tokens.
///
/// The kinds do not overlap, but for `reasoning`, which is a part of `output`. Providers count in two ways, and the
/// methods say which one is meant: OpenAI and Gemini count cached tokens *within* the input, Anthropic and Bedrock
/// *beside* it.
///
/// ```
/// use zae_llm::Usage;
/// // OpenAI: prompt_tokens 1000, of which 800 cached.
/// let inclusive = Usage::new(1000, 50).cache_read_within(800);
/// // Anthropic: input_tokens 200, and 800 read from the cache.
/// let additive = Usage::new(200, 50).cache_read_beside(800);
/// assert_eq!(inclusive, additive);
/// assert_eq!((inclusive.input(), inclusive.total()), (1000, 1050));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Usage {
    /// Input that was neither read from nor written to a cache.
    pub input_uncached: u64,
    /// Input read from the provider's cache.
    pub cache_read: u64,
    /// Input written to the provider's cache.
    pub cache_write: u64,
    /// Output, reasoning included.
    pub output: u64,
    /// The part of the output that is reasoning.
    pub reasoning: u64,
}

impl Usage {
    /// `input` tokens without a cache, and `output` tokens.
    pub const fn new(input: u64, output: u64) -> Self {
        Self { input_uncached: input, cache_read: 0, cache_write: 0, output, reasoning: 0 }
    }

    /// Of the input so far, `tokens` were read from the cache.
    #[must_use]
    pub const fn cache_read_within(mut self, tokens: u64) -> Self {
        let tokens = if tokens < self.input_uncached { tokens } else { self.input_uncached };
        self.input_uncached -= tokens;
        self.cache_read = self.cache_read.saturating_add(tokens);
        self
    }

    /// Beside the input so far, `tokens` were read from the cache.
    #[must_use]
    pub const fn cache_read_beside(mut self, tokens: u64) -> Self {
        self.cache_read = self.cache_read.saturating_add(tokens);
        self
    }

    /// Of the input so far, `tokens` were written to the cache.
    #[must_use]
    pub const fn cache_write_within(mut self, tokens: u64) -> Self {
        let tokens = if tokens < self.input_uncached { tokens } else { self.input_uncached };
        self.input_uncached -= tokens;
        self.cache_write = self.cache_write.saturating_add(tokens);
        self
    }

    /// Beside the input so far, `tokens` were written to the cache.
    #[must_use]
    pub const fn cache_write_beside(mut self, tokens: u64) -> Self {
        self.cache_write = self.cache_write.saturating_add(tokens);
        self
    }

    /// Of the output so far, `tokens` were reasoning.
    #[must_use]
    pub const fn reasoning_within(mut self, tokens: u64) -> Self {
        let reasoning = self.reasoning.saturating_add(tokens);
        self.reasoning = if reasoning < self.output { reasoning } else { self.output };
        self
    }

    /// Beside the output so far, `tokens` were reasoning.
    ///
    /// ```
    /// use zae_llm::Usage;
    /// // OpenAI: completion_tokens 100, of which 60 reasoning.
    /// let within = Usage::new(10, 100).reasoning_within(60);
    /// // Gemini: candidatesTokenCount 40, and thoughtsTokenCount 60.
    /// let beside = Usage::new(10, 40).reasoning_beside(60);
    /// assert_eq!(within, beside);
    /// ```
    #[must_use]
    pub const fn reasoning_beside(mut self, tokens: u64) -> Self {
        self.output = self.output.saturating_add(tokens);
        self.reasoning = self.reasoning.saturating_add(tokens);
        self
    }

    /// All input.
    pub const fn input(&self) -> u64 {
        self.input_uncached.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }

    /// All input and all output.
    pub const fn total(&self) -> u64 {
        self.input().saturating_add(self.output)
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input_uncached: self.input_uncached.saturating_add(other.input_uncached),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(usages: I) -> Self {
        usages.fold(Self::default(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_never_exceed_their_whole() {
        let usage = Usage::new(10, 5).cache_read_within(99).cache_write_within(1).reasoning_within(99);
        assert_eq!((usage.input(), usage.cache_read, usage.cache_write), (10, 10, 0));
        assert_eq!((usage.output, usage.reasoning), (5, 5));
    }

    #[test]
    fn huge_numbers_saturate() {
        let usage = Usage::new(u64::MAX, u64::MAX).cache_read_beside(u64::MAX).reasoning_beside(u64::MAX);
        assert_eq!((usage + usage).total(), u64::MAX);
    }
}
