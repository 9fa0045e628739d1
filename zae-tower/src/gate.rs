//! The decision about one request, between the extractors and the limiter: [`Gate`].
//!
//! A request passes four steps, each of which may answer it:
//!
//! 1. Predicates of [`skip`](crate::skip) admit it without consulting the limiter.
//! 2. The entity's extractor identifies it. Unidentified requests share one entity, or are refused ([`Unidentified`]).
//!    This comes first, so that no body is read for a request that is refused here.
//! 3. The extractors of resource, cost and limits determine the acquire. Before one of them reads a body, the limiter's
//!    memory is checked for a bucket that is known to be empty.
//! 4. The limiter decides. Its answer becomes the [`Decision`] in the request's extensions, and a [`Passage`].
//!
//! If no extractor waits and a reserve has the tokens, all of it happens without a future ([`AtOnce`]). In shadow mode
//! ([`Mode::Shadow`]) a refusal is counted and logged, and the request proceeds.
//!
//! # Order of the extractors
//!
//! The entity comes first, so that an unidentified request costs as little as possible. The resource precedes the cost,
//! because with both the limiter's memory can refuse a call to a model by its fixed part before a body of megabytes is
//! read ([`Gate::refused_unread`]). Limits come last: most layers have none.
//!
//! If an extractor finds nothing (`Ok(None)`), its default applies: the shared entity `anonymous`, the resource
//! `default`, a cost of one request. If it fails, the request is refused: nothing is guessed from an unreadable value.
//!
//! # Two ways to the same answer
//!
//! The service's `call` tries [`Gate::at_once`], which polls the extractors once and consults only reserves and
//! predicates. If that is not enough, [`Gate::pass_from`] continues from what is known, so no extractor runs twice.
//! Extractors declare by a constant that they never wait; the compiler removes the first path for those that may.
//!
//! # Shadow mode
//!
//! A refusal becomes [`Outcome::WouldRefuse`], and the request proceeds without a lease. It takes nothing, so a shadow
//! that would refuse half of the calls shows the same numbers as the enforced limit will. One case is refused even in
//! shadow mode: if an extractor consumed a body and could not put it back, there is nothing to forward.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Response;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use zae_limiter::{Acquire, AcquireError, Cost, EntityId, Lease, Limits, RateLimiter, ResourceName, ValidationError};

use crate::{
    decision::{Decision, LeaseHandle, Outcome, Subject},
    entity,
    extract::{BodyLost, BodyRules, Extract, ExtractError, Extractor, now},
    guard::SettleGuard,
    headers::HeaderDialect,
    llm::{Asker, CallTariff, Usage},
    passage::{Announcing, Passage, PassageKind, Through},
    refusal::{Refusal, RequestStyle},
    request::RequestHead,
    resource,
    settings::Settings,
    telemetry::{self, Notices},
};

/// A predicate that admits requests without consulting the limiter.
pub(crate) type Skip = Arc<dyn Fn(&dyn RequestHead) -> bool + Send + Sync>;
/// A transformation of a refusal's response.
pub(crate) type Render = Arc<dyn Fn(&Refusal, Response<Bytes>) -> Response<Bytes> + Send + Sync>;

/// Treatment of a request in which no extractor finds an identity.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unidentified {
    /// All of them share one entity.
    Share,
    /// They get 401.
    Refuse,
}

/// Selects between enforcing refusals and only reporting them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    /// Refusals become responses.
    Enforce,
    /// Refusals are only counted and logged.
    Shadow,
}

/// The parts of a layer that all its requests share.
pub(crate) struct Gate<E, Rs, C, L> {
    /// Makes the decision.
    pub(crate) limiter: RateLimiter,
    /// Extracts the entity.
    pub(crate) entity: Arc<E>,
    /// Extracts the resource.
    pub(crate) resource: Arc<Rs>,
    /// Extracts the cost, in tokens by limit.
    pub(crate) cost: Arc<C>,
    /// Extracts limits for this request alone.
    pub(crate) limits: Arc<L>,
    /// All other settings.
    pub(crate) settings: Arc<Settings>,
    /// Log lines and metrics, some of them at most once a minute.
    pub(crate) notices: Arc<Notices>,
    /// Requests whose leases are not yet settled.
    pub(crate) open: TaskTracker,
}

impl<E, Rs, C, L> Clone for Gate<E, Rs, C, L> {
    fn clone(&self) -> Self {
        Self {
            limiter: self.limiter.clone(),
            entity: Arc::clone(&self.entity),
            resource: Arc::clone(&self.resource),
            cost: Arc::clone(&self.cost),
            limits: Arc::clone(&self.limits),
            settings: Arc::clone(&self.settings),
            notices: Arc::clone(&self.notices),
            open: self.open.clone(),
        }
    }
}

impl<E: fmt::Debug, Rs: fmt::Debug, C: fmt::Debug, L: fmt::Debug> fmt::Debug for Gate<E, Rs, C, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("entity", &self.entity)
            .field("resource", &self.resource)
            .field("cost", &self.cost)
            .field("limits", &self.limits)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The part of a decision that needs no waiting.
pub(crate) enum AtOnce {
    /// The request is admitted.
    Through(Through),
    /// The acquire that the request needs; the limiter has to decide.
    Asks(Result<Acquire, Unasked>),
    /// Undecided: an extractor has to wait.
    Nothing,
}

/// A request that is refused before the limiter is consulted.
pub(crate) struct Unasked {
    /// The entity and resource, as far as they are known.
    subject: Subject,
    /// Boxed, because most requests do not need it.
    refusal: Box<Refusal>,
}

impl Unasked {
    /// Describes a request that was refused before the limiter was asked.
    fn new(entity: Option<EntityId>, resource: Option<ResourceName>, error: impl Into<Refusal>) -> Self {
        Self { subject: Subject { entity, resource }, refusal: Box::new(error.into()) }
    }
}

impl From<ValidationError> for Unasked {
    fn from(error: ValidationError) -> Self {
        Self::new(None, None, AcquireError::from(error))
    }
}

impl<E, Rs, C, L> Gate<E, Rs, C, L> {
    /// Decides, and stores the decision in the request's extensions.
    pub(crate) async fn pass<R>(&self, request: &mut R) -> Passage
    where
        R: RequestHead + Send,
        E: Extract<R> + Extractor<Output = EntityId>,
        Rs: Extract<R> + Extractor<Output = ResourceName>,
        C: Extract<R> + Extractor<Output = Cost>,
        L: Extract<R> + Extractor<Output = Limits>,
    {
        let known = self.at_once(request);
        self.pass_from(known, request).await
    }

    /// Decides as far as possible without waiting.
    pub(crate) fn at_once<R>(&self, request: &mut R) -> AtOnce
    where
        R: RequestHead + Send,
        E: Extract<R> + Extractor<Output = EntityId>,
        Rs: Extract<R> + Extractor<Output = ResourceName>,
        C: Extract<R> + Extractor<Output = Cost>,
        L: Extract<R> + Extractor<Output = Limits>,
    {
        if self.settings.skip.iter().any(|skip| skip(&*request)) {
            let decision = Decision::told(Subject::default(), &[], Outcome::Skipped);
            return AtOnce::Through(self.unlimited(request, decision, None));
        }
        if !(E::AT_ONCE && Rs::AT_ONCE && C::AT_ONCE && L::AT_ONCE) {
            return AtOnce::Nothing;
        }
        match now(self.asks(request)) {
            None => AtOnce::Nothing,
            Some(Err(unasked)) => AtOnce::Asks(Err(unasked)),
            Some(Ok(acquire)) => match self.limiter.try_acquire(&acquire) {
                Some(lease) => AtOnce::Through(self.admitted(request, lease, None)),
                None => AtOnce::Asks(Ok(acquire)),
            },
        }
    }

    /// Decides from what is `known` so far.
    pub(crate) async fn pass_from<R>(&self, known: AtOnce, request: &mut R) -> Passage
    where
        R: RequestHead + Send,
        E: Extract<R> + Extractor<Output = EntityId>,
        Rs: Extract<R> + Extractor<Output = ResourceName>,
        C: Extract<R> + Extractor<Output = Cost>,
        L: Extract<R> + Extractor<Output = Limits>,
    {
        let started = Instant::now();
        let style = RequestStyle::of(request.headers());
        let asks = match known {
            AtOnce::Through(through) => return Passage::Through(through),
            AtOnce::Asks(asks) => asks,
            AtOnce::Nothing => {
                request.extensions_mut().insert(self.settings.body_rules(self.limiter.repository()));
                let asks = self.asks(request).await;
                request.extensions_mut().remove::<BodyRules>();
                asks
            }
        };
        let unasked = match asks {
            Ok(acquire) => {
                let subject = Subject::of(&acquire);
                match self.limiter.acquire_with(acquire).await {
                    Ok(lease) => return Passage::Through(self.admitted(request, lease, Some(started.elapsed()))),
                    Err(error) => Unasked { subject, refusal: Box::new(error.into()) },
                }
            }
            Err(unasked) => unasked,
        };
        self.refused(request, unasked, style, started.elapsed())
    }

    /// Refuses the request, or in shadow mode lets it proceed.
    fn refused<R: RequestHead>(&self, request: &mut R, why: Unasked, style: RequestStyle, took: Duration) -> Passage {
        let Unasked { subject, refusal } = why;
        let refusal: Arc<Refusal> = Arc::from(refusal);
        match self.settings.mode {
            // Without its body, the request cannot proceed.
            Mode::Shadow if request.extensions().get::<BodyLost>().is_none() => {
                let outcome = Outcome::WouldRefuse(Arc::clone(&refusal));
                let decision = Decision::told(subject, refusal.statuses(), outcome);
                Passage::Through(self.unlimited(request, decision, Some(took)))
            }
            Mode::Shadow | Mode::Enforce => {
                let outcome = Outcome::Refused(Arc::clone(&refusal));
                let decision = Decision::told(subject, refusal.statuses(), outcome);
                self.notices.decided(&decision, Some(took));
                let mut response = refusal.response(style, self.settings.dialect);
                if let Some(render) = &self.settings.render {
                    response = render(&refusal, response);
                }
                response.extensions_mut().insert(decision);
                Passage::Answered(response)
            }
        }
    }

    #[inline]
    fn admitted<R: RequestHead>(&self, request: &mut R, lease: Lease, took: Option<Duration>) -> Through {
        let lease = LeaseHandle::from(lease);
        let decision = Decision::admitted(lease.clone());
        self.notices.decided(&decision, took);
        // Replaces an outer layer's decision, whose lease holds other limits than this layer's handler expects.
        request.extensions_mut().insert(decision);
        let guard = SettleGuard::new(lease, Arc::clone(&self.settings.settle), telemetry::settled);
        let guard = guard.counted(self.open.token());
        let call = request.extensions_mut().remove::<CallTariff>();
        let meter = self.settings.accounting.as_ref().and_then(|accounting| match call {
            Some(CallTariff::NoCall) => None,
            Some(CallTariff::Model(tariff, labels, chunk)) => {
                Some(accounting.meter_by(tariff).labelled(*labels).usage_chunk(chunk))
            }
            None => Some(accounting.meter()),
        });
        self.through(PassageKind::Admitted(guard.metered(meter)))
    }

    /// Lets the request proceed without a lease.
    fn unlimited<R: RequestHead>(&self, request: &mut R, decision: Decision, took: Option<Duration>) -> Through {
        self.notices.decided(&decision, took);
        request.extensions_mut().insert(decision.clone());
        self.through(PassageKind::Unlimited(decision))
    }

    /// Adds the settings that apply to the response.
    fn through(&self, kind: PassageKind) -> Through {
        // Clients are not shown limits that are not enforced yet.
        let (dialect, announcing) = match self.settings.mode {
            Mode::Enforce => (self.settings.dialect, self.settings.announcing),
            Mode::Shadow => (HeaderDialect::Off, Announcing::All),
        };
        Through { kind, dialect, announcing }
    }

    /// Builds the acquire from the extracted values.
    async fn asks<R>(&self, request: &mut R) -> Result<Acquire, Unasked>
    where
        R: RequestHead + Send,
        E: Extract<R> + Extractor<Output = EntityId>,
        Rs: Extract<R> + Extractor<Output = ResourceName>,
        C: Extract<R> + Extractor<Output = Cost>,
        L: Extract<R> + Extractor<Output = Limits>,
    {
        let entity = self.entity.extract(request).await.and_then(|found| self.somebody(found));
        let entity = entity.map_err(|error| Unasked::new(None, None, error))?;
        let resource = self.resource.extract(request).await.and_then(|found| match found {
            Some(resource) => Ok(resource),
            None => Ok(ResourceName::new(resource::DEFAULT)?),
        });
        let resource = match resource {
            Ok(resource) => resource,
            Err(error) => return Err(Unasked::new(Some(entity), None, error)),
        };
        if Rs::AT_ONCE && !C::AT_ONCE && L::AT_ONCE {
            self.refused_unread(&entity, &resource)?;
        }
        if self.settings.accounting.is_some() {
            request.extensions_mut().insert(Asker(entity.clone()));
        }
        let cost = self.cost.extract(request).await;
        request.extensions_mut().remove::<Asker>();
        let cost = match cost {
            Ok(cost) => cost.unwrap_or_else(|| Cost::requests(1)),
            Err(error) => return Err(Unasked::new(Some(entity), Some(resource), error)),
        };
        let limits = match self.limits.extract(request).await {
            Ok(limits) => limits,
            Err(error) => return Err(Unasked::new(Some(entity), Some(resource), error)),
        };
        let acquire = self.settings.acquire.apply(Acquire::new(entity, resource, cost)?);
        Ok(match limits {
            Some(limits) => acquire.limits(limits),
            None => acquire,
        })
    }

    /// Refuses a call to a model by its fixed part, if the refusal is known before its body is read; this saves reading
    /// it.
    fn refused_unread(&self, entity: &EntityId, resource: &ResourceName) -> Result<(), Unasked> {
        let Some(accounting) = &self.settings.accounting else { return Ok(()) };
        let cost = accounting.tariff().cost(&Usage::default());
        let acquire = Acquire::new(entity, resource, cost)?;
        match self.limiter.refused_at_once(&self.settings.acquire.apply(acquire)) {
            Some(error) => Err(Unasked::new(Some(entity.clone()), Some(resource.clone()), error)),
            None => Ok(()),
        }
    }

    /// Maps an unidentified request to the shared entity, or refuses it.
    fn somebody(&self, found: Option<EntityId>) -> Result<EntityId, ExtractError> {
        match (found, self.settings.unidentified) {
            (Some(entity), _) => Ok(entity),
            (None, Unidentified::Share) => {
                self.notices.anonymous();
                Ok(EntityId::new(entity::ANONYMOUS)?)
            }
            (None, Unidentified::Refuse) => Err(ExtractError::unauthorized("the request does not say who sends it")),
        }
    }
}
