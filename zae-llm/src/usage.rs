//! Usage of a call to a model: [`Usage`].

mod add;

use crate::{Region, ServiceTier};

/// Tokens used by one call (or several, added up), by kind. Units: whole tokens, except for the last four counts.
///
/// | kind | is |
/// |---|---|
/// | `input_uncached`, `cache_read`, `cache_write`, `output` | all tokens; they do not overlap |
/// | `cache_write_1h` | a part of `cache_write` |
/// | `audio_input`, `image_input` | parts of `input_uncached` |
/// | `reasoning`, `audio_output`, `image_output`, `rejected` | parts of `output` |
/// | `tool_calls`, `milliseconds`, `images`, `search_units` | no tokens; some providers bill them |
///
/// Providers count in two ways, which the methods distinguish: OpenAI and Gemini count cached tokens *within* the
/// input, Anthropic and Bedrock *beside* it.
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
    /// The part of the cache writes that is stored for an hour, which Anthropic bills at another price.
    pub cache_write_1h: u64,
    /// The audio part of the uncached input.
    pub audio_input: u64,
    /// The image part of the uncached input.
    pub image_input: u64,
    /// The audio part of the output.
    pub audio_output: u64,
    /// The image part of the output.
    pub image_output: u64,
    /// The part of the output that was predicted by the request but rejected, which OpenAI bills as output.
    pub rejected: u64,
    /// Calls of tools that the provider ran, mostly web searches.
    pub tool_calls: u64,
    /// Milliseconds of audio or of computing, if a provider bills time.
    pub milliseconds: u64,
    /// Images, if a provider bills them individually.
    pub images: u64,
    /// Search units, as Cohere bills reranking.
    pub search_units: u64,
    /// The tier of service of the response.
    pub tier: ServiceTier,
    /// The region that the call was bound to.
    pub region: Region,
}

impl Usage {
    /// No usage.
    pub const NONE: Self = Self {
        input_uncached: 0,
        cache_read: 0,
        cache_write: 0,
        output: 0,
        reasoning: 0,
        cache_write_1h: 0,
        audio_input: 0,
        image_input: 0,
        audio_output: 0,
        image_output: 0,
        rejected: 0,
        tool_calls: 0,
        milliseconds: 0,
        images: 0,
        search_units: 0,
        tier: ServiceTier::Standard,
        region: Region::Anywhere,
    };

    /// Creates a usage of `input` tokens without a cache, and `output` tokens.
    ///
    /// Both in whole tokens. If a provider counts parts of them, add those with the methods below.
    pub const fn new(input: u64, output: u64) -> Self {
        Self { input_uncached: input, output, ..Self::NONE }
    }

    /// Counts `tokens` of the existing input as read from the cache.
    ///
    /// ```
    /// use zae_llm::Usage;
    /// let usage = Usage::new(1_000, 50).cache_read_within(800);
    /// assert_eq!((usage.input_uncached, usage.cache_read), (200, 800));
    /// ```
    #[must_use]
    pub const fn cache_read_within(mut self, tokens: u64) -> Self {
        let tokens = if tokens < self.input_uncached { tokens } else { self.input_uncached };
        self.input_uncached -= tokens;
        self.cache_read = self.cache_read.saturating_add(tokens);
        self
    }

    /// Adds `tokens` read from the cache to the input.
    ///
    /// ```
    /// use zae_llm::Usage;
    /// let usage = Usage::new(200, 50).cache_read_beside(800);
    /// assert_eq!((usage.input_uncached, usage.input()), (200, 1_000));
    /// ```
    #[must_use]
    pub const fn cache_read_beside(mut self, tokens: u64) -> Self {
        self.cache_read = self.cache_read.saturating_add(tokens);
        self
    }

    /// Counts `tokens` of the existing input as written to the cache.
    ///
    /// ```
    /// use zae_llm::Usage;
    /// let usage = Usage::new(1_000, 50).cache_write_within(300);
    /// assert_eq!((usage.input_uncached, usage.cache_write), (700, 300));
    /// ```
    #[must_use]
    pub const fn cache_write_within(mut self, tokens: u64) -> Self {
        let tokens = if tokens < self.input_uncached { tokens } else { self.input_uncached };
        self.input_uncached -= tokens;
        self.cache_write = self.cache_write.saturating_add(tokens);
        self
    }

    /// Adds `tokens` written to the cache to the input.
    ///
    /// ```
    /// use zae_llm::Usage;
    /// let usage = Usage::new(200, 50).cache_write_beside(300);
    /// assert_eq!((usage.input_uncached, usage.input()), (200, 500));
    /// ```
    #[must_use]
    pub const fn cache_write_beside(mut self, tokens: u64) -> Self {
        self.cache_write = self.cache_write.saturating_add(tokens);
        self
    }

    /// Counts `tokens` of the existing output as reasoning.
    ///
    /// ```
    /// use zae_llm::Usage;
    /// let usage = Usage::new(10, 100).reasoning_within(60);
    /// assert_eq!((usage.output, usage.reasoning), (100, 60));
    /// ```
    #[must_use]
    pub const fn reasoning_within(mut self, tokens: u64) -> Self {
        let reasoning = self.reasoning.saturating_add(tokens);
        self.reasoning = if reasoning < self.output { reasoning } else { self.output };
        self
    }

    /// Adds `tokens` of reasoning to the output.
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

    /// Counts `tokens` of the cache writes as stored for an hour.
    ///
    /// ```
    /// use zae_llm::Usage;
    /// let usage = Usage::new(9, 0).cache_write_beside(300).cache_write_1h_within(100);
    /// assert_eq!((usage.cache_write, usage.cache_write_1h), (300, 100));
    /// ```
    #[must_use]
    pub const fn cache_write_1h_within(mut self, tokens: u64) -> Self {
        self.cache_write_1h = part(self.cache_write_1h, tokens, self.cache_write);
        self
    }

    /// Counts `tokens` of the uncached input as audio.
    ///
    /// ```
    /// use zae_llm::Usage;
    /// // OpenAI: prompt_tokens 100, of which audio_tokens 80.
    /// let within = Usage::new(100, 0).audio_input_within(80);
    /// // Mistral counts the sound in the total alone.
    /// assert_eq!(Usage::new(20, 0).audio_input_beside(80), within);
    /// ```
    #[must_use]
    pub const fn audio_input_within(mut self, tokens: u64) -> Self {
        self.audio_input = part(self.audio_input, tokens, self.input_uncached.saturating_sub(self.image_input));
        self
    }

    /// Adds `tokens` of audio to the input.
    ///
    /// Both the input and its audio part grow by `tokens`.
    #[must_use]
    pub const fn audio_input_beside(mut self, tokens: u64) -> Self {
        self.input_uncached = self.input_uncached.saturating_add(tokens);
        self.audio_input_within(tokens)
    }

    /// Counts `tokens` of the uncached input as images.
    ///
    /// ```
    /// use zae_llm::Usage;
    /// let usage = Usage::new(270, 0).image_input_within(258);
    /// assert_eq!((usage.input(), usage.image_input), (270, 258));
    /// ```
    #[must_use]
    pub const fn image_input_within(mut self, tokens: u64) -> Self {
        self.image_input = part(self.image_input, tokens, self.input_uncached.saturating_sub(self.audio_input));
        self
    }

    /// Counts `tokens` of the output as audio.
    ///
    /// ```
    /// use zae_llm::Usage;
    /// let usage = Usage::new(9, 145).audio_output_within(120);
    /// assert_eq!((usage.output, usage.audio_output), (145, 120));
    /// ```
    #[must_use]
    pub const fn audio_output_within(mut self, tokens: u64) -> Self {
        self.audio_output = part(self.audio_output, tokens, self.output);
        self
    }

    /// Counts `tokens` of the output as images.
    ///
    /// ```
    /// use zae_llm::Usage;
    /// let usage = Usage::new(9, 1_300).image_output_within(1_290);
    /// assert_eq!((usage.output, usage.image_output), (1_300, 1_290));
    /// ```
    #[must_use]
    pub const fn image_output_within(mut self, tokens: u64) -> Self {
        self.image_output = part(self.image_output, tokens, self.output);
        self
    }

    /// Counts `tokens` of the output as predicted by the request but rejected.
    ///
    /// ```
    /// use zae_llm::Usage;
    /// let usage = Usage::new(9, 390).rejected_within(60);
    /// assert_eq!((usage.output, usage.rejected), (390, 60));
    /// ```
    #[must_use]
    pub const fn rejected_within(mut self, tokens: u64) -> Self {
        self.rejected = part(self.rejected, tokens, self.output);
        self
    }

    /// Sets the number of tool calls that the provider ran.
    ///
    /// ```
    /// use zae_llm::Usage;
    /// assert_eq!(Usage::new(100, 20).with_tool_calls(3).tool_calls, 3);
    /// ```
    #[must_use]
    pub const fn with_tool_calls(mut self, calls: u64) -> Self {
        self.tool_calls = calls;
        self
    }

    /// Sets the time that the provider bills.
    ///
    /// ```
    /// use zae_llm::Usage;
    /// let usage = Usage::NONE.with_milliseconds(8_470);
    /// assert_eq!((usage.total(), usage.milliseconds), (0, 8_470));
    /// ```
    #[must_use]
    pub const fn with_milliseconds(mut self, milliseconds: u64) -> Self {
        self.milliseconds = milliseconds;
        self
    }

    /// Sets the number of images that the provider bills.
    ///
    /// ```
    /// use zae_llm::Usage;
    /// let usage = Usage::NONE.with_images(2);
    /// assert_eq!((usage.total(), usage.images), (0, 2));
    /// ```
    #[must_use]
    pub const fn with_images(mut self, images: u64) -> Self {
        self.images = images;
        self
    }

    /// Sets the number of search units that the provider bills.
    ///
    /// ```
    /// use zae_llm::Usage;
    /// let usage = Usage::NONE.with_search_units(1);
    /// assert_eq!((usage.total(), usage.search_units), (0, 1));
    /// ```
    #[must_use]
    pub const fn with_search_units(mut self, units: u64) -> Self {
        self.search_units = units;
        self
    }

    /// Sets the tier that served the call.
    ///
    /// A price book may have other prices for it; weights ignore it.
    #[must_use]
    pub const fn with_tier(mut self, tier: ServiceTier) -> Self {
        self.tier = tier;
        self
    }

    /// Sets the region that the call was bound to.
    ///
    /// A price book may have other prices for it; weights ignore it.
    #[must_use]
    pub const fn with_region(mut self, region: Region) -> Self {
        self.region = region;
        self
    }

    /// Returns all input.
    ///
    /// Includes uncached input and input from and into the cache. The sum saturates.
    pub const fn input(&self) -> u64 {
        self.input_uncached.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }

    /// Returns all input and output.
    pub const fn total(&self) -> u64 {
        self.input().saturating_add(self.output)
    }
}

/// Adds `known` and `more` parts of a whole, which they never exceed.
const fn part(known: u64, more: u64, whole: u64) -> u64 {
    let sum = known.saturating_add(more);
    if sum < whole { sum } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_never_exceed_their_whole() {
        let usage = Usage::new(10, 5).cache_read_within(99).cache_write_within(1).reasoning_within(99);
        assert_eq!((usage.input(), usage.cache_read, usage.cache_write), (10, 10, 0));
        assert_eq!((usage.output, usage.reasoning), (5, 5));
        let usage = Usage::new(10, 5).audio_input_within(7).image_input_within(99).audio_output_within(99);
        assert_eq!((usage.audio_input, usage.image_input, usage.audio_output), (7, 3, 5));
        assert_eq!(Usage::new(0, 0).cache_write_beside(4).cache_write_1h_within(9).cache_write_1h, 4);
    }

    #[test]
    fn huge_numbers_saturate() {
        let usage = Usage::new(u64::MAX, u64::MAX).cache_read_beside(u64::MAX).reasoning_beside(u64::MAX);
        assert_eq!((usage + usage).total(), u64::MAX);
    }
}
