//! Driven time against an ideal bucket, through the whole path: grants and refusals must be the same, token for token
//! (invariant I1, and the trap of lazy refill).

use std::time::Duration;

use zae_limiter::{
    AcquireError, Cost, EntityId, Lease, LeaseError, LeaseOrigin, Limit, NewEntity, OnUnavailable, RateLimiter,
    ResourceName,
};
use zae_testkit::{Bench, Fault, START, ideal::Ideal, limits, rpm, tpm};

/// A limiter beside the ideal buckets that it must equal.
struct Pair {
    bench: Bench,
    limiters: Vec<RateLimiter>,
    ideals: Vec<(String, Ideal)>,
    now: i64,
    next: usize,
}

impl Pair {
    async fn new(limits: Vec<Limit>, processes: usize) -> Self {
        let bench = Bench::new();
        let ideals = limits.iter().map(|l| (l.name().to_string(), Ideal::full(l, START))).collect();
        let limits = zae_testkit::limits(limits);
        let mut limiters = Vec::new();
        for _ in 0..processes {
            limiters.push(bench.limiter(&limits).await.1);
        }
        Self { bench, limiters, ideals, now: START, next: 0 }
    }

    fn advance(&mut self, ms: u64) {
        self.bench.advance(ms);
        self.now += i64::try_from(ms).unwrap();
        self.ideals.iter_mut().for_each(|(_, ideal)| ideal.advance(self.now));
    }

    /// Makes one acquire of `cost` by the next process in turn; returns if it was granted, which must equal the ideal
    /// bucket's decision.
    async fn try_one(&mut self, cost: &[(&str, u64)]) -> bool {
        let limiter = &self.limiters[self.next % self.limiters.len()];
        self.next += 1;
        let request = cost[1..].iter().fold(Cost::of(cost[0].0, cost[0].1), |c, (name, n)| c.and(name, *n));
        let granted = match limiter.acquire("user-1", "gpt-4", request).await {
            Ok(lease) => lease.commit().await.map(|()| true).unwrap(),
            Err(AcquireError::Exceeded(_)) => false,
            Err(other) => panic!("{other}"),
        };
        let asked = |name: &str| cost.iter().find(|(n, _)| *n == name).map_or(0, |(_, amount)| *amount);
        let ideal = self.ideals.iter().all(|(name, ideal)| asked(name) == 0 || ideal.fits(asked(name)));
        assert_eq!(granted, ideal, "{} ms after the start, asking {cost:?}", self.now - START);
        if granted {
            for (name, ideal) in &mut self.ideals {
                let amount = cost.iter().find(|(n, _)| n == name).map_or(0, |(_, amount)| *amount);
                ideal.take(i64::try_from(amount).unwrap());
            }
        }
        granted
    }

    async fn burst(&mut self, attempts: u32, cost: &[(&str, u64)]) -> u32 {
        let mut granted = 0;
        for _ in 0..attempts {
            granted += u32::from(self.try_one(cost).await);
        }
        granted
    }
}

#[tokio::test]
async fn idle_until_full_then_burst_grants_the_capacity_and_no_more() {
    let mut pair = Pair::new(vec![rpm(100)], 2).await;
    assert_eq!(pair.burst(150, &[("rpm", 1)]).await, 100);
    // Full again after a minute; three minutes more are lost, not saved.
    pair.advance(240_000);
    assert_eq!(pair.burst(150, &[("rpm", 1)]).await, 100);
    // The burst continues as time passes.
    for _ in 0..200 {
        pair.advance(37);
        pair.try_one(&[("rpm", 1)]).await;
    }
}

#[tokio::test]
async fn dribbling_below_the_rate_for_an_hour_saves_nothing_up() {
    let mut pair = Pair::new(vec![rpm(100)], 3).await;
    for _ in 0..3_600 / 2 {
        pair.advance(2_000);
        assert!(pair.try_one(&[("rpm", 1)]).await, "half the rate always fits");
    }
    assert!((99..=100).contains(&pair.burst(200, &[("rpm", 1)]).await));
}

#[tokio::test]
async fn limits_of_very_different_periods_each_keep_their_own_rate() {
    let limits = vec![
        Limit::per_second("rps", 5).unwrap(),
        Limit::per_day("rpd", 3_000).unwrap(),
        Limit::per("slow", 1, Duration::from_secs(7_777)).unwrap().with_burst(4).unwrap(),
    ];
    let mut pair = Pair::new(limits, 2).await;
    let (mut granted, mut slow) = (0, 0);
    for step in 0..2_500_u64 {
        pair.advance(90 + step * 7_919 % 1_300);
        granted += u32::from(pair.try_one(&[("rps", 2), ("rpd", 1)]).await);
        if step % 40 == 0 {
            slow += u32::from(pair.try_one(&[("slow", 1), ("rps", 1)]).await);
        }
    }
    assert!(granted > 1_000 && slow >= 4, "{granted} {slow}");
}

#[tokio::test]
async fn refunds_and_debts_are_booked_to_the_token() {
    let mut pair = Pair::new(vec![rpm(60)], 1).await;
    for (taken, delta) in [(10_u64, 25_i64), (5, -5), (1, 70), (3, -1), (2, 0), (8, -3), (1, 59)] {
        let lease = pair.limiters[0].acquire("user-1", "gpt-4", Cost::of("rpm", taken)).await;
        assert_eq!(lease.is_ok(), pair.ideals[0].1.fits(taken), "{taken} {delta}");
        if let Ok(lease) = lease {
            lease.adjust("rpm", delta).unwrap();
            lease.commit().await.unwrap();
            pair.ideals[0].1.take(i64::try_from(taken).unwrap() + delta);
        }
        pair.advance(20_011);
        pair.burst(3, &[("rpm", 1)]).await;
    }
}

#[tokio::test]
async fn a_refund_stops_at_the_ceiling() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 10)).await.unwrap();
    bench.advance(60_000);
    lease.roll_back().await.unwrap();
    let mut granted = 0;
    while let Ok(lease) = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await {
        lease.commit().await.unwrap();
        granted += 1;
    }
    assert_eq!(granted, 10);
}

#[tokio::test]
async fn a_lease_takes_more_from_both_levels_or_from_none() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let (child, parent) = (EntityId::new("user-1").unwrap(), EntityId::new("proj-1").unwrap());
    let entity = NewEntity::new(child.clone()).parent(parent.clone()).cascading();
    limiter.repository().create_entity(entity).await.unwrap();
    let resource = ResourceName::new("gpt-4").unwrap();
    let left = async || {
        let left = [limiter.available(&child, &resource).await, limiter.available(&parent, &resource).await];
        left.map(|level| level.unwrap()["rpm"])
    };
    limiter.acquire("proj-1", "gpt-4", Cost::of("rpm", 4)).await.unwrap().commit().await.unwrap();
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 2)).await.unwrap();
    assert_eq!(left().await, [8, 4]);
    lease.consume(Cost::of("rpm", 3)).await.unwrap();
    assert_eq!(left().await, [5, 1]);
    assert_eq!(lease.consumed()["rpm"], 5, "each level counts once");
    // The parent has one.
    let more = lease.consume(Cost::of("rpm", 2)).await;
    assert!(matches!(more, Err(AcquireError::Exceeded(_))), "{more:?}");
    // The refund of the child's share is under way.
    lease.adjust("rpm", -1).unwrap();
    lease.commit().await.unwrap();
    assert_eq!(left().await, [6, 2]);
    assert_eq!(left().await, [6, 2]);
}

#[tokio::test]
async fn a_debt_goes_before_everything_that_others_ask_and_comes_back_with_its_lease() {
    let bench = Bench::new();
    let limits = limits([rpm(60)]);
    let ((_, limiter), (_, other)) = (bench.limiter(&limits).await, bench.limiter(&limits).await);
    limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 59)).await.unwrap().commit().await.unwrap();
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await.unwrap();
    lease.overdraw(Cost::of("rpm", 19)).await.unwrap();
    assert_eq!(lease.consumed()["rpm"], 20);
    let one = async |limiter: &RateLimiter| match limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await {
        Err(AcquireError::Exceeded(exceeded)) => exceeded.retry_after().as_millis(),
        other => panic!("{other:?}"),
    };
    assert_eq!((one(&limiter).await, one(&other).await), (20_000, 20_000));
    bench.advance(19_000);
    assert_eq!(one(&other).await, 1_000);
    bench.advance(1_000);
    lease.consume(Cost::of("rpm", 1)).await.unwrap();
    assert_eq!(one(&other).await, 1_000);
    lease.roll_back().await.unwrap();
    let left = other.available("user-1", "gpt-4").await.unwrap();
    assert_eq!(left["rpm"], 21, "all of it");
}

#[tokio::test]
async fn a_settled_lease_says_so_whatever_it_is_asked() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let blind = RateLimiter::builder(limiter.repository().clone()).on_unavailable(OnUnavailable::Allow).build();
    for (limiter, origin) in [(&limiter, LeaseOrigin::Stored), (&blind, LeaseOrigin::Blind)] {
        let fault = if origin == LeaseOrigin::Blind { Fault::LostBefore } else { Fault::None };
        wire.fail(move |_, _| fault);
        for settle in [Lease::commit, Lease::roll_back] {
            let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 2)).await.unwrap();
            assert_eq!(lease.origin(), origin);
            settle(&lease).await.unwrap();
            let error = lease.consume(Cost::of("rpm", 1)).await.unwrap_err();
            assert!(matches!(error, AcquireError::Lease(LeaseError::Settled)), "{error}");
            let error = lease.overdraw(Cost::of("rpm", 1)).await.unwrap_err();
            assert!(matches!(error, AcquireError::Lease(LeaseError::Settled)), "{error}");
            assert_eq!(lease.adjust("rpm", 1), Err(LeaseError::Settled));
            assert_eq!(lease.release("rpm", 1), Err(LeaseError::Settled));
            assert!(lease.is_settled());
        }
    }
}

#[tokio::test]
async fn the_whole_capacity_fits_later_and_what_is_told_is_what_is_left() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let take = async |tokens| {
        let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", tokens)).await;
        lease.map(|lease| drop(lease.commit()))
    };
    let exceeded = |answer| match answer {
        Err(AcquireError::Exceeded(exceeded)) => (exceeded.primary().available, exceeded.retry_after().as_millis()),
        other => panic!("{other:?}"),
    };
    take(1).await.unwrap();
    assert_eq!(exceeded(take(10).await), (9, 6_000));
    assert!(matches!(take(11).await, Err(AcquireError::NeverFits(_))));
    // The table agrees.
    let (_, other) = bench.limiter(&limits([rpm(10)])).await;
    let whole = other.acquire("user-1", "gpt-4", Cost::of("rpm", 10)).await;
    assert_eq!(exceeded(whole.map(drop)), (9, 6_000));
    // Both fit according to the known state and share a write, which only has enough for the first.
    let (first, second) = tokio::join!(take(7), take(6));
    first.unwrap();
    assert_eq!(exceeded(second), (2, 24_000));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_refused_for_what_is_on_its_way_back() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 10)).await.unwrap();
    wire.fail(|_, _| Fault::Slow(100));
    let settled = tokio::spawn(lease.roll_back());
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(wire.take().contains_key("UpdateItem"), "it was sent");
    limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 5)).await.unwrap().commit().await.unwrap();
    settled.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_lease_gives_back_no_more_than_it_took() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(100)])).await;
    limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 60)).await.unwrap().commit().await.unwrap();
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 10)).await.unwrap();
    lease.adjust("rpm", -30).unwrap();
    lease.commit().await.unwrap();
    let (entity, resource) = (EntityId::new("user-1").unwrap(), ResourceName::new("gpt-4").unwrap());
    assert_eq!(limiter.available(&entity, &resource).await.unwrap()["rpm"], 40);
}

/// Refill has filled the bucket since all but the last of them: their refunds are worth nothing.
pub(crate) async fn refunds_what_there_is_room_for(bench: Bench) {
    let (_, limiter) = bench.limiter(&limits([rpm(1_000)])).await;
    let acquire = || limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1_000));
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(acquire().await.unwrap());
        bench.advance(60_000);
    }
    let mut granted = 0;
    for lease in held {
        if let Ok(lease) = acquire().await {
            granted += 1;
            lease.commit().await.unwrap();
        }
        lease.roll_back().await.unwrap();
    }
    assert_eq!(granted, 1, "one full bucket");
}

#[tokio::test]
async fn leases_held_for_minutes_and_rolled_back_grant_no_more_than_the_limit() {
    refunds_what_there_is_room_for(Bench::new()).await;
}

#[tokio::test]
async fn the_estimates_of_calls_at_a_busy_bucket_come_back_in_full() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([tpm(1_000)])).await;
    let acquire = |tokens| limiter.acquire("user-1", "gpt-4", Cost::of("tpm", tokens));
    acquire(600).await.unwrap().commit().await.unwrap();
    let calls = [acquire(100).await.unwrap(), acquire(100).await.unwrap(), acquire(200).await.unwrap()];
    bench.advance(20_000);
    for call in &calls {
        call.adjust("tpm", -90).unwrap();
        call.commit().await.unwrap();
    }
    let entity = EntityId::new("user-1").unwrap();
    let left = limiter.available(&entity, &zae_limiter::ResourceName::new("gpt-4").unwrap()).await.unwrap();
    assert_eq!(left[&zae_limiter::LimitName::new("tpm").unwrap()], 333 + 270);
}

/// A refund that is booked while refunds of younger calls are under way keeps its age.
#[tokio::test(start_paused = true)]
async fn refunds_of_one_process_are_exact_in_whatever_order_they_come() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([tpm(1_000)])).await;
    let acquire = || limiter.acquire("user-1", "gpt-4", Cost::of("tpm", 30));
    let mut calls = Vec::new();
    for _ in 0..10 {
        calls.push(acquire().await.unwrap());
    }
    wire.fail(|_, _| Fault::Slow(20));
    while let Some(call) = calls.pop() {
        call.adjust("tpm", -15).unwrap();
        let settled = tokio::spawn(call.commit());
        tokio::time::sleep(Duration::from_millis(3)).await;
        drop(settled);
    }
    limiter.shutdown().await;
    assert_eq!(limiter.available("user-1", "gpt-4").await.unwrap()["tpm"], 1_000 - 150);
}
