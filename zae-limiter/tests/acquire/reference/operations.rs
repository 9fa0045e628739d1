//! Stories of top-ups and manual resets.

use serde_json::json;
use zae_limiter::{
    LimitName, RepositoryError,
    operation::{OperationKey, OperationReport, ResetLimits},
};
use zae_testkit::rpm;

use super::{
    answers::{adjusted, granted, invalid, operated},
    items::Findings,
    quotas::{daily, session},
    story::{Story, cost, of_u, resource},
};

fn key(text: &str) -> OperationKey {
    OperationKey::new(text).unwrap()
}

fn only(limit: &str) -> ResetLimits {
    ResetLimits::Named(vec![LimitName::new(limit).unwrap()])
}

async fn top_up(
    story: &Story,
    amounts: &[(&str, u64)],
    key: &OperationKey,
) -> Result<OperationReport, RepositoryError> {
    story.ops.top_up("u", "api", &cost(amounts), key).await
}

async fn reset(story: &Story, limits: &ResetLimits, key: &OperationKey) -> Result<OperationReport, RepositoryError> {
    story.ops.reset_bucket("u", "api", limits, key).await
}

pub(super) async fn operations() -> Findings {
    // Here a bucket with a session quota is not topped up or reset by hand.
    let mut story = Story::of([rpm(60), daily("day", 100)]).await.without("sess");
    story.begin("ops: reset without a bucket").await;
    let answer = reset(&story, &ResetLimits::All, &story.key).await;
    story.end(operated(answer)).await;
    story.begin("ops: reset without a bucket, with a key").await;
    let answer = reset(&story, &ResetLimits::All, &key("k0")).await;
    story.end(operated(answer)).await;
    story.begin("ops: top-up of a rate without a bucket").await;
    let answer = top_up(&story, &[("rpm", 5)], &story.key).await;
    story.end(operated(answer)).await;
    for (name, amounts) in [
        ("ops: top-up of a quota without a bucket creates it", [("day", 20)]),
        ("ops: the same key again", [("day", 20)]),
        ("ops: the same key with another amount", [("day", 21)]),
    ] {
        story.begin(name).await;
        let answer = top_up(&story, &amounts, &key("k1")).await;
        story.end(operated(answer)).await;
    }
    story.begin("ops: the same key for a reset").await;
    let answer = reset(&story, &ResetLimits::All, &key("k1")).await;
    story.end(operated(answer)).await;
    on_a_used_bucket(&mut story).await;
    invalid_ones(&mut story).await;
    story.take("ops: after midnight the top-up is gone", of_u(&[("day", 1)])).await;
    beside_switches_and_functions(&mut story).await;
    story.findings
}

async fn on_a_used_bucket(story: &mut Story) {
    story.begin("ops: top-up of a rate is bounded by its ceiling").await;
    let used = json!({"b_rpm_tk": 10_000, "b_rpm_tc": 50_000, "b_day_tk": 10_000, "b_day_tc": 110_000});
    story.change("u#api#0", &used).await;
    let answer = top_up(story, &[("rpm", 1_000)], &story.key).await;
    story.end(operated(answer)).await;
    story.begin("ops: top-up of quotas").await;
    // The only one of another principal.
    let repository = story.ops.acting_as("me").unwrap();
    let answer = repository.top_up("u", "api", &cost(&[("day", 7)]), &story.key).await;
    story.end(operated(answer)).await;
    story.begin("ops: a credit after a reset is dropped (rn moved)").await;
    let limiter = story.limiter().await;
    let lease = limiter.acquire_with(of_u(&[("day", 5)])).await.unwrap();
    let first = granted(&lease);
    reset(story, &only("day"), &story.key).await.unwrap();
    lease.adjust("day", -5).unwrap();
    lease.commit().await.unwrap();
    story.end(adjusted(first, &lease)).await;
    story.after("ops: acquire after the session was reset opens a new window");
    story.begin("ops: reset of all").await;
    let answer = reset(story, &ResetLimits::All, &story.key).await;
    story.end(operated(answer)).await;
}

/// Plays the scenarios that are about a session quota.
pub(super) async fn sessions() -> Findings {
    let mut story = Story::of([rpm(60), daily("day", 100), session(50)]).await;
    story.after("ops: a credit after a reset is dropped (rn moved)");
    story.begin("ops: reset of one limit").await;
    let answer = reset(&story, &only("sess"), &story.key).await;
    story.end(operated(answer)).await;
    story.take("ops: acquire after the session was reset opens a new window", of_u(&[("sess", 1)])).await;
    story.findings
}

async fn invalid_ones(story: &mut Story) {
    let amounts: [(&str, &[(&str, u64)]); 4] = [
        ("ops: top-up {}", &[]),
        ("ops: top-up {'x': 1}", &[("x", 1)]),
        ("ops: top-up {'day': 0}", &[("day", 0)]),
        ("ops: top-up {'day': 1000000000000001}", &[("day", 1_000_000_000_000_001)]),
    ];
    for (name, amounts) in amounts {
        story.begin(name).await;
        let answer = top_up(story, amounts, &story.key).await;
        story.end(operated(answer)).await;
    }
    story.begin("ops: bad key").await;
    let error = OperationKey::new("not a key").unwrap_err();
    story.end(invalid(&error)).await;
    story.begin("ops: unknown resource").await;
    let answer = story.ops.top_up("u", "unknown", &cost(&[("day", 1)]), &story.key).await;
    story.end(operated(answer)).await;
}

async fn beside_switches_and_functions(story: &mut Story) {
    story.begin("ops: top-up of a disabled bucket").await;
    story.ops.disable(resource("api")).await.unwrap();
    let answer = top_up(story, &[("day", 1)], &story.key).await;
    story.end(operated(answer)).await;
    story.begin("ops: top-up of a disabled resource without a bucket").await;
    story.forget("u#api#0").await;
    let answer = top_up(story, &[("day", 1)], &story.key).await;
    story.end(operated(answer)).await;
    story.ops.clear_access(resource("api")).await.unwrap();
    story.deployed(&json!("0.14.0")).await;
    for (name, limit) in [
        ("ops: top-up of a quota with older Lambdas", Some("day")),
        ("ops: top-up of a rate with older Lambdas", Some("rpm")),
        ("ops: reset with older Lambdas", None),
    ] {
        story.begin(name).await;
        story.change("u#api#0", &json!({"disabled": null, "b_day_tu": null})).await;
        // A process that has not seen the functions of before.
        let repository = story.limiter().await.repository().acting_as(story.ops.principal().unwrap()).unwrap();
        let key = story.key.clone();
        let answer = match limit {
            Some(limit) => repository.top_up("u", "api", &cost(&[(limit, 1)]), &key).await,
            None => repository.reset_bucket("u", "api", &ResetLimits::All, &key).await,
        };
        story.end(operated(answer)).await;
    }
}
