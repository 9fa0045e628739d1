//! The lifecycle of a namespace: registered, deleted, recovered; and the state after a crash in between.

use zae_limiter::{
    EntityId, NamespaceId, NamespaceName, NewEntity, Repository, RepositoryError,
    error::{NamespaceState, StoreErrorKind, ValidationReason},
    namespace::NamespaceInfo,
};
use zae_testkit::{
    Bench, Fault,
    table::{Table, item, s, text},
};

const REGISTRY: &str = "_/SYSTEM#";

fn name(text: &str) -> NamespaceName {
    NamespaceName::new(text).unwrap()
}

fn forward(name: &str) -> String {
    format!("#NAMESPACE#{name}")
}

fn reverse(id: &NamespaceId) -> String {
    format!("#NSID#{id}")
}

async fn bench() -> (Bench, Repository, Table) {
    let bench = Bench::new();
    let (_, repository) = bench.process().await;
    let table = Table::of(&bench.store, &repository);
    (bench, repository, table)
}

fn state(error: &RepositoryError) -> Option<NamespaceState> {
    match error {
        RepositoryError::NamespaceState { state, .. } => Some(*state),
        _ => None,
    }
}

async fn orphan(repository: &Repository, id: &NamespaceId) -> Option<NamespaceInfo> {
    repository.orphan_namespaces().await.unwrap().into_iter().find(|info| info.id == *id)
}

#[tokio::test]
async fn registering_writes_two_records_and_only_once() {
    let (bench, repository, table) = bench().await;
    let id = repository.register_namespace(&name("tenant-a")).await.unwrap();
    assert_eq!(id.as_str().len(), 11);
    let expected = |sk: String| {
        item(&[
            ("PK", s(REGISTRY)),
            ("SK", s(sk)),
            ("namespace_id", s(id.as_str())),
            ("namespace_name", s("tenant-a")),
            ("status", s("active")),
            ("created_at", s("2026-01-01T00:00:00Z")),
            ("GSI4PK", s("_")),
            ("GSI4SK", s(REGISTRY)),
        ])
    };
    for sk in [forward("tenant-a"), reverse(&id)] {
        assert_eq!(table.get(REGISTRY, &sk).await, Some(expected(sk)));
    }
    bench.advance(60_000);
    let before = table.all("").await;
    assert_eq!(repository.register_namespace(&name("tenant-a")).await.unwrap(), id);
    assert_eq!(table.all("").await, before);
}

#[tokio::test]
async fn concurrent_registrations_agree() {
    let (bench, _, table) = bench().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (_, repository) = bench.process().await;
        tasks.spawn(async move { repository.register_namespace(&name("shared")).await.unwrap() });
    }
    let ids = tasks.join_all().await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let ids: Vec<_> = table.all(REGISTRY).await.into_keys().filter(|(_, sk)| sk.starts_with("#NSID#")).collect();
    assert_eq!(ids.len(), 2, "default and shared: {ids:?}");
}

#[tokio::test]
async fn several_are_registered_at_once_and_listed_over_pages() {
    let (_, repository, table) = bench().await;
    let names: Vec<NamespaceName> = (0..30).map(|index| name(&format!("tenant-{index:02}"))).collect();
    let ids = repository.register_namespaces(&names).await.unwrap();
    assert_eq!(ids.len(), 30);
    // A page has 1 MB.
    let padding = "x".repeat(100_000);
    for (name, id) in &ids {
        for sk in [forward(name.as_str()), reverse(id)] {
            table.set(REGISTRY, &sk, &[("padding", &padding)]).await;
        }
    }
    let listed = repository.namespaces().await.unwrap();
    let listed: Vec<_> = listed.into_iter().filter(|info| info.name.as_str() != "default").collect();
    assert_eq!(listed.iter().map(|info| &info.name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    assert!(listed.iter().all(|info| ids[&info.name] == info.id && info.state == NamespaceState::Active));
    for name in &names {
        repository.delete_namespace(name).await.unwrap();
    }
    assert_eq!(repository.orphan_namespaces().await.unwrap().len(), 30);
}

#[tokio::test]
async fn a_deleted_namespace_keeps_its_data_and_comes_back() {
    let (bench, repository, _) = bench().await;
    let tenant = name("tenant-a");
    let id = repository.register_namespace(&tenant).await.unwrap();
    let key = EntityId::new("key-1").unwrap();
    let scoped = repository.scoped(&tenant).await.unwrap();
    scoped.create_entity(NewEntity::new(key.clone())).await.unwrap();
    let before = repository.namespace_info(&tenant).await.unwrap().unwrap();

    bench.advance(1_000);
    assert_eq!(repository.delete_namespace(&tenant).await.unwrap(), Some(id.clone()));
    assert_eq!(repository.namespace_info(&tenant).await.unwrap(), None);
    let info = orphan(&repository, &id).await.unwrap();
    assert_eq!((info.state, info.deleted_at.as_deref()), (NamespaceState::Deleted, Some("2026-01-01T00:00:01Z")));
    assert!(matches!(repository.scoped(&tenant).await, Err(RepositoryError::NamespaceState { .. })));
    assert_eq!(repository.delete_namespace(&tenant).await.unwrap(), None, "deleting again is nothing to do");
    assert_eq!(orphan(&repository, &id).await.unwrap(), info);

    assert_eq!(repository.recover_namespace(&id).await.unwrap(), tenant);
    assert_eq!(repository.namespace_info(&tenant).await.unwrap(), Some(before));
    assert_eq!(orphan(&repository, &id).await, None);
    assert!(repository.scoped(&tenant).await.unwrap().entity(&key).await.unwrap().is_some());
}

#[tokio::test]
async fn what_cannot_be_recovered_says_why() {
    let (_, repository, table) = bench().await;
    let active = repository.register_namespace(&name("active")).await.unwrap();
    assert_eq!(state(&repository.recover_namespace(&active).await.unwrap_err()), Some(NamespaceState::Active));

    let unknown = NamespaceId::new("unknown").unwrap();
    let error = repository.recover_namespace(&unknown).await.unwrap_err();
    assert!(matches!(error, RepositoryError::NamespaceIdNotFound(id) if id == unknown));

    let old = repository.register_namespace(&name("reused")).await.unwrap();
    repository.delete_namespace(&name("reused")).await.unwrap();
    let new = repository.register_namespace(&name("reused")).await.unwrap();
    assert_ne!(old, new);
    assert_eq!(state(&repository.recover_namespace(&old).await.unwrap_err()), Some(NamespaceState::Reregistered));
    assert_eq!(repository.namespace_info(&name("reused")).await.unwrap().unwrap().id, new);

    table.set(REGISTRY, &reverse(&old), &[("status", "purging")]).await;
    assert_eq!(state(&repository.recover_namespace(&old).await.unwrap_err()), Some(NamespaceState::Purging));

    table.set(REGISTRY, &reverse(&old), &[("status", "deleted"), ("namespace_name", "_")]).await;
    let error = repository.recover_namespace(&old).await.unwrap_err();
    assert!(matches!(error, RepositoryError::Invalid(error) if *error.reason() == ValidationReason::Reserved));
    table.set(REGISTRY, &reverse(&old), &[("namespace_name", "x"), ("status", "frozen")]).await;
    assert!(matches!(repository.recover_namespace(&old).await, Err(RepositoryError::Malformed { .. })));
}

#[tokio::test]
async fn a_deletion_interrupted_by_the_reference_is_an_orphan_that_can_be_recovered() {
    let (_, repository, table) = bench().await;
    let id = repository.register_namespace(&name("half")).await.unwrap();
    // A deletion removes the record by name first, then changes the one by id.
    table.delete(REGISTRY, &forward("half")).await;
    let info = orphan(&repository, &id).await.unwrap();
    assert_eq!((info.state, info.deleted_at), (NamespaceState::Deleted, None));
    assert_eq!(repository.recover_namespace(&id).await.unwrap(), name("half"));
    assert_eq!(repository.namespace_info(&name("half")).await.unwrap().unwrap().id, id);

    // The same, but the name has a new owner.
    table.delete(REGISTRY, &forward("half")).await;
    repository.register_namespace(&name("half")).await.unwrap();
    assert!(orphan(&repository, &id).await.is_some());
    assert_eq!(state(&repository.recover_namespace(&id).await.unwrap_err()), Some(NamespaceState::Reregistered));
}

#[tokio::test]
async fn a_recovery_interrupted_by_the_reference_is_in_use() {
    let (_, repository, table) = bench().await;
    let id = repository.register_namespace(&name("half")).await.unwrap();
    // A recovery writes the record by name first, then changes the one by id.
    let deleted = [("status", "deleted"), ("deleted_at", "2026-01-01T00:00:00Z")];
    table.set(REGISTRY, &reverse(&id), &deleted).await;
    assert_eq!(orphan(&repository, &id).await, None);
    assert_eq!(state(&repository.purge_namespace(&id, |_| ()).await.unwrap_err()), Some(NamespaceState::Active));

    assert_eq!(repository.recover_namespace(&id).await.unwrap(), name("half"));
    let record = table.get(REGISTRY, &reverse(&id)).await.unwrap();
    assert_eq!((text(&record, "status"), record.contains_key("deleted_at")), ("active".to_owned(), false));

    table.set(REGISTRY, &reverse(&id), &deleted).await;
    assert_eq!(
        repository.delete_namespace(&name("half")).await.unwrap(),
        Some(id.clone()),
        "deleting completes it too"
    );
    assert!(orphan(&repository, &id).await.is_some());
}

#[tokio::test]
async fn deleting_repairs_a_missing_record_and_never_hides_a_purge() {
    let (_, repository, table) = bench().await;
    let id = repository.register_namespace(&name("torn")).await.unwrap();
    table.delete(REGISTRY, &reverse(&id)).await;
    repository.delete_namespace(&name("torn")).await.unwrap();
    let info = orphan(&repository, &id).await.unwrap();
    assert_eq!((info.name, info.created_at.as_deref()), (name("torn"), Some("2026-01-01T00:00:00Z")));
    repository.recover_namespace(&id).await.unwrap();

    table.set(REGISTRY, &reverse(&id), &[("status", "purging")]).await;
    assert_eq!(repository.delete_namespace(&name("torn")).await.unwrap(), Some(id.clone()));
    assert_eq!(repository.namespace_info(&name("torn")).await.unwrap(), None);
    assert_eq!(orphan(&repository, &id).await.unwrap().state, NamespaceState::Purging);
}

#[tokio::test]
async fn every_change_happens_as_a_whole_or_not_at_all() {
    let bench = Bench::new();
    let (wire, repository) = bench.process().await;
    let table = Table::of(&bench.store, &repository);
    let tenant = name("tenant-a");
    let id = repository.register_namespace(&tenant).await.unwrap();
    let cut = |fault: Fault| {
        wire.fail(move |operation, _| if operation == "TransactWriteItems" { fault } else { Fault::None });
    };
    let ambiguous = |error: RepositoryError| match error {
        RepositoryError::Store(error) => assert_eq!(error.kind(), StoreErrorKind::Ambiguous),
        other => panic!("{other}"),
    };
    let registered = table.all(REGISTRY).await;

    cut(Fault::LostBefore);
    ambiguous(repository.delete_namespace(&tenant).await.unwrap_err());
    assert_eq!(table.all(REGISTRY).await, registered);

    cut(Fault::LostAfter);
    ambiguous(repository.delete_namespace(&tenant).await.unwrap_err());
    cut(Fault::None);
    assert_eq!(repository.namespace_info(&tenant).await.unwrap(), None);
    assert_eq!(repository.delete_namespace(&tenant).await.unwrap(), None);
    let deleted = table.all(REGISTRY).await;

    cut(Fault::LostBefore);
    ambiguous(repository.recover_namespace(&id).await.unwrap_err());
    assert_eq!(table.all(REGISTRY).await, deleted);

    cut(Fault::LostAfter);
    ambiguous(repository.recover_namespace(&id).await.unwrap_err());
    cut(Fault::None);
    assert_eq!(table.all(REGISTRY).await, registered);
    assert_eq!(state(&repository.recover_namespace(&id).await.unwrap_err()), Some(NamespaceState::Active));
}

#[tokio::test]
async fn names_may_be_anything_but_empty_reserved_or_too_long() {
    let (_, repository, _) = bench().await;
    let longest = "x".repeat(256);
    let odd = ["a b", "a#b", "#NSID#x", "a/b", "-rf", "übung", "'; --", "__", longest.as_str()];
    for text in odd {
        let id = repository.register_namespace(&name(text)).await.unwrap();
        assert_eq!(repository.namespace_info(&name(text)).await.unwrap().unwrap().id, id, "{text:?}");
    }
    assert_eq!(repository.namespaces().await.unwrap().len(), odd.len() + 1);
    // No terminal control characters.
    let unseen = repository.register_namespace(&name("a\nb")).await.unwrap_err();
    assert!(matches!(unseen, RepositoryError::Invalid(_)), "{unseen:?}");
    for text in odd {
        let id = repository.delete_namespace(&name(text)).await.unwrap().unwrap();
        assert_eq!(repository.recover_namespace(&id).await.unwrap(), name(text), "{text:?}");
    }
    for text in ["", "_", &"x".repeat(257)] {
        assert!(NamespaceName::new(text).is_err(), "{text:?}");
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_does_not_hide_the_others() {
    let (_, repository, table) = bench().await;
    repository.register_namespace(&name("tenant-a")).await.unwrap();
    table.put(item(&[("PK", s(REGISTRY)), ("SK", s("#NAMESPACE#bad")), ("namespace_id", s("a/b"))])).await;
    let names: Vec<String> = repository.namespaces().await.unwrap().iter().map(|info| info.name.to_string()).collect();
    assert_eq!(names, ["default", "tenant-a"]);
    let error = repository.namespace_info(&name("bad")).await.unwrap_err();
    assert!(matches!(error, RepositoryError::Malformed { .. }), "{error}");
}
