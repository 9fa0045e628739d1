//! The limits that apply together: [`Limits`].
//!
//! A set is checked once and shared: `Limits` is an `Arc`, and equal sets in one process usually share an allocation,
//! because resolving interns them. Comparing limits on the hot path is thus a comparison of pointers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Limit, MAX_LIMITS};
use crate::error::{ValidationError, ValidationReason};

/// A non-empty set of limits with distinct names, in a fixed order; cheap to clone.
///
/// ```
/// use zae_limiter::{Limit, Limits};
/// let limits = Limits::new([Limit::per_minute("rpm", 100)?, Limit::per_minute("tpm", 10_000)?])?;
/// assert_eq!(limits.get("tpm").map(|l| l.capacity()), Some(10_000));
/// // Collected, a set is checked too.
/// let requests: Result<Limits, _> = limits.into_iter().filter(|limit| limit.name().as_str() == "rpm").collect();
/// assert_eq!(requests?.len(), 1);
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
///
/// The order is that of construction. It does not affect acquires, and is kept in statuses and headers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Limits(Arc<[Limit]>);

impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limits = Vec::<Limit>::deserialize(deserializer)?;
        Self::new(limits).map_err(serde::de::Error::custom)
    }
}

impl Limits {
    /// Collects `limits` into a set.
    ///
    /// # Errors
    /// [`ValidationError`] on field `limits` if there are none, more than [`MAX_LIMITS`], two of one name, or
    /// calendars in two time zones: one configuration item has one.
    pub fn new(limits: impl IntoIterator<Item = Limit>) -> Result<Self, ValidationError> {
        let limits: Vec<Limit> = limits.into_iter().collect();
        let fail = |value: String, reason| Err(ValidationError::new("limits", value, reason));
        if limits.is_empty() {
            return fail(String::new(), ValidationReason::Empty);
        }
        if limits.len() > MAX_LIMITS {
            return fail(limits.len().to_string(), ValidationReason::TooMany { max: MAX_LIMITS });
        }
        for (index, limit) in limits.iter().enumerate() {
            if limits[..index].iter().any(|other| other.name == limit.name) {
                return fail(limit.name.to_string(), ValidationReason::Duplicate);
            }
        }
        let mut zones = limits.iter().filter_map(|limit| Some((limit, limit.zone()?)));
        if let Some((_, first)) = zones.next()
            && let Some((limit, other)) = zones.find(|(_, zone)| *zone != first)
        {
            let reason = format!("is in time zone {other}, and another limit in {first}: limits of a set share one");
            return fail(limit.name.to_string(), ValidationReason::Other(reason));
        }
        Ok(Self(limits.into()))
    }

    /// Returns the limit called `name`.
    pub fn get(&self, name: &str) -> Option<&Limit> {
        self.0.iter().find(|limit| limit.name.as_str() == name)
    }

    /// Returns the number of limits, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the limits, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Limit> {
        self.0.iter()
    }

    /// Returns the limits as a slice; never empty.
    pub fn as_slice(&self) -> &[Limit] {
        &self.0
    }

    /// Returns true if `other` is the same set; shared sets are compared by pointer.
    pub(crate) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self == other
    }
}

impl TryFrom<Vec<Limit>> for Limits {
    type Error = ValidationError;
    fn try_from(limits: Vec<Limit>) -> Result<Self, Self::Error> {
        Self::new(limits)
    }
}

/// The collected limits may be empty or contain a name twice, so the result is that of [`Limits::new`].
impl FromIterator<Limit> for Result<Limits, ValidationError> {
    fn from_iter<I: IntoIterator<Item = Limit>>(limits: I) -> Self {
        Limits::new(limits)
    }
}

impl IntoIterator for Limits {
    type Item = Limit;
    type IntoIter = std::vec::IntoIter<Limit>;
    fn into_iter(self) -> Self::IntoIter {
        Vec::from(&self.0[..]).into_iter()
    }
}

impl<'a> IntoIterator for &'a Limits {
    type Item = &'a Limit;
    type IntoIter = std::slice::Iter<'a, Limit>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl From<&Limits> for Limits {
    fn from(limits: &Limits) -> Self {
        limits.clone()
    }
}

impl From<Limit> for Limits {
    fn from(limit: Limit) -> Self {
        Self(Arc::new([limit]))
    }
}
