//! The demand for a bucket in this process: [`Demand`].
//!
//! An exponentially weighted mean of mt per second, with a memory of about one life of the reserve. Two means are kept
//! for each limit, of amounts and of asks; their quotient is the size of an ask.
//!
//! Acquires only add to sums ([`Demand::offered`]): two additions under a lock that is held anyway. The means are
//! brought up to date when somebody needs them ([`Demand::fold`]). With e = time since the last folding and m = memory,
//! the weight of the past is k = exp(−e/m), and x offered in e seconds become x·(1 − k)/e. A steady stream of x per
//! second thus has the mean x, however often it is folded.
//!
//! In the beginning the memory is empty and the mean too low. After a time t of steady demand it is at (1 − exp(−t/m))
//! of the truth, so it is divided by that, but by no less than a tenth: a single ask right after the start must not
//! pass for a flood.

use std::time::Duration;

use tokio::time::Instant;

use crate::bucket::Amounts;

/// Asks a second below which nothing is debited ahead.
const STEADY: f64 = 2.0;
/// Asks in a life that are enough, if they are fewer.
const STEADY_IN_LIFE: f64 = 4.0;

/// The recent demand, granted or not: an exponentially weighted mean over about one `memory`. It begins with the first
/// ask.
#[derive(Debug)]
pub(crate) struct Demand {
    /// The time constant of the means.
    memory: Duration,
    /// Mt per second, by limit.
    rates: Vec<f64>,
    /// Asks per second, by limit.
    asks: Vec<f64>,
    /// Since the last folding, in mt by limit, and how many asks named the limit.
    offered: Amounts,
    /// Number of asks since the last fold that wanted something of a limit, by limit.
    counts: Amounts,
    /// When the sums were last worked into the means.
    folded_at: Instant,
    /// The part of the memory that is filled: 1 in the long run.
    filled: f64,
}

impl Demand {
    /// Starts without any demand.
    pub(crate) fn new(limits: usize, memory: Duration, now: Instant) -> Self {
        Self {
            memory,
            rates: vec![0.0; limits],
            asks: vec![0.0; limits],
            offered: Amounts::from_elem(0, limits),
            counts: Amounts::from_elem(0, limits),
            folded_at: now,
            filled: 0.0,
        }
    }

    /// Notes one ask, in mt by limit, granted or not.
    #[inline]
    pub(crate) fn offered(&mut self, amounts: &[i64]) {
        for (slot, amount) in amounts.iter().enumerate() {
            self.offered[slot] += amount;
            self.counts[slot] += i64::from(*amount > 0);
        }
    }

    /// Works what was offered since the last time into the means.
    pub(crate) fn fold(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.folded_at).as_secs_f64();
        let memory = self.memory.as_secs_f64();
        let kept = (-elapsed / memory).exp();
        // Of a stream of x per second this adds x·(1 − kept); of a burst out of nothing, its size over the memory.
        let gain = if elapsed > 0.0 { (1.0 - kept) / elapsed } else { 1.0 / memory };
        for slot in 0..self.rates.len() {
            self.rates[slot] = self.rates[slot] * kept + self.offered[slot] as f64 * gain;
            self.asks[slot] = self.asks[slot] * kept + self.counts[slot] as f64 * gain;
            self.offered[slot] = 0;
            self.counts[slot] = 0;
        }
        self.filled = self.filled * kept + 1.0 - kept;
        self.folded_at = now;
    }

    /// Returns the factor that corrects the means while the memory is young. A stream is to be seen at its true rate
    /// after a tenth of the memory.
    fn young(&self) -> f64 {
        self.filled.clamp(0.1, 1.0).recip()
    }

    /// Mt that this process will ask of a limit during `time`, if things go on as they do.
    pub(crate) fn during(&self, slot: usize, time: Duration) -> i64 {
        (self.rates[slot] * self.young() * time.as_secs_f64()) as i64
    }

    /// The size of an ask, in mt; 0 for a limit that nobody names.
    pub(crate) fn unit(&self, slot: usize) -> i64 {
        if self.asks[slot] > 0.01 { (self.rates[slot] / self.asks[slot]) as i64 } else { 0 }
    }

    /// Returns true if there are enough asks to keep tokens for the next ones during `life`.
    pub(crate) fn is_steady(&self, life: Duration) -> bool {
        let enough = STEADY.min(STEADY_IN_LIFE / life.as_secs_f64());
        self.asks.iter().copied().fold(0.0, f64::max) * self.young() >= enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns the demand seen after `time` of one token every millisecond.
    fn after(time: Duration) -> Demand {
        let start = Instant::now();
        let mut demand = Demand::new(1, SECOND, start);
        for millis in 1..=u64::try_from(time.as_millis()).unwrap() {
            demand.offered(&[1_000]);
            if millis % 50 == 0 {
                demand.fold(start + Duration::from_millis(millis));
            }
        }
        demand
    }

    #[test]
    fn a_stream_is_seen_for_what_it_is_after_a_tenth_of_the_memory() {
        for time in [SECOND / 10, SECOND / 2, SECOND * 5] {
            let demand = after(time);
            let seen = demand.during(0, SECOND);
            assert!((900_000..=1_050_000).contains(&seen), "{seen} mt a second after {time:?}");
            assert!((950..=1_050).contains(&demand.unit(0)));
            assert!(demand.is_steady(SECOND));
        }
    }

    #[test]
    fn a_single_ask_is_no_stream() {
        let start = Instant::now();
        let mut demand = Demand::new(1, SECOND, start);
        demand.offered(&[1_000]);
        demand.fold(start + SECOND);
        assert!(!demand.is_steady(SECOND));
    }
}
