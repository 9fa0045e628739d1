//! Buckets whose stamp says that they are switched off, and whose configuration does not.

use super::RateLimiter;
use crate::{
    engine::acquire::denied::Denied,
    error::{AcquireError, DisabledLevel},
    model::access::Access,
};

impl RateLimiter {
    /// Asks the configuration, where only a bucket's stamp has refused. Returns true if it says otherwise: the stamp is
    /// gone then, and the acquire is worth another try.
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
