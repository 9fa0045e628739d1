//! Refunds of holds of any age, by processes with images of any age: over every interval, no more than C + r·τ is kept,
//! and a refund of a bucket that nobody else uses is worth all that the ceiling has room for.

use std::sync::Arc;

use proptest::{prelude::*, test_runner::TestCaseError};

use crate::{
    Limit,
    bucket::{
        Params,
        apply::apply,
        image::Image,
        kind::AppliedLimit,
        lifetime::Lifetime,
        limit_set::LimitSet,
        owner::Owner,
        peaks::Peaks,
        plan::{Goal, balances, plan},
        plan_tests::rate,
        refund::{self, Baseline, Booking, Mark, Settled, book},
        refund_stamp::{Neighbours, RefundId},
        samples::{full, taking},
        write::BucketWrite,
    },
};

/// One bucket of one limit, and everything that was granted from it.
struct Bucket {
    params: Params,
    limits: Vec<AppliedLimit>,
    item: Image,
    now: i64,
    grants: Vec<Grant>,
    limit_set: Arc<LimitSet>,
    peaks: Peaks,
}

struct Grant {
    at: i64,
    taken: i64,
    kept: i64,
    baseline: Baseline,
    is_open: bool,
}

impl Bucket {
    fn full(params: Params) -> Self {
        let limits = vec![rate("tpm", params)];
        let stored = full(&limits[0]);
        let item = Image { shard_count: Some(1), limits: vec![stored], ..Image::default() };
        let mut limit_set =
            LimitSet::new(Limit::per_second("tpm", 1).unwrap().into(), Lifetime::AsIs, Owner::default());
        limit_set.applied.clone_from(&limits);
        Self {
            params,
            limits,
            item,
            now: 0,
            grants: Vec::new(),
            limit_set: Arc::new(limit_set),
            peaks: Peaks::default(),
        }
    }

    fn goal<'a>(&'a self, take: &'a [i64], adjust: &'a [Booking]) -> Goal<'a> {
        Goal { adjust, ..taking(&self.limits, take, self.now) }
    }

    fn balance(&self) -> i64 {
        balances(&self.item, &self.goal(&[], &[]))[0].tokens
    }

    fn observe(&mut self) -> Baseline {
        let balances = balances(&self.item, &self.goal(&[], &[]));
        let nets = refund::nets(&self.item, &self.limits, &balances);
        let since = self.peaks.observe(&self.limit_set, 1, &nets, self.now);
        Baseline { incarnation: None, nets, at: self.now, since, periods: None }
    }

    /// The knowledge of the process that took them; others know only the baseline.
    fn mark(&self, grant: &Grant) -> Mark {
        let since = if grant.taken % 3 == 0 { u64::MAX } else { grant.baseline.since };
        let mark = grant.baseline.mark(0, &self.limits[0].kind).unwrap();
        Mark { since, ..mark }
    }

    fn take(&mut self, taken: i64, image: &Image) -> bool {
        let enough = |image: &Image| balances(image, &self.goal(&[], &[]))[0].tokens >= taken;
        let mut item = self.item.clone();
        let write = |image: &Image| plan(image, &self.goal(&[taken], &[]));
        let done = enough(image) && apply(&mut item, &write(image))
            || enough(&self.item) && apply(&mut item, &write(&self.item));
        if done {
            self.item = item;
            let baseline = self.observe();
            self.grants.push(Grant { at: self.now, taken, kept: taken, baseline, is_open: true });
        }
        done
    }

    /// Settles some grants in one write, of which each keeps a part.
    fn settle(&mut self, kept: &[(usize, i64)], image: &Image) -> Result<(), TestCaseError> {
        let id = RefundId::new((self.grants.len() * 1_000 + kept[0].0) as u64, self.now);
        let neighbours = if kept[0].0.is_multiple_of(2) { Neighbours::Some } else { Neighbours::None };
        let settled = |(index, kept): &(usize, i64)| Settled {
            name: self.limits[0].name.clone(),
            amount: kept - self.grants[*index].taken,
            mark: Some(self.mark(&self.grants[*index])),
        };
        let settled: Vec<Settled> = kept.iter().map(settled).collect();
        let write = |image: &Image| -> BucketWrite {
            let booked = book(&settled, image, &self.peaks, 1, self.now);
            plan(image, &self.goal(&[], &booked)).stamped(|| id, image, neighbours)
        };
        let (mut item, before) = (self.item.clone(), self.item.clone());
        let mut written = write(image);
        if !apply(&mut item, &written) {
            written = write(&self.item);
            prop_assert!(apply(&mut item, &written), "a fresh image lost its own condition");
        }
        let gives_back = written.limits[0].consumed < 0;
        prop_assert!(!gives_back || !apply(&mut item.clone(), &written), "delivered twice, it counts twice");
        self.item = item;
        let parts: Vec<_> = book(&settled, &before, &self.peaks, 1, self.now)
            .iter()
            .flat_map(|booking| booking.parts.clone())
            .collect();
        for (since, amount) in parts {
            // Grants of another process are not known to this one.
            self.peaks.refunded(0, if since == u64::MAX { 0 } else { since }, amount);
        }
        for (index, kept) in kept {
            let grant = &mut self.grants[*index];
            (grant.kept, grant.is_open) = (*kept, false);
        }
        Ok(())
    }

    /// No interval between two grants keeps more than C + r·τ, but for the millitokens lost in rounding.
    fn check(&self) -> Result<(), TestCaseError> {
        let params = self.params;
        for (first, from) in self.grants.iter().enumerate() {
            let mut kept = 0;
            for to in &self.grants[first..] {
                kept += i128::from(to.kept);
                let gained = i128::from(to.at - from.at) * i128::from(params.refill) / i128::from(params.period) + 1;
                let most = i128::from(params.capacity) + gained;
                prop_assert!(kept <= most, "{} kept from {} to {}, at most {}", kept, from.at, to.at, most);
            }
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Step {
    Wait(i64),
    Take(i64),
    /// The number of open grants, from which one on, and the part in a thousand that each keeps.
    Settle(usize, usize, i64),
}

fn steps() -> impl Strategy<Value = Vec<(Step, usize)>> {
    let step = prop_oneof![
        3 => prop_oneof![0_i64..100, 0_i64..20_000, Just(60_000_i64)].prop_map(Step::Wait),
        4 => (1_i64..=1_000).prop_map(Step::Take),
        3 => (1_usize..4, 0_usize..16, prop_oneof![Just(0_i64), 0_i64..1_000])
            .prop_map(|(n, from, kept)| Step::Settle(n, from, kept)),
    ];
    prop::collection::vec((step, 0_usize..6), 1..80)
}

fn run(params: Params, steps: Vec<(Step, usize)>) -> Result<(), TestCaseError> {
    let mut bucket = Bucket::full(params);
    let mut seen = vec![bucket.item.clone()];
    for (step, age) in steps {
        let image = seen[seen.len() - 1 - age.min(seen.len() - 1)].clone();
        match step {
            Step::Wait(ms) => bucket.now += ms,
            Step::Take(part) => drop(bucket.take((params.capacity * part / 1_000).max(1), &image)),
            Step::Settle(count, from, kept) => {
                let open: Vec<usize> = (0..bucket.grants.len()).filter(|index| bucket.grants[*index].is_open).collect();
                let chosen = open.iter().skip(from % open.len().max(1)).take(count);
                let kept: Vec<_> = chosen.map(|index| (*index, bucket.grants[*index].taken * kept / 1_000)).collect();
                if !kept.is_empty() {
                    bucket.settle(&kept, &image)?;
                }
            }
        }
        seen.push(bucket.item.clone());
        prop_assert!((0..=params.capacity).contains(&bucket.balance()));
    }
    bucket.check()
}

const MINUTELY: Params = Params { capacity: 1_000_000, refill: 1_000_000, period: 60_000 };

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_held_and_given_back_no_interval_keeps_more_than_the_limit(
        params in (1_000_i64..1_000_000, 1_i64..1_000_000, 1_i64..100_000)
            .prop_map(|(capacity, refill, period)| Params { capacity, refill, period }),
        steps in steps(),
    ) {
        run(params, steps)?;
    }

    #[test]
    fn nor_where_a_minute_fills_the_bucket(steps in steps()) {
        run(MINUTELY, steps)?;
    }
}

#[test]
fn leases_held_for_minutes_are_not_worth_their_amounts_again() {
    let mut bucket = Bucket::full(MINUTELY);
    for _ in 0..10 {
        assert!(bucket.take(1_000_000, &bucket.item.clone()));
        bucket.now += 60_000;
    }
    let mut granted = 0;
    for lease in 0..10 {
        granted += i32::from(bucket.take(1_000_000, &bucket.item.clone()));
        bucket.settle(&[(lease, 0)], &bucket.item.clone()).unwrap();
    }
    assert_eq!(granted, 1);
    bucket.check().unwrap();
}

#[test]
fn a_refund_of_a_bucket_of_ones_own_fills_it_to_what_it_would_have_held() {
    for (pause, expected) in [(0, 900_000), (3_000, 950_000), (6_000, 1_000_000), (600_000, 1_000_000)] {
        let mut bucket = Bucket::full(MINUTELY);
        assert!(bucket.take(100_000, &bucket.item.clone()));
        assert!(bucket.take(700_000, &bucket.item.clone()));
        bucket.now += pause;
        bucket.settle(&[(1, 0)], &bucket.item.clone()).unwrap();
        assert_eq!(bucket.balance(), expected, "after {pause} ms");
        assert_eq!(bucket.item.limits[0].consumed, Some(100_000), "the account is exact");
    }
}

#[test]
fn a_busy_bucket_gets_its_estimates_back_in_full() {
    let mut bucket = Bucket::full(MINUTELY);
    // Half of the capacity is in use by others; calls of 30 s keep a tenth of what they took.
    assert!(bucket.take(500_000, &bucket.item.clone()));
    for call in 1..=8 {
        assert!(bucket.take(50_000, &bucket.item.clone()), "call {call}");
    }
    bucket.now += 25_000;
    let before = bucket.balance();
    bucket.settle(&(1..=8).map(|call| (call, 5_000)).collect::<Vec<_>>(), &bucket.item.clone()).unwrap();
    assert_eq!(bucket.balance() - before, 8 * 45_000);
}

/// Two leases of one bucket, each refunded by its own process, which know of each other.
fn two_refunds(ids: [RefundId; 2]) -> (Image, [BucketWrite; 2]) {
    let mut bucket = Bucket::full(MINUTELY);
    // The first keeps so much that both refunds have a margin.
    for amount in [300_000, 100_000, 200_000, 300_000] {
        assert!(bucket.take(amount, &bucket.item.clone()));
    }
    // The first refund finds no count of refunds, and has no margin.
    bucket.settle(&[(1, 0)], &bucket.item.clone()).unwrap();
    bucket.item.refunds.note(0, 1);
    let write = |lease: usize, id: RefundId| {
        let grant = &bucket.grants[lease];
        let settled = Settled {
            name: bucket.limits[0].name.clone(),
            amount: -grant.taken,
            mark: grant.baseline.mark(0, &bucket.limits[0].kind),
        };
        let booked = book([&settled], &bucket.item, &bucket.peaks, 1, bucket.now);
        plan(&bucket.item, &bucket.goal(&[], &booked)).stamped(|| id, &bucket.item, Neighbours::Some)
    };
    (bucket.item.clone(), [write(2, ids[0]), write(3, ids[1])])
}

#[test]
fn refunds_of_two_processes_go_through_side_by_side_and_no_second_delivery_does() {
    // In slots of their own, and in the same one.
    for second in [RefundId::new(1 << 20, 1), RefundId::new(8, 1)] {
        let (mut item, [one, other]) = two_refunds([RefundId::new(7, 1), second]);
        let mut expected = item.limits[0].tokens.unwrap();
        for (write, amount) in [(&one, 200_000), (&other, 300_000)] {
            assert!(apply(&mut item, write), "{second:?}");
            expected += amount;
        }
        for write in [&one, &other, &one] {
            assert!(!apply(&mut item, write), "{second:?}");
        }
        assert_eq!(item.limits[0].tokens, Some(expected));
    }
}

#[test]
fn a_refund_whose_slot_has_a_larger_number_takes_a_larger_one_still() {
    let (early, late) = (RefundId::new(7, 1), RefundId::new(7, 5_000));
    let (mut item, [one, other]) = two_refunds([early, late]);
    assert!(apply(&mut item, &other));
    assert!(!apply(&mut item, &one), "a neighbour was faster");
    let again = one.stamped(|| early, &item, Neighbours::Some);
    assert!(apply(&mut item, &again), "as the image shows it now");
    assert!(item.refunds.contains(again.refund.unwrap().mark) && !item.refunds.contains(other.refund.unwrap().mark));
    assert!(!apply(&mut item, &again) && !apply(&mut item, &other));
}
