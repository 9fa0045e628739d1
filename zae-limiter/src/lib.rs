//! Distributed rate limiting on DynamoDB: several limits per call, entity hierarchies, and leases that settle after
//! the call.
//!
//! A [`Repository`] is one namespace of one table: entities, limits, audit, usage. A [`RateLimiter`] takes tokens from
//! its buckets and returns a [`Lease`], which is adjusted when the real cost is known and then committed. All processes
//! on a table, including those that use the Python package `zae-limiter` 0.17, share the same buckets.
//!
//! ```
//! # #[cfg(feature = "embedded")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use zae_limiter::{AcquireError, Cost, Limit, Limits, RateLimiter, Repository};
//!
//! let repository = Repository::embedded().await?; // in production `Repository::open("default").await?`
//! let limits = Limits::new([Limit::per_minute("rpm", 100)?, Limit::per_minute("tpm", 10_000)?])?;
//! repository.set_system_defaults(&limits).await?;
//!
//! let limiter = RateLimiter::new(repository);
//! match limiter.acquire("key-1", "gpt-4", Cost::of("rpm", 1).and("tpm", 500)).await {
//!     Ok(lease) => {
//!         let used = 620; // what the model says it was
//!         lease.adjust("tpm", used - 500)?;
//!         lease.commit().await?;
//!     }
//!     Err(AcquireError::Exceeded(not_yet)) => println!("try again in {:?}", not_yet.retry_after()),
//!     Err(AcquireError::NeverFits(never)) => println!("more than the limit can ever hold: {never}"),
//!     Err(other) => return Err(other.into()),
//! }
//! limiter.shutdown().await;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "embedded"))]
//! # fn main() {}
//! ```
//!
//! # Units
//!
//! Amounts, capacities and refills are whole tokens; periods are whole seconds; waits are [`std::time::Duration`]s. The
//! table itself keeps thousandths of tokens and milliseconds.
//!
//! # Cost
//!
//! | | DynamoDB calls |
//! |---|---|
//! | acquire from a known bucket, refill included | 1 write, shared by all acquires that wait for the same bucket |
//! | the same, when another process changed the bucket in between | 1 or 2 writes |
//! | first acquire of an entity in a process | 1 batch read, 1 write |
//! | with a parent | the same for the parent, at the same time |
//! | refused | none while the bucket was seen within the last second, else 1 write |
//! | adjustment, refund | rides along with the next write, or 1 write after 50 ms |
//!
//! In [reserve mode](Reserve), each process writes a busy bucket a few times a second, however many acquires there are.
//!
//! # Metrics and events
//!
//! Metrics use the [`metrics`](https://docs.rs/metrics) facade, events use [`tracing`](https://docs.rs/tracing); no
//! label ever contains an entity. [`guide::operations`] lists them all, with units and labels. The most important ones:
//!
//! | metric | labels | says |
//! |---|---|---|
//! | `zae_acquires_total` | `outcome` | how acquires ended: `granted`, `refused`, `error`, `blind`, `local`, `unavailable` |
//! | `zae_store_write_units_total` | | what they cost |
//! | `zae_store_retries_total` | `reason` | how often neighbours (`condition`) or DynamoDB (`throttled`) were in the way |
//! | `zae_settlements_lost_total` | | adjustments and refunds that could not be written |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `aws` | yes | connect to AWS: credentials, region, endpoints, proxies, TLS (rustls on ring); see the module `aws` |
//! | `sso` | no | credentials of IAM Identity Center as well |
//! | `login` | no | credentials of `aws login` as well |
//! | `embedded` | no | an in-process DynamoDB, in memory or in a file: [`Repository::embedded`] |
//!
//! # Where to start
//!
//! | you want to | look at |
//! |---|---|
//! | limit a call | [`RateLimiter::acquire`], [`Cost`], [`Lease`] |
//! | set a limiter up | [`RateLimiter::builder`]: deadline, outages, reserve |
//! | open a table | [`Repository::open`], [`Repository::builder`], [`Repository::embedded`] |
//! | store limits | [`Repository::set_limits`], [`Repository::set_system_defaults`], [`Limit`] |
//! | tell users what is left | [`Lease::statuses`], [`RateLimiter::available`] |
//! | react to a refusal | [`AcquireError`], and the table in [`error`] |
//! | test your service | [`guide::testing`], [`ManualClock`] |
//! | understand why it is exact | [`guide::engine`] |
//!
//! # Cancel safety
//!
//! Dropping the future of an acquire at any point leaves nothing taken, once the refund of a write under way has
//! settled. Dropping a [`Lease`] rolls it back; dropping a [`Settlement`] does not cancel it. Reads of a [`Repository`]
//! can be dropped at any time. Its changes are one transaction each, so a dropped one has either happened or not; the
//! few that take several writes document what an interruption leaves, and can be repeated.
//!
//! # Runtimes
//!
//! A limiter needs a multi-threaded or current-thread tokio runtime with time enabled. It runs on the runtime on which
//! it was built, even if it is called on another ([`RateLimiterBuilder::build`]), and spawns a task only while a bucket
//! has work.

#![cfg_attr(docsrs, feature(doc_cfg))]

/// Compiles the examples of the crate's README.
#[cfg(all(doctest, feature = "embedded"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(feature = "aws")]
pub mod aws;
mod bucket;
mod clock;
#[cfg(feature = "embedded")]
mod embedded;
mod engine;
pub mod error;
pub mod guide;
mod lazy;
mod limiter;
mod model;
mod random;
mod recent;
mod repository;
#[cfg(feature = "sim")]
#[doc(hidden)]
pub mod sim;
mod store;
pub mod stream;
mod wire;

pub use clock::{Clock, ManualClock, SystemClock};
#[cfg(feature = "embedded")]
pub use embedded::EmbeddedStore;
// For `zae-deploy local`, which sets up its database differently.
#[cfg(feature = "embedded")]
#[doc(hidden)]
pub use embedded::DatabaseFront;
pub use error::{AcquireError, LeaseError, RepositoryError, SettleError, SettleOutlook, ValidationError};
pub use limiter::{Acquire, Lease, LeaseOrigin, MAX_RESOURCES, RateLimiter, RateLimiterBuilder, Settlement};
pub use model::{
    availability::Availability,
    cost::{Cost, REQUEST_LIMIT_NAMES},
    defaults::SystemDefaults,
    document::SharedDocument,
    entity::{Entity, NewEntity},
    limit::{Limit, Limits, MAX_LIMITS, MAX_PERIOD, MAX_SESSION, MAX_TOKENS},
    name::{EntityId, IntoName, LimitName, LimitScope, NamespaceId, NamespaceName, Principal, ResourceName, StackName},
    parameters::{LimitSchedule, Parameters, ScheduleBuilder},
    pause::Pause,
    quota::QuotaBuilder,
    reserve::Reserve,
    shards::Shards,
    status::{LimitStatus, OnUnavailable, StoredPolicy},
    unsettled::Unsettled,
};
pub use repository::{ConfigCacheStats, EntityPage, Repository, RepositoryBuilder};

/// Settings of resources and entities other than their limits.
pub mod access {
    pub use crate::model::access::{Access, Cascade, ConfigTarget, ResolvedAccess};
}

/// The audit trail: events, and queries for [`Repository::audit_trail`].
pub mod audit {
    pub use crate::model::audit::{AuditAction, AuditEvent, AuditPage, AuditQuery, AuditTarget};
}

/// The reasons of a decision before it is made, for [`RateLimiter::explain`].
pub mod explain {
    pub use crate::model::explain::{ConfiguredLevel, ExplainedBucket, Explanation, LimitsLevel, Verdict};
}

/// Default values of settings.
pub mod defaults {
    pub use crate::{
        limiter::{DEFAULT_DEADLINE, DEFAULT_FLUSH_DELAY, DEFAULT_MAX_LANES, DEFAULT_RESERVE_LIFE},
        repository::DEFAULT_CONFIG_CACHE_TTL,
    };
}

/// Administrative operations on buckets: [`Repository::top_up`] and [`Repository::reset_bucket`].
pub mod operation {
    pub use crate::model::operation::{OperationKey, OperationReport, ResetLimits};
}

/// The rules for names and ids, and the default names.
pub mod name {
    pub use crate::{
        model::name::{
            MAX_IDENTIFIER_LEN, MAX_NAME_LEN, MAX_STACK_NAME_LEN, validate_identifier, validate_limit_name,
            validate_resource_name, validate_stack_name,
        },
        repository::{DEFAULT_NAMESPACE, DEFAULT_STACK},
    };
}

/// The namespaces of a table: their records, and the [`Registry`](namespace::Registry) that manages them.
pub mod namespace {
    pub use crate::{model::namespace::NamespaceInfo, repository::Registry};
}

/// Provisioning: creation of missing stacks, and the record of the resources that a manifest manages.
pub mod provision {
    pub use crate::{
        model::{
            fanout::{Fanout, FanoutKind, FanoutLease, PendingFanout},
            provisioner::{ManifestClaim, ProvisionerState},
        },
        repository::{ProvisionOccasion, ProvisionTarget, Provisioner, Provisioning},
    };
}

/// Consumption: usage snapshots and their queries, the state of buckets, and capacity utilisation across entities.
pub mod usage {
    pub use crate::model::{
        bucket::{BucketLimit, BucketScope, BucketState, FoldedBucket},
        capacity::{CapacityScope, EntityCapacity, ResourceCapacity},
        usage::{UsagePage, UsageQuery, UsageSnapshot, UsageSummary, UsageTotal, UsageWindow},
    };
}

/// Versions of the schema and of the functions, and their compatibility.
pub mod version {
    pub use crate::model::version::{
        COMPATIBILITY_LEVEL, Compatibility, SCHEMA_VERSION, Version, VersionRecord, VersionUpdate,
    };
}
