//! Exact refill: the gain of a limit since its last refill, as a fraction that never rounds a millitoken away.
//!
//! *e* milliseconds after `rf`, a limit with `refill` millitokens per `period` milliseconds has gained
//! `(e · refill + fraction) / period` millitokens; the remainder of the division is the next `fraction`. All of it is
//! integer arithmetic in 128 bits, so the sum of many small refills equals one large refill. That matters for a slow
//! limit beside a busy one: a limit of one token a day gains 0.000 011 5 millitokens per millisecond, and shares `rf`
//! with a limit that moves it hundreds of times a second.
//!
//! For example, a limit of 10 tokens a minute (refill 10 000, period 60 000), credited every 10 ms:
//!
//! | at | e · refill + fraction | whole | fraction |
//! |---|---|---|---|
//! | 10 | 100 000 + 0 | 1 | 40 000 |
//! | 20 | 100 000 + 40 000 | 2 | 20 000 |
//! | 30 | 100 000 + 20 000 | 2 | 0 |
//!
//! Five millitokens in 30 ms, which is the rate. Rounding down each time without a fraction would credit three, and the
//! limit would refill at 60 % of its configured rate (invariant I1b).
//!
//! # Why it is exact
//!
//! Let `F` be the fraction before. `e · refill + F = whole · period + fraction`, with `0 ≤ fraction < period`. Summed
//! over any number of credits the fractions cancel: the whole millitokens credited in a time t are
//! `(t · refill + F₀ − F) / period`, which is never more than the rate, and less than one millitoken below it. Floating
//! point is not an option: the error of a sum would depend on how it is split, and two clients would compute different
//! conditions from the same item.
//!
//! The largest product is of an elapsed time of 63 bits and an amount of 63 bits, which fits into 128 bits.

use super::{Params, clamp};

/// The gain of one limit from its last refill until a given instant: `whole` mt and `fraction / period` mt.
///
/// `fraction` is stored beside the bucket (see [`wire::bucket`](crate::wire::bucket)), so refills of any frequency add
/// up to the same as one refill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accrual {
    /// Whole mt gained.
    pub(crate) whole: i64,
    /// The remainder, in 1/period mt; less than the period.
    pub(crate) fraction: i64,
}

impl Accrual {
    /// Computes the gain of `params` between `last_refill` and `now` (epoch ms), on top of a `fraction` left over
    /// before.
    pub(crate) fn between(params: Params, last_refill: i64, now: i64, fraction: i64) -> Self {
        let period = i128::from(params.period.max(1));
        // A neighbour may have changed the period without updating the fraction; never let it exceed one mt.
        let fraction = i128::from(fraction).clamp(0, period - 1);
        let elapsed = (i128::from(now) - i128::from(last_refill)).max(0);
        let total = elapsed * i128::from(params.refill.max(0)) + fraction;
        Self { whole: clamp(total / period), fraction: clamp(total % period) }
    }

    /// Returns the whole mt gained, rounded up.
    ///
    /// Used for bounds that must not be passed: a bucket counts as full as soon as a started millitoken would exceed
    /// the capacity.
    pub(crate) fn rounded_up(self) -> i64 {
        self.whole.saturating_add(i64::from(self.fraction > 0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn many_small_refills_gain_what_one_large_refill_gains(
            refill in 1_i64..1_000_000_000,
            period in 1_i64..100_000_000_000,
            steps in prop::collection::vec(0_i64..10_000_000, 1..50),
        ) {
            let params = Params { capacity: i64::MAX, refill, period };
            let (mut now, mut whole, mut fraction) = (0_i64, 0_i128, 0_i64);
            for step in steps {
                let gained = Accrual::between(params, now, now + step, fraction);
                now += step;
                whole += i128::from(gained.whole);
                fraction = gained.fraction;
            }
            let once = Accrual::between(params, 0, now, 0);
            prop_assert_eq!((whole, fraction), (i128::from(once.whole), once.fraction));
        }
    }

    #[test]
    fn a_clock_that_goes_backwards_gains_nothing() {
        let params = Params { capacity: 1_000, refill: 1_000, period: 1_000 };
        assert_eq!(Accrual::between(params, 500, 400, 7), Accrual { whole: 0, fraction: 7 });
    }

    #[test]
    fn a_fraction_of_another_period_is_worth_less_than_a_millitoken() {
        let params = Params { capacity: 1_000, refill: 1, period: 10 };
        assert_eq!(Accrual::between(params, 0, 0, 86_399_999), Accrual { whole: 0, fraction: 9 });
    }
}
