//! The audit trail: one event for every change, in order, for the configured retention.

use serde_json::json;
use zae_limiter::{
    EntityId, Limit, LimitScope, Limits, NamespaceName, NewEntity, Principal, Repository, RepositoryError,
    ResourceName,
    audit::{AuditAction, AuditEvent, AuditQuery, AuditTarget},
};
use zae_testkit::{
    Bench, START,
    table::{Table, item, n, s, text},
};

const DAY: i64 = 86_400;

fn entity(id: &str) -> EntityId {
    EntityId::new(id).unwrap()
}

fn rpm(rate: u64) -> Limits {
    Limit::per_minute("rpm", rate).unwrap().into()
}

async fn bench() -> (Bench, Repository, Table) {
    let bench = Bench::new();
    let (_, repository) = bench.process().await;
    let table = Table::of(&bench.store, &repository);
    (bench, repository, table)
}

/// Makes `count` changes to one entity.
async fn change(repository: &Repository, id: &str, count: u64) {
    for rate in 1..=count {
        repository.set_limits(&entity(id), &LimitScope::Default, &rpm(rate)).await.unwrap();
    }
}

async fn events(repository: &Repository, target: &AuditTarget) -> Vec<AuditEvent> {
    let page = repository.audit_events(target, 10_000, None).await.unwrap();
    assert_eq!(page.next, None);
    page.events
}

#[tokio::test]
async fn an_event_is_stored_as_the_reference_stores_it() {
    let (_, repository, table) = bench().await;
    let ops = Principal::new("ops@example.com").unwrap();
    let new = NewEntity::new(entity("key-1")).parent(entity("proj-1")).cascading().metadata("team", "a");
    repository.acting_as(&ops).unwrap().create_entity(new).await.unwrap();
    let ns = repository.namespace_id();
    let pk = format!("{ns}/AUDIT#key-1");
    let stored: Vec<_> = table.all(&pk).await.into_values().collect();
    let [stored] = stored.as_slice() else { panic!("{stored:?}") };
    let id = text(stored, "event_id");
    assert_eq!(id.len(), 26);
    let details = json!({ "name": "key-1", "parent_id": "proj-1", "cascade": true, "metadata": { "team": "a" } });
    let expected = item(&[
        ("PK", s(&pk)),
        ("SK", s(format!("#AUDIT#{id}"))),
        ("entity_id", s("key-1")),
        ("event_id", s(&id)),
        ("timestamp", s("2026-01-01T00:00:00Z")),
        ("action", s("entity_created")),
        ("principal", s("ops@example.com")),
        ("resource", aws_sdk_dynamodb::types::AttributeValue::Null(true)),
        ("details", stored["details"].clone()),
        ("ttl", n(START / 1_000 + 90 * DAY)),
        ("GSI4PK", s(ns.as_str())),
        ("GSI4SK", s(&pk)),
    ]);
    assert_eq!(*stored, expected);
    let read = events(&repository, &entity("key-1").into()).await;
    assert_eq!(json!(read[0].details), details);
}

#[tokio::test]
async fn every_level_has_a_trail_of_its_own() {
    let (_, repository, _) = bench().await;
    let (key, gpt) = (entity("key-1"), ResourceName::new("openai/gpt-4").unwrap());
    let scope = LimitScope::from(gpt.clone());
    let arn = Principal::new("arn:aws:iam::123456789012:user/x").unwrap();
    repository.acting_as(&arn).unwrap().set_limits(&key, &scope, &rpm(1)).await.unwrap();
    repository.delete_limits(&key, &scope).await.unwrap();
    assert!(!repository.delete_limits(&key, &scope).await.unwrap());
    repository.set_resource_defaults(&gpt, &rpm(2)).await.unwrap();
    repository.set_system_defaults(&rpm(3)).await.unwrap();

    let seen = |events: &[AuditEvent]| -> Vec<(AuditAction, Option<String>, Option<String>)> {
        events.iter().map(|e| (e.action.clone(), e.resource.clone(), e.principal.clone())).collect()
    };
    let res = Some("openai/gpt-4".to_owned());
    let who = Some(arn.to_string());
    let of_key = [(AuditAction::LimitsDeleted, res.clone(), None), (AuditAction::LimitsSet, res.clone(), who)];
    assert_eq!(seen(&events(&repository, &key.into()).await), of_key, "nothing deleted, nothing recorded");
    let target = AuditTarget::Resource(gpt);
    assert_eq!(seen(&events(&repository, &target).await), [(AuditAction::LimitsSet, res, None)]);
    let system = events(&repository, &AuditTarget::System).await;
    assert_eq!(seen(&system), [(AuditAction::LimitsSet, None, None)]);
    assert_eq!(json!(system[0].details["limits"][0]["capacity"]), json!(3));
}

#[tokio::test]
async fn events_are_in_the_order_of_changes_while_the_clock_stands_and_when_it_goes_back() {
    let (bench, repository, _) = bench().await;
    change(&repository, "key-1", 50).await;
    bench.clock.set(START - 3_600_000);
    for rate in 51..=60 {
        repository.set_limits(&entity("key-1"), &LimitScope::Default, &rpm(rate)).await.unwrap();
    }
    let events = events(&repository, &entity("key-1").into()).await;
    let rates: Vec<_> = events.iter().map(|event| event.details["limits"][0]["capacity"].as_u64().unwrap()).collect();
    assert_eq!(rates, (1..=60).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn pages_continue_where_they_ended() {
    let (_, repository, table) = bench().await;
    change(&repository, "key-1", 45).await;
    let target = AuditTarget::from(entity("key-1"));
    let all: Vec<String> = events(&repository, &target).await.into_iter().map(|event| event.event_id).collect();
    assert_eq!(all.len(), 45);
    // Each item now fills a tenth of one of DynamoDB's own pages.
    let pk = format!("{}/AUDIT#key-1", repository.namespace_id());
    let padding = "x".repeat(100_000);
    for id in &all {
        table.set(&pk, &format!("#AUDIT#{id}"), &[("padding", &padding)]).await;
    }
    for limit in [1, 7, 44, 45, 46] {
        let (mut seen, mut start) = (Vec::new(), None::<String>);
        loop {
            let page = repository.audit_events(&target, limit, start.as_deref()).await.unwrap();
            assert!(page.events.len() == limit as usize || page.next.is_none());
            seen.extend(page.events.into_iter().map(|event| event.event_id));
            start = page.next;
            if start.is_none() {
                break;
            }
        }
        assert_eq!(seen, all, "pages of {limit}");
    }
}

#[tokio::test]
async fn what_is_no_event_is_left_out_and_what_is_new_is_kept() {
    let (_, repository, table) = bench().await;
    change(&repository, "key-1", 1).await;
    let pk = format!("{}/AUDIT#key-1", repository.namespace_id());
    let record = |id: &str| item(&[("PK", s(&pk)), ("SK", s(format!("#AUDIT#{id}")))]);
    table.put(record("7ZZZZZZZZZZZZZZZZZZZZZZZZY")).await;
    let mut newer = record("7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    newer.insert("action".to_owned(), s("bucket_exploded"));
    table.put(newer).await;
    let events = events(&repository, &entity("key-1").into()).await;
    assert_eq!(events.iter().map(|event| event.action.as_str()).collect::<Vec<_>>(), ["bucket_exploded", "limits_set"]);
    assert_eq!(events[0].action, AuditAction::Other("bucket_exploded".to_owned()));
}

#[tokio::test]
async fn nobody_reads_another_trail() {
    let (_, repository, _) = bench().await;
    let tenant = NamespaceName::new("tenant-a").unwrap();
    repository.register_namespace(&tenant).await.unwrap();
    let scoped = repository.scoped(&tenant).await.unwrap();
    change(&scoped, "key-1", 1).await;
    change(&repository, "key-10", 1).await;
    assert_eq!(events(&repository, &entity("key-1").into()).await, []);
    assert_eq!(events(&scoped, &entity("key-1").into()).await.len(), 1);
}

#[tokio::test]
async fn hostile_arguments_are_refused() {
    let (_, repository, _) = bench().await;
    change(&repository, "key-1", 1).await;
    let target = AuditTarget::from(entity("key-1"));
    let bad =
        ["", "x", "#AUDIT#01KDW0N0000000000000000000", "01KDW0N000000000000000000U", "01KDW0N00000000000000000000"];
    for start in bad {
        let error = repository.audit_events(&target, 10, Some(start)).await.unwrap_err();
        assert!(matches!(&error, RepositoryError::Invalid(e) if e.field() == "start_event_id"), "{start:?}: {error}");
    }
    let error = repository.audit_events(&target, 0, None).await.unwrap_err();
    assert!(matches!(&error, RepositoryError::Invalid(e) if e.field() == "limit"), "{error}");
    for target in ["", "$SYSTEM#", "$RESOURCE:", "$RESOURCE:a#b", "a#b", "$OTHER"] {
        assert!(target.parse::<AuditTarget>().is_err(), "{target:?}");
    }
}

#[tokio::test]
async fn retention_comes_from_the_builder_or_the_namespace_or_is_ninety_days() {
    let (bench, repository, table) = bench().await;
    let ns = repository.namespace_id().to_string();
    let kept = async |repository: &Repository, id: &str| {
        change(repository, id, 1).await;
        let stored = table.all(&format!("{ns}/AUDIT#{id}")).await.into_values().next().unwrap();
        let now = clock_seconds(&bench);
        (stored["ttl"].as_n().unwrap().parse::<i64>().unwrap() - now) / DAY
    };
    assert_eq!(kept(&repository, "a").await, 90);

    let config = item(&[("PK", s(format!("{ns}/SYSTEM#"))), ("SK", s("#CONFIG")), ("audit_retention_days", n(7))]);
    table.put(config).await;
    assert_eq!(kept(&repository, "b").await, 90, "what was read is believed for a minute");
    bench.advance(60_000);
    assert_eq!(kept(&repository, "c").await, 7);
    let (_, fresh) = bench.process().await;
    assert_eq!(kept(&fresh, "d").await, 7);

    let builder = Repository::builder().client(bench.store.client()).clock(bench.clock.clone());
    let told = builder.audit_retention_days(30).build().await.unwrap();
    assert_eq!(kept(&told, "e").await, 30);
    let (_, other) = bench.process().await;
    assert_eq!(kept(&other, "f").await, 30, "it holds for everybody");
}

fn clock_seconds(bench: &Bench) -> i64 {
    zae_limiter::Clock::now_ms(&*bench.clock) / 1_000
}

/// Returns the text that identifies an event in these tests.
fn told(events: &[AuditEvent]) -> Vec<String> {
    events.iter().map(|event| format!("{} {}", event.target, event.action)).collect()
}

#[tokio::test]
async fn a_whole_namespace_is_listed_by_time_action_and_principal() {
    let (bench, repository, _) = bench().await;
    let (_, other) = bench.process().await;
    let gpt = ResourceName::new("gpt-4").unwrap();
    let ops = Principal::new("arn:aws:sts::123456789012:assumed-role/ops/ada").unwrap();
    repository.acting_as(&ops).unwrap().set_limits(&entity("key-1"), &LimitScope::Default, &rpm(1)).await.unwrap();
    bench.clock.set(START + 60_000);
    repository.set_resource_defaults(&gpt, &rpm(2)).await.unwrap();
    bench.clock.set(START + 120_000);
    other.set_system_defaults(&rpm(3)).await.unwrap();
    repository.acting_as(&ops).unwrap().delete_limits(&entity("key-1"), &LimitScope::Default).await.unwrap();

    let list = async |query: AuditQuery| repository.audit_trail(&query).await.unwrap();
    let (first, resource, system, last) =
        ("key-1 limits_set", "$RESOURCE:gpt-4 limits_set", "$SYSTEM limits_set", "key-1 limits_deleted");
    let all = AuditQuery::all();
    assert_eq!(told(&list(all.clone()).await.events), [last, system, resource, first]);
    let since = all.clone().since_ms(START + 60_000);
    assert_eq!(told(&list(since.clone()).await.events), [last, system, resource]);
    assert_eq!(told(&list(since.until_ms(START + 119_999)).await.events), [resource]);
    assert_eq!(told(&list(all.clone().action(AuditAction::LimitsDeleted)).await.events), [last]);
    assert_eq!(told(&list(all.clone().by("ada")).await.events), [last, first]);
    let of_key = AuditQuery::of(entity("key-1")).since_ms(START + 1);
    assert_eq!(told(&list(of_key).await.events), [last], "the same conditions for one target");

    let page = list(all.clone().limit(3)).await;
    assert_eq!(told(&page.events), [last, system, resource]);
    let rest = list(all.limit(3).before(page.next.unwrap())).await;
    assert_eq!((told(&rest.events), rest.next), (vec![first.to_owned()], None));
}

#[tokio::test]
async fn conditions_that_few_events_meet_are_looked_for_in_all_of_the_trail() {
    let (_, repository, _) = bench().await;
    let ops = Principal::new("ops").unwrap();
    repository.acting_as(&ops).unwrap().set_limits(&entity("rare"), &LimitScope::Default, &rpm(1)).await.unwrap();
    change(&repository, "key-1", 1_005).await;
    let page = repository.audit_trail(&AuditQuery::all().by("ops").limit(1)).await.unwrap();
    assert_eq!((told(&page.events), page.next), (vec!["rare limits_set".to_owned()], None));
}

#[tokio::test]
async fn an_event_keeps_what_was_there_before() {
    let (_, repository, _) = bench().await;
    change(&repository, "key-1", 2).await;
    repository.delete_limits(&entity("key-1"), &LimitScope::Default).await.unwrap();
    let events = events(&repository, &entity("key-1").into()).await;
    let before: Vec<_> = events.iter().map(|event| event.details.get("previous_limits")).collect();
    let capacity = |rate: u64| json!(rpm(rate).as_slice());
    assert_eq!(before, [Some(&capacity(2)), Some(&capacity(1)), None]);
}

#[tokio::test]
async fn new_names_have_no_control_characters_and_old_ones_can_still_be_handled() {
    let (_, repository, table) = bench().await;
    let wild = NamespaceName::new("x\u{1b}[31my").unwrap();
    let error = repository.register_namespace(&wild).await.unwrap_err();
    assert!(error.to_string().contains("invalid namespace: must not contain control characters"), "{error}");
    let named = NewEntity::new(entity("e")).name("a\u{7}b");
    let error = repository.create_entity(named).await.unwrap_err();
    assert!(error.to_string().contains("invalid name: must not contain control characters"), "{error}");
    assert!(Principal::new("arn:aws:iam::1:user/x\ny").is_err());

    let record = |sk: &str| {
        item(&[
            ("PK", s("_/SYSTEM#")),
            ("SK", s(sk)),
            ("namespace_id", s("AAAAAAAAAAA")),
            ("namespace_name", s(wild.as_str())),
            ("status", s("active")),
            ("created_at", s("2026-01-01T00:00:00Z")),
        ])
    };
    table.put(record(&format!("#NAMESPACE#{wild}"))).await;
    table.put(record("#NSID#AAAAAAAAAAA")).await;
    assert_eq!(repository.register_namespace(&wild).await.unwrap().as_str(), "AAAAAAAAAAA", "it is there already");
    assert!(repository.namespace_info(&wild).await.unwrap().is_some());
    let id = repository.delete_namespace(&wild).await.unwrap().unwrap();
    assert_eq!(repository.recover_namespace(&id).await.unwrap(), wild);
}

#[tokio::test]
async fn another_namespace_is_changed_for_the_same_principal() {
    let (_, repository, _) = bench().await;
    let tenant = NamespaceName::new("tenant-alpha").unwrap();
    repository.register_namespace(&tenant).await.unwrap();
    let scoped = repository.acting_as("ops@example.com").unwrap().scoped(&tenant).await.unwrap();
    scoped.set_system_defaults(&rpm(3)).await.unwrap();
    let event = scoped.audit_events(&AuditTarget::System, 1, None).await.unwrap().events.remove(0);
    assert_eq!(event.principal.as_deref(), Some("ops@example.com"));
    assert_eq!(repository.principal(), None, "the handle that it was made from stays as it was");
    assert!(repository.acting_as("no body").is_err());
}
