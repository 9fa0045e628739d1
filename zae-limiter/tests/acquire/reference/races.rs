//! Stories of two processes at once, or of a change between what an acquire has read and its write.

use serde_json::{Value, json};
use zae_limiter::{Acquire, Limit, NewEntity};
use zae_testkit::{limits, rpm};

use super::{
    answers::granted,
    items::Findings,
    owners::mark,
    quotas::{daily, session},
    story::{Story, entity, of_u, on},
};

fn a_minute(name: &str) -> Limit {
    Limit::per_minute(name, 10).unwrap()
}

/// Lets two processes acquire at the same time, of which the first has a clock that is `ahead`. The vectors tell of the
/// second.
async fn race(story: &mut Story, name: &str, ahead: i64, [theirs, ours]: [Acquire; 2]) {
    story.begin(name).await;
    race_now(story, ahead, [theirs, ours]).await;
}

async fn race_now(story: &mut Story, ahead: i64, [theirs, ours]: [Acquire; 2]) {
    let (other, limiter) = (story.process_ahead(ahead).await, story.limiter().await);
    let (won, lease) = tokio::join!(Box::pin(other.acquire_with(theirs)), Box::pin(limiter.acquire_with(ours)));
    let (won, lease) = (won.unwrap(), lease.unwrap());
    won.commit().await.unwrap();
    let answer = granted(&lease);
    lease.commit().await.unwrap();
    story.end(answer).await;
}

pub(super) async fn races() -> Findings {
    let mut story = Story::of([rpm(60), daily("day", 100), session(50)]).await;
    let of_rpm = |tokens| of_u(&[("rpm", tokens)]);
    story.after("races: another pass wins");
    story.begin("races: another pass wins").await;
    // As it was ten minutes before.
    let before = json!({
        "rf": 1_772_438_400_000_i64, "b_rpm_tk": 59_000, "b_rpm_tc": 1_000, "b_day_tk": 99_000, "b_day_tc": 1_000,
    });
    story.change("u#api#0", &before).await;
    race_now(&mut story, 0, [of_rpm(2), of_u(&[("rpm", 1), ("day", 1)])]).await;
    let both = || [of_rpm(2), of_u(&[("rpm", 1), ("day", 1)])];
    race(&mut story, "races: another pass wins half a second later", 500, both()).await;
    race(&mut story, "races: both passes restore the day", 500, [of_rpm(2), of_u(&[("day", 1)])]).await;
    race(&mut story, "races: both passes open a session", 500, [of_rpm(2), of_u(&[("sess", 1)])]).await;
    story.take("races: midnight passes between planning and writing", of_u(&[("day", 1)])).await;
    story.begin("races: the bypass ends between planning and writing").await;
    story.ops.bypass(entity("u")).await.unwrap();
    let limiter = story.limiter().await;
    limiter.available("u", "api").await.unwrap();
    story.ops.clear_access(entity("u")).await.unwrap();
    let lease = limiter.acquire_with(of_rpm(1)).await.unwrap();
    let answer = granted(&lease);
    lease.commit().await.unwrap();
    story.end(answer).await;
    beginnings(&mut story).await;
    story.findings
}

/// Plays the races about limits and buckets that begin.
async fn beginnings(story: &mut Story) {
    story.permit("r2", &limits([a_minute("a"), a_minute("b")])).await;
    story.permit("r3", &limits([a_minute("a")])).await;
    let name = "races: two passes seed a new limit";
    story.after(name);
    story.begin(name).await;
    let before = json!({
        "rf": 1_772_586_000_000_i64, "b_a_tk": 9_000, "b_a_tc": 1_000, "b_b_tk": null, "b_b_tc": null, "b_b_cp": null,
        "b_b_ra": null, "b_b_rp": null, "b_b_sched": null, "b_b_rsched": null,
    });
    story.change("u#r2#0", &before).await;
    let requests = [on("u", "r2", &[("a", 1)]), on("u", "r2", &[("a", 1), ("b", 1)])];
    race_now(story, 500, requests).await;
    let a = || on("u", "r3", &[("a", 1)]);
    race(story, "races: two passes create a bucket", 500, [a(), a()]).await;

    for (id, incarnation) in [("org", "inc0000000000005"), ("org2", "inc0000000000006")] {
        story.ops.create_entity(NewEntity::new(entity(id))).await.unwrap();
        mark(story, id, incarnation).await;
    }
    let child = NewEntity::new(entity("m")).parent(entity("org")).cascading();
    story.ops.create_entity(child).await.unwrap();
    mark(story, "m", "inc0000000000007").await;
    story.begin("races: the owner moves between planning and creating").await;
    let limiter = story.limiter().await;
    limiter.available("m", "r3").await.unwrap();
    story.ops.set_parent("m", "org2").await.unwrap();
    let lease = limiter.acquire_with(on("m", "r3", &[("a", 1)])).await.unwrap();
    let charged = [Some(lease.entity()), lease.parent()];
    let answer: Value = json!({"ok": true, "entities": charged});
    lease.commit().await.unwrap();
    story.end(answer).await;
}
