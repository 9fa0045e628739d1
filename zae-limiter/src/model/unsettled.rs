//! A settlement that was given up: [`Unsettled`].

use crate::model::name::{EntityId, LimitName, ResourceName};

/// Settlements that could not be booked in a bucket, because DynamoDB took no writes of it for minutes or until the end
/// of the process. They certainly were not stored: whoever is handed them may keep them elsewhere.
///
/// ```
/// use zae_limiter::{RateLimiter, RateLimiterBuilder, Repository, Unsettled};
///
/// fn keeping(repository: Repository) -> RateLimiterBuilder {
///     RateLimiter::builder(repository).on_unsettled(|unsettled: Unsettled| {
///         for (limit, tokens) in &unsettled.tokens {
///             eprintln!("{}/{}: {limit} {tokens:+}", unsettled.entity, unsettled.resource);
///         }
///     })
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsettled {
    /// The entity that the bucket belongs to.
    pub entity: EntityId,
    /// The resource that was asked for.
    pub resource: ResourceName,
    /// Tokens by limit: consumption that is not counted, or, below zero, a refund that was not given.
    pub tokens: Vec<(LimitName, i64)>,
}
