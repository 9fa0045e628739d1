//! The explanation of a decision before it is made: [`Explanation`].

use std::time::Duration;

use serde::Serialize;

use crate::{
    error::{Disabled, DisabledLevel},
    model::{
        access::Access,
        limit::Limits,
        name::{EntityId, ResourceName},
        status::LimitStatus,
    },
};

/// The explanation of a hypothetical acquire: the limits that apply, their level, their balances, and the outcome.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{
///     Cost, Limit, RateLimiter, Repository,
///     explain::{LimitsLevel, Verdict},
/// };
///
/// let repository = Repository::embedded().await?;
/// repository.set_resource_defaults("gpt-4", Limit::per_minute("rpm", 10)?).await?;
/// let limiter = RateLimiter::new(repository);
/// let explanation = limiter.explain("key-1", "gpt-4", &Cost::of("rpm", 11)).await?;
/// assert_eq!(explanation.verdict, Verdict::Never);
/// assert_eq!(explanation.buckets[0].applies, Some(LimitsLevel::Resource));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The outcome of an acquire at the current instant.
    pub verdict: Verdict,
    /// The buckets that it would take from: the entity's, and its parent's if it cascades.
    pub buckets: Vec<ExplainedBucket>,
}

/// The outcome of an acquire at the current instant.
///
/// See [`Explanation`] for an example.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
#[non_exhaustive]
pub enum Verdict {
    /// It would pass.
    Passes,
    /// It would fit later if no other call took tokens.
    NotYet {
        /// Time until then.
        #[serde(rename = "retry_after_seconds", serialize_with = "seconds")]
        retry_after: Duration,
    },
    /// It exceeds the capacity of a limit.
    Never,
    /// Disabled by an operator.
    Disabled {
        /// The disabled entity: the caller's, or its parent.
        entity_id: EntityId,
        /// The level at which it is disabled.
        level: DisabledLevel,
    },
    /// No limits apply to one of the buckets.
    NoLimits {
        /// The entity of that bucket.
        entity_id: EntityId,
    },
    /// The configuration or a bucket uses a feature of newer clients.
    Unsupported {
        /// The feature, in words.
        reason: String,
    },
}

fn seconds<S: serde::Serializer>(wait: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(wait.as_millis() as f64 / 1000.0)
}

impl From<&Disabled> for Verdict {
    fn from(disabled: &Disabled) -> Self {
        Self::Disabled { entity_id: disabled.entity.clone(), level: disabled.level }
    }
}

/// One bucket in an [`Explanation`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExplainedBucket {
    /// The entity that it belongs to.
    pub entity_id: EntityId,
    /// The resource that it limits.
    pub resource: ResourceName,
    /// All stored levels, in order of precedence.
    pub levels: Vec<ConfiguredLevel>,
    /// The level whose limits apply; `None` if none is stored, in which case the limiter's own defaults apply if it has
    /// any.
    pub applies: Option<LimitsLevel>,
    /// Each limit's status. Empty if it could not be determined.
    pub limits: Vec<LimitStatus>,
}

/// The configuration stored at one level.
///
/// See [`Explanation`] for an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConfiguredLevel {
    /// The level.
    pub level: LimitsLevel,
    /// Its limits, if this version can read them.
    pub limits: Option<Limits>,
    /// Its access setting, if it has one.
    pub access: Option<Access>,
    /// The attribute of newer clients because of which this version cannot read it.
    pub unsupported: Option<String>,
}

/// A level at which limits are stored, in order of precedence.
///
/// See [`Explanation`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LimitsLevel {
    /// The entity's own for this resource.
    Entity,
    /// The entity's own for all resources.
    EntityDefault,
    /// The resource's, for all entities.
    Resource,
    /// The namespace's, for everything.
    System,
}

impl LimitsLevel {
    /// Returns the level in words: `entity`, `entity default`, `resource` or `system`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Entity => "entity",
            Self::EntityDefault => "entity default",
            Self::Resource => "resource",
            Self::System => "system",
        }
    }
}
