//! Entries of a parameter schedule: [`Entry`].

use crate::model::schedule::{Cron, ScheduleError};

/// The largest factor.
pub(crate) const MAX_SCALE: f64 = 1_000_000.0;
/// The largest capacity or refill amount, in tokens.
pub(crate) const MAX_ENTRY_TOKENS: u64 = 1_000_000_000_000_000;
/// The longest refill period, in seconds.
pub(crate) const MAX_ENTRY_PERIOD: u64 = 1_000_000_000;
/// The largest factor, in thousandths.
const MAX_PER_MILLE: u32 = 1_000_000_000;

/// The change of a limit's parameters while a cron expression matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    /// When it applies.
    pub(crate) cron: Cron,
    /// Its effect.
    pub(crate) change: Change,
}

/// The effect of an entry on a limit's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub(crate) enum Change {
    /// Multiplies capacity and refill amount, by thousandths.
    Scale {
        /// The factor, in thousandths; at least 1.
        per_mille: u32,
    },
    /// Replaces those that are given; at least one is.
    Replace {
        /// The capacity, in tokens.
        capacity: Option<u64>,
        /// The refill amount, in tokens.
        refill_amount: Option<u64>,
        /// The refill period, in seconds.
        refill_period: Option<u64>,
    },
}

impl Change {
    /// Multiplies by `factor`, of which thousandths count.
    pub(crate) fn scale(factor: f64) -> Result<Self, ScheduleError> {
        if !(factor.is_finite() && factor > 0.0 && factor <= MAX_SCALE) {
            return Err(ScheduleError::Scale);
        }
        // Half to even, as Python rounds: it is the rounded value that counts on both sides.
        let per_mille = (factor * 1_000.0).round_ties_even().max(1.0);
        Ok(Self::Scale { per_mille: per_mille as u32 })
    }

    /// Multiplies by `per_mille` thousandths.
    pub(crate) fn per_mille(per_mille: u64) -> Result<Self, ScheduleError> {
        match u32::try_from(per_mille) {
            Ok(per_mille @ 1..=MAX_PER_MILLE) => Ok(Self::Scale { per_mille }),
            _ => Err(ScheduleError::Scale),
        }
    }

    /// Replaces the values that are given: tokens, tokens and seconds.
    pub(crate) fn replace(
        capacity: Option<u64>,
        refill_amount: Option<u64>,
        refill_period: Option<u64>,
    ) -> Result<Self, ScheduleError> {
        let values = [
            ("capacity", capacity, MAX_ENTRY_TOKENS),
            ("refill amount", refill_amount, MAX_ENTRY_TOKENS),
            ("refill period", refill_period, MAX_ENTRY_PERIOD),
        ];
        for (field, value, max) in values {
            if value.is_some_and(|value| value == 0 || value > max) {
                return Err(ScheduleError::Amount { field, max });
            }
        }
        if values.iter().all(|(_, value, _)| value.is_none()) {
            return Err(ScheduleError::Change);
        }
        Ok(Self::Replace { capacity, refill_amount, refill_period })
    }
}
