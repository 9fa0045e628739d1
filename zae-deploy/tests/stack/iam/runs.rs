//! Recorded calls of applications, administrators, monitoring and the provisioner.

use std::{collections::BTreeSet, time::Duration};

use zae_deploy::{
    aggregator::{Aggregator, Settings},
    manifest::Manifest,
    provisioner::Provisioner,
};
use zae_limiter::{
    Cost, EmbeddedStore, EntityId, Limit, LimitScope, Limits, NamespaceName, NewEntity, RateLimiter, Repository,
    ResourceName, StoredPolicy, SystemDefaults, audit::AuditTarget, stream::StreamTable, usage::UsageQuery,
    version::VersionUpdate,
};

use super::{
    calls::{Call, Recorder},
    records::{Bucket, NEW_YEAR, record},
};

/// A deployed table with the namespaces `default` and `other`.
pub(crate) struct Table {
    pub(super) store: EmbeddedStore,
    /// The id of `default`.
    pub(crate) id: String,
    /// The id of `other`.
    pub(crate) other: String,
}

pub(crate) type Calls = BTreeSet<Call>;

fn entity(name: &str) -> EntityId {
    EntityId::new(name).unwrap()
}

fn model() -> ResourceName {
    ResourceName::new("gpt-4").unwrap()
}

fn limits(rate: u64) -> Limits {
    Limits::new([Limit::per_minute("rpm", rate).unwrap(), Limit::per_minute("tpm", rate * 100).unwrap()]).unwrap()
}

impl Table {
    pub(crate) async fn new() -> Self {
        let store = EmbeddedStore::memory().unwrap();
        let repository = Repository::builder().embedded_store(&store).build().await.unwrap();
        let other = Repository::builder().embedded_store(&store).namespace("other").build().await.unwrap();
        let table = Self {
            store,
            id: repository.namespace_id().as_str().to_owned(),
            other: other.namespace_id().as_str().to_owned(),
        };
        repository
            .set_system_defaults(SystemDefaults::new(limits(100)).on_unavailable(StoredPolicy::Block))
            .await
            .unwrap();
        repository.set_resource_defaults(&model(), &limits(50)).await.unwrap();
        let child = NewEntity::new(entity("key-1")).parent(entity("proj-1")).cascading();
        repository.create_entity(child).await.unwrap();
        table
    }

    /// Opens a repository of `default` and records its calls, including the opening.
    async fn open(&self) -> (Recorder, Repository) {
        let (recorder, client) = Recorder::tap(&self.store.client());
        let builder = Repository::builder().client(client).config_cache_ttl(Duration::ZERO);
        (recorder, builder.build().await.unwrap())
    }

    /// Records an application: opening, all kinds of acquires, settlements, queries.
    pub(crate) async fn acquire(&self) -> Calls {
        let (recorder, repository) = self.open().await;
        assert!(repository.ping().await);
        let limiter = RateLimiter::new(repository.clone());
        for name in ["key-1", "user-1"] {
            let lease = limiter.acquire(name, "gpt-4", Cost::of("rpm", 1).and("tpm", 100)).await.unwrap();
            lease.consume(Cost::of("tpm", 50)).await.unwrap();
            lease.adjust("tpm", -40).unwrap();
            lease.commit().await.unwrap();
            let lease = limiter.acquire(name, "gpt-4", Cost::of("rpm", 1)).await.unwrap();
            lease.roll_back().await.unwrap();
            let all = limiter.acquire(name, "gpt-4", Cost::of("rpm", 49)).await.unwrap();
            assert!(limiter.acquire(name, "gpt-4", Cost::of("rpm", 10)).await.is_err());
            drop(all);
        }
        limiter.available(&entity("user-1"), &model()).await.unwrap();
        limiter.limits_for(&entity("user-2"), &model()).await.unwrap();
        // Changed limits reach the bucket with the next write.
        let admin = Repository::builder().client(self.store.client()).build().await.unwrap();
        admin.set_resource_defaults(&model(), &limits(60)).await.unwrap();
        limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 1)).await.unwrap().commit().await.unwrap();
        limiter.shutdown().await;
        recorder.take()
    }

    /// Records an administrator of one namespace.
    pub(crate) async fn administer(&self) -> Calls {
        let (recorder, repository) = self.open().await;
        let user = entity("user-9");
        repository.create_entity(NewEntity::new(user.clone())).await.unwrap();
        repository.set_system_defaults(&limits(10)).await.unwrap();
        repository.set_system_defaults(SystemDefaults::default().on_unavailable(StoredPolicy::Allow)).await.unwrap();
        repository.set_resource_defaults(&model(), &limits(20)).await.unwrap();
        for scope in [LimitScope::Default, LimitScope::Resource(model())] {
            repository.set_limits(&user, &scope, &limits(30)).await.unwrap();
            repository.set_limits(&user, &scope, &limits(40)).await.unwrap();
            repository.delete_limits(&user, &scope).await.unwrap();
        }
        let limiter = RateLimiter::new(repository.clone());
        drop(limiter.acquire("user-9", "gpt-4", Cost::of("rpm", 1)).await.unwrap().commit().await);
        limiter.shutdown().await;
        repository.delete_resource_defaults(&model()).await.unwrap();
        repository.delete_system_defaults().await.unwrap();
        repository.delete_entity(&user).await.unwrap();
        recorder.take()
    }

    /// Records an administrator of the table: namespaces and the version record.
    pub(crate) async fn administer_table(&self) -> Calls {
        let (recorder, repository) = self.open().await;
        let name = NamespaceName::new("fleeting").unwrap();
        let id = repository.register_namespace(&name).await.unwrap();
        let scoped = repository.scoped(&name).await.unwrap();
        scoped.set_system_defaults(&limits(1)).await.unwrap();
        repository.delete_namespace(&name).await.unwrap();
        repository.orphan_namespaces().await.unwrap();
        repository.recover_namespace(&id).await.unwrap();
        repository.delete_namespace(&name).await.unwrap();
        repository.registry().purge_namespace(&id, |_| ()).await.unwrap();
        repository.set_version_record(&VersionUpdate::default()).await.unwrap();
        recorder.take()
    }

    /// Records a dashboard of one namespace.
    pub(crate) async fn monitor(&self) -> Calls {
        let (recorder, repository) = self.open().await;
        let user = entity("user-1");
        repository.ping().await;
        repository.entity(&user).await.unwrap();
        repository.children(&entity("proj-1")).await.unwrap();
        repository.limits(&user, &LimitScope::Default).await.unwrap();
        repository.resource_defaults(&model()).await.unwrap();
        repository.system_defaults().await.unwrap();
        repository.resources_with_defaults().await.unwrap();
        repository.resources_with_entity_limits().await.unwrap();
        repository.entities_with_limits(&LimitScope::Resource(model())).await.unwrap();
        repository.resource_capacity(&model(), "rpm", zae_limiter::usage::CapacityScope::default()).await.unwrap();
        repository.usage_snapshots(&UsageQuery::entity(user.clone())).await.unwrap();
        repository.usage_summary(&UsageQuery::of_resource(model())).await.unwrap();
        repository.audit_events(&AuditTarget::Entity(user.clone()), 10, None).await.unwrap();
        repository.buckets(&user).await.unwrap();
        repository.version_record().await.unwrap();
        recorder.take()
    }

    /// Records a dashboard of all namespaces.
    pub(crate) async fn monitor_table(&self) -> Calls {
        let (recorder, repository) = self.open().await;
        repository.namespaces().await.unwrap();
        repository.orphan_namespaces().await.unwrap();
        repository.client().describe_table().table_name("limiter").send().await.unwrap();
        repository.client().scan().table_name("limiter").send().await.unwrap();
        recorder.take()
    }

    /// Records the provisioner: a manifest applied, changed, and withdrawn.
    pub(crate) async fn provision(&self) -> Calls {
        let (recorder, repository) = self.open().await;
        let provisioner = Provisioner::new(repository);
        for manifest in [
            "{system: {on_unavailable: block, limits: {rpm: {capacity: 10}}},
              resources: {gpt-4: {limits: {rpm: {capacity: 5}}}},
              entities: {user-1: {resources: {gpt-4: {limits: {rpm: {capacity: 7}}},
                                              _default_: {limits: {rpm: {capacity: 7}}}}}}}",
            "{system: {limits: {rpm: {capacity: 11}}},
              entities: {user-1: {resources: {gpt-4: {limits: {rpm: {capacity: 8}}}}}}}",
            "{}",
        ] {
            let manifest = Manifest::from_yaml(manifest).unwrap();
            provisioner.plan(&manifest).await.unwrap();
            provisioner.apply(&manifest).await.unwrap();
        }
        recorder.take()
    }

    /// Records the aggregator: usage, a refill, and a shard to update.
    pub(crate) async fn aggregate(&self) -> Calls {
        let (recorder, client) = Recorder::tap(&self.store.client());
        let settings = Settings::from_environment(|name| (name == "TABLE_NAME").then(|| "limiter".to_owned())).unwrap();
        let aggregator = Aggregator::new(StreamTable::new(client, &settings.table), settings);
        let before = Bucket { shards: 2, ..Bucket::new("key-1", "gpt-4") };
        let mut after = Bucket { shards: 4, ..before.clone() };
        after.take(&[("rpm", 900_000), ("tpm", 5_000)]);
        let quiet = [0, 1].map(|shard| Bucket { shard, shards: 2, ..Bucket::new("key-2", "gpt-4") }.split_item());
        for shard in &quiet {
            let item = zae_testkit::raw::item(shard);
            self.store.client().put_item().table_name("limiter").set_item(Some(item)).send().await.unwrap();
        }
        let mut silent = quiet[1].clone();
        silent["rf"]["N"] = (NEW_YEAR * 1_000 - 400_000).to_string().into();
        let fold = record("MODIFY", 3, NEW_YEAR, Some(silent), Some(quiet[1].clone()));
        let records = [before.created(1, NEW_YEAR), after.changed(&before, 2, NEW_YEAR), fold];
        let outcome = aggregator.process(&records, None).await;
        assert!(outcome.failed.is_empty() && outcome.snapshots_updated > 0, "{outcome:?}");
        assert_eq!(outcome.buckets_folded, 1, "{outcome:?}");
        recorder.take()
    }
}
