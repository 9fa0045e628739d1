//! An ideal token bucket: no rounding, no store.

use zae_limiter::Limit;

/// A bucket whose level is kept in 1/period millitokens, so that nothing is ever rounded.
#[derive(Clone, Copy, Debug)]
pub struct Ideal {
    capacity: i128,
    refill: i128,
    period: i128,
    level: i128,
    at: i64,
}

impl Ideal {
    /// A full bucket.
    pub fn full(limit: &Limit, now: i64) -> Self {
        let (refill, period) =
            (i128::from(limit.refill_amount()) * 1_000, i128::from(limit.refill_period().as_secs()) * 1_000);
        let capacity = i128::from(limit.capacity()) * 1_000 * period;
        Self { capacity, refill, period, level: capacity, at: now }
    }

    pub fn advance(&mut self, now: i64) {
        self.level = (self.level + self.refill * i128::from(now - self.at)).min(self.capacity);
        self.at = now;
    }

    pub fn fits(&self, tokens: u64) -> bool {
        self.level >= i128::from(tokens) * 1_000 * self.period
    }

    /// Takes tokens, or with a negative amount gives them back up to the ceiling.
    pub fn take(&mut self, tokens: i64) {
        self.level = (self.level - i128::from(tokens) * 1_000 * self.period).min(self.capacity);
    }
}
