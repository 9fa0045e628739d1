//! Weights of tokens by kind: [`Weights`].

mod sum;

pub(crate) use sum::{Millionths, OutOfRange, Split};

/// The maximum weight, far beyond any provider's.
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
    /// Of input that is neither read from nor written to a cache.
    input_uncached: f64,
    /// Of input from a cache.
    cache_read: f64,
    /// Of input into a cache.
    cache_write: f64,
    /// Of output.
    output: f64,
    /// `None` for the weight of their whole.
    parts: Parts<Option<f64>>,
    /// Of units other than tokens.
    units: Units<f64>,
}

/// Kinds that are parts of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parts<W> {
    /// Of `cache_write`: input that stays for an hour.
    cache_write_1h: W,
    /// Of `input_uncached`: audio.
    audio_input: W,
    /// Of `input_uncached`: images.
    image_input: W,
    /// Of `output`: reasoning.
    reasoning: W,
    /// Of `output`: audio.
    audio_output: W,
    /// Of `output`: images.
    image_output: W,
    /// Of `output`: rejected predictions.
    rejected: W,
}

/// Kinds other than tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Units<W> {
    /// Calls of tools that the provider runs.
    tool_calls: W,
    /// Seconds of audio or of computing.
    seconds: W,
    /// Images that are billed individually.
    images: W,
    /// Search units of rerankers.
    search_units: W,
}

impl Parts<Option<f64>> {
    /// All weighted as their whole.
    const NONE: Self = Self {
        cache_write_1h: None,
        audio_input: None,
        image_input: None,
        reasoning: None,
        audio_output: None,
        image_output: None,
        rejected: None,
    };
}

impl Units<f64> {
    /// All free.
    const NONE: Self = Self { tool_calls: 0.0, seconds: 0.0, images: 0.0, search_units: 0.0 };
}

impl Weights {
    /// Counts nothing: a basis for weights of your own.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().total("tpm").charge("searches", Weights::none().tool_calls(1.0)).build()?;
    /// assert_eq!(tariff.cost(&Usage::new(100, 20).with_tool_calls(2)).to_string(), "tpm:120,searches:2");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    pub const fn none() -> Self {
        Self { output: 0.0, ..Self::output_only() }
    }

    /// Counts every token as 1.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::total()).build()?;
    /// assert_eq!(tariff.cost(&Usage::new(100, 20).cache_read_beside(5)).to_string(), "credits:125");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    pub const fn total() -> Self {
        Self {
            input_uncached: 1.0,
            cache_read: 1.0,
            cache_write: 1.0,
            output: 1.0,
            parts: Parts::NONE,
            units: Units::NONE,
        }
    }

    /// Counts every input token as 1, cached or not; output is free.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::input()).build()?;
    /// assert_eq!(tariff.cost(&Usage::new(100, 20).cache_read_beside(5)).to_string(), "credits:105");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    pub const fn input() -> Self {
        Self { output: 0.0, ..Self::total() }
    }

    /// Counts every output token as 1, reasoning included; input is free.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::output_only()).build()?;
    /// assert_eq!(tariff.cost(&Usage::new(100, 20).reasoning_within(5)).to_string(), "credits:20");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    pub const fn output_only() -> Self {
        Self { input_uncached: 0.0, cache_read: 0.0, cache_write: 0.0, ..Self::total() }
    }

    /// Sets the weight of an input token that is neither read from nor written to a cache.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::total().uncached(0.5)).build()?;
    /// assert_eq!(tariff.cost(&Usage::new(100, 20)).to_string(), "credits:70");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
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
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::total().cache_write(1.25)).build()?;
    /// assert_eq!(tariff.cost(&Usage::new(100, 0).cache_write_beside(40)).to_string(), "credits:150");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    #[must_use]
    pub const fn cache_write(mut self, weight: f64) -> Self {
        self.cache_write = weight;
        self
    }

    /// Sets the weight of an output token, and of a reasoning token unless it has its own.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::total().output(4.0)).build()?;
    /// assert_eq!(tariff.cost(&Usage::new(100, 20).reasoning_within(5)).to_string(), "credits:180");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
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
        self.parts.reasoning = Some(weight);
        self
    }

    /// Sets the weight of an input token that is written to the cache for an hour; [`cache_write`] by default.
    ///
    /// [`cache_write`]: Weights::cache_write
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let weights = Weights::total().cache_write(1.25).cache_write_1h(2.0);
    /// let tariff = Tariff::builder().charge("credits", weights).build()?;
    /// let usage = Usage::NONE.cache_write_beside(100).cache_write_1h_within(20);
    /// assert_eq!(tariff.cost(&usage).to_string(), "credits:140");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    #[must_use]
    pub const fn cache_write_1h(mut self, weight: f64) -> Self {
        self.parts.cache_write_1h = Some(weight);
        self
    }

    /// Sets the weight of an audio input token; [`uncached`](Weights::uncached) by default.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::total().audio_input(16.0)).build()?;
    /// assert_eq!(tariff.cost(&Usage::new(100, 20).audio_input_within(10)).to_string(), "credits:270");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    #[must_use]
    pub const fn audio_input(mut self, weight: f64) -> Self {
        self.parts.audio_input = Some(weight);
        self
    }

    /// Sets the weight of an image input token; [`uncached`](Weights::uncached) by default.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::total().image_input(1.5)).build()?;
    /// assert_eq!(tariff.cost(&Usage::new(100, 0).image_input_within(40)).to_string(), "credits:120");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    #[must_use]
    pub const fn image_input(mut self, weight: f64) -> Self {
        self.parts.image_input = Some(weight);
        self
    }

    /// Sets the weight of an audio output token; [`output`](Weights::output) by default.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::output_only().audio_output(8.0)).build()?;
    /// assert_eq!(tariff.cost(&Usage::new(100, 20).audio_output_within(10)).to_string(), "credits:90");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    #[must_use]
    pub const fn audio_output(mut self, weight: f64) -> Self {
        self.parts.audio_output = Some(weight);
        self
    }

    /// Sets the weight of an image output token; [`output`](Weights::output) by default.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::output_only().image_output(3.0)).build()?;
    /// assert_eq!(tariff.cost(&Usage::new(100, 20).image_output_within(20)).to_string(), "credits:60");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    #[must_use]
    pub const fn image_output(mut self, weight: f64) -> Self {
        self.parts.image_output = Some(weight);
        self
    }

    /// Sets the weight of a token that the request predicted but the response does not contain;
    /// [`output`](Weights::output) by default.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::output_only().rejected(0.0)).build()?;
    /// assert_eq!(tariff.cost(&Usage::new(100, 20).rejected_within(5)).to_string(), "credits:15");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    #[must_use]
    pub const fn rejected(mut self, weight: f64) -> Self {
        self.parts.rejected = Some(weight);
        self
    }

    /// Sets the weight of a call of a tool that the provider runs; 0 by default.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::total().tool_calls(1_000.0)).build()?;
    /// assert_eq!(tariff.cost(&Usage::new(100, 20).with_tool_calls(2)).to_string(), "credits:2120");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    #[must_use]
    pub const fn tool_calls(mut self, weight: f64) -> Self {
        self.units.tool_calls = weight;
        self
    }

    /// Sets the weight of a second, if the provider bills time; 0 by default.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::total().seconds(10.0)).build()?;
    /// assert_eq!(tariff.cost(&Usage::NONE.with_milliseconds(8_500)).to_string(), "credits:85");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    #[must_use]
    pub const fn seconds(mut self, weight: f64) -> Self {
        self.units.seconds = weight;
        self
    }

    /// Sets the weight of an image, if the provider bills them individually; 0 by default.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::total().images(500.0)).build()?;
    /// assert_eq!(tariff.cost(&Usage::NONE.with_images(2)).to_string(), "credits:1000");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    #[must_use]
    pub const fn images(mut self, weight: f64) -> Self {
        self.units.images = weight;
        self
    }

    /// Sets the weight of a search unit; 0 by default.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let tariff = Tariff::builder().charge("credits", Weights::total().search_units(250.0)).build()?;
    /// assert_eq!(tariff.cost(&Usage::NONE.with_search_units(4)).to_string(), "credits:1000");
    /// # Ok::<(), zae_llm::TariffError>(())
    /// ```
    #[must_use]
    pub const fn search_units(mut self, weight: f64) -> Self {
        self.units.search_units = weight;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Usage;

    #[test]
    fn each_kind_has_its_weight_and_follows_its_whole() {
        let usage = Usage::new(100, 50)
            .cache_write_beside(20)
            .cache_write_1h_within(5)
            .audio_input_within(30)
            .image_input_within(40)
            .reasoning_within(10)
            .audio_output_within(20)
            .rejected_within(5)
            .with_tool_calls(2)
            .with_milliseconds(1_500)
            .with_images(3)
            .with_search_units(4);
        let of = |weights: Weights| weights.millionths().unwrap().of(&usage);
        assert_eq!(of(Weights::total()), 170, "parts count with their whole, and what is no token counts nothing");
        assert_eq!(of(Weights::total().cache_write_1h(3.0)), 180);
        assert_eq!(of(Weights::total().audio_input(0.0).image_input(0.5)), 120);
        assert_eq!(of(Weights::none().audio_output(1.0).rejected(2.0).reasoning(3.0)), 60);
        assert_eq!(of(Weights::none().tool_calls(10.0).images(100.0).search_units(1000.0)), 4_320);
        assert_eq!(of(Weights::none().seconds(10.0)), 15);
        assert_eq!(of(Weights::none().seconds(0.1).uncached(0.002)), 1, "0.15 + 0.2, rounded up once");
    }
}
