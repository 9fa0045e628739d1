//! Stories of access: resources and entities that are disabled, and those that are bypassed.

use std::time::Duration;

use serde_json::{Value, json};
use zae_limiter::{Limit, access::Access};
use zae_testkit::{limits, rpm};

use super::{
    answers::{adjusted, failed, granted, stamped},
    items::Findings,
    story::{Story, entity, of_u, on, own, resource},
};

fn session() -> Limit {
    Limit::quota("sess", 50).session(Duration::from_secs(18_000)).build().unwrap()
}

pub(super) async fn disable() -> Findings {
    let mut story = Story::of([rpm(10)]).await;
    story.take("disable: first acquire creates the bucket", of_u(&[("rpm", 1)])).await;
    story.take("disable: second acquire", of_u(&[("rpm", 1)])).await;
    story.begin("disable: resource").await;
    let answer = story.ops.disable(resource("api")).await;
    story.end(stamped(answer)).await;
    story.take("disable: acquire with a stamped bucket", of_u(&[("rpm", 1)])).await;
    story.take("disable: acquire without a bucket", on("v", "api", &[("rpm", 1)])).await;
    story.begin("disable: enable one entity for the resource").await;
    let answer = story.ops.enable(own("u", "api")).await;
    story.end(stamped(answer)).await;
    story.take("disable: that entity acquires", of_u(&[("rpm", 1)])).await;
    story.begin("disable: disable the entity everywhere (its own enable for api wins)").await;
    let answer = story.ops.disable(entity("u")).await;
    story.end(stamped(answer)).await;
    story.begin("disable: clear the entity for the resource (entity default now applies)").await;
    let answer = story.ops.clear_access(own("u", "api")).await;
    story.end(stamped(answer)).await;
    story.begin("disable: clear the entity default").await;
    let answer = story.ops.clear_access(entity("u")).await;
    story.end(stamped(answer)).await;
    story.begin("disable: resolve_access").await;
    let resolved = story.ops.resolve_access("u", "api").await.unwrap();
    let (disabled, bypass) = (resolved.access == Access::Disabled, resolved.access == Access::Bypassed);
    story.end(json!({"disabled": disabled, "level": resolved.level, "bypass": bypass})).await;
    story.begin("disable: clear the resource").await;
    let answer = story.ops.clear_access(resource("api")).await;
    story.end(stamped(answer)).await;
    disable_beside_limits(&mut story).await;
    story.findings
}

async fn disable_beside_limits(story: &mut Story) {
    story.begin("disable: adjustment of a lease whose bucket was disabled meanwhile").await;
    let limiter = story.limiter().await;
    let lease = limiter.acquire_with(of_u(&[("rpm", 1)])).await.unwrap();
    let first = granted(&lease);
    story.ops.disable(resource("api")).await.unwrap();
    lease.adjust("rpm", 2).unwrap();
    lease.commit().await.unwrap();
    story.end(adjusted(first, &lease)).await;
    story.begin("disable: limits set explicitly with disabled=None").await;
    story.ops.clear_access(resource("api")).await.unwrap();
    story.permit("api", &limits([rpm(10)])).await;
    story.end(Value::Null).await;
    story.begin("disable: limits set without naming disabled (kept)").await;
    story.permit("api", &limits([rpm(10)])).await;
    story.end(Value::Null).await;
}

/// Plays the scenarios of a bucket whose stamp nothing in the configuration explains.
pub(super) async fn contradicted() -> Findings {
    let mut story = Story::new().await;
    story.permit("st", &limits([rpm(60)])).await;
    for name in ["disable: a stamp that config contradicts", "disable: ten minutes later still refused"] {
        story.after(name);
        story.take(name, on("u", "st", &[("rpm", 1)])).await;
    }
    story.findings
}

pub(super) async fn bypass() -> Findings {
    let mut story = Story::of([rpm(10), session()]).await;
    story.after("bypass: entity on every resource");
    story.begin("bypass: entity on every resource").await;
    story.change("u#api#0", &json!({"bypass": null})).await;
    let answer = story.ops.bypass(entity("u")).await;
    story.end(stamped(answer)).await;
    story.take("bypass: first acquire of a client that has not seen it", of_u(&[("rpm", 5)])).await;
    story.take("bypass: next acquire, beyond the capacity", of_u(&[("rpm", 500)])).await;
    story.begin("bypass: adjustment").await;
    let limiter = story.limiter().await;
    let lease = limiter.acquire_with(of_u(&[("rpm", 5)])).await.unwrap();
    let first = granted(&lease);
    lease.adjust("rpm", 3).unwrap();
    lease.commit().await.unwrap();
    story.end(adjusted(first, &lease)).await;
    story.begin("bypass: rollback").await;
    let limiter = story.limiter().await;
    limiter.acquire_with(of_u(&[("rpm", 5)])).await.unwrap().roll_back().await.unwrap();
    story.end(Value::Null).await;
    story.take("bypass: the stamp has run out, config still says bypass", of_u(&[("rpm", 500)])).await;
    story.take("bypass: a new bucket", on("u", "other", &[("rpm", 1)])).await;
    story.permit("other", &limits([rpm(10), session()])).await;
    let request = on("u", "other", &[("rpm", 500), ("sess", 5)]);
    story.take("bypass: a new bucket is created undebited", request).await;
    story.begin("bypass: wcu exhausted").await;
    story.change("u#api#0", &json!({"b_wcu_tk": 0})).await;
    story.take_now(of_u(&[("rpm", 1)])).await;
    story.begin("bypass: check_availability").await;
    let limiter = story.limiter().await;
    let found = limiter.check_availability("u", "api", &super::story::cost(&[("rpm", 1)])).await.unwrap();
    story.end(json!({"bypassed": found.is_bypassed})).await;
    story.begin("bypass: cleared").await;
    let answer = story.ops.clear_access(entity("u")).await;
    story.end(stamped(answer)).await;
    story.take("bypass: acquire afterwards", of_u(&[("rpm", 5)])).await;
    for (name, functions) in
        [("bypass: refused with older Lambdas", json!("0.16.9")), ("bypass: refused with unknown Lambdas", Value::Null)]
    {
        story.begin(name).await;
        story.deployed(&functions).await;
        let refused = story.ops.bypass(entity("u")).await.unwrap_err();
        story.end(failed(&refused)).await;
    }
    story.deployed(&json!("0.17.0")).await;
    story.begin("bypass: boolean stamp (older form) counts as run out").await;
    story.change("u#api#0", &json!({"bypass": true})).await;
    story.take_now(of_u(&[("rpm", 1)])).await;
    story.findings
}
