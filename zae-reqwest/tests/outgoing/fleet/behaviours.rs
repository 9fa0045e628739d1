//! The share of a provider's limit that a fleet uses, and its refusals, for each way in which providers count, refuse
//! and report.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use zae_reqwest::llm::Admission;

use super::{
    Fleet, Size,
    provider::{Counts, Refuses, Reports, Rules},
};

const WARM_UP: Duration = Duration::from_secs(5);
const MEASURED: Duration = Duration::from_secs(10);
/// Calls that the provider serves in a second.
const CALLS: f64 = 20.0;

/// Rules under which [`CALLS`] chats fit into a second.
fn rules(counts: Counts) -> Rules {
    let tokens = if counts == Counts::Bound { 620.0 } else { 200.0 };
    Rules {
        counts,
        refuses: Refuses::WithTime,
        reports: Reports::Nothing,
        rates: [CALLS * 1.5, CALLS * tokens],
        burst: 4.0,
    }
}

/// The part of the permitted tokens that the provider served, and its refusals, while all callers call.
async fn measure(name: &str, rules: Rules, admission: Admission) -> (f64, u64) {
    let fleet = Arc::new(Fleet::new(rules, admission).await);
    let running = {
        let fleet = Arc::clone(&fleet);
        tokio::spawn(async move { fleet.run(WARM_UP + MEASURED, Size::chat).await })
    };
    sleep(WARM_UP).await;
    let before = fleet.provider.counted();
    sleep(MEASURED).await;
    let after = fleet.provider.counted();
    running.await.unwrap();
    let share = (after.tokens - before.tokens) / (rules.rates[1] * MEASURED.as_secs_f64());
    println!("{name}: {share:.3} of what is permitted, {} refused of {}", after.refused, after.served);
    (share, after.refused)
}

#[tokio::test(start_paused = true)]
async fn a_fleet_uses_nine_tenths_without_a_refusal_however_the_provider_counts() {
    for (counts, admission) in
        [(Counts::Usage, Admission::Usage), (Counts::Bound, Admission::Bound), (Counts::Held, Admission::Held)]
    {
        let (share, refused) = measure(&format!("{counts:?}"), rules(counts), admission).await;
        assert!(share >= 0.9 && refused == 0, "{counts:?}: {share} of what is permitted, {refused} refused");
    }
}

#[tokio::test(start_paused = true)]
async fn skewed_clocks_of_resets_cost_nothing() {
    for ahead in [-300, 300] {
        let rules = Rules { reports: Reports::Resets(ahead), ..rules(Counts::Usage) };
        let (share, refused) = measure(&format!("resets {ahead} s ahead"), rules, Admission::Usage).await;
        assert!(share >= 0.9 && refused == 0, "{ahead} s ahead: {share} of what is permitted, {refused} refused");
    }
}

/// Somebody else's burst leads to refusals; from the first one on, the fleet uses what is there.
#[tokio::test(start_paused = true)]
async fn after_refusals_a_fleet_uses_nine_tenths_of_what_is_left() {
    for refuses in [Refuses::WithTime, Refuses::Without] {
        let rules = Rules { refuses, ..rules(Counts::Usage) };
        let fleet = Arc::new(Fleet::new(rules, Admission::Usage).await);
        let running = {
            let fleet = Arc::clone(&fleet);
            tokio::spawn(async move { fleet.run(WARM_UP + 6 * MEASURED, Size::chat).await })
        };
        sleep(WARM_UP).await;
        let debt = Duration::from_secs(3);
        fleet.provider.exhaust(debt);
        let before = fleet.provider.counted();
        sleep(6 * MEASURED).await;
        let after = fleet.provider.counted();
        running.await.unwrap();
        let permitted = rules.rates[1] * (6.0 * MEASURED.as_secs_f64() - debt.as_secs_f64());
        let (share, refused) = ((after.tokens - before.tokens) / permitted, after.refused);
        println!("refuses {refuses:?}: {share:.3} of what is permitted, {refused} refused of {}", after.served);
        assert!(share >= 0.9, "{refuses:?}: {share} of what is permitted, {refused} refused");
        assert!(refused > 0 && refused * 8 <= after.served, "{refuses:?}: {refused} refused of {}", after.served);
    }
}
