//! The story of acquires over several resources.

use serde_json::json;
use zae_limiter::{Acquire, Limit};
use zae_testkit::{limits, rpm};

use super::{
    answers::{adjusted, granted, invalid},
    items::Findings,
    story::{Story, cost, on, resource},
};

fn both(first: u64, other: &str, second: u64) -> Acquire {
    on("u", "a", &[("rpm", first)]).also(other, cost(&[("rpm", second)])).unwrap()
}

pub(super) async fn several() -> Findings {
    let mut story = Story::new().await;
    for resource in ["a", "b", "d"] {
        story.permit(resource, &limits([rpm(10)])).await;
    }
    story.take("also: two new buckets", both(1, "b", 2)).await;
    story.take("also: both exist", both(1, "b", 2)).await;
    story.take("also: one exhausted", both(1, "b", 20)).await;
    story.take("also: one exists, one is new", both(1, "d", 2)).await;
    story.begin("also: adjustments").await;
    let limiter = story.limiter().await;
    let lease = limiter.acquire_with(both(1, "b", 2)).await.unwrap();
    let first = granted(&lease);
    lease.adjust("rpm", 1).unwrap();
    lease.part("b").unwrap().adjust("rpm", 1).unwrap();
    lease.commit().await.unwrap();
    story.end(adjusted(first, &lease)).await;
    story.begin("also: one disabled").await;
    story.ops.disable(resource("b")).await.unwrap();
    story.take_now(both(1, "b", 1)).await;
    story.take("also: one disabled, another exhausted", both(9, "b", 1)).await;
    let unknown = on("u", "a", &[("rpm", 1)]).also("d", cost(&[("nope", 1)])).unwrap();
    story.take("also: unknown limit name", unknown).await;
    story.take("also: resource without limits", both(1, "none", 1)).await;
    arguments(&mut story).await;
    story.findings
}

async fn arguments(story: &mut Story) {
    let a = || on("u", "a", &[("rpm", 1)]);
    story.begin("also: arguments {'also': {'a': {'rpm': 1}}}").await;
    let error = a().also("a", cost(&[("rpm", 1)])).unwrap_err();
    story.end(invalid(&error)).await;
    story.begin("also: arguments {'also': {'b': {'rpm': 1}}, 'limits': 'one'}").await;
    let over: Limit = rpm(10);
    let request = a().also("d", cost(&[("rpm", 1)])).unwrap().limits(over);
    story.take_now(request).await;
    story.begin("also: arguments 16 further resources").await;
    let mut request = Ok(a());
    for number in 0..16 {
        request = request.and_then(|request| request.also(format!("r{number}"), cost(&[("rpm", 1)])));
    }
    story.end(request.map_or_else(|error| invalid(&error), |_| json!({"ok": true}))).await;
    story.take("also: arguments {'also': {}}", a()).await;
    story.begin("also: arguments {'also': {'1bad': {'rpm': 1}}}").await;
    let error = a().also("1bad", cost(&[("rpm", 1)])).unwrap_err();
    story.end(invalid(&error)).await;
}
