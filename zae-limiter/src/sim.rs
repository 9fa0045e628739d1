//! Seams for a simulation that runs limiters on its own table: no SDK, no wall clock, one seed.
//!
//! Everything nondeterministic in a limiter enters in three ways: the table ([`Table`]), the clock ([`Clock`]) and the
//! generator (the seed of [`build`]). tokio's paused time is the fourth, which the simulation controls itself. With all
//! of them given, a schedule of faults replays from its seed, step by step.
//!
//! Behind a hidden feature and without stability guarantees: it may change in any release.

use std::sync::{Arc, OnceLock};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig},
};

pub use crate::store::model::{Answer, Answering, Fault, ItemKey, Request, Table};
use crate::{
    bucket::split::{AHEAD_MS, CLOCKS_MS},
    clock::{Clock, StoreDates},
    limiter::{RateLimiter, RateLimiterBuilder},
    model::{
        limit::Limits,
        name::{EntityId, LimitScope, NamespaceId, NamespaceName, ResourceName, StackName},
        usage::UsageWindow,
    },
    repository::{AuditRetention, DEFAULT_NAMESPACE, Inner, Repository, Settings, resolution::Resolutions},
    store::Store,
    stream::{SequenceNumber, StreamRecord, StreamTable},
    wire::{
        Item,
        config::{self, ConfigLevel},
        keys, namespace,
        snapshot::Snapshot,
        usage,
        values::{item, s},
    },
};

/// The time by which a shard that a split creates may begin ahead of its writer's clock, in ms: a neighbour whose clock
/// is ahead may have refilled the shard that it comes from, and others until shortly after the split.
pub const SPLIT_AHEAD_MS: i64 = CLOCKS_MS + AHEAD_MS;

/// The single namespace.
const NAMESPACE: &str = "SimSimSimSi";

/// Names of the single namespace, and everything that is written in it.
#[derive(Clone, Debug)]
pub struct Names {
    /// The namespace's name.
    name: NamespaceName,
    /// The namespace's id.
    id: NamespaceId,
    /// The stack, which is also the table's name.
    stack: StackName,
}

impl Names {
    /// Creates the names, which are always the same.
    ///
    /// # Errors
    /// Never: the names are valid.
    pub fn new() -> Result<Self, crate::error::ValidationError> {
        Ok(Self {
            name: NamespaceName::new(DEFAULT_NAMESPACE)?,
            id: NamespaceId::new(NAMESPACE)?,
            stack: StackName::new("sim")?,
        })
    }

    /// Returns the record of the active namespace.
    pub fn record(&self) -> Item {
        namespace::encode(&namespace::by_name(&self.name), &self.name, &self.id, "2026-01-01T00:00:00Z")
    }

    /// Returns the record of an entity, which also charges `parent` if there is one.
    pub fn entity(&self, entity: &EntityId, parent: Option<&EntityId>) -> Item {
        let ns = self.id.as_str();
        let mut record = item([
            ("PK", s(keys::pk_entity(ns, entity.as_str()))),
            ("SK", s(keys::sk_meta())),
            ("entity_id", s(entity.as_str())),
        ]);
        if let Some(parent) = parent {
            record.insert("parent_id".to_owned(), s(parent.as_str()));
            record.insert("cascade".to_owned(), aws_sdk_dynamodb::types::AttributeValue::Bool(true));
        }
        record
    }

    /// Returns the limits of an entity for all resources.
    pub fn limits(&self, entity: &EntityId, limits: &Limits) -> Item {
        let level = ConfigLevel::Entity(entity, &LimitScope::Default);
        config::encode(level, self.id.as_str(), Some(limits), None, None)
    }

    /// Returns the default limits of a resource: their buckets may be removed when they are full.
    pub fn defaults(&self, resource: &ResourceName, limits: &Limits) -> Item {
        config::encode(ConfigLevel::Resource(resource), self.id.as_str(), Some(limits), None, None)
    }

    /// Returns the key of a bucket.
    pub fn bucket(&self, entity: &EntityId, resource: &ResourceName, shard: u32) -> ItemKey {
        let pk = keys::pk_bucket(self.id.as_str(), entity.as_str(), resource.as_str(), shard);
        ItemKey { pk, sk: keys::sk_state().to_owned() }
    }

    /// Returns the key of an entity's usage on the day that begins at `start`, as it is written in keys.
    pub fn usage_of_day(&self, entity: &EntityId, resource: &ResourceName, start: &str) -> ItemKey {
        let snapshot = Snapshot {
            namespace: self.id.as_str().to_owned(),
            entity: entity.as_str().to_owned(),
            resource: resource.as_str().to_owned(),
            window: UsageWindow::Daily,
            start: start.to_owned(),
        };
        usage::key(&snapshot).into()
    }

    /// Creates the writing half of the aggregator on `table`.
    pub fn stream(&self, table: Arc<dyn Table>, clock: Arc<dyn Clock>) -> StreamTable {
        StreamTable::of_model(Self::store(table), clock)
    }

    fn store(table: Arc<dyn Table>) -> Store {
        // A client takes longer to make than many a call.
        static STORE: OnceLock<Store> = OnceLock::new();
        let store = STORE.get_or_init(|| Store::new("sim".to_owned(), &nowhere()));
        Store { dates: StoreDates::default(), model: Some(table), ..store.clone() }
    }

    /// Creates a repository on `table`.
    pub fn repository(&self, table: Arc<dyn Table>, clock: Arc<dyn Clock>) -> Repository {
        Repository::assemble(Inner {
            store: Self::store(table),
            clock,
            stack: self.stack.clone(),
            endpoint_url: None,
            namespace_name: self.name.clone(),
            namespace_id: self.id.clone(),
            resolutions: Arc::new(Resolutions::new(crate::repository::DEFAULT_CONFIG_CACHE_TTL)),
            settings: Settings {
                bucket_ttl_multiplier: 7,
                config_cache_ttl: crate::repository::DEFAULT_CONFIG_CACHE_TTL,
            },
            audit: AuditRetention::default(),
        })
    }
}

/// Builds the limiter that `builder` describes, with all randomness from `seed`.
pub fn build(builder: RateLimiterBuilder, seed: u64) -> RateLimiter {
    builder.seed(seed).build()
}

/// Returns true if `limiter` has nothing to do: no write is under way or pending.
pub fn is_idle(limiter: &RateLimiter) -> bool {
    limiter.is_idle()
}

/// Returns the table's stream record of a bucket that changed from `old` to `new` at `at` (epoch ms).
///
/// # Errors
/// The reason why there is none.
pub fn record(number: u64, old: Option<&Item>, new: &Item, at: i64) -> Result<StreamRecord, String> {
    let sequence = SequenceNumber::new(&number.to_string()).ok_or("a number with too many digits")?;
    StreamRecord::of_bucket(sequence, old, new, at)
}

/// Returns a client that never sends anything.
fn nowhere() -> Client {
    let timeouts = TimeoutConfig::builder().disable_operation_timeout().disable_operation_attempt_timeout();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts.build())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Client::from_conf(config.build())
}
