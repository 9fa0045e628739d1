//! Permanently removing a namespace, including interruptions.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use aws_sdk_dynamodb::types::AttributeValue;
use zae_limiter::{
    AcquireError, Cost, EntityId, Limit, LimitScope, Limits, NamespaceId, NamespaceName, NewEntity, RateLimiter,
    Repository, RepositoryError, ResourceName, error::NamespaceState,
};
use zae_testkit::{
    Bench, Fault, Wire,
    table::{Item, Table, item, n, s},
};

const REGISTRY: &str = "_/SYSTEM#";

struct Tenants {
    bench: Bench,
    wire: Wire,
    repository: Repository,
    table: Table,
    /// The purged namespace.
    doomed: NamespaceId,
    /// The other namespace, with the same contents.
    other: NamespaceId,
}

fn bucket(ns: &NamespaceId, entity: &str, shard: u32) -> Item {
    item(&[
        ("PK", s(format!("{ns}/BUCKET#{entity}#gpt-4#{shard}"))),
        ("SK", s("#STATE")),
        ("rf", n(0)),
        ("GSI2PK", s(format!("{ns}/RESOURCE#gpt-4"))),
        ("GSI2SK", s(format!("BUCKET#{entity}#{shard}"))),
        ("GSI3PK", s(format!("{ns}/ENTITY#{entity}"))),
        ("GSI3SK", s(format!("BUCKET#gpt-4#{shard}"))),
        ("GSI4PK", s(ns.as_str())),
        ("GSI4SK", s(format!("BUCKET#{entity}#gpt-4#{shard}"))),
    ])
}

/// Returns configurations as the Python package's provisioner writes them: in no index.
fn provisioned(ns: &NamespaceId) -> Vec<Item> {
    let config = |pk: String, sk: &str| item(&[("PK", s(pk)), ("SK", s(sk)), ("GSI4PK", s(ns.as_str()))]);
    let names = |names: &[&str]| AttributeValue::L(names.iter().map(|name| s(*name)).collect());
    let mut state = config(format!("{ns}/SYSTEM#"), "#PROVISIONER");
    state.insert("managed_resources".to_owned(), names(&["managed/model"]));
    let entities = [("proj-9".to_owned(), names(&["managed/model", "_default_"]))];
    state.insert("managed_entities".to_owned(), AttributeValue::M(entities.into()));
    vec![
        state,
        config(format!("{ns}/RESOURCE#managed/model"), "#CONFIG"),
        config(format!("{ns}/ENTITY#proj-9"), "#CONFIG#managed/model"),
        config(format!("{ns}/ENTITY#proj-9"), "#CONFIG#_default_"),
    ]
}

async fn fill(repository: &Repository, table: &Table) {
    let limits: Limits = Limit::per_minute("rpm", 10).unwrap().into();
    let gpt = ResourceName::new("gpt-4").unwrap();
    repository.set_system_defaults(&limits).await.unwrap();
    repository.set_resource_defaults(&gpt, &limits).await.unwrap();
    let key = EntityId::new("key-1").unwrap();
    repository.create_entity(NewEntity::new(key.clone())).await.unwrap();
    repository.set_limits(&key, &LimitScope::Default, &limits).await.unwrap();
    let ns = repository.namespace_id();
    table.put_all(provisioned(ns)).await;
    table.put_all((0..30).map(|index| bucket(ns, &format!("key-{index}"), 0)).collect()).await;
}

async fn tenants() -> Tenants {
    let bench = Bench::new();
    let (wire, repository) = bench.process().await;
    let table = Table::of(&bench.store, &repository);
    let (doomed_name, other_name) = (NamespaceName::new("doomed").unwrap(), NamespaceName::new("other").unwrap());
    let doomed = repository.register_namespace(&doomed_name).await.unwrap();
    let other = repository.register_namespace(&other_name).await.unwrap();
    for name in [&doomed_name, &other_name] {
        fill(&repository.scoped(name).await.unwrap(), &table).await;
    }
    repository.delete_namespace(&doomed_name).await.unwrap();
    Tenants { bench, wire, repository, table, doomed, other }
}

impl Tenants {
    async fn left(&self) -> usize {
        self.table.all(&format!("{}/", self.doomed)).await.len()
    }

    async fn state(&self) -> Option<NamespaceState> {
        let orphans = self.repository.orphan_namespaces().await.unwrap();
        orphans.into_iter().find(|info| info.id == self.doomed).map(|info| info.state)
    }
}

#[tokio::test]
async fn a_purge_removes_everything_of_one_namespace_and_nothing_else() {
    let t = tenants().await;
    let others = t.table.all(&format!("{}/", t.other)).await;
    let before = t.left().await;
    assert!(before > 40, "{before}");
    let mut reported = Vec::new();
    let removed = t.repository.purge_namespace(&t.doomed, |removed| reported.push(removed)).await.unwrap();
    assert_eq!((removed, t.left().await), (before as u64, 0));
    assert!(reported.is_sorted() && reported.last() == Some(&removed), "{reported:?}");
    assert_eq!(t.table.all(&format!("{}/", t.other)).await, others);
    assert_eq!(t.table.get(REGISTRY, &format!("#NSID#{}", t.doomed)).await, None);
    assert_eq!(t.state().await, None);
    assert_eq!(t.repository.purge_namespace(&t.doomed, |_| ()).await.unwrap(), 0, "again is nothing to do");
    let error = t.repository.recover_namespace(&t.doomed).await.unwrap_err();
    assert!(matches!(error, RepositoryError::NamespaceIdNotFound(_)));
}

#[tokio::test]
async fn a_purge_follows_pages() {
    let t = tenants().await;
    // Long keys fill the pages of an index of keys, which have 1 MB: 2200 times about 600 bytes.
    let long = "k".repeat(256);
    t.table.put_all((0..2_200).map(|shard| bucket(&t.doomed, &long, shard)).collect()).await;
    let mut pages = 0;
    let removed = t.repository.purge_namespace(&t.doomed, |_| pages += 1).await.unwrap();
    assert!(removed > 2_200 && pages > 5, "{removed} items in {pages} pages");
    assert_eq!(t.left().await, 0);
}

#[tokio::test]
async fn what_is_in_use_is_not_purged() {
    let t = tenants().await;
    let before = t.table.all("").await;
    let error = t.repository.purge_namespace(&t.other, |_| ()).await.unwrap_err();
    assert!(matches!(error, RepositoryError::NamespaceState { state: NamespaceState::Active, .. }), "{error}");
    assert_eq!(t.table.all("").await, before);
}

#[tokio::test]
async fn a_half_deleted_namespace_can_be_purged() {
    let t = tenants().await;
    t.table.delete(REGISTRY, "#NAMESPACE#other").await;
    t.repository.purge_namespace(&t.other, |_| ()).await.unwrap();
    assert!(t.table.all(&format!("{}/", t.other)).await.is_empty());
}

#[tokio::test]
async fn a_purge_that_breaks_off_anywhere_is_finished_by_the_next() {
    for stop in 1.. {
        let t = tenants().await;
        let before = t.left().await;
        // The connection is lost from the `stop`th write on; every other time the write itself still arrives.
        let writes = Arc::new(AtomicU64::new(0));
        t.wire.fail(move |operation, _| {
            let write = matches!(operation, "BatchWriteItem" | "TransactWriteItems");
            let count = if write { writes.fetch_add(1, Ordering::SeqCst) + 1 } else { writes.load(Ordering::SeqCst) };
            match count.cmp(&stop) {
                std::cmp::Ordering::Less => Fault::None,
                std::cmp::Ordering::Equal if write && stop % 2 == 0 => Fault::LostAfter,
                _ => Fault::LostBefore,
            }
        });
        let purged = t.repository.purge_namespace(&t.doomed, |_| ()).await;
        t.wire.fail(|_, _| Fault::None);
        if purged.is_ok() {
            assert!(stop > 4, "marking, several deletions and finishing were all interrupted");
            break;
        }
        match t.state().await {
            Some(NamespaceState::Purging) => {
                let error = t.repository.recover_namespace(&t.doomed).await.unwrap_err();
                assert!(matches!(error, RepositoryError::NamespaceState { state: NamespaceState::Purging, .. }));
            }
            Some(state) => assert_eq!((state, t.left().await), (NamespaceState::Deleted, before), "stop {stop}"),
            None => assert_eq!(t.left().await, 0, "stop {stop}"),
        }
        t.repository.purge_namespace(&t.doomed, |_| ()).await.unwrap();
        assert_eq!((t.left().await, t.state().await), (0, None), "stop {stop}");
    }
}

#[tokio::test]
async fn a_purge_stops_when_the_reference_recovers_the_namespace_meanwhile() {
    let t = tenants().await;
    let (store, table, id) = (t.bench.store.clone(), t.table.name.clone(), t.doomed.clone());
    let mut recovered = false;
    let result = t.repository.purge_namespace(&t.doomed, |_| {
        if !std::mem::replace(&mut recovered, true) {
            let (store, table, id) = (store.clone(), table.clone(), id.clone());
            let recover = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let table = Table { client: store.client(), name: table };
                let sk = format!("#NSID#{id}");
                runtime.block_on(table.set(REGISTRY, &sk, &[("status", "active")]));
            };
            std::thread::spawn(recover).join().unwrap();
        }
    });
    let error = result.await.unwrap_err();
    assert!(matches!(error, RepositoryError::NamespaceState { state: NamespaceState::Active, .. }), "{error}");
    assert!(t.left().await > 0);
}

#[tokio::test]
async fn an_item_of_another_namespace_is_never_removed() {
    let t = tenants().await;
    // Index keys of the one, partition of the other.
    let mut stray = bucket(&t.doomed, "stray", 0);
    stray.insert("PK".to_owned(), s(format!("{}/BUCKET#stray#gpt-4#0", t.other)));
    t.table.put(stray).await;
    t.repository.purge_namespace(&t.doomed, |_| ()).await.unwrap();
    assert!(t.table.get(&format!("{}/BUCKET#stray#gpt-4#0", t.other), "#STATE").await.is_some());
}

#[tokio::test]
async fn a_purge_can_be_spawned() {
    let t = tenants().await;
    let (repository, doomed) = (t.repository.clone(), t.doomed.clone());
    let purge = tokio::spawn(async move { repository.purge_namespace(&doomed, |_| ()).await });
    assert!(purge.await.unwrap().unwrap() > 0);
}

/// Creates a process that has a namespace open, and has cached the limits of `user-1` there.
async fn process(t: &Tenants, name: &str) -> (Wire, RateLimiter) {
    let (wire, repository) = t.bench.process().await;
    let limiter = RateLimiter::new(repository.scoped(&NamespaceName::new(name).unwrap()).await.unwrap());
    assert!(ask(&limiter).await.is_ok());
    (wire, limiter)
}

async fn ask(limiter: &RateLimiter) -> Result<(), RepositoryError> {
    match limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await {
        Ok(lease) => {
            drop(lease.commit());
            Ok(())
        }
        Err(AcquireError::Repository(error)) => match &*error {
            RepositoryError::NamespaceNotFound(name) => Err(RepositoryError::NamespaceNotFound(name.clone())),
            RepositoryError::NamespaceState { id, state, advice } => {
                Err(RepositoryError::NamespaceState { id: id.clone(), state: *state, advice })
            }
            other => panic!("{other}"),
        },
        Err(other) => panic!("{other}"),
    }
}

const REFRESH: u64 = 61_000;

#[tokio::test]
async fn a_purged_namespace_is_served_no_longer_than_its_limits_are_remembered() {
    let t = tenants().await;
    let (wire, limiter) = process(&t, "other").await;
    t.repository.delete_namespace(&NamespaceName::new("other").unwrap()).await.unwrap();
    t.repository.purge_namespace(&t.other, |_| ()).await.unwrap();
    t.bench.advance(REFRESH);
    for _ in 0..3 {
        let error = ask(&limiter).await.unwrap_err();
        assert!(matches!(error, RepositoryError::NamespaceNotFound(_)), "{error}");
    }
    let stranger = limiter.acquire("user-2", "gpt-4", Cost::of("rpm", 1)).await;
    assert!(matches!(stranger, Err(AcquireError::Repository(_))), "{stranger:?}");
    assert!(t.table.all(&format!("{}/", t.other)).await.is_empty(), "no orphans");
    drop(wire);
}

#[tokio::test]
async fn a_deleted_namespace_is_served_again_once_it_is_recovered() {
    let t = tenants().await;
    let (wire, limiter) = process(&t, "other").await;
    t.repository.delete_namespace(&NamespaceName::new("other").unwrap()).await.unwrap();
    t.bench.advance(REFRESH);
    wire.take();
    for _ in 0..3 {
        let error = ask(&limiter).await.unwrap_err();
        assert!(matches!(error, RepositoryError::NamespaceState { state: NamespaceState::Deleted, .. }), "{error}");
    }
    let calls = wire.take();
    assert_eq!(calls.values().sum::<u64>(), 3, "the refusal is remembered as limits are: {calls:?}");
    t.repository.recover_namespace(&t.other).await.unwrap();
    t.bench.advance(REFRESH);
    wire.take();
    ask(&limiter).await.unwrap();
    assert_eq!(wire.take()["BatchGetItem"], 2, "the limits, and the namespace beside the table's version");
}

#[tokio::test]
async fn a_namespace_whose_record_by_id_is_missing_or_behind_is_served() {
    let t = tenants().await;
    let (_, limiter) = process(&t, "other").await;
    let by_id = format!("#NSID#{}", t.other);
    // The state after an interrupted recovery by the Python package.
    t.table.set(REGISTRY, &by_id, &[("status", "deleted")]).await;
    t.bench.advance(REFRESH);
    ask(&limiter).await.unwrap();
    t.table.delete(REGISTRY, &by_id).await;
    t.bench.advance(REFRESH);
    ask(&limiter).await.unwrap();
}
