//! Rare cases: the largest sets of limits, conflicting transactions, changes while limits are being read.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::config::{
    ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef,
};
use serde_json::{Value, json};
use zae_limiter::{
    Cost, Limit, LimitScope, Limits, MAX_LIMITS, MAX_TOKENS, NewEntity, RateLimiter, Repository, RepositoryError,
    error::StoreErrorKind,
};
use zae_testkit::{Bench, DEADLINE, Fault, START, Wire, limits, raw, rpm, tpm};

use crate::names::{id, resource, scope};

fn limiter(repository: &Repository) -> RateLimiter {
    RateLimiter::builder(repository.clone()).deadline(DEADLINE).build()
}

/// Applies `fault` to the first `times` calls of `operation`.
fn fail_first(wire: &Wire, operation: &'static str, times: u64, fault: Fault) {
    let met = AtomicU64::new(0);
    wire.fail(move |called, _| {
        let hit = called == operation && met.fetch_add(1, Ordering::SeqCst) < times;
        if hit { fault } else { Fault::None }
    });
}

async fn bucket(r: &Repository, entity: &str) -> Value {
    raw::get(r, &format!("{}/BUCKET#{entity}#gpt-4#0", r.namespace_id()), "#STATE").await
}

/// Returns the maximum number of limits in a set, with names of maximum length.
fn largest(first: char, capacity: u64) -> Limits {
    let name = |index: usize| format!("{first}{}{index:03}", "x".repeat(60));
    limits((0..MAX_LIMITS).map(|index| {
        Limit::per(name(index), 7, Duration::from_secs(1_000_000_000)).unwrap().with_burst(capacity).unwrap()
    }))
}

#[tokio::test]
async fn the_largest_set_of_limits_is_enforced_adjusted_and_changed() {
    let bench = Bench::new();
    let (_, r) = bench.process().await;
    let set = largest('a', MAX_TOKENS);
    let all = |set: &Limits, amount| {
        let mut names = set.iter().map(|limit| limit.name().as_str());
        let first = Cost::of(names.next().unwrap(), amount);
        names.fold(first, |cost, name| cost.and(name, amount))
    };
    let limiter = limiter(&r);
    r.set_system_defaults(&set).await.unwrap();
    limiter.acquire("e", "gpt-4", all(&set, 5)).await.unwrap().commit().await.unwrap();
    bench.advance(1_000_000_000);
    let lease = limiter.acquire("e", "gpt-4", all(&set, MAX_TOKENS / 2)).await.unwrap();
    for limit in &set {
        lease.adjust(limit.name().as_str(), 1).unwrap();
    }
    lease.commit().await.unwrap();
    r.set_limits(&id("e"), &scope("gpt-4"), &largest('a', MAX_TOKENS / 4)).await.unwrap();
    limiter.acquire("e", "gpt-4", all(&set, 3)).await.unwrap().commit().await.unwrap();
    r.set_limits(&id("e"), &scope("gpt-4"), &set).await.unwrap();
    limiter.acquire("e", "gpt-4", all(&set, 1)).await.unwrap().roll_back().await.unwrap();
    let left = i64::try_from(MAX_TOKENS / 4 - 3).unwrap() * 1_000;
    for limit in &set {
        assert_eq!(raw::number(&bucket(&r, "e").await, &format!("b_{}_tk", limit.name())), Some(left));
    }

    // All of them are renamed, repeatedly: old limits must not get in the way of the current ones.
    for first in ['b', 'c', 'd'] {
        let renamed = largest(first, 10);
        r.set_resource_defaults(&resource("other"), &renamed).await.unwrap();
        limiter.acquire("e", "other", all(&renamed, 7)).await.unwrap().commit().await.unwrap();
        bench.advance(60_000);
        let refused = limiter.acquire("e", "other", all(&renamed, 7)).await.unwrap_err();
        assert!(refused.is_refusal(), "{refused}");
        bench.advance(1_000_000_000_000_000);
        limiter.acquire("e", "other", all(&renamed, 10)).await.unwrap().commit().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_in_the_way_is_waited_for() {
    let bench = Bench::new();
    let (wire, r) = bench.process().await;
    let tokens = [("rpm", 0, 9_000, 9_000, 60_000)];
    for operation in ["UpdateItem", "TransactWriteItems"] {
        raw::put(&r, &raw::bucket(&r, ("e", "gpt-4"), (0, 1), START, &tokens)).await;
        fail_first(&wire, operation, 3, Fault::Conflict);
        r.set_limits(&id("e"), &scope("gpt-4"), rpm(5)).await.unwrap();
        assert_eq!(raw::number(&bucket(&r, "e").await, "b_rpm_cp"), Some(5_000), "{operation}");
        fail_first(&wire, operation, 3, Fault::Conflict);
        assert!(r.delete_limits(&id("e"), &scope("gpt-4")).await.unwrap());
    }
    assert_eq!(r.resources_with_entity_limits().await.unwrap(), []);

    wire.fail(|operation, _| if operation == "TransactWriteItems" { Fault::Conflict } else { Fault::None });
    let error = r.set_limits(&id("e"), &scope("gpt-4"), rpm(5)).await.unwrap_err();
    let kind = |error: &RepositoryError| match error {
        RepositoryError::Store(error) => error.kind(),
        other => panic!("{other}"),
    };
    assert_eq!(kind(&error), StoreErrorKind::NotApplied, "{error}");
    wire.fail(|_, _| Fault::Broken);
    let error = r.entity(&id("e")).await.unwrap_err();
    assert_eq!(kind(&error), StoreErrorKind::Ambiguous, "an unknown failure of a server");
}

#[tokio::test(start_paused = true)]
async fn what_dynamodb_leaves_of_a_batch_is_asked_for_again() {
    let bench = Bench::new();
    let (wire, r) = bench.process().await;
    r.set_system_defaults(rpm(5)).await.unwrap();
    r.create_entity(NewEntity::new(id("e"))).await.unwrap();
    raw::put(&r, &raw::bucket(&r, ("e", "gpt-4"), (0, 1), START, &[("rpm", 0, 5_000, 5_000, 60_000)])).await;
    fail_first(&wire, "BatchGetItem", 3, Fault::Unprocessed);
    let found = limiter(&r).limits_for(&id("e"), &resource("gpt-4")).await.unwrap();
    assert_eq!((found, wire.take()["BatchGetItem"]), (Some(rpm(5).into()), 4));
    fail_first(&wire, "BatchWriteItem", 3, Fault::Unprocessed);
    r.delete_entity(&id("e")).await.unwrap();
    assert_eq!((bucket(&r, "e").await, wire.take()["BatchWriteItem"]), (Value::Null, 4));
}

#[tokio::test]
async fn what_could_not_be_sent_or_was_not_allowed_says_what_to_check() {
    let bench = Bench::new();
    let (_, r) = bench.process().await;
    let config = r.client().config();
    let nobody = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(config.region().cloned())
        .http_client(config.http_client().expect("one"))
        .build();
    let open = Repository::builder().client(aws_sdk_dynamodb::Client::from_conf(nobody)).build();
    let error = open.await.unwrap_err();
    assert!(matches!(&error, RepositoryError::Store(e) if e.kind() == StoreErrorKind::NotSent), "{error:?}");
    assert!(error.to_string().contains("check credentials"), "{error}");

    let (wire, r) = bench.process().await;
    wire.fail(|_, _| Fault::Denied);
    let error = r.entity(&id("e")).await.unwrap_err();
    assert!(matches!(&error, RepositoryError::Store(e) if e.kind() == StoreErrorKind::AccessDenied), "{error:?}");
    assert!(error.to_string().contains("(AccessDeniedException: the test's)"), "DynamoDB says who and what: {error}");
}

#[tokio::test(start_paused = true)]
async fn limits_read_during_a_change_are_not_believed_after_it() {
    let bench = Bench::new();
    let (wire, r) = bench.process().await;
    let (limiter, entity, gpt) = (limiter(&r), id("e"), resource("gpt-4"));
    let (old, new, newest) = (limits([rpm(1)]), limits([rpm(2)]), limits([rpm(3)]));
    r.set_system_defaults(&old).await.unwrap();
    // The response is created before the change, and arrives after it.
    fail_first(&wire, "BatchGetItem", 1, Fault::Slow(500));
    let change = async {
        tokio::task::yield_now().await;
        r.set_limits(&entity, &scope("gpt-4"), &new).await.unwrap();
        // The slow response is still under way: this call must not use it.
        limiter.limits_for(&entity, &gpt).await.unwrap()
    };
    let (early, late) = tokio::join!(limiter.limits_for(&entity, &gpt), change);
    assert_eq!((early.unwrap(), late), (Some(old), Some(new.clone())));
    assert_eq!(limiter.limits_for(&entity, &gpt).await.unwrap(), Some(new));

    r.delete_limits(&entity, &scope("gpt-4")).await.unwrap();
    fail_first(&wire, "BatchGetItem", 1, Fault::Slow(500));
    let change = async {
        tokio::task::yield_now().await;
        r.set_system_defaults(&newest).await.unwrap();
    };
    let _ = tokio::join!(limiter.limits_for(&entity, &gpt), change);
    assert_eq!(limiter.limits_for(&entity, &gpt).await.unwrap(), Some(newest));
}

#[tokio::test]
async fn a_change_of_one_entity_leaves_the_others_remembered() {
    let bench = Bench::new();
    let (wire, r) = bench.process().await;
    let (limiter, gpt) = (limiter(&r), resource("gpt-4"));
    r.set_system_defaults(rpm(1)).await.unwrap();
    for entity in ["one", "two"] {
        limiter.limits_for(&id(entity), &gpt).await.unwrap();
    }
    r.create_entity(NewEntity::new(id("three"))).await.unwrap();
    r.set_limits(&id("one"), &LimitScope::Default, tpm(1)).await.unwrap();
    wire.take();
    for (entity, calls, limits) in [("one", 1, tpm(1)), ("two", 0, rpm(1))] {
        assert_eq!(limiter.limits_for(&id(entity), &gpt).await.unwrap(), Some(limits.into()));
        assert_eq!(wire.count(), calls, "{entity}");
    }
    r.set_resource_defaults(&gpt, rpm(7)).await.unwrap();
    assert_eq!(limiter.limits_for(&id("two"), &gpt).await.unwrap(), Some(rpm(7).into()));
}

/// Records if batches were read strongly.
#[derive(Clone, Debug, Default)]
struct Reads(Arc<Mutex<Vec<bool>>>);

impl Intercept for Reads {
    fn name(&self) -> &'static str {
        "reads"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), aws_sdk_dynamodb::error::BoxError> {
        let body: Value = serde_json::from_slice(context.request().body().bytes().unwrap_or_default())?;
        let tables = body["RequestItems"].as_object().into_iter().flatten();
        // The check that the namespace is still in use reads the registry.
        let limits = tables.filter(|(_, table)| table["Keys"][0]["PK"]["S"] != "_/SYSTEM#");
        let batches = limits.filter_map(|(_, table)| table.get("ConsistentRead")?.as_bool());
        self.0.lock().unwrap().extend(batches);
        Ok(())
    }
}

#[tokio::test]
async fn limits_are_read_strongly_right_after_a_change() {
    let bench = Bench::new();
    let reads = Reads::default();
    let config = bench.store.client().config().to_builder().interceptor(reads.clone()).build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);
    let builder = Repository::builder().client(client).clock(bench.clock.clone()).create_table();
    let r = builder.build().await.unwrap();
    let limiter = limiter(&r);
    let strong = async |entity: &str| {
        limiter.limits_for(&id(entity), &resource("gpt-4")).await.unwrap();
        std::mem::take(&mut *reads.0.lock().unwrap())
    };
    assert_eq!(strong("a").await, [false]);
    r.set_system_defaults(rpm(1)).await.unwrap();
    assert_eq!(strong("a").await, [true]);
    bench.advance(60_000);
    assert_eq!(strong("a").await, [false]);
}

#[tokio::test]
async fn a_cursor_leads_on_in_its_own_scope_only() {
    let (_, r) = Bench::new().process().await;
    for entity in ["a", "b", "c"] {
        for scope in [LimitScope::Default, scope("gpt-4")] {
            r.set_limits(&id(entity), &scope, rpm(1)).await.unwrap();
        }
    }
    let page = r.entities_with_limits_page(&scope("gpt-4"), 1, None).await.unwrap();
    let cursor = page.next.as_deref();
    assert_eq!(r.entities_with_limits_page(&scope("gpt-4"), 5, cursor).await.unwrap().entities, ["b", "c"].map(id));
    for (scope, limit, field) in [(LimitScope::Default, 5, "cursor"), (scope("gpt-4"), 0, "limit")] {
        let error = r.entities_with_limits_page(&scope, limit, cursor).await.unwrap_err();
        assert!(matches!(&error, RepositoryError::Invalid(e) if e.field() == field), "{error}");
    }
}

#[tokio::test]
async fn a_bucket_that_fills_in_no_time_does_not_lapse_at_once() {
    let (_, r) = Bench::new().process().await;
    let burst = Limit::per_second("rps", 1_000).unwrap().with_burst(1).unwrap();
    r.set_system_defaults(burst.clone()).await.unwrap();
    r.set_limits(&id("e"), &scope("gpt-4"), rpm(1)).await.unwrap();
    raw::put(&r, &raw::bucket(&r, ("e", "gpt-4"), (0, 1), START, &[("rpm", 0, 1_000, 1_000, 60_000)])).await;
    r.delete_limits(&id("e"), &scope("gpt-4")).await.unwrap();
    let bucket = bucket(&r, "e").await;
    assert_eq!((raw::number(&bucket, "b_rps_cp"), raw::number(&bucket, "ttl")), (Some(1_000), None));
}

#[tokio::test]
async fn an_entity_that_cannot_be_deleted_whole_keeps_everything() {
    let (_, r) = Bench::new().process().await;
    let ns = r.namespace_id();
    r.create_entity(NewEntity::new(id("e"))).await.unwrap();
    r.set_limits(&id("e"), &scope("a"), rpm(1)).await.unwrap();
    let quota = json!({
        "PK": {"S": format!("{ns}/ENTITY#e")}, "SK": {"S": "#CONFIG#b"}, "GSI4PK": {"S": ns.as_str()},
        "l_q_cp": {"N": "5"}, "l_q_ra": {"N": "0"}, "l_q_rp": {"N": "1"}, "l_q_rsched": {"S": "0 0 * * *"},
    });
    raw::put(&r, &quota).await;
    let error = r.delete_entity(&id("e")).await.unwrap_err();
    assert!(matches!(&error, RepositoryError::Unsupported(u) if u.attribute == "l_q_rsched"), "{error}");
    assert_eq!(raw::partition(&r, &format!("{ns}/ENTITY#e")).await.len(), 3);
    assert_eq!(r.limits(&id("e"), &scope("a")).await.unwrap(), Some(rpm(1).into()));
}

#[tokio::test]
async fn nothing_that_is_debugged_shows_credentials() {
    let bench = Bench::new();
    let secret =
        aws_sdk_dynamodb::config::Credentials::new("AKIDSHOWN", "s3cr3t-key", Some("s3cr3t-token".into()), None, "t");
    let config = bench.store.client().config().to_builder().credentials_provider(secret).build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);
    let builder = Repository::builder().client(client).create_table();
    let mut said = format!("{builder:?}");
    let r = builder.build().await.unwrap();
    r.set_system_defaults(rpm(1)).await.unwrap();
    let limiter = limiter(&r);
    let lease = limiter.acquire("e", "gpt-4", Cost::of("rpm", 1)).await.unwrap();
    let refused = limiter.acquire("e", "gpt-4", Cost::of("rpm", 1)).await.unwrap_err();
    said += &format!("{r:?} {limiter:?} {lease:?} {refused:?} {:?}", bench.store);
    assert!(!said.contains("s3cr3t"), "{said}");
}

#[tokio::test]
async fn nobody_is_their_own_parent() {
    let (wire, r) = Bench::new().process().await;
    let own_parent = NewEntity::new(id("e")).parent(id("e")).cascading();
    let error = r.create_entity(own_parent).await.unwrap_err();
    assert!(matches!(&error, RepositoryError::Invalid(e) if e.field() == "parent_id"), "{error}");
    assert_eq!(wire.count(), 0);
}

#[tokio::test]
async fn an_empty_name_is_none() {
    let (_, r) = Bench::new().process().await;
    let entity = r.create_entity(NewEntity::new(id("e")).name("")).await.unwrap();
    assert_eq!(entity.name, "e");
    let pk = format!("{}/ENTITY#e", r.namespace_id());
    assert_eq!(raw::get(&r, &pk, "#META").await["name"]["S"], "e");
    let events = r.audit_events(&id("e").into(), 1, None).await.unwrap().events;
    assert_eq!(events[0].details["name"], "e");
    let mut nameless = raw::get(&r, &pk, "#META").await;
    nameless["name"] = json!({"S": ""});
    raw::put(&r, &nameless).await;
    assert_eq!(r.entity(&id("e")).await.unwrap().unwrap().name, "e");
}
