//! The most that a bucket held since an instant, as far as this process has seen: [`Peaks`].
//!
//! A refund is worth the smallest room since the tokens were taken (see [`refund`](crate::bucket::refund)), so for each
//! of its open holds a lane has to know the largest level since that hold was made. Keeping all levels of all time
//! would do, and is not bounded. Two facts make it cheap:
//!
//! 1. Between two observations a level rises by refill at the most. So the peak of that stretch is known from its ends:
//!    the first level plus the refill until the second.
//! 2. Only the *largest* peak since an observation is ever asked for. A peak that is followed by a larger one answers
//!    no question any more, and is dropped. What is left is a sequence of falling peaks (a monotonic queue), and "since
//!    observation n" is the first one left from n on.
//!
//! In numbers, with a refill of 10 between observations, and of 50 in the long pause after the last:
//!
//! | observation | level | peak until the next | kept |
//! |---|---|---|---|
//! | 0 | 50 | 60 | 0: 60 |
//! | 1 | 30 | 40 | 0: 60, 1: 40 |
//! | 2 | 35 | 45 | 0: 60, 2: 45 (the 40 can never be the largest again) |
//! | 3 | 25 | 75 | 3: 75 |
//!
//! A hold made at observation 1 asks for the peak since 1. When 3 is made that is 45; after the pause it is 75, so with
//! a capacity of 100 and nothing refunded its room is 25.
//!
//! At most 32 peaks are kept for each limit. If there are more, the two oldest are merged into the larger: a hold that
//! old gets back a little less than it might, and never more.
//!
//! Refunds of *later* tokens lower earlier peaks: they went into room that the earlier hold does not claim. That is why
//! a level is the balance less all refunds.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    bucket::{Amounts, kind::Kind, limit_set::LimitSet, refund::Mark},
    model::name::LimitName,
};

/// Bounds the memory of a lane; beyond, what was seen longest ago is told less exactly, and never too low.
const MOST: usize = 32;

/// Observations of a bucket's nets (balances less all refunds), and the largest since each of them.
///
/// Between two observations a net rose by refill at the most.
#[derive(Debug, Default)]
pub(crate) struct Peaks {
    /// Number of observations.
    count: u64,
    /// The first observation of the limits as they are now.
    first: u64,
    /// The limits that were observed; others begin a new sequence.
    limit_set: Option<Arc<LimitSet>>,
    /// One shard's share of each limit.
    kinds: Vec<Kind>,
    /// The last observation, in mt by limit, and when, in epoch ms.
    last: Option<(Amounts, i64)>,
    /// By limit: observations, each with the peak until the next, less what was refunded of tokens taken later.
    peaks: Vec<VecDeque<(u64, i64)>>,
}

impl Peaks {
    /// Notes the nets of the limits of `limit_set` at `now` (epoch ms), in one of `shards` shards. Returns the number
    /// of the observation.
    pub(crate) fn observe(&mut self, limit_set: &Arc<LimitSet>, shards: u32, nets: &Amounts, now: i64) -> u64 {
        let shares = || limit_set.applied.iter().map(|limit| limit.kind.share(shards));
        let is_same = |known: &Arc<LimitSet>| Arc::ptr_eq(known, limit_set) || known.applied == limit_set.applied;
        if !self.limit_set.as_ref().is_some_and(is_same) || !shares().eq(self.kinds.iter().cloned()) {
            let limit_set = Some(Arc::clone(limit_set));
            *self =
                Self { count: self.count, first: self.count, limit_set, kinds: shares().collect(), ..Self::default() };
            self.peaks.resize_with(self.kinds.len(), VecDeque::new);
        }
        if let Some((last, at)) = self.last.take() {
            let number = self.count - 1;
            for (slot, peaks) in self.peaks.iter_mut().enumerate() {
                let peak = rise(&self.kinds[slot], last[slot], at, now);
                while peaks.back().is_some_and(|(_, lower)| *lower <= peak) {
                    peaks.pop_back();
                }
                peaks.push_back((number, peak));
                if peaks.len() > MOST {
                    let (_, highest) = peaks.pop_front().unwrap_or_default();
                    peaks.front_mut().into_iter().for_each(|(_, peak)| *peak = (*peak).max(highest));
                }
            }
        }
        self.last = Some((nets.clone(), now));
        self.count += 1;
        self.count - 1
    }

    /// Notes that `amount` mt of the limit in `slot` were refunded, taken right before the observation `since`.
    /// Refunds of tokens that were taken later take no room from what was seen before.
    pub(crate) fn refunded(&mut self, slot: usize, since: u64, amount: i64) {
        let earlier = self.peaks.get_mut(slot).into_iter().flatten().filter(|(number, _)| *number < since);
        earlier.for_each(|(_, peak)| *peak = peak.saturating_sub(amount));
    }

    /// Brings `mark`, of the limit called `name`, up to what was seen until `now` (epoch ms). It stays as it is where
    /// the limits were others when it was made.
    pub(crate) fn highest(&self, name: &LimitName, mark: &Mark, now: i64) -> Mark {
        let mut limits = self.limit_set.iter().flat_map(|limit_set| &limit_set.applied);
        let slot = limits.position(|limit| limit.name == *name);
        let now = now.max(mark.at);
        let highest = self.since(mark.since, now).zip(slot).and_then(|(nets, slot)| nets.get(slot).copied());
        highest.map_or_else(|| mark.clone(), |net| Mark { net, at: now, ..mark.clone() })
    }

    /// The largest net of each limit since the observation called `since`, until `now` (epoch ms); `None` where the
    /// limits were others then.
    pub(crate) fn since(&self, since: u64, now: i64) -> Option<Amounts> {
        let (last, at) = self.last.as_ref().filter(|_| (self.first..self.count).contains(&since))?;
        let largest = |(slot, peaks): (usize, &VecDeque<(u64, i64)>)| {
            let earlier = peaks.iter().filter(|(number, _)| *number >= since).map(|(_, peak)| *peak).max();
            rise(&self.kinds[slot], last[slot], *at, now).max(earlier.unwrap_or(i64::MIN))
        };
        Some(self.peaks.iter().enumerate().map(largest).collect())
    }
}

/// The net that `net` at `from` can have become by `to`, in mt; a started millitoken counts.
fn rise(kind: &Kind, net: i64, from: i64, to: i64) -> i64 {
    net.saturating_add(kind.gained(from, to))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Limit, Limits,
        bucket::{lifetime::Lifetime, owner::Owner},
    };

    fn limit_set(capacity: u64) -> Arc<LimitSet> {
        let limits = Limits::from(Limit::per_second("rpm", capacity).unwrap());
        Arc::new(LimitSet::new(limits, Lifetime::AsIs, Owner::default()))
    }

    /// One millitoken a millisecond.
    fn observe(peaks: &mut Peaks, net: i64, now: i64) -> u64 {
        peaks.observe(&limit_set(1), 1, &Amounts::from_elem(net, 1), now)
    }

    #[test]
    fn a_peak_lies_before_the_next_observation() {
        let mut peaks = Peaks::default();
        let [first, second] = [(100, 0), (50, 20)].map(|(net, now)| observe(&mut peaks, net, now));
        assert_eq!(peaks.since(first, 30).unwrap()[0], 120);
        assert_eq!(peaks.since(second, 30).unwrap()[0], 60);
        assert_eq!(peaks.since(second + 1, 30), None, "not seen yet");
        peaks.observe(&limit_set(2), 1, &Amounts::from_elem(0, 1), 30);
        assert_eq!(peaks.since(second, 30), None, "the limit is another");
    }

    proptest! {
        #[test]
        fn a_peak_is_never_lower_than_any_since_and_exact_for_those_of_late(
            steps in prop::collection::vec((0_i64..100, -500_i64..500), 1..200),
        ) {
            let (mut peaks, mut now, mut seen) = (Peaks::default(), 0, Vec::new());
            for (pause, net) in steps {
                now += pause;
                observe(&mut peaks, net, now);
                seen.push((net, now));
            }
            let end = now + 7;
            for since in 0..seen.len() {
                let ends = seen[since..].iter().skip(1).map(|(_, at)| *at).chain([end]);
                let rise = seen[since..].iter().zip(ends).map(|((net, from), to)| net + to - from).max().unwrap();
                let told = peaks.since(since as u64, end).unwrap()[0];
                prop_assert!(told >= rise);
                prop_assert!(told == rise || since + MOST < seen.len());
            }
        }
    }
}
