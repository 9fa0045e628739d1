//! Distributed rate limiting on DynamoDB: several limits per call, entity hierarchies, and leases that settle after
//! the call.

mod bucket;
mod clock;
#[cfg(feature = "embedded")]
mod embedded;
mod engine;
pub mod error;
mod lease;
mod limiter;
mod model;
mod repository;
mod wire;

pub use clock::{Clock, ManualClock, SystemClock};
#[cfg(feature = "embedded")]
pub use embedded::EmbeddedStore;
pub use error::*;
pub use lease::{Lease, LeaseOrigin, Settlement};
pub use limiter::{Acquire, DEFAULT_DEADLINE, DEFAULT_FLUSH_DELAY, RateLimiter, RateLimiterBuilder};
pub use model::{
    audit::{AuditAction, AuditEvent, AuditPage, AuditTarget},
    capacity::{CapacityScope, EntityCapacity, ResourceCapacity},
    cost::{Cost, REQUEST_LIMIT_NAMES},
    entity::{Entity, NewEntity},
    limit::{Limit, Limits, MAX_LIMITS, MAX_PERIOD_SECONDS, MAX_TOKENS},
    name::{
        EntityId, LimitName, LimitScope, MAX_IDENTIFIER_LEN, MAX_NAME_LEN, MAX_STACK_NAME_LEN, NamespaceId,
        NamespaceName, Principal, ResourceName, StackName, validate_identifier, validate_limit_name,
        validate_resource_name, validate_stack_name,
    },
    namespace::NamespaceInfo,
    provisioner::ProvisionerState,
    status::{LimitStatus, OnUnavailable},
    usage::{UsagePage, UsageQuery, UsageSnapshot, UsageSummary, UsageTotal, UsageWindow},
    version::{COMPATIBILITY_LEVEL, Compatibility, SCHEMA_VERSION, Version, VersionRecord, VersionUpdate},
};
pub use repository::{
    ConfigCacheStats, DEFAULT_CONFIG_CACHE_TTL, DEFAULT_NAMESPACE, DEFAULT_STACK, EntityPage, Repository,
    RepositoryBuilder,
};
