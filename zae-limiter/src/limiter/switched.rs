//! Buckets that are marked as disabled although their configuration is not.

use super::RateLimiter;
use crate::{
    engine::acquire::denied::Denied,
    error::{AcquireError, DisabledLevel},
    model::access::Access,
};

impl RateLimiter {
    /// Reads the configuration if only a bucket's mark has refused. Returns true if the configuration is not disabled:
    /// the mark is then removed, and the acquire can be retried.
    pub(super) async fn was_switched_on(&self, denied: &Denied) -> bool {
        let Denied::Error(AcquireError::Disabled(disabled)) = denied else { return false };
        if disabled.level != DisabledLevel::Bucket {
            return false;
        }
        let (repository, lanes) = (&self.inner.repository, &self.inner.lanes);
        // Boxed: it is rare, and its calls would make every acquire's future large.
        let setting = Box::pin(repository.check_switch(&disabled.entity, &disabled.resource)).await;
        if setting.is_none_or(|setting| setting.access == Access::Disabled) {
            return false;
        }
        if let Some(lane) = lanes.known(&disabled.entity, &disabled.resource) {
            lane.distrust();
        }
        true
    }
}
