//! Decisions about requests, for handlers and outer layers: [`Decision`], [`LeaseHandle`].
//!
//! The decision about a granted request consists of its lease, so providing it costs one reference count; every answer
//! about it is read from the lease. The decision about a refused request is built once and shared by handlers, outer
//! layers and the log.

use std::{ops::Deref, sync::Arc};

use zae_limiter::{Acquire, EntityId, Lease, LeaseOrigin, LimitStatus, ResourceName};

use crate::refusal::Refusal;

/// The layer's decision about a request. Handlers find it in the request's extensions. Outer layers find it in the
/// response's extensions unless it was a plain grant (always with
/// [`ZaeLimit::announce_grants`](crate::ZaeLimit::announce_grants)).
///
/// ```
/// use zae_tower::{Decision, Outcome};
/// fn log(response: &http::Response<()>) {
///     if let Some(Outcome::Refused(refusal)) = response.extensions().get::<Decision>().map(Decision::outcome) {
///         println!("refused: {refusal}");
///     }
/// }
/// ```
///
/// It contains entity ids: do not expose it to clients.
#[derive(Clone, Debug)]
pub struct Decision(DecisionKind);

#[derive(Clone, Debug)]
enum DecisionKind {
    /// Admitted; everything else is read from the lease.
    Admitted(LeaseHandle),
    /// Without a lease: skipped, refused, or let through in shadow mode.
    Told(Arc<Facts>),
}

#[derive(Debug)]
struct Facts {
    subject: Subject,
    /// Statuses of the limits that were checked, if any.
    statuses: Vec<LimitStatus>,
    /// The outcome.
    outcome: Outcome,
}

/// The possible outcomes of a decision.
///
/// See [`Decision`] for an example.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Admitted; the lease's origin tells if the table was consulted.
    Admitted(LeaseOrigin),
    /// Not limited, because a predicate skipped the request.
    Skipped,
    /// Refused.
    Refused(Arc<Refusal>),
    /// Admitted without a lease in shadow mode; would have been refused otherwise.
    WouldRefuse(Arc<Refusal>),
}

/// The entity and resource of a request, as far as they are known.
#[derive(Debug, Default)]
pub(crate) struct Subject {
    /// The entity, once it is known.
    pub(crate) entity: Option<EntityId>,
    /// The resource, once it is known.
    pub(crate) resource: Option<ResourceName>,
}

impl Subject {
    /// Takes entity and resource from an acquire.
    pub(crate) fn of(acquire: &Acquire) -> Self {
        Self { entity: Some(acquire.entity().clone()), resource: Some(acquire.resource().clone()) }
    }
}

impl Decision {
    /// Describes a grant.
    #[inline]
    pub(crate) fn admitted(lease: LeaseHandle) -> Self {
        Self(DecisionKind::Admitted(lease))
    }

    /// Describes a decision without a lease.
    pub(crate) fn told(subject: Subject, statuses: &[LimitStatus], outcome: Outcome) -> Self {
        Self(DecisionKind::Told(Arc::new(Facts { subject, statuses: statuses.to_vec(), outcome })))
    }

    /// Returns the lease of the request; `None` when nothing was taken: the request was skipped, refused, or let
    /// through in shadow mode.
    pub fn lease(&self) -> Option<&LeaseHandle> {
        match &self.0 {
            DecisionKind::Admitted(lease) => Some(lease),
            DecisionKind::Told(_) => None,
        }
    }

    /// Returns the entity that was limited; `None` when the request was skipped, or refused before the entity was
    /// known.
    pub fn entity(&self) -> Option<&EntityId> {
        match &self.0 {
            DecisionKind::Admitted(lease) => Some(lease.entity()),
            DecisionKind::Told(facts) => facts.subject.entity.as_ref(),
        }
    }

    /// Returns the resource that was limited; `None` as for [`entity`](Decision::entity).
    pub fn resource(&self) -> Option<&ResourceName> {
        match &self.0 {
            DecisionKind::Admitted(lease) => Some(lease.resource()),
            DecisionKind::Told(facts) => facts.subject.resource.as_ref(),
        }
    }

    /// Returns every limit's status right after the decision, the entity's before its parent's; empty if the table was
    /// not consulted.
    pub fn statuses(&self) -> &[LimitStatus] {
        match &self.0 {
            DecisionKind::Admitted(lease) => lease.statuses(),
            DecisionKind::Told(facts) => &facts.statuses,
        }
    }

    /// Returns the whole tokens left of the limit called `name` after this request, at the level with the fewest (the
    /// entity or its parent); 0 in debt. `None` if that limit was not checked, for example because the store was
    /// unreachable.
    pub fn remaining(&self, name: &str) -> Option<u64> {
        let levels = self.statuses().iter().filter(|status| status.limit.name().as_str() == name);
        levels.map(|status| u64::try_from(status.available).unwrap_or(0)).min()
    }

    /// Returns the outcome of the request.
    pub fn outcome(&self) -> &Outcome {
        match &self.0 {
            DecisionKind::Admitted(lease) => match lease.origin() {
                LeaseOrigin::Blind => &Outcome::Admitted(LeaseOrigin::Blind),
                LeaseOrigin::Local => &Outcome::Admitted(LeaseOrigin::Local),
                _ => &Outcome::Admitted(LeaseOrigin::Stored),
            },
            DecisionKind::Told(facts) => &facts.outcome,
        }
    }

    /// Returns true if the layer answered the request.
    pub fn is_refused(&self) -> bool {
        matches!(self.outcome(), Outcome::Refused(_))
    }
}

/// A shared handle to the [`Lease`] of the current request, from the [`Decision`] in the request's extensions.
///
/// The layer settles the lease when the response's body ends; later adjustments fail with
/// [`LeaseError::Settled`](zae_limiter::LeaseError::Settled). With nested layers, it is the innermost layer's lease.
///
/// ```
/// use zae_tower::Decision;
/// fn report(request: &http::Request<()>, tokens: i64) {
///     if let Some(lease) = request.extensions().get::<Decision>().and_then(Decision::lease) {
///         // The estimate was 500.
///         lease.adjust("tpm", tokens - 500).unwrap_or_else(|error| eprintln!("{error}"));
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct LeaseHandle(Arc<Lease>);

/// Creates the first handle to a lease.
impl From<Lease> for LeaseHandle {
    #[inline(always)]
    fn from(lease: Lease) -> Self {
        Self(Arc::new(lease))
    }
}

impl Deref for LeaseHandle {
    type Target = Lease;
    fn deref(&self) -> &Lease {
        &self.0
    }
}
