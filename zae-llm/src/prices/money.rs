//! Amounts of money: [`PicoDollars`].
//!
//! Money is counted in whole numbers, so that sums do not depend on their order: 1 dollar per million tokens is 1
//! micro-dollar, or 10⁶ pico-dollars, per token. A price in pico-dollars fits into 64 bits up to the highest accepted
//! price, and a product with a count into 128.

/// The price of one unit in millionths of a micro-dollar: a price per million tokens is exact to a micro-dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PicoDollars(pub(crate) u64);

/// Pico-dollars in a micro-dollar.
const PER_MICRO: u128 = 1_000_000;
/// The highest accepted price of a token, in dollars.
const MOST: f64 = 1_000_000.0;

impl PicoDollars {
    /// Converts the price of one unit, in dollars; `None` for an invalid price.
    pub(crate) fn from_dollars(dollars: f64) -> Option<Self> {
        // In range, so that the cast is exact to the unit.
        (0.0..=MOST).contains(&dollars).then(|| Self((dollars * 1e12).round() as u64))
    }

    /// Converts a price in dollars per million units.
    pub(crate) fn from_dollars_per_million(dollars: f64) -> Option<Self> {
        (0.0..=MOST).contains(&dollars).then(|| Self((dollars * 1e6).round() as u64))
    }

    /// Returns the price of one unit in dollars.
    pub(crate) fn dollars(self) -> f64 {
        self.0 as f64 / 1e12
    }

    /// Returns the price of a million units in dollars.
    pub(crate) fn dollars_per_million(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// Sums up amounts, and rounds the sum up to micro-dollars once.
pub(crate) fn micro_dollars(amounts: impl IntoIterator<Item = (PicoDollars, u64)>) -> u64 {
    let sum: u128 = amounts.into_iter().map(|(price, units)| u128::from(price.0) * u128::from(units)).sum();
    u64::try_from(sum.div_ceil(PER_MICRO)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact_and_sums_are_rounded_up_once() {
        let cheap = PicoDollars::from_dollars_per_million(0.1).unwrap();
        assert_eq!(PicoDollars::from_dollars(1e-7), Some(cheap));
        assert_eq!(micro_dollars([(cheap, 1), (cheap, 9)]), 1, "ten tenths");
        assert_eq!(micro_dollars([(cheap, 10), (cheap, 1)]), 2);
        assert_eq!((cheap.dollars(), cheap.dollars_per_million()), (1e-7, 0.1));
        for absurd in [-0.1, f64::NAN, f64::INFINITY, 1e7] {
            assert_eq!(PicoDollars::from_dollars(absurd), None, "{absurd}");
        }
    }
}
