//! Names, short to write.

use zae_limiter::{EntityId, LimitScope, ResourceName};

pub(crate) fn id(text: &str) -> EntityId {
    EntityId::new(text).unwrap()
}

pub(crate) fn resource(text: &str) -> ResourceName {
    ResourceName::new(text).unwrap()
}

/// The scope of the resource called `text`.
pub(crate) fn scope(text: &str) -> LimitScope {
    resource(text).into()
}
