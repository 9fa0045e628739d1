//! Distributed rate limiting on DynamoDB: several limits per call, entity hierarchies, and leases that settle after
//! the call.

mod bucket;
mod clock;
mod engine;
pub mod error;
mod model;
mod repository;

pub use clock::{Clock, ManualClock, SystemClock};
pub use error::*;
pub use model::{
    cost::{Cost, REQUEST_LIMIT_NAMES},
    entity::{Entity, NewEntity},
    limit::{Limit, Limits, MAX_LIMITS, MAX_PERIOD_SECONDS, MAX_TOKENS},
    name::{
        EntityId, LimitName, LimitScope, MAX_IDENTIFIER_LEN, MAX_NAME_LEN, MAX_STACK_NAME_LEN, NamespaceId,
        NamespaceName, Principal, ResourceName, StackName, validate_identifier, validate_limit_name,
        validate_resource_name, validate_stack_name,
    },
    status::{LimitStatus, OnUnavailable},
};
