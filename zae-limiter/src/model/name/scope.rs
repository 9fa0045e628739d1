//! Selects one of an entity's limit sets: [`LimitScope`].
//!
//! `_default_` is not a valid resource name (it does not begin with a letter), so both can share one position in the
//! key.

use std::{fmt, str::FromStr};

use super::ResourceName;
use crate::error::ValidationError;

/// Selects one of an entity's limit sets: the one for a resource, or the entity's default for all others.
///
/// ```
/// use zae_limiter::{LimitScope, ResourceName};
/// assert_eq!(LimitScope::Default.as_str(), "_default_");
/// let scope = LimitScope::from(ResourceName::new("gpt-4")?);
/// assert_eq!(scope.as_str(), "gpt-4");
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitScope {
    /// All resources for which the entity has no limits of their own (stored as `_default_`).
    Default,
    /// One resource.
    Resource(ResourceName),
}

impl LimitScope {
    /// The text of the default scope in keys.
    pub const DEFAULT: &'static str = "_default_";

    /// Returns the scope as it is written in keys.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Default => Self::DEFAULT,
            Self::Resource(resource) => resource.as_str(),
        }
    }
}

impl fmt::Display for LimitScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<ResourceName> for LimitScope {
    fn from(resource: ResourceName) -> Self {
        Self::Resource(resource)
    }
}

impl From<&ResourceName> for LimitScope {
    fn from(resource: &ResourceName) -> Self {
        Self::Resource(resource.clone())
    }
}

impl From<&LimitScope> for LimitScope {
    fn from(scope: &LimitScope) -> Self {
        scope.clone()
    }
}

impl FromStr for LimitScope {
    type Err = ValidationError;
    fn from_str(value: &str) -> Result<Self, Self::Err> {
        Self::try_from(value)
    }
}

impl TryFrom<String> for LimitScope {
    type Error = ValidationError;
    fn try_from(value: String) -> Result<Self, Self::Error> {
        Self::try_from(value.as_str())
    }
}

impl TryFrom<&String> for LimitScope {
    type Error = ValidationError;
    fn try_from(value: &String) -> Result<Self, Self::Error> {
        Self::try_from(value.as_str())
    }
}

impl TryFrom<&str> for LimitScope {
    type Error = ValidationError;
    fn try_from(value: &str) -> Result<Self, Self::Error> {
        if value == Self::DEFAULT { Ok(Self::Default) } else { ResourceName::new(value).map(Self::Resource) }
    }
}
