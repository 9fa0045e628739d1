//! A settlement that was abandoned: [`Unsettled`].

use crate::model::name::{EntityId, LimitName, ResourceName};

/// Settlements that could not be booked in a bucket, because DynamoDB accepted no writes to it for minutes or until the
/// process ended. They certainly were not stored, so the receiver may record them elsewhere.
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
    /// The resource of the bucket.
    pub resource: ResourceName,
    /// Tokens by limit: consumption that is not counted, or, if negative, a refund that was not given.
    pub tokens: Vec<(LimitName, i64)>,
}
