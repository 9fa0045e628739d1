//! Stories of limits that never refuse, and of limits that change with the time of day.

use serde_json::{Value, json};
use zae_limiter::{Acquire, Availability, Limit, LimitSchedule, Limits, Parameters};
use zae_testkit::{limits, rpm, tpm};

use super::{
    answers::{adjusted, failed, granted, invalid, resets_at_ms},
    items::Findings,
    story::{Story, cost, of_u},
};

/// Returns balance, exceeded, `third` and the end of the period of each limit.
pub(super) fn found(availability: &Availability, third: impl Fn(&zae_limiter::LimitStatus) -> [Value; 2]) -> Value {
    let each = availability.statuses.iter().map(|status| {
        let [third, fourth] = third(status);
        (status.limit.name().to_string(), json!([status.available, status.exceeded, third, fourth]))
    });
    Value::Object(each.collect())
}

pub(super) async fn soft() -> Findings {
    let mut story = Story::of([rpm(10), tpm(100).soft()]).await;
    story.take("soft: creating acquire overdraws", of_u(&[("rpm", 1), ("tpm", 150)])).await;
    story.take("soft: next", of_u(&[("rpm", 1), ("tpm", 50)])).await;
    story.begin("soft: lease.consume beyond the balance").await;
    let limiter = story.limiter().await;
    let lease = limiter.acquire_with(of_u(&[("tpm", 1)])).await.unwrap();
    let first = granted(&lease);
    lease.consume(cost(&[("tpm", 1_000)])).await.unwrap();
    let answer = adjusted(first, &lease);
    lease.commit().await.unwrap();
    story.end(answer).await;
    story.take("soft: stamp run out", of_u(&[("rpm", 1), ("tpm", 50)])).await;
    story.take("soft: hard limit refuses, soft one named too", of_u(&[("rpm", 100), ("tpm", 50)])).await;
    story.begin("soft: check_availability").await;
    let limiter = story.limiter().await;
    let availability = limiter.check_availability("u", "api", &cost(&[("rpm", 1), ("tpm", 1)])).await.unwrap();
    let answer = found(&availability, |status| [status.limit.is_soft().into(), json!(status.retry_after.as_secs())]);
    story.end(answer).await;
    story.begin("soft: made hard at the resource").await;
    story.permit("api", &limits([rpm(10), tpm(100)])).await;
    story.end(Value::Null).await;
    story.take("soft: acquire afterwards", of_u(&[("rpm", 1), ("tpm", 5)])).await;
    let over: Acquire = of_u(&[("tpm", 5)]).limits(limits([tpm(100).soft()]));
    story.take("soft: override with a soft limit", over).await;
    story.begin("soft: system default becomes soft").await;
    story.ops.set_system_defaults(limits([rpm(10).soft()])).await.unwrap();
    story.end(Value::Null).await;
    story.begin("soft: entity limits with a soft one").await;
    story.ops.set_limits("u", "api", &limits([rpm(10).soft()])).await.unwrap();
    story.end(Value::Null).await;
    story.findings
}

fn office(cron: &str, zone: &str) -> LimitSchedule {
    LimitSchedule::builder().zone(zone).scale(cron, 0.5).build().unwrap()
}

fn scheduled() -> Limit {
    rpm(60).scheduled(office("* 9-16 * * *", "UTC")).unwrap()
}

pub(super) async fn schedule() -> Findings {
    let mut story = Story::of([scheduled()]).await;
    story.take("schedule: create", of_u(&[("rpm", 10)])).await;
    story.take("schedule: before the boundary", of_u(&[("rpm", 40)])).await;
    let after = "schedule: first after the boundary (10 tokens at 09:00 would be: 10 + 60/min to 08:59:59.., then \
                 30/min)";
    story.take(after, of_u(&[("rpm", 1)])).await;
    story.take("schedule: refused at half capacity", of_u(&[("rpm", 40)])).await;
    story.take("schedule: late", of_u(&[("rpm", 29)])).await;
    let elapsed = "schedule: elapsed time before the boundary is credited at the new rate";
    story.take(elapsed, of_u(&[("rpm", 55)])).await;
    story.begin("schedule: entity limits with two schedules").await;
    let seven =
        LimitSchedule::builder().zone("UTC").replace("0 * * * *", Parameters::default().capacity(7)).build().unwrap();
    let x = Limit::per_minute("x", 5).unwrap().scheduled(seven).unwrap();
    story.ops.set_limits("u", "api", &limits([scheduled(), tpm(100), x])).await.unwrap();
    story.end(Value::Null).await;
    story.take("schedule: acquire after the limits changed seeds the new limits", of_u(&[("rpm", 1)])).await;
    story.begin("schedule: limits deleted").await;
    assert!(story.ops.delete_limits("u", "api").await.unwrap());
    story.end(Value::Null).await;
    story.begin("schedule: two zones on one config item").await;
    let zones =
        [rpm(60).scheduled(office("* 9 * * *", "UTC")), tpm(60).scheduled(office("* 9 * * *", "Europe/Berlin"))];
    let answer = match Limits::new(zones.map(Result::unwrap)) {
        Ok(limits) => {
            story.ops.set_resource_defaults("z", limits).await.map_or_else(|error| failed(&error), |()| Value::Null)
        }
        Err(error) => invalid(&error),
    };
    story.end(answer).await;
    story.begin("schedule: a reset at every minute cannot be read back").await;
    let error = Limit::quota("rpm", 5).every("* * * * *").build().unwrap_err();
    story.end(invalid(&error)).await;
    story.begin("schedule: newer encoding on the bucket").await;
    story.change("u#api#0", &json!({"sched": "2h9-16s500"})).await;
    story.take_now(of_u(&[("rpm", 1)])).await;
    story.findings
}

pub(super) fn wait_and_end(status: &zae_limiter::LimitStatus) -> [Value; 2] {
    [json!(status.retry_after.as_secs_f64()), json!(resets_at_ms(status))]
}
