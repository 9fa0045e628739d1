//! Guesses the state of a bucket that many processes write: which [bet](crate::bucket::bet) is likely to go through.
//! Pure.
//!
//! Between the ceiling less its room and the ceiling itself both bets go through. A bet that the bucket is full takes
//! it back to the lower of the two, and one that it is not lets it rise with what comes in beyond demand. So of the
//! writes that it takes to rise from one to the other, a few should be of the first kind, whoever makes them: each
//! process draws for itself. Too few of them, and the bucket is full for whoever asks; too many, and one meets the
//! other.

use crate::{
    bucket::{
        bet::{MOST_LIMITS, Wager},
        image::{Balance, Basis, Image},
        limit_set::LimitSet,
        plan::balances,
        write::Room,
    },
    random::Random,
};

/// Bets that the bucket is full, in the time it takes to rise through its room.
const FILLS: f64 = 4.0;
/// Ages of a bet, one more or less; fewer where there are more limits.
const AGES: usize = 24;
const AGES_OF_SEVERAL: usize = 12;
/// Rates are measured over a day, in ms.
const DAY_MS: i64 = 86_400_000;
/// A younger image is worth more than a guess, in ms.
pub(super) const YOUNG: i64 = 100;
/// The part of those who found it full that fill it whatever they saw, since whoever came first may have failed ...
const LEAST: f64 = 0.25;
/// ... and of those who found it so twice.
const LEAST_AGAIN: f64 = 0.5;

/// Everything that is known about a bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observation<'a> {
    pub(super) image: &'a Image,
    /// When the image was seen, in epoch ms.
    pub(super) seen_at: i64,
    pub(super) limit_set: &'a LimitSet,
    pub(super) shards: u32,
    pub(super) now: i64,
    /// Consumption by limit, in mt per ms, where it is known.
    pub(super) rates: &'a [Option<f64>],
    /// Writes in a row that were lost.
    pub(super) lost: u32,
    /// The room that is left by a write that fills it.
    pub(super) room: Room,
}

/// A bet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guess {
    pub(super) wager: Wager,
    /// In ms, ascending.
    pub(super) ages: Vec<i64>,
}

/// One limit that the write names.
struct Named {
    /// Mt per ms.
    refill: f64,
    /// Mt.
    room: f64,
    /// Mt to take.
    out: f64,
    /// Ms to rise through the room; infinite where no more comes in than is asked for.
    rises_in: f64,
    /// Writes in that time.
    writes: f64,
    /// Ms for which it has been full; negative: until it is.
    over: f64,
    /// The same, when it was seen.
    over_when_seen: f64,
    is_near: bool,
}

impl Observation<'_> {
    /// Guesses for a write that takes `out` (in mt, by limit; negative for what it gives back) and whose numbers are
    /// final where something was `booked`. `None` where the image is the better guess.
    pub(super) fn guess(&self, out: &[i64], booked: bool, random: &Random) -> Option<Guess> {
        if self.image.limits.len() > MOST_LIMITS {
            return None;
        }
        let age = self.now.saturating_sub(self.image.last_refill).max(0);
        let is_young = self.lost > 0 || self.now.saturating_sub(self.seen_at) < YOUNG;
        let held = balances(self.image, &self.limit_set.goal(&[], &[], self.shards, self.now));
        let mut named = Vec::new();
        let mut others_full = self.image.limits.len() == self.limit_set.applied.len();
        for (slot, balance) in held.iter().enumerate() {
            match out.get(slot).copied().unwrap_or(0) {
                0 => others_full &= balance.basis == Basis::Full,
                out if out > self.stored(slot) && is_young => return None,
                out => named.push(self.named(slot, balance, out)),
            }
        }
        let first = named.iter().min_by(|one, other| one.rises_in.total_cmp(&other.rises_in))?;
        let can_fill = others_full && !booked && named.iter().all(|limit| limit.is_near);
        let over = named.iter().map(|limit| limit.over).fold(f64::NEG_INFINITY, f64::max);
        let fills = if self.lost > 0 {
            if over > 0.0 && !can_fill {
                return None;
            }
            // Whoever saw it full first fills it; the others find it filled.
            let seen = named.iter().map(|limit| limit.over_when_seen).fold(0.0, f64::max);
            let alone = (-seen * first.writes / first.rises_in.max(1.0)).exp();
            let least = if self.lost > 1 { LEAST_AGAIN } else { LEAST };
            over > 0.0 && random.of(0.0..1.0) < alone.max(least)
        } else {
            // Nothing is given up of a bucket that a young image shows to be below its ceiling.
            let may_be_full = over > 0.0 || self.now.saturating_sub(self.seen_at) >= YOUNG;
            can_fill && may_be_full && random.of(0.0..1.0) < FILLS / first.writes.max(0.1)
        };
        let wager = if fills { Wager::Full } else { Wager::Below };
        Some(Guess { wager, ages: self.ages(wager, first, can_fill, age) })
    }

    fn stored(&self, slot: usize) -> i64 {
        let name = self.limit_set.applied[slot].name.as_str();
        self.image.limit(name).and_then(|limit| limit.tokens).unwrap_or(0)
    }

    fn named(&self, slot: usize, balance: &Balance, out: i64) -> Named {
        let refill = balance.kind.gain_in(DAY_MS) as f64 / DAY_MS as f64;
        // Half of what comes in, until it is known.
        let rate = self.rates.get(slot).copied().flatten().unwrap_or(refill / 2.0).max(0.0);
        let room = self.room.of(&balance.kind) as f64;
        let rises_in = if refill > rate { room / (refill - rate) } else { f64::INFINITY };
        let between = |since: i64, until: i64| until.saturating_sub(since).max(0) as f64;
        let at = |instant: i64| self.stored(slot) as f64 + refill * between(self.image.last_refill, instant);
        let taken = rate * between(self.seen_at, self.now);
        let capacity = balance.ceiling() as f64;
        let over = |instant: i64| (at(instant) - capacity) / refill.max(f64::MIN_POSITIVE);
        Named {
            refill,
            room,
            out: out.max(0) as f64,
            rises_in,
            writes: rises_in * rate / (out.max(1)) as f64,
            over: over(self.now),
            over_when_seen: over(self.seen_at),
            is_near: at(self.now) - taken >= capacity - 2.0 * room,
        }
    }

    /// Evenly spread over the time that the bucket may go without a refill, and the one that the image shows.
    fn ages(&self, wager: Wager, first: &Named, is_near: bool, age: i64) -> Vec<i64> {
        // Of a small limit, the last neighbour took more than its room: it is full once that has come in, too.
        let comes_back_in = 2.0 * (first.room + first.out) / first.refill.max(f64::MIN_POSITIVE);
        let rise = first.rises_in.max(comes_back_in);
        let spread = match wager {
            Wager::Below => 1.2 * rise,
            Wager::Full => 1.5 * rise,
        };
        let until = if is_near || wager == Wager::Full { spread.min(age as f64 + 1.0) } else { age as f64 };
        let count = if self.image.limits.len() > 1 { AGES_OF_SEVERAL } else { AGES };
        let mut ages: Vec<i64> = (0..=count)
            .map(|step| {
                let at = until * step as f64 / count as f64;
                (if wager == Wager::Below { at.ceil() } else { at.floor() }) as i64
            })
            .collect();
        ages.push(age);
        ages.sort_unstable();
        ages.dedup();
        ages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bucket::{image::LimitImage, lifetime::Lifetime, owner::Owner},
        model::limit::{Limit, Limits},
    };

    const NOW: i64 = 1_000_000;

    /// 1,000 tokens a second: ten of them are room for neighbours.
    fn limit_set() -> LimitSet {
        let limit = Limit::per("rps", 1_000, std::time::Duration::from_secs(1)).unwrap();
        LimitSet::new(Limits::from(limit), Lifetime::AsIs, Owner::default())
    }

    /// The bets of 1,000 processes that saw `tokens`, refilled `refilled` ms ago, `seen` ms ago: how many are that it
    /// is full, and how many are made at all.
    fn bets(tokens: i64, refilled: i64, seen: i64, per_ms: f64, lost: u32) -> (usize, usize) {
        let limit_set = limit_set();
        let limit = &limit_set.applied[0];
        let stored = LimitImage {
            name: limit.name.clone(),
            tokens: Some(tokens * 1_000),
            params: limit.kind.stored(),
            fraction: 0,
            refunded: None,
            soft: None,
            consumed: Some(0),
            quota: None,
            schedule: None,
        };
        let image = Image { last_refill: NOW - refilled, limits: vec![stored], ..Image::default() };
        let rates = [Some(per_ms * 1_000.0)];
        let observation = Observation {
            image: &image,
            seen_at: NOW - seen,
            limit_set: &limit_set,
            shards: 1,
            now: NOW,
            rates: &rates,
            lost,
            room: Room::ForAsks,
        };
        let random = Random::default();
        let made: Vec<Guess> = (0..1_000).filter_map(|_| observation.guess(&[1_000], false, &random)).collect();
        (made.iter().filter(|guess| guess.wager == Wager::Full).count(), made.len())
    }

    #[test]
    fn the_rarer_the_writes_the_more_of_them_fill_the_bucket() {
        let (few, all) = bets(990, 500, 500, 0.9, 0);
        assert!(few < 150 && all == 1_000, "{few}: ninety writes until it is full");
        let (some, _) = bets(990, 500, 500, 0.5, 0);
        assert!((300..500).contains(&some), "{some}: ten writes until it is full");
        assert_eq!(bets(990, 500, 500, 0.01, 0), (1_000, 1_000), "always full");
    }

    #[test]
    fn a_bucket_that_was_seen_below_its_ceiling_just_now_is_not_filled() {
        assert_eq!(bets(999, 0, 0, 0.5, 0), (0, 1_000), "nothing has come in since");
        assert!(bets(999, 200, 200, 0.5, 0).0 > 0);
    }

    #[test]
    fn nobody_fills_a_bucket_that_more_is_taken_from_than_comes_in() {
        assert_eq!(bets(500, 100, 500, 2.0, 0), (0, 1_000));
    }

    #[test]
    fn whoever_saw_it_full_first_fills_it_and_of_the_others_a_part() {
        assert!(bets(990, 15, 5, 0.5, 1).0 > 950, "it had just become full");
        let (later, _) = bets(990, 35, 5, 0.5, 1);
        assert!((150..350).contains(&later), "{later}: somebody was before us");
        assert_eq!(bets(980, 5, 5, 0.5, 1), (0, 1_000), "it is not full any more");
    }

    #[test]
    fn a_bucket_that_has_to_be_credited_first_is_not_bet_on() {
        assert_eq!(bets(0, 100, 5, 0.5, 1).1, 0);
        assert_eq!(bets(0, 100, 5, 0.5, 0).1, 0);
        assert_eq!(bets(0, 900, 500, 0.5, 0).1, 1_000, "somebody has, in half a second");
    }
}
