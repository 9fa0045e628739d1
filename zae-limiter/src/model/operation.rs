//! Administrative operations on a bucket: the key under which one counts once, and its result.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Serialize, Serializer};

use crate::{
    error::{ValidationError, ValidationReason},
    model::{
        cost::Cost,
        limit::MAX_TOKENS,
        name::{EntityId, LimitName, ResourceName},
    },
};

/// Maximum length of an operation's key.
const MAX_KEY_LEN: usize = 64;

/// The key of an operation. Within three days, an operation that is repeated under the same key is not carried out
/// again: it returns the result of the first time.
///
/// ```
/// use zae_limiter::operation::OperationKey;
/// let key = OperationKey::new("invoice-2026-01-17")?;
/// assert_eq!(key.as_str(), "invoice-2026-01-17");
/// assert!(OperationKey::new("invoice 17").is_err());
/// assert_ne!(OperationKey::draw(), OperationKey::draw());
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OperationKey(String);

impl OperationKey {
    /// Checks a key: 1 to 64 letters, digits and `. _ : -`.
    ///
    /// # Errors
    /// [`ValidationError`] when the key is invalid.
    pub fn new(key: impl Into<String>) -> Result<Self, ValidationError> {
        let key = key.into();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
        let reason = if key.is_empty() {
            ValidationReason::Empty
        } else if key.chars().count() > MAX_KEY_LEN {
            ValidationReason::TooLong { max: MAX_KEY_LEN }
        } else if !key.chars().all(allowed) {
            ValidationReason::Pattern { allowed: "letters, digits and . _ : -" }
        } else {
            return Ok(Self(key));
        };
        Err(ValidationError::new("idempotency_key", &key, reason))
    }

    /// Draws a key that no other operation has. Keep it until the operation has returned, and repeat a failed one under
    /// it.
    pub fn draw() -> Self {
        Self(ulid::Ulid::new().to_string())
    }

    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OperationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperationKey({})", self.0)
    }
}

impl fmt::Display for OperationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for OperationKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The limits that a reset restores.
///
/// See [`Repository::reset_bucket`](crate::Repository::reset_bucket) for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetLimits {
    /// All that apply.
    All,
    /// These.
    Named(Vec<LimitName>),
}

/// The result of an operation.
///
/// See [`Repository::top_up`](crate::Repository::top_up) for an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OperationReport {
    /// The owner of the bucket.
    pub entity_id: EntityId,
    /// The resource that it limits.
    pub resource: ResourceName,
    /// The key of the operation.
    pub operation_id: OperationKey,
    /// Number of shards that were changed; 0 without a bucket.
    pub shards: u32,
    /// Whole tokens by limit: what a top-up granted, or the change that a reset made.
    pub amounts: BTreeMap<LimitName, i64>,
}

/// The request of an operation, as its record keeps it: whoever repeats the key has to ask for the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A reset of all limits that apply.
    ResetAll,
    /// A reset of these limits.
    Reset(BTreeSet<LimitName>),
    /// A top-up by these whole tokens.
    TopUp(BTreeMap<LimitName, i64>),
}

impl Asked {
    /// Checks the names of a reset.
    ///
    /// # Errors
    /// [`ValidationError`] for a list without names.
    pub(crate) fn reset(limits: &ResetLimits) -> Result<Self, ValidationError> {
        match limits {
            ResetLimits::All => Ok(Self::ResetAll),
            ResetLimits::Named(names) if names.is_empty() => {
                Err(ValidationError::new("limits", "", ValidationReason::Empty))
            }
            ResetLimits::Named(names) => Ok(Self::Reset(names.iter().cloned().collect())),
        }
    }

    /// Checks the amounts of a top-up.
    ///
    /// # Errors
    /// [`ValidationError`] for an invalid name, for no amount, and for one that is 0 or beyond [`MAX_TOKENS`].
    pub(crate) fn top_up(amounts: &Cost) -> Result<Self, ValidationError> {
        let named = amounts.named();
        let invalid = |value: &str, reason| ValidationError::new("amounts", value, reason);
        if named.is_empty() {
            amounts.check()?;
            return Err(invalid("", ValidationReason::Other("must name the limits".to_owned())));
        }
        let checked = |(name, tokens): (LimitName, u64)| match i64::try_from(tokens) {
            Ok(0) => Err(invalid(name.as_str(), ValidationReason::NotPositive)),
            Ok(tokens) if tokens.unsigned_abs() <= MAX_TOKENS => Ok((name, tokens)),
            _ => Err(invalid(name.as_str(), ValidationReason::TooLarge { max: MAX_TOKENS })),
        };
        let checked = named.into_iter().map(checked).collect::<Result<_, _>>()?;
        amounts.check()?;
        Ok(Self::TopUp(checked))
    }

    /// The name of the operation in its record.
    pub(crate) fn operation(&self) -> &'static str {
        match self {
            Self::ResetAll | Self::Reset(_) => "reset",
            Self::TopUp(_) => "top_up",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_keys_and_amounts_are_refused_by_name() {
        let long = "k".repeat(65);
        for (key, problem) in [
            ("", "must not be empty"),
            (long.as_str(), "at most 64"),
            ("a b", "letters, digits"),
            ("a#b", "letters, digits"),
            ("a\nb", "letters, digits"),
            ("schlüssel", "letters, digits"),
            ("../../x", "letters, digits"),
        ] {
            let error = OperationKey::new(key).unwrap_err();
            assert_eq!(error.field(), "idempotency_key");
            assert!(error.to_string().contains(problem), "{key:?}: {error}");
        }
        assert!(OperationKey::new("k".repeat(64)).is_ok());
        for (amounts, problem) in [
            (Cost::of("day", 0), "must be at least 1"),
            (Cost::requests(5), "must name the limits"),
            (Cost::of("day", 1).and("rpm", 0), "must be at least 1"),
            (Cost::of("day", MAX_TOKENS + 1), "at most"),
            (Cost::of("", 1), "must not be empty"),
            (Cost::of("a#b", 1), "#"),
            (Cost::of("wcu", 1), "reserved"),
        ] {
            let error = Asked::top_up(&amounts).unwrap_err().to_string();
            assert!(error.contains(problem), "{amounts}: {error}");
        }
        assert!(Asked::top_up(&Cost::of("day", MAX_TOKENS)).is_ok());
        assert!(Asked::reset(&ResetLimits::Named(Vec::new())).is_err());
    }
}
