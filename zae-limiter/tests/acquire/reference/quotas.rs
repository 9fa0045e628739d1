//! Stories of quotas, of their shards, and of credits to what has changed meanwhile.

use std::time::Duration;

use serde_json::{Value, json};
use zae_limiter::{Acquire, Limit, operation::ResetLimits};
use zae_testkit::{limits, rpm};

use super::{
    answers::{adjusted, failed, granted, operated, refused},
    items::Findings,
    parameters::{found, wait_and_end},
    story::{Story, cost, of_u, on},
};

pub(super) fn daily(name: &str, tokens: u64) -> Limit {
    Limit::quota(name, tokens).every("0 0 * * *").build().unwrap()
}

pub(super) fn session(tokens: u64) -> Limit {
    Limit::quota("sess", tokens).session(Duration::from_secs(18_000)).build().unwrap()
}

pub(super) async fn quota() -> Findings {
    let mut story = Story::of([rpm(60), daily("day", 100), session(50)]).await;
    story.take("quota: create", of_u(&[("rpm", 1), ("day", 90), ("sess", 1)])).await;
    story.take("quota: refused", of_u(&[("day", 20), ("sess", 1)])).await;
    story.begin("quota: credit within the period").await;
    let limiter = story.limiter().await;
    let lease = limiter.acquire_with(of_u(&[("day", 5), ("sess", 1)])).await.unwrap();
    let first = granted(&lease);
    lease.adjust("day", -50).unwrap();
    lease.adjust("sess", -1).unwrap();
    lease.commit().await.unwrap();
    story.end(adjusted(first, &lease)).await;
    story.begin_early("quota: credit after the session rolled is dropped").await;
    let limiter = story.limiter().await;
    let lease = limiter.acquire_with(of_u(&[("sess", 1)])).await.unwrap();
    let first = granted(&lease);
    story.arrive();
    limiter.acquire_with(of_u(&[("rpm", 1)])).await.unwrap().commit().await.unwrap();
    lease.adjust("sess", -1).unwrap();
    lease.commit().await.unwrap();
    story.end(adjusted(first, &lease)).await;
    story.take("quota: after midnight; session window opens though not named", of_u(&[("day", 1)])).await;
    story.begin("quota: check_availability").await;
    let limiter = story.limiter().await;
    let asked = cost(&[("rpm", 100), ("day", 100), ("sess", 51)]);
    let availability = limiter.check_availability("u", "api", &asked).await.unwrap();
    story.end(found(&availability, wait_and_end)).await;
    quota_gates(&mut story).await;
    story.begin("quota: reset on the 31st, exhausted in January, asked on 10 March").await;
    let monthly = Limit::quota("m", 10).every("0 0 31 * *").build().unwrap();
    story.permit("m31", &limits([monthly])).await;
    story.after("quota: reset on the 31st, exhausted in January, asked on 10 March");
    story.begin("quota: reset on the 31st, exhausted in January, asked on 10 March").await;
    story.take_now(on("u", "m31", &[("m", 1)])).await;
    story.findings
}

async fn quota_gates(story: &mut Story) {
    story.deployed(&json!("0.14.0")).await;
    story.begin("quota: session limit refused with older Lambdas").await;
    let refusal = story.ops.set_resource_defaults("b", session(50)).await.unwrap_err();
    story.end(failed(&refusal)).await;
    story.begin("quota: calendar limit is not gated").await;
    story.permit("b", &limits([daily("s", 5)])).await;
    story.end(Value::Null).await;
    story.begin("quota: session override refused with older Lambdas").await;
    let limiter = story.limiter().await;
    let over: Acquire = of_u(&[("sess", 1)]).limits(limits([session(50)]));
    let answer = match limiter.acquire_with(over).await {
        Ok(lease) => granted(&lease),
        Err(error) => refused(&error),
    };
    story.end(answer).await;
    story.deployed(&json!("0.17.0")).await;
}

/// Plays the acquires by which shards begin and follow each other.
pub(super) async fn shards() -> Findings {
    let mut story = Story::of([rpm(60), daily("day", 100), session(40)]).await;
    story.after("shards: doubling 1 to 2 by the client");
    let first = "shards: shard 1 comes into being: takes its quota share from shard 0 in the same transaction";
    story.take_on(first, 1, of_u(&[("rpm", 1), ("day", 5), ("sess", 2)])).await;
    story.after("shards: doubling 2 to 4");
    let day = || of_u(&[("day", 1)]);
    let sess = || of_u(&[("sess", 1)]);
    story.take_on("shards: shard 3 of 4 created, its donor is shard 1", 3, day()).await;
    let told = "shards: session ends; the shard that opens the next one tells the others";
    story.take_on(told, 0, sess()).await;
    story.take_on("shards: shard 1 applies the roll it was told", 1, sess()).await;
    story.take_on("shards: day resets per shard, at its next pass", 0, day()).await;
    story.take_on("shards: shard 2 created after the reset", 2, day()).await;
    story.findings
}

pub(super) async fn sharded_operations() -> Findings {
    // Here a bucket with a session quota is not topped up or reset by hand.
    let mut story = Story::of([rpm(60), daily("day", 100)]).await.without("sess");
    story.after("shards: shard 2 created after the reset");
    story.begin("shards: top up").await;
    let answer = story.ops.top_up("u", "api", &cost(&[("day", 30)]), &story.key).await;
    story.end(operated(answer)).await;
    story.begin("shards: reset").await;
    let answer = story.ops.reset_bucket("u", "api", &ResetLimits::All, &story.key).await;
    story.end(operated(answer)).await;
    story.findings
}

/// Acquires 10, lets `meanwhile` happen, and gives back 5.
async fn credit(story: &mut Story, name: &str, meanwhile: &Value) {
    story.begin(name).await;
    let limiter = story.limiter().await;
    let lease = limiter.acquire_with(of_u(&[("rpm", 10)])).await.unwrap();
    let first = granted(&lease);
    story.change("u#api#0", meanwhile).await;
    lease.adjust("rpm", -5).unwrap();
    lease.commit().await.unwrap();
    story.end(adjusted(first, &lease)).await;
}

pub(super) async fn credits() -> Findings {
    let mut story = Story::of([rpm(60)]).await;
    story.after("credits: within the ceiling");
    story.begin("credits: within the ceiling").await;
    story.change("u#api#0", &json!({"b_rpm_tk": 59_000, "b_rpm_tc": 1_000})).await;
    let limiter = story.limiter().await;
    let lease = limiter.acquire_with(of_u(&[("rpm", 10)])).await.unwrap();
    let first = granted(&lease);
    lease.adjust("rpm", -5).unwrap();
    lease.commit().await.unwrap();
    story.end(adjusted(first, &lease)).await;
    credit(&mut story, "credits: the bucket is full again", &json!({"b_rpm_tk": 60_000})).await;
    story.take("credits: the next acquire passes and trims", of_u(&[("rpm", 1)])).await;
    story.begin("credits: the capacity was lowered").await;
    let limiter = story.limiter().await;
    let lease = limiter.acquire_with(of_u(&[("rpm", 10)])).await.unwrap();
    let first = granted(&lease);
    story.ops.set_limits("u", "api", &limits([rpm(20)])).await.unwrap();
    lease.adjust("rpm", -5).unwrap();
    lease.commit().await.unwrap();
    story.end(adjusted(first, &lease)).await;
    credit(&mut story, "credits: the bucket was sharded", &json!({"shard_count": 2})).await;
    let lease = story.lease_on("credits: the bucket was deleted", 0, &of_u(&[("rpm", 1)])).await;
    let first = granted(&lease);
    story.forget("u#api#0").await;
    lease.adjust("rpm", -5).unwrap();
    lease.commit().await.unwrap();
    story.end(adjusted(first, &lease)).await;
    story.after("credits: rollback");
    let lease = story.lease_on("credits: rollback", 0, &of_u(&[("rpm", 1)])).await;
    lease.roll_back().await.unwrap();
    story.end(Value::Null).await;
    let lease = story.lease_on("credits: more consumption", 1, &of_u(&[("rpm", 1)])).await;
    let first = granted(&lease);
    lease.adjust("rpm", 7).unwrap();
    lease.commit().await.unwrap();
    story.end(adjusted(first, &lease)).await;
    story.findings
}
