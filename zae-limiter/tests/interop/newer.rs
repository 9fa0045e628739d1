//! Features of the package that this crate does not have: how it reports them, and when it continues.

use std::time::Duration;

use serde_json::json;
use zae_limiter::{AcquireError, Cost, RateLimiter};

use super::table::{By, STACK, Table};

const FEATURES: [&str; 2] = ["disabled resource", "disabled entity"];

/// Creates a table on which entities below `org-1` have 10 a minute of any resource.
async fn with_limits() -> Option<Table> {
    let table = Table::open(By::Them).await?;
    let rows = json!([{ "name": "rpm", "capacity": 10, "refill_amount": 10, "refill_period_seconds": 60 }]);
    table.theirs.ok("create_entity", json!({ "entity": { "entity_id": "org-1" } })).await;
    table.theirs.ok("create_entity", json!({ "entity": { "entity_id": "user-1", "parent_id": "org-1" } })).await;
    table.theirs.ok("set_system_defaults", json!({ "rows": rows, "principal": "ops" })).await;
    Some(table)
}

/// Creates another of our processes, which caches limits for a minute.
async fn process(table: &Table) -> RateLimiter {
    let builder = table.store.builder().stack(STACK).clock(table.clock.clone());
    RateLimiter::builder(builder.build().await.unwrap()).deadline(Duration::from_secs(10)).build()
}

async fn take(limiter: &RateLimiter, resource: &str, tokens: u64) -> Result<(), AcquireError> {
    limiter.acquire("user-1", resource, Cost::of("rpm", tokens)).await?.commit().await.unwrap();
    Ok(())
}

/// A plain write would enforce them wrongly, so the answer is an error instead of a grant.
#[tokio::test(flavor = "multi_thread")]
async fn we_refuse_to_guess_what_their_newer_features_mean() {
    let Some(table) = with_limits().await else { return };
    for feature in FEATURES {
        let resource = feature.replace(' ', "-");
        let (remembering, new) = (process(&table).await, process(&table).await);
        take(&remembering, &resource, 2).await.unwrap();
        let used = json!({ "feature": feature, "entity_id": "user-1", "resource": resource });
        table.theirs.ok("use_feature", used).await;

        let expected = |answer: &Result<(), AcquireError>| match answer {
            Err(AcquireError::Disabled(_)) => feature.starts_with("disabled"),
            Err(AcquireError::Unsupported(_)) => !feature.starts_with("disabled"),
            _ => false,
        };
        let answer = take(&new, &resource, 1).await;
        assert!(expected(&answer), "{feature}: {answer:?}");
        // A client with the old limits in its cache learns of it from the bucket.
        let answer = take(&remembering, &resource, 1).await;
        assert!(expected(&answer), "{feature}: {answer:?}");
        assert_eq!(table.bucket("user-1", &resource).await["rpm"].1, 2_000, "{feature}");
    }
}

/// A feature that was used once and has ended does not stop us.
#[tokio::test(flavor = "multi_thread")]
async fn we_go_on_after_their_resets_top_ups_and_pauses() {
    let Some(table) = with_limits().await else { return };
    let bucket = json!({ "entity_id": "user-1", "resource": "gpt-4", "amounts": { "rpm": 4 } });
    // By a new process: the memory of another one may refuse for up to a second.
    let exactly = async |tokens| {
        take(&process(&table).await, "gpt-4", tokens).await.unwrap();
        let refused = take(&process(&table).await, "gpt-4", 1).await.unwrap_err();
        assert!(refused.is_refusal(), "{refused}");
    };
    exactly(10).await;
    table.theirs.ok("reset_bucket", bucket.clone()).await;
    exactly(10).await;
    table.theirs.ok("top_up", bucket.clone()).await;
    exactly(4).await;
    let disabled = json!({ "feature": "disabled resource", "entity_id": "user-1", "resource": "gpt-4" });
    table.theirs.ok("use_feature", disabled).await;
    assert!(matches!(take(&process(&table).await, "gpt-4", 1).await, Err(AcquireError::Disabled(_))));
    table.theirs.ok("set_access", json!({ "resource": "gpt-4", "access": "enabled" })).await;
    // Their operations may visibly move the refill instant a little.
    table.advance(31);
    exactly(5).await;
}

/// A moved child charges its new parent, even on buckets with the package's stamps.
#[tokio::test(flavor = "multi_thread")]
async fn we_charge_the_parent_that_they_move_a_child_to() {
    let Some(table) = with_limits().await else { return };
    let child = json!({ "entity_id": "key-1", "parent_id": "org-1", "cascade": true });
    table.theirs.ok("create_entity", json!({ "entity": child })).await;
    table.theirs.ok("create_entity", json!({ "entity": { "entity_id": "org-2" } })).await;
    let take = json!({ "entity_id": "key-1", "resource": "gpt-4", "consume": { "rpm": 3 } });
    table.theirs.ok("acquire", take.clone()).await;
    table.ours.ok("acquire", take.clone()).await;
    assert_eq!(table.bucket("org-1", "gpt-4").await["rpm"], (4_000, 6_000));
    table.theirs.ok("set_parent", json!({ "entity_id": "key-1", "parent_id": "org-2" })).await;
    table.ours.ok("acquire", take).await;
    assert_eq!(table.bucket("org-1", "gpt-4").await["rpm"].1, 6_000);
    assert_eq!(table.bucket("org-2", "gpt-4").await["rpm"], (7_000, 3_000));
}

/// A quota of ten a day is shared by both, whichever side set it and created the buckets, and both see it restored at
/// midnight.
#[tokio::test(flavor = "multi_thread")]
async fn both_share_calendar_quotas() {
    let Some(table) = with_limits().await else { return };
    for (resource, setter, first) in [
        ("theirs-by-them", By::Them, By::Them),
        ("theirs-by-us", By::Them, By::Us),
        ("ours-by-them", By::Us, By::Them),
        ("ours-by-us", By::Us, By::Us),
    ] {
        let quota = json!([{
            "name": "rpm", "capacity": 10, "refill_amount": 0, "refill_period_seconds": 1,
            "reset_schedule": [{ "cron": "0 0 * * *", "tz": "UTC" }],
        }]);
        let set = json!({ "entity_id": "user-1", "resource": resource, "rows": quota, "principal": "ops" });
        table.side(setter).ok("set_limits", set).await;
        let call = |consume: u64| json!({ "entity_id": "user-1", "resource": resource, "consume": { "rpm": consume } });
        let (one, other) = table.writer_and_reader(first);
        for day in 0..3 {
            one.ok("acquire", call(4)).await;
            other.ok("acquire", call(3)).await;
            one.ok("acquire", call(3)).await;
            for side in [one, other] {
                let refused = side.refused("acquire", call(1)).await;
                assert_eq!(refused["limits"][0]["available"], 0, "{resource}, day {day}: {refused:?}");
            }
            // Nothing is refilled in between.
            table.advance(86_399);
            table.ours.refused("acquire", call(1)).await;
            table.theirs.refused("acquire", call(1)).await;
            table.advance(1);
        }
        // The second side finds it restored already, and does not restore it again.
        other.ok("acquire", call(10)).await;
        one.refused("acquire", call(1)).await;
        assert_eq!(table.bucket("user-1", resource).await["rpm"], (0, 40_000));
    }
}

/// A limit that changes from a quota to a rate and back, on a bucket that both use.
#[tokio::test(flavor = "multi_thread")]
async fn we_follow_a_limit_into_a_quota_and_back() {
    let Some(table) = with_limits().await else { return };
    let call = |consume: u64| json!({ "entity_id": "user-1", "resource": "gpt-4", "consume": { "rpm": consume } });
    table.ours.ok("acquire", call(4)).await;
    let used = json!({ "feature": "quota", "entity_id": "user-1", "resource": "gpt-4" });
    table.theirs.ok("use_feature", used).await;
    table.ours.ok("acquire", call(6)).await;
    table.advance(3_600);
    table.ours.refused("acquire", call(1)).await;
    table.theirs.refused("acquire", call(1)).await;
    let scope = json!({ "entity_id": "user-1", "resource": "gpt-4", "principal": "ops" });
    table.theirs.ok("delete_limits", scope).await;
    // Ten a minute again.
    table.advance(60);
    table.ours.ok("acquire", call(5)).await;
    table.theirs.ok("acquire", call(5)).await;
    table.ours.refused("acquire", call(1)).await;
}

/// A session of ten an hour is one for both, whoever sets it and whoever uses it first.
#[tokio::test(flavor = "multi_thread")]
async fn both_share_sessions() {
    let Some(table) = with_limits().await else { return };
    for (resource, setter, first) in [
        ("theirs-by-them", By::Them, By::Them),
        ("theirs-by-us", By::Them, By::Us),
        ("ours-by-them", By::Us, By::Them),
        ("ours-by-us", By::Us, By::Us),
    ] {
        let quota = json!([{
            "name": "rpm", "capacity": 10, "refill_amount": 0, "refill_period_seconds": 1, "reset_after_seconds": 3_600,
        }]);
        let set = json!({ "entity_id": "user-1", "resource": resource, "rows": quota, "principal": "ops" });
        table.side(setter).ok("set_limits", set).await;
        let call = |consume: u64| json!({ "entity_id": "user-1", "resource": resource, "consume": { "rpm": consume } });
        let (one, other) = table.writer_and_reader(first);
        for idle in [0, 5_000, 1, 86_400] {
            // Whoever comes first begins the session, and the other one is in it.
            table.advance(idle);
            one.ok("acquire", call(4)).await;
            table.advance(600);
            other.ok("acquire", call(3)).await;
            one.ok("acquire", call(3)).await;
            for side in [one, other] {
                let refused = side.refused("acquire", call(1)).await;
                assert_eq!(refused["retry_after_ms"], 3_000_000, "{resource}: {refused:?}");
            }
            table.advance(2_999);
            table.ours.refused("acquire", call(1)).await;
            table.theirs.refused("acquire", call(1)).await;
            table.advance(1);
        }
        // It is over: the other side begins the next.
        other.ok("acquire", call(10)).await;
        one.refused("acquire", call(1)).await;
        assert_eq!(table.bucket("user-1", resource).await["rpm"], (0, 50_000));
    }
}

/// Sixty a minute, half of it until nine: on buckets of either side's making both refuse and grant by the phase.
#[tokio::test(flavor = "multi_thread")]
async fn both_follow_a_schedule() {
    let Some(table) = with_limits().await else { return };
    for (resource, setter, first) in [
        ("theirs-by-them", By::Them, By::Them),
        ("theirs-by-us", By::Them, By::Us),
        ("ours-by-them", By::Us, By::Them),
        ("ours-by-us", By::Us, By::Us),
    ] {
        let halved = json!([{
            "name": "rpm", "capacity": 60, "refill_amount": 60, "refill_period_seconds": 60,
            "schedule": [{ "cron": "* 0-8 * * *", "tz": "UTC", "scale": 0.5 }],
        }]);
        let set = json!({ "entity_id": "user-1", "resource": resource, "rows": halved, "principal": "ops" });
        table.side(setter).ok("set_limits", set).await;
        let call = |consume: u64| json!({ "entity_id": "user-1", "resource": resource, "consume": { "rpm": consume } });
        let (one, other) = table.writer_and_reader(first);
        let drained = async |half: u64| {
            one.ok("acquire", call(half)).await;
            other.ok("acquire", call(half)).await;
            for side in [one, other] {
                side.refused("acquire", call(2)).await;
            }
        };
        // Midnight.
        drained(15).await;
        table.advance(60);
        drained(15).await;
        // A minute after nine the bucket has filled up to the whole capacity.
        table.advance(9 * 3_600);
        drained(30).await;
        // Midnight again cuts what is beyond the half.
        table.advance(15 * 3_600 - 60);
        drained(15).await;
    }
}

/// One acquire over two resources takes from both, or from none, whichever side makes it.
#[tokio::test(flavor = "multi_thread")]
async fn both_take_from_several_resources_or_from_none() {
    let Some(table) = with_limits().await else { return };
    for (model, search, first) in [("model-1", "search-1", By::Them), ("model-2", "search-2", By::Us)] {
        let call = |consume: u64, also: u64| {
            let mut call = json!({ "entity_id": "user-1", "resource": model, "consume": { "rpm": consume } });
            call["also"] = json!({ search: { "rpm": also } });
            call
        };
        let (one, other) = table.writer_and_reader(first);
        one.ok("acquire", call(3, 5)).await;
        other.ok("acquire", call(3, 2)).await;
        // Four requests of the model and three searches are left. A refusal of either takes nothing of the other, once
        // it is given back.
        for (consume, also, lacks) in [(1, 4, search), (5, 1, model)] {
            for side in [one, other] {
                let refused = side.refused("acquire", call(consume, also)).await;
                assert!(serde_json::to_string(&refused).unwrap().contains(lacks), "{refused:?}");
            }
        }
        let given_back = async {
            for (resource, consumed) in [(model, 6_000), (search, 7_000)] {
                while table.bucket("user-1", resource).await["rpm"].1 != consumed {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), given_back).await.expect("it is given back");
        other.ok("acquire", call(4, 3)).await;
        one.refused("acquire", call(1, 1)).await;
    }
}
