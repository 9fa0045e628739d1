//! The reasons of a decision before it is made: [`Explanation`].

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

/// An acquire that was not made: the limits that apply, from where, what they hold, and what would come of it.
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
    /// The outcome of an acquire at this moment.
    pub verdict: Verdict,
    /// The buckets that it would take from: the entity's, and its parent's where it cascades.
    pub buckets: Vec<ExplainedBucket>,
}

/// The outcome of an acquire that is made now.
///
/// See [`Explanation`] for an example.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
#[non_exhaustive]
pub enum Verdict {
    /// It passes.
    Passes,
    /// It would fit later, if nobody else took tokens.
    NotYet {
        /// Time until then.
        #[serde(rename = "retry_after_seconds", serialize_with = "seconds")]
        retry_after: Duration,
    },
    /// It is larger than the capacity of a limit.
    Never,
    /// An operator has switched it off.
    Disabled {
        /// The entity that is switched off: the caller's, or its parent.
        entity_id: EntityId,
        /// The level at which it is.
        level: DisabledLevel,
    },
    /// No limits apply to one of the buckets.
    NoLimits {
        /// Whose bucket.
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

/// One bucket's part of an [`Explanation`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExplainedBucket {
    /// The entity that it belongs to.
    pub entity_id: EntityId,
    /// The resource that it limits.
    pub resource: ResourceName,
    /// Everything that is stored for it, the strongest level first.
    pub levels: Vec<ConfiguredLevel>,
    /// The level whose limits apply; `None` where none is stored, and the limiter's own defaults apply if it has any.
    pub applies: Option<LimitsLevel>,
    /// Each limit's answer. Empty where it could not be judged.
    pub limits: Vec<LimitStatus>,
}

/// The configuration that is stored at one level.
///
/// See [`Explanation`] for an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConfiguredLevel {
    /// The level.
    pub level: LimitsLevel,
    /// Its limits, if it has any that can be read here.
    pub limits: Option<Limits>,
    /// Its switch, if that is set here.
    pub access: Option<Access>,
    /// The attribute of newer clients that keeps it from being read here.
    pub unsupported: Option<String>,
}

/// A level at which limits are stored, from the strongest to the weakest.
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
    /// The level in words: `entity`, `entity default`, `resource` or `system`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Entity => "entity",
            Self::EntityDefault => "entity default",
            Self::Resource => "resource",
            Self::System => "system",
        }
    }
}
