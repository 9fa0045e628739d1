//! Weights of tokens by kind: [`Weights`].

use zae_limiter::MAX_TOKENS;

use crate::Usage;

/// Millionths: fine enough for price lists, and exact sums.
const UNIT: u64 = 1_000_000;
/// The heaviest weight; far beyond any provider's.
pub(crate) const MAX_WEIGHT: f64 = 1_000_000.0;

/// Weights of one token of each kind towards a limit; 1 is a token, 0 is free.
///
/// ```
/// use zae_llm::Weights;
/// // Bedrock's burndown of Claude: output counts five times, cache reads are free.
/// let burndown = Weights::total().cache_read(0.0).output(5.0);
/// // OpenAI's cached input at half the price.
/// let half_price_cache = Weights::total().cache_read(0.5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    input_uncached: f64,
    cache_read: f64,
    cache_write: f64,
    output: f64,
    /// As `output` where it is not set.
    reasoning: Option<f64>,
}

impl Weights {
    /// Every token counts 1.
    pub const fn total() -> Self {
        Self { input_uncached: 1.0, cache_read: 1.0, cache_write: 1.0, output: 1.0, reasoning: None }
    }

    /// Every input token counts 1, cached or not; output is free.
    pub const fn input() -> Self {
        Self { output: 0.0, ..Self::total() }
    }

    /// Every output token counts 1, reasoning included; input is free.
    pub const fn output_only() -> Self {
        Self { input_uncached: 0.0, cache_read: 0.0, cache_write: 0.0, ..Self::total() }
    }

    /// Sets the weight of an input token that is neither read from nor written to a cache.
    #[must_use]
    pub const fn uncached(mut self, weight: f64) -> Self {
        self.input_uncached = weight;
        self
    }

    /// Sets the weight of an input token that is read from the provider's cache.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::total().cache_read(0.1)).build()?;
    /// assert_eq!(tariff.cost(&Usage::new(1_000, 0).cache_read_within(900)).to_string(), "credits:190");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    #[must_use]
    pub const fn cache_read(mut self, weight: f64) -> Self {
        self.cache_read = weight;
        self
    }

    /// Sets the weight of an input token that is written to the provider's cache.
    #[must_use]
    pub const fn cache_write(mut self, weight: f64) -> Self {
        self.cache_write = weight;
        self
    }

    /// Sets the weight of an output token; of a reasoning token too, unless it has a weight of its own.
    #[must_use]
    pub const fn output(mut self, weight: f64) -> Self {
        self.output = weight;
        self
    }

    /// Sets the weight of a reasoning token.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::output_only().reasoning(0.5)).build()?;
    /// assert_eq!(tariff.cost(&Usage::new(0, 100).reasoning_within(60)).to_string(), "credits:70");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    #[must_use]
    pub const fn reasoning(mut self, weight: f64) -> Self {
        self.reasoning = Some(weight);
        self
    }

    pub(crate) fn millionths(&self) -> Result<Millionths, OutOfRange> {
        let millionths = |weight: f64| {
            if (0.0..=MAX_WEIGHT).contains(&weight) {
                // In range, so the cast is exact to a millionth.
                Ok((weight * UNIT as f64).round() as u64)
            } else {
                Err(OutOfRange(weight))
            }
        };
        Ok(Millionths {
            input_uncached: millionths(self.input_uncached)?,
            cache_read: millionths(self.cache_read)?,
            cache_write: millionths(self.cache_write)?,
            answer: millionths(self.output)?,
            reasoning: millionths(self.reasoning.unwrap_or(self.output))?,
        })
    }
}

/// A weight that cannot be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OutOfRange(pub(crate) f64);

/// Weights as they are summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Millionths {
    input_uncached: u64,
    cache_read: u64,
    cache_write: u64,
    answer: u64,
    reasoning: u64,
}

impl Millionths {
    /// The weighted tokens of `usage`, rounded up.
    pub(crate) fn of(&self, usage: &Usage) -> u64 {
        let reasoning = usage.reasoning.min(usage.output);
        let sum: u128 = [
            (self.input_uncached, usage.input_uncached),
            (self.cache_read, usage.cache_read),
            (self.cache_write, usage.cache_write),
            (self.answer, usage.output - reasoning),
            (self.reasoning, reasoning),
        ]
        .into_iter()
        .map(|(weight, tokens)| u128::from(weight) * u128::from(tokens))
        .sum();
        let tokens = sum.div_ceil(u128::from(UNIT));
        u64::try_from(tokens).unwrap_or(u64::MAX).min(MAX_TOKENS)
    }
}
