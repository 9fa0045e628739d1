//! Many processes at three times the permitted rate, in driven time: they are granted what an ideal bucket would grant,
//! and no interval exceeds its bound (invariants I1 and I1b).
//!
//! Every case is driven for ten minutes. `ZAE_LONG=1` runs up to 64 processes at rates of hundreds a second, in both
//! modes; without it the rates are small.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;
use zae_limiter::{AcquireError, Clock, Cost, Limit, RateLimiter, Reserve};
use zae_testkit::{START, driven::Fleet, ideal::Ideal, limits};

const ROUND_TRIP: Duration = Duration::from_millis(5);
/// Maximum latency of a response: grants are observed at the caller.
const LATE: f64 = 0.007;

fn long() -> bool {
    std::env::var_os("ZAE_LONG").is_some()
}

async fn spend(limiter: &RateLimiter, cost: Cost) -> bool {
    match limiter.acquire("user-1", "gpt-4", cost).await {
        Ok(lease) => {
            drop(lease.commit());
            true
        }
        Err(AcquireError::Exceeded(_)) => false,
        Err(other) => panic!("{other:?}"),
    }
}

/// A bucket of the same size that may go below zero: its minimum shows by how much an interval exceeded C + r·τ.
#[derive(Debug)]
struct Meter {
    capacity: f64,
    rate: f64,
    level: f64,
    at: Instant,
    lowest: f64,
    granted: u64,
}

impl Meter {
    fn new(limit: &Limit) -> Self {
        let (capacity, rate) = (limit.capacity() as f64, limit.refill_rate());
        Self { capacity, rate, level: capacity, at: Instant::now(), lowest: capacity, granted: 0 }
    }

    fn grant(&mut self) {
        let now = Instant::now();
        self.level = (self.level + self.rate * (now - self.at).as_secs_f64()).min(self.capacity) - 1.0;
        self.at = now;
        self.lowest = self.lowest.min(self.level);
        self.granted += 1;
    }
}

struct Case {
    limit: Limit,
    processes: u32,
    reserve: Reserve,
    /// Alternating durations with and without asks.
    phases: Vec<(Duration, Duration)>,
}

#[derive(Debug)]
struct Outcome {
    granted: u64,
    /// The grants of an ideal bucket under the same load.
    ideal: u64,
    excess: f64,
}

async fn drive(case: &Case) -> Outcome {
    let fleet = Fleet::new(ROUND_TRIP);
    let mut limiters = Vec::new();
    for _ in 0..case.processes {
        limiters.push(fleet.process(&limits([case.limit.clone()]), |b| b.reserve(case.reserve)).await.1);
    }
    let gap = Duration::from_secs_f64(1.0 / (3.0 * case.limit.refill_rate()));
    let meter = Arc::new(Mutex::new(Meter::new(&case.limit)));
    let mut ideal = Ideal::full(&case.limit, fleet.clock.now_ms());
    let (mut ideal_granted, mut turn) = (0, 0_usize);
    let mut asks = Vec::new();
    for (busy, idle) in &case.phases {
        let start = Instant::now();
        let mut next = start;
        while next < start + *busy {
            tokio::time::sleep_until(next).await;
            next += gap;
            ideal.advance(fleet.clock.now_ms());
            if ideal.fits(1) {
                ideal.take(1);
                ideal_granted += 1;
            }
            let (limiter, meter) = (limiters[turn % limiters.len()].clone(), Arc::clone(&meter));
            turn += 1;
            asks.push(tokio::spawn(async move {
                if spend(&limiter, Cost::of("rpm", 1)).await {
                    meter.lock().unwrap().grant();
                }
            }));
        }
        tokio::time::sleep(*idle).await;
    }
    for ask in asks {
        ask.await.unwrap();
    }
    let meter = meter.lock().unwrap();
    Outcome { granted: meter.granted, ideal: ideal_granted, excess: -meter.lowest }
}

#[track_caller]
fn holds(case: &Case, outcome: &Outcome, life: f64) {
    println!("{} processes, {:?}, {:?}: {outcome:?}", case.processes, case.reserve, case.limit);
    let ratio = outcome.granted as f64 / outcome.ideal as f64;
    assert!((0.99..=1.0).contains(&ratio) || outcome.granted.abs_diff(outcome.ideal) <= 1, "{ratio}: {outcome:?}");
    let (rate, share) = (case.limit.refill_rate(), (case.limit.capacity() / 200) as f64);
    let bound = (rate * life).min(f64::from(case.processes) * (share - 1.0)).max(0.0);
    assert!(outcome.excess <= bound + rate * LATE + 1e-6, "{} over, {bound} allowed", outcome.excess);
}

const TEN_MINUTES: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn strict_processes_get_what_is_permitted_and_no_more() {
    let cases: &[(u32, u64)] = if long() { &[(1, 10), (16, 20), (64, 10)] } else { &[(1, 1), (16, 2), (64, 1)] };
    for (processes, rate) in cases {
        let limit = Limit::per_second("rpm", *rate).unwrap().with_burst(rate * 30).unwrap();
        let phases = vec![(TEN_MINUTES, Duration::ZERO)];
        let case = Case { limit, processes: *processes, reserve: Reserve::Off, phases };
        holds(&case, &drive(&case).await, 0.0);
    }
}

#[tokio::test(start_paused = true)]
async fn reserving_processes_get_what_is_permitted_within_the_bound() {
    let cases: &[(u32, u64)] = if long() { &[(4, 10), (16, 100), (64, 400)] } else { &[(4, 10)] };
    for (processes, rate) in cases {
        let limit = Limit::per_second("rpm", *rate).unwrap().with_burst(rate * 120).unwrap();
        let phases = vec![(TEN_MINUTES, Duration::ZERO)];
        let case = Case { limit, processes: *processes, reserve: Reserve::All, phases };
        holds(&case, &drive(&case).await, 1.0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_time_of_any_length_is_worth_what_it_refills() {
    let idle = [1, 20, 300, 1_000, 5_000, 30_000, 60_000, 300_000, 86_400_000];
    // A reserve only pays for buckets whose half percent is worth holding.
    for (reserve, processes, capacity, rate, life) in
        [(Reserve::Off, 3, 120, 4, 0.0), (Reserve::All, 2, 1_000, 30, 1.0)]
    {
        let phases = idle.map(|ms| (Duration::from_secs(20), Duration::from_millis(ms))).to_vec();
        let limit = Limit::per_second("rpm", rate).unwrap().with_burst(capacity).unwrap();
        let case = Case { limit, processes, reserve, phases };
        holds(&case, &drive(&case).await, life);
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_ten_a_day_beside_one_of_five_a_second_loses_nothing() {
    let fleet = Fleet::new(Duration::ZERO);
    let (second, day) = (Limit::per_second("rps", 5).unwrap(), Limit::per_day("rpd", 10).unwrap());
    let mut limiters = Vec::new();
    for _ in 0..3 {
        limiters.push(fleet.process(&limits([second.clone(), day.clone()]), |b| b).await.1);
    }
    let mut ideal = Ideal::full(&day, START);
    let (mut granted, mut permitted, mut busy) = (0, 0, 0);
    for turn in 0..2 * 24 * 20_usize {
        tokio::time::sleep(Duration::from_secs(180)).await;
        let limiter = &limiters[turn % 3];
        // More than a second's refill at once: five of them fit.
        let mut burst = 0;
        while spend(limiter, Cost::of("rps", 1)).await {
            burst += 1;
        }
        assert_eq!(burst, 5);
        busy += burst;
        if turn % 8 == 0 {
            granted += u64::from(spend(limiter, Cost::of("rpd", 1)).await);
            ideal.advance(fleet.clock.now_ms());
            if ideal.fits(1) {
                ideal.take(1);
                permitted += 1;
            }
        }
    }
    assert_eq!(granted, permitted, "beside {busy} of the other");
    assert!(permitted >= 29, "a full bucket and two days");
}

/// Runs `processes` for ten minutes at three times the rate of one limit; returns the refill of the other, ten a day
/// and empty at the start.
async fn refilled_beside(processes: usize, busy: Limit, reserve: Reserve) -> f64 {
    let fleet = Fleet::new(ROUND_TRIP);
    let (gap, day) = (Duration::from_secs_f64(1.0 / (3.0 * busy.refill_rate())), Limit::per_day("rpd", 10).unwrap());
    let both = limits([busy.clone(), day]);
    let mut limiters = Vec::new();
    for _ in 0..processes {
        limiters.push(fleet.process(&both, |b| b.reserve(reserve)).await.1);
    }
    let name = busy.name().as_str();
    assert!(spend(&limiters[0], Cost::of("rpd", 10).and(name, 1)).await);
    let (start, mut next) = (Instant::now(), Instant::now());
    let mut asks = Vec::new();
    for limiter in limiters.iter().cycle() {
        if start.elapsed() >= TEN_MINUTES {
            break;
        }
        next += gap;
        tokio::time::sleep_until(next).await;
        let (limiter, cost) = (limiter.clone(), Cost::of(name, 1));
        asks.push(tokio::spawn(async move { spend(&limiter, cost).await }));
    }
    let mut granted = 0_u64;
    for ask in asks {
        granted += u64::from(ask.await.unwrap());
    }
    let permitted = busy.capacity() as f64 + busy.refill_rate() * start.elapsed().as_secs_f64();
    assert!((0.99..=1.0).contains(&(granted as f64 / permitted)), "{granted} of {permitted}");
    let (entity, resource) = ("user-1", "gpt-4");
    let wait = limiters[0].time_until_available(entity, resource, &Cost::of("rpd", 1)).await.unwrap();
    // One takes 8 640 s, of which this part has passed.
    (8_640.0 - wait.as_secs_f64()) / start.elapsed().as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_ten_a_day_refills_at_its_rate_beside_one_that_is_written_all_the_time() {
    let (many, few, rate) = if long() { (64, 4, 100) } else { (16, 2, 5) };
    let cases = [
        (many, Limit::per_second("rps", 5).unwrap(), Reserve::Off),
        (few, Limit::per_second("rps", rate).unwrap().with_burst(rate * 400).unwrap(), Reserve::All),
    ];
    for (processes, busy, reserve) in cases {
        let part = refilled_beside(processes, busy.clone(), reserve).await;
        assert!((0.99..=1.0).contains(&part), "{part} of its rate beside {busy:?}, {reserve:?}");
    }
}
