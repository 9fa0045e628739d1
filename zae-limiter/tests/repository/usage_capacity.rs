//! The remaining capacity of a resource, over all entities and shards.

use zae_limiter::{
    EntityId, LimitName, NewEntity, Repository, ResourceName,
    provision::{ManifestClaim, ProvisionerState},
    usage::{CapacityScope, ResourceCapacity},
};
use zae_testkit::{
    Bench, START,
    table::{Item, Table, item, lean_table, n, s},
};

async fn bench() -> (Bench, Repository, Table) {
    let bench = Bench::new();
    let (_, repository) = bench.process().await;
    let table = Table::of(&bench.store, &repository);
    (bench, repository, table)
}

/// Creates one shard of a bucket of 100 tokens per minute with `tokens`.
fn bucket(repository: &Repository, entity: &str, (shard, shards): (u32, i64), tokens: i64) -> Item {
    let ns = repository.namespace_id();
    item(&[
        ("PK", s(format!("{ns}/BUCKET#{entity}#gpt-4#{shard}"))),
        ("SK", s("#STATE")),
        ("entity_id", s(entity)),
        ("resource", s("gpt-4")),
        ("rf", n(START)),
        ("shard_count", n(shards)),
        ("b_rpm_tk", n(tokens * 1_000)),
        ("b_rpm_cp", n(100_000)),
        ("b_rpm_ra", n(100_000)),
        ("b_rpm_rp", n(60_000)),
        ("b_rpm_tc", n(0)),
        ("b_wcu_tk", n(1_000_000)),
        ("b_wcu_cp", n(1_000_000)),
        ("b_wcu_ra", n(1_000_000)),
        ("b_wcu_rp", n(1_000)),
        ("b_wcu_tc", n(0)),
        ("GSI2PK", s(format!("{ns}/RESOURCE#gpt-4"))),
        ("GSI2SK", s(format!("BUCKET#{entity}#{shard}"))),
    ])
}

fn rpm() -> LimitName {
    LimitName::new("rpm").unwrap()
}

async fn left(repository: &Repository, scope: CapacityScope) -> ResourceCapacity {
    repository.resource_capacity(&ResourceName::new("gpt-4").unwrap(), &rpm(), scope).await.unwrap()
}

fn by_entity(left: &ResourceCapacity) -> Vec<(&str, i64, i64)> {
    left.entities.iter().map(|e| (e.entity_id.as_str(), e.capacity, e.available)).collect()
}

#[tokio::test]
async fn all_entities_are_added_up() {
    let (bench, repository, table) = bench().await;
    for (entity, used) in [("key-1", 20), ("key-2", 50), ("key-3", 10)] {
        table.put(bucket(&repository, entity, (0, 1), 100 - used)).await;
    }
    let now = left(&repository, CapacityScope::All).await;
    assert_eq!((now.total_capacity, now.total_available), (300, 220));
    assert!((now.utilization_pct - 80.0 / 3.0).abs() < 1e-9);
    assert_eq!(by_entity(&now), [("key-1", 100, 80), ("key-2", 100, 50), ("key-3", 100, 90)]);

    bench.advance(12_000);
    let later = left(&repository, CapacityScope::All).await;
    assert_eq!(by_entity(&later), [("key-1", 100, 100), ("key-2", 100, 70), ("key-3", 100, 100)], "refilled, not over");
}

#[tokio::test]
async fn nothing_is_an_answer_too() {
    let (_, repository, table) = bench().await;
    let nothing = left(&repository, CapacityScope::All).await;
    assert_eq!((nothing.total_capacity, nothing.total_available, nothing.utilization_pct), (0, 0, 0.0));
    table.put(bucket(&repository, "key-1", (0, 1), 1)).await;
    let other = LimitName::new("tpm").unwrap();
    let gpt = ResourceName::new("gpt-4").unwrap();
    let nothing = repository.resource_capacity(&gpt, &other, CapacityScope::All).await.unwrap();
    assert!(nothing.entities.is_empty(), "a limit that no bucket has");
}

#[tokio::test]
async fn parents_are_registered_entities_without_a_parent() {
    let (_, repository, table) = bench().await;
    let id = |id: &str| EntityId::new(id).unwrap();
    repository.create_entity(NewEntity::new(id("proj-1"))).await.unwrap();
    repository.create_entity(NewEntity::new(id("key-1")).parent(id("proj-1"))).await.unwrap();
    for entity in ["proj-1", "key-1", "unregistered"] {
        table.put(bucket(&repository, entity, (0, 1), 40)).await;
    }
    assert_eq!(by_entity(&left(&repository, CapacityScope::ParentsOnly).await), [("proj-1", 100, 40)]);
    assert_eq!(left(&repository, CapacityScope::All).await.entities.len(), 3);
}

#[tokio::test]
async fn shards_share_one_capacity() {
    let (bench, repository, table) = bench().await;
    // Two of four exist; the others start with a quarter each when they are needed.
    table.put(bucket(&repository, "key-1", (0, 4), 5)).await;
    table.put(bucket(&repository, "key-1", (1, 4), 10)).await;
    assert_eq!(by_entity(&left(&repository, CapacityScope::All).await), [("key-1", 100, 5 + 10 + 25 + 25)]);
    // 6 s are 10 tokens of the whole, 2.5 of each.
    bench.advance(6_000);
    assert_eq!(by_entity(&left(&repository, CapacityScope::All).await), [("key-1", 100, 5 + 10 + 5 + 25 + 25)]);
    // The Python package leaves shard 0 with all its tokens when it splits a bucket; a shard beyond the count is not
    // read.
    table.put(bucket(&repository, "key-1", (0, 4), 100)).await;
    table.put(bucket(&repository, "key-1", (7, 8), 0)).await;
    assert_eq!(by_entity(&left(&repository, CapacityScope::All).await), [("key-1", 100, 25 + 12 + 25 + 25)]);
    bench.advance(600_000);
    assert_eq!(by_entity(&left(&repository, CapacityScope::All).await), [("key-1", 100, 100)]);
}

#[tokio::test]
async fn debt_is_more_than_everything_used() {
    let (_, repository, table) = bench().await;
    table.put(bucket(&repository, "key-1", (0, 1), -50)).await;
    let left = left(&repository, CapacityScope::All).await;
    assert_eq!((left.total_available, left.utilization_pct), (-50, 150.0));
}

#[tokio::test]
async fn a_bucket_of_a_newer_client_is_named_and_left_out() {
    let (_, repository, table) = bench().await;
    table.put(bucket(&repository, "key-1", (0, 2), 40)).await;
    let mut newer = bucket(&repository, "key-1", (1, 2), 40);
    newer.insert("bypass".to_owned(), s("always"));
    table.put(newer).await;
    table.put(bucket(&repository, "key-2", (0, 1), 40)).await;
    let left = left(&repository, CapacityScope::All).await;
    assert_eq!(by_entity(&left), [("key-2", 100, 40)]);
    let [unsupported] = left.unsupported.as_slice() else { panic!("{left:?}") };
    assert_eq!(unsupported.attribute, "bypass");
}

#[tokio::test]
async fn pages_are_followed() {
    let (_, repository, table) = bench().await;
    let padding = "x".repeat(40_000);
    let padded = (0..60).map(|index| {
        let mut bucket = bucket(&repository, &format!("key-{index:02}"), (0, 1), 50);
        bucket.insert("padding".to_owned(), s(&padding));
        bucket
    });
    table.put_all(padded.collect()).await;
    let left = left(&repository, CapacityScope::All).await;
    assert_eq!((left.entities.len(), left.total_available), (60, 3_000));
}

#[tokio::test]
async fn a_lean_index_gives_the_same_answer() {
    let bench = Bench::new();
    lean_table(&bench.store, "limiter").await;
    let (wire, repository) = bench.process().await;
    let table = Table::of(&bench.store, &repository);
    assert_eq!(table.name, "limiter");
    table.put_all((0..130).map(|i| bucket(&repository, &format!("key-{i:03}"), (0, 1), 50)).collect()).await;
    wire.take();
    let left = left(&repository, CapacityScope::All).await;
    assert_eq!((left.entities.len(), left.total_available), (130, 6_500));
    assert_eq!(wire.take().get("BatchGetItem"), Some(&2), "the index alone does not say");
}

#[tokio::test]
async fn the_provisioners_state_is_kept_as_a_whole() {
    let (_, repository, table) = bench().await;
    assert_eq!(repository.provisioner_state().await.unwrap(), ProvisionerState::default());
    let mut state = ProvisionerState {
        managed_system: true,
        managed_resources: vec!["openai/gpt-4".to_owned()],
        managed_entities: [("proj-1".to_owned(), vec!["openai/gpt-4".to_owned(), "_default_".to_owned()])].into(),
        last_applied: Some("2026-01-01T00:00:00.000000+00:00".to_owned()),
        applied_hash: Some("sha256:0f3a".to_owned()),
        claim: Some(ManifestClaim { owner: Some("stack Limits".to_owned()), manifest: Some("{}".to_owned()) }),
        replaced: Some(ManifestClaim { owner: None, manifest: Some("{}".to_owned()) }),
    };
    repository.put_provisioner_state(&state).await.unwrap();
    assert_eq!(repository.provisioner_state().await.unwrap(), state);
    let pk = format!("{}/SYSTEM#", repository.namespace_id());
    let stored = table.get(&pk, "#PROVISIONER").await.unwrap();
    assert_eq!(
        (&stored["managed_resources"], &stored["GSI4SK"]),
        (&aws_sdk_dynamodb::types::AttributeValue::L(vec![s("openai/gpt-4")]), &s(&pk))
    );
    state.managed_entities.clear();
    (state.applied_hash, state.claim, state.replaced) = (None, None, None);
    repository.put_provisioner_state(&state).await.unwrap();
    assert_eq!(repository.provisioner_state().await.unwrap(), state, "what is gone is gone");
}
