//! Sums a usage under weights: exactly, in millionths, rounded up once.

use zae_limiter::MAX_TOKENS;

use super::{MAX_WEIGHT, Parts, Units, Weights};
use crate::Usage;

/// Millionths: fine enough for price lists, and exact in sums.
const UNIT: u64 = 1_000_000;

impl Weights {
    /// Converts the weights to whole numbers; parts without a weight get that of their whole.
    ///
    /// # Errors [`OutOfRange`] with the first weight that is negative, no number, or above [`MAX_WEIGHT`].
    pub(crate) fn millionths(&self) -> Result<Millionths, OutOfRange> {
        let millionths = |weight: f64| {
            if (0.0..=MAX_WEIGHT).contains(&weight) {
                // In range, so the cast is exact to a millionth.
                Ok((weight * UNIT as f64).round() as u64)
            } else {
                Err(OutOfRange(weight))
            }
        };
        let (input, output, parts) = (self.input_uncached, self.output, &self.parts);
        Ok(Millionths {
            input_uncached: millionths(input)?,
            cache_read: millionths(self.cache_read)?,
            cache_write: millionths(self.cache_write)?,
            answer: millionths(output)?,
            parts: Parts {
                cache_write_1h: millionths(parts.cache_write_1h.unwrap_or(self.cache_write))?,
                audio_input: millionths(parts.audio_input.unwrap_or(input))?,
                image_input: millionths(parts.image_input.unwrap_or(input))?,
                reasoning: millionths(parts.reasoning.unwrap_or(output))?,
                audio_output: millionths(parts.audio_output.unwrap_or(output))?,
                image_output: millionths(parts.image_output.unwrap_or(output))?,
                rejected: millionths(parts.rejected.unwrap_or(output))?,
            },
            units: Units {
                tool_calls: millionths(self.units.tool_calls)?,
                seconds: millionths(self.units.seconds)?,
                images: millionths(self.units.images)?,
                search_units: millionths(self.units.search_units)?,
            },
        })
    }
}

/// An invalid weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OutOfRange(pub(crate) f64);

/// Weights for summing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Millionths {
    /// Of uncached input that is neither audio nor image.
    input_uncached: u64,
    /// Of input from a cache.
    cache_read: u64,
    /// Of input into a cache for the usual time.
    cache_write: u64,
    /// Of output that is none of the parts.
    answer: u64,
    /// Of parts, each set.
    parts: Parts<u64>,
    /// Of units other than tokens.
    units: Units<u64>,
}

impl Millionths {
    /// Returns the weighted tokens of `usage`, rounded up.
    pub(crate) fn of(&self, usage: &Usage) -> u64 {
        let Self { parts, units, .. } = self;
        let split = Split::of(usage);
        let sum: u128 = [
            (self.input_uncached, split.plain_input),
            (parts.audio_input, split.audio_input),
            (parts.image_input, split.image_input),
            (self.cache_read, usage.cache_read),
            (self.cache_write, split.cache_write_5m),
            (parts.cache_write_1h, split.cache_write_1h),
            (self.answer, split.plain_output),
            (parts.reasoning, split.reasoning),
            (parts.audio_output, split.audio_output),
            (parts.image_output, split.image_output),
            (parts.rejected, split.rejected),
            (units.tool_calls, usage.tool_calls),
            (units.images, usage.images),
            (units.search_units, usage.search_units),
        ]
        .into_iter()
        .map(|(weight, tokens)| u128::from(weight) * u128::from(tokens))
        .sum();
        let seconds = u128::from(units.seconds) * u128::from(usage.milliseconds);
        // Both at once, so that the sum is rounded once.
        let thousandths = sum.saturating_mul(1_000).saturating_add(seconds);
        let tokens = thousandths.div_ceil(u128::from(UNIT) * 1_000);
        u64::try_from(tokens).unwrap_or(u64::MAX).min(MAX_TOKENS)
    }
}

/// The tokens of a [`Usage`], each in one kind only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    /// Uncached input that is neither audio nor image.
    pub(crate) plain_input: u64,
    /// Uncached audio input.
    pub(crate) audio_input: u64,
    /// Uncached image input.
    pub(crate) image_input: u64,
    /// Input into a cache for the usual time, five minutes.
    pub(crate) cache_write_5m: u64,
    /// Input into a cache for an hour.
    pub(crate) cache_write_1h: u64,
    /// Output that is none of the parts below.
    pub(crate) plain_output: u64,
    /// Output that is reasoning.
    pub(crate) reasoning: u64,
    /// Audio output.
    pub(crate) audio_output: u64,
    /// Image output.
    pub(crate) image_output: u64,
    /// Rejected predictions.
    pub(crate) rejected: u64,
}

impl Split {
    /// Subtracts the parts from their wholes, as far as possible: tokens in two parts count in the first of them.
    pub(crate) fn of(usage: &Usage) -> Self {
        let mut plain_input = usage.input_uncached;
        let [audio_input, image_input] =
            [usage.audio_input, usage.image_input].map(|part| take(&mut plain_input, part));
        let mut cache_write_5m = usage.cache_write;
        let cache_write_1h = take(&mut cache_write_5m, usage.cache_write_1h);
        let mut plain_output = usage.output;
        let [audio_output, image_output, rejected, reasoning] =
            [usage.audio_output, usage.image_output, usage.rejected, usage.reasoning]
                .map(|part| take(&mut plain_output, part));
        Self {
            plain_input,
            audio_input,
            image_input,
            cache_write_5m,
            cache_write_1h,
            plain_output,
            reasoning,
            audio_output,
            image_output,
            rejected,
        }
    }
}

/// Subtracts up to `part` from `whole`, and returns the amount.
fn take(whole: &mut u64, part: u64) -> u64 {
    let part = part.min(*whole);
    *whole -= part;
    part
}
