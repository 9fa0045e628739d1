//! A namespace's defaults: [`SystemDefaults`].
//!
//! Both parts are stored in one item of the namespace, so they are read together and written together: setting the
//! limits without a policy removes a stored one.

use serde::Serialize;

use crate::model::{
    limit::{Limit, Limits},
    status::StoredPolicy,
};

/// A namespace's default limits, and its policy for acquires while the table is unreachable.
///
/// ```
/// use zae_limiter::{Limit, StoredPolicy, SystemDefaults};
/// let defaults = SystemDefaults::new(Limit::per_minute("rpm", 100)?).on_unavailable(StoredPolicy::Allow);
/// assert_eq!(defaults.limits, Some(Limit::per_minute("rpm", 100)?.into()));
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SystemDefaults {
    /// The limits for everything without limits of its own; `None` for no limits.
    pub limits: Option<Limits>,
    /// The policy for acquires while the table is unreachable; `None` leaves it to each process.
    pub on_unavailable: Option<StoredPolicy>,
}

impl SystemDefaults {
    /// Creates default limits without a policy. [`SystemDefaults::default`] has neither.
    pub fn new(limits: impl Into<Limits>) -> Self {
        Self { limits: Some(limits.into()), on_unavailable: None }
    }

    /// Sets the policy, or removes it.
    #[must_use]
    pub fn on_unavailable(self, policy: impl Into<Option<StoredPolicy>>) -> Self {
        Self { on_unavailable: policy.into(), ..self }
    }
}

impl From<Limits> for SystemDefaults {
    fn from(limits: Limits) -> Self {
        Self::new(limits)
    }
}

impl From<&Limits> for SystemDefaults {
    fn from(limits: &Limits) -> Self {
        Self::new(limits)
    }
}

impl From<Limit> for SystemDefaults {
    fn from(limit: Limit) -> Self {
        Self::new(limit)
    }
}
