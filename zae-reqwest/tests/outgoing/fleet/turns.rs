//! Turns between processes: equal shares, large calls beside small ones, and the time that a call may wait.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use zae_reqwest::llm::Admission;

use super::{
    Fleet, PROCESSES, SHARE, Size,
    provider::{Counts, Refuses, Reports, Rules},
};

const ALLOWED: Duration = Duration::from_millis(100);

/// Requests do not matter.
fn tokens_per_second(tokens: f64) -> Rules {
    let rates = [1_000.0, tokens];
    Rules { counts: Counts::Bound, refuses: Refuses::WithTime, reports: Reports::Nothing, rates, burst: 12.0 }
}

/// Over half a minute no process has one and a half times what another has, and no ten seconds give one twice as much.
#[tokio::test(start_paused = true)]
async fn equal_processes_get_equal_shares() {
    let fleet = Arc::new(Fleet::new(tokens_per_second(20.0 * 620.0), Admission::Bound).await);
    fleet.run(Duration::from_secs(40), Size::chat).await;
    let (outcomes, start) = (fleet.outcomes(), fleet.outcomes().first().unwrap().asked);
    let served = |from: u64, to: u64| {
        let (from, to) = (start + Duration::from_secs(from), start + Duration::from_secs(to));
        let mut served = [0_u32; PROCESSES];
        for outcome in outcomes.iter().filter(|outcome| outcome.status == 200) {
            served[outcome.process] += u32::from(outcome.ended >= from && outcome.ended < to);
        }
        println!("served: {served:?}");
        (*served.iter().max().unwrap(), *served.iter().min().unwrap())
    };
    let (most, least) = served(10, 40);
    assert!(most * 2 <= least * 3, "{most} and {least} in half a minute");
    for from in [10, 20, 30] {
        let (most, least) = served(from, from + 10);
        assert!(most <= least * 2, "{most} and {least} in ten seconds");
    }
}

/// One process sends calls that take five seconds of the limit beside its small ones, the others small ones only.
#[tokio::test(start_paused = true)]
async fn a_large_call_gets_its_turn_beside_small_ones_of_other_processes() {
    let rate = 6_200.0;
    let fleet = Arc::new(Fleet::new(tokens_per_second(rate), Admission::Bound).await);
    let small = || Size { input: 20, bound: 400, output: 50 };
    let large = Size { input: 20, bound: (rate * SHARE * 5.0) as u64, output: 1_000 };
    let crowd = {
        let fleet = Arc::clone(&fleet);
        tokio::spawn(async move { fleet.run(Duration::from_secs(60), small).await })
    };
    sleep(Duration::from_secs(5)).await;
    let end = Instant::now() + Duration::from_secs(55);
    let first = {
        let fleet = Arc::clone(&fleet);
        tokio::spawn(async move {
            while Instant::now() < end {
                fleet.call(0, large, Duration::from_secs(30)).await;
            }
        })
    };
    crowd.await.unwrap();
    first.abort();
    let outcomes = fleet.outcomes();
    let waits = |is_large: bool| {
        let of = outcomes.iter().filter(move |outcome| (outcome.size.bound > 1_000) == is_large);
        let (served, gave_up): (Vec<_>, Vec<_>) = of.partition(|outcome| outcome.status == 200);
        let longest = served.iter().filter_map(|outcome: &&super::Outcome| outcome.waited).max().unwrap_or_default();
        (served.len(), gave_up.len(), longest)
    };
    let (large, small) = (waits(true), waits(false));
    println!("large {large:?}, small {small:?}");
    // A process has a third of the limit, for a large call and the eleven small ones that may stand before a call.
    let fair = Duration::from_secs(3).mul_f64(5.0 + 11.0 * 420.0 / (rate * SHARE));
    // So three large calls in a row have their turns within the 55 seconds.
    assert!(large.0 >= 3 && large.1 == 0 && large.2 <= fair, "{large:?}, {fair:?} is fair");
    assert!(small.0 >= 300 && small.1 == 0 && small.2 <= fair, "{small:?}, {fair:?} is fair");
}

#[tokio::test(start_paused = true)]
async fn no_call_waits_longer_than_it_may() {
    let fleet = Arc::new(Fleet::new(tokens_per_second(5.0 * 620.0), Admission::Bound).await);
    let mut callers = Vec::new();
    for caller in 0..3 * PROCESSES {
        let fleet = Arc::clone(&fleet);
        callers.push(tokio::spawn(async move {
            for _ in 0..40 {
                let may_wait = Duration::from_millis(rand::random_range(0..3_000));
                fleet.call(caller % PROCESSES, Size::chat(), may_wait).await;
            }
        }));
    }
    for caller in callers {
        caller.await.unwrap();
    }
    let outcomes = fleet.outcomes();
    let late = |outcome: &&super::Outcome| {
        let waited = outcome.waited.unwrap_or(outcome.ended - outcome.asked);
        waited > outcome.may_wait + ALLOWED
    };
    let gave_up = outcomes.iter().filter(|outcome| outcome.waited.is_none()).count();
    println!("{gave_up} of {} gave up", outcomes.len());
    assert!(gave_up > 20, "{gave_up}");
    assert_eq!(outcomes.iter().filter(late).count(), 0);
}
