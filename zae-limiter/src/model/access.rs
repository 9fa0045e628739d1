//! Settings of resources and entities beside limits: the access switch, [`Access`], the policy on charging parents,
//! [`Cascade`], and the place where they are set, [`ConfigTarget`].
//!
//! Switching off is not a limit of 0: it refuses with a reason of its own, and leaves the limits as they are for later.

use serde::{Deserialize, Serialize};

use crate::{
    error::{DisabledLevel, ValidationError},
    model::name::{EntityId, IntoName, LimitScope, ResourceName},
};

/// Decides if anything may be taken at all, whatever the limits are.
///
/// An entity's setting for a resource takes precedence over its setting for all resources, which takes precedence over
/// the resource's own. Without any setting, everything is enabled.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{Repository, access::{Access, ConfigTarget}};
///
/// let repository = Repository::embedded().await?;
/// let model = ConfigTarget::resource("gpt-4")?;
/// repository.disable(&model).await?;
/// assert_eq!(repository.access(&model).await?, Some(Access::Disabled));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Access {
    /// The limits decide.
    Enabled,
    /// Every acquire is refused.
    Disabled,
    /// Every acquire passes and is counted; nothing is debited.
    Bypassed,
}

impl Access {
    /// Returns the setting as a word, for example `disabled`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Bypassed => "bypassed",
        }
    }
}

/// Decides if acquires charge the parent as well, whatever an entity's own record says.
///
/// See [`Repository::set_cascade`](crate::Repository::set_cascade) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cascade {
    /// The entity and its parent, where it has one.
    On,
    /// The entity alone.
    Off,
}

impl Cascade {
    /// The policy in a word: `on` or `off`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

/// The place where a setting is.
///
/// ```
/// use zae_limiter::{EntityId, LimitScope, ResourceName, access::ConfigTarget};
///
/// let everybody = ConfigTarget::from(ResourceName::new("gpt-4")?);
/// let everything = ConfigTarget::from(EntityId::new("key-1")?);
/// assert_eq!(everybody, ConfigTarget::resource("gpt-4")?);
/// assert_eq!(everything, ConfigTarget::entity("key-1", LimitScope::Default)?);
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConfigTarget {
    /// A resource, for all entities without a setting of their own.
    Resource(ResourceName),
    /// An entity: on one resource, or on all resources for which it has no setting of its own.
    Entity(EntityId, LimitScope),
}

impl ConfigTarget {
    /// Targets a resource, for all entities.
    ///
    /// # Errors
    /// [`ValidationError`] if the name is invalid.
    pub fn resource(resource: impl IntoName<ResourceName>) -> Result<Self, ValidationError> {
        Ok(Self::Resource(resource.into_name()?))
    }

    /// Targets an entity, on one resource or on all.
    ///
    /// # Errors
    /// [`ValidationError`] if the id or the scope is invalid.
    pub fn entity(entity: impl IntoName<EntityId>, scope: impl IntoName<LimitScope>) -> Result<Self, ValidationError> {
        Ok(Self::Entity(entity.into_name()?, scope.into_name()?))
    }
}

impl From<ResourceName> for ConfigTarget {
    fn from(resource: ResourceName) -> Self {
        Self::Resource(resource)
    }
}

impl From<EntityId> for ConfigTarget {
    fn from(entity: EntityId) -> Self {
        Self::Entity(entity, LimitScope::Default)
    }
}

impl From<(EntityId, LimitScope)> for ConfigTarget {
    fn from((entity, scope): (EntityId, LimitScope)) -> Self {
        Self::Entity(entity, scope)
    }
}

impl From<&Self> for ConfigTarget {
    fn from(target: &Self) -> Self {
        target.clone()
    }
}

/// The setting that applies to one entity and resource, and the level at which it is set.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{Repository, access::{Access, ConfigTarget}, error::DisabledLevel};
///
/// let repository = Repository::embedded().await?;
/// repository.disable(ConfigTarget::resource("gpt-4")?).await?;
/// let holds = repository.resolve_access("key-1", "gpt-4").await?;
/// assert_eq!((holds.access, holds.level), (Access::Disabled, Some(DisabledLevel::Resource)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvedAccess {
    /// The setting.
    pub access: Access,
    /// The level at which it is set; `None` if no level has a setting.
    pub level: Option<DisabledLevel>,
}

impl ResolvedAccess {
    /// The setting that applies if no level has one.
    pub(crate) const UNSET: Self = Self { access: Access::Enabled, level: None };
}
