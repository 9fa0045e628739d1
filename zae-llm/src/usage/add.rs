//! Adds up usages, for calls that a caller pays as one. Sums saturate.
//!
//! Each kind is added separately. For the tier and the region, the last one other than the default counts: a retry in
//! another tier is priced by the tier that served it.

use std::{
    iter::Sum,
    ops::{Add, AddAssign},
};

use super::Usage;
use crate::{Region, ServiceTier};

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input_uncached: self.input_uncached.saturating_add(other.input_uncached),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            audio_input: self.audio_input.saturating_add(other.audio_input),
            image_input: self.image_input.saturating_add(other.image_input),
            audio_output: self.audio_output.saturating_add(other.audio_output),
            image_output: self.image_output.saturating_add(other.image_output),
            rejected: self.rejected.saturating_add(other.rejected),
            tool_calls: self.tool_calls.saturating_add(other.tool_calls),
            milliseconds: self.milliseconds.saturating_add(other.milliseconds),
            images: self.images.saturating_add(other.images),
            search_units: self.search_units.saturating_add(other.search_units),
            tier: if other.tier == ServiceTier::Standard { self.tier } else { other.tier },
            region: if other.region == Region::Anywhere { self.region } else { other.region },
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
