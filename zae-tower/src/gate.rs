//! The decision about one request, between the extractors and the limiter: [`Gate`].

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Response;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use zae_limiter::{Acquire, Cost, EntityId, Lease, Limits, OnUnavailable, RateLimiter, Reserve, ResourceName};

use crate::{
    decision::{Decision, LeaseHandle, Outcome, Subject},
    entity,
    extract::{BodyLost, Extract, ExtractError, Extractor},
    guard::SettleGuard,
    headers::HeaderDialect,
    llm::Accounting,
    passage::{Passage, Through},
    refusal::{Refusal, RequestStyle},
    request::RequestHead,
    resource,
    settle::SettleRule,
    telemetry::Notices,
};

pub(crate) type Skip = Arc<dyn Fn(&dyn RequestHead) -> bool + Send + Sync>;
pub(crate) type Render = Arc<dyn Fn(&Refusal, Response<Bytes>) -> Response<Bytes> + Send + Sync>;

/// What happens to a request that no extractor finds an identity in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unidentified {
    Share,
    Refuse,
}

/// Whether refusals are carried out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    Enforce,
    Shadow,
}

/// Everything that is the same for all requests of a layer.
pub(crate) struct Gate<E, Rs, C, L> {
    pub(crate) limiter: RateLimiter,
    pub(crate) entity: Arc<E>,
    pub(crate) resource: Arc<Rs>,
    pub(crate) cost: Arc<C>,
    pub(crate) limits: Arc<L>,
    pub(crate) default_limits: Option<Limits>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) on_unavailable: Option<OnUnavailable>,
    pub(crate) reserve: Option<Reserve>,
    pub(crate) unidentified: Unidentified,
    pub(crate) mode: Mode,
    pub(crate) dialect: HeaderDialect,
    pub(crate) skip: Vec<Skip>,
    pub(crate) render: Option<Render>,
    pub(crate) settle: Arc<dyn SettleRule>,
    pub(crate) accounting: Option<Accounting>,
    pub(crate) notices: Arc<Notices>,
    /// Requests whose leases are not settled.
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
            default_limits: self.default_limits.clone(),
            skip: self.skip.clone(),
            render: self.render.clone(),
            settle: Arc::clone(&self.settle),
            accounting: self.accounting.clone(),
            notices: Arc::clone(&self.notices),
            open: self.open.clone(),
            ..*self
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
            .field("default_limits", &self.default_limits)
            .field("on_unavailable", &self.on_unavailable)
            .field("reserve", &self.reserve)
            .field("unidentified", &self.unidentified)
            .field("mode", &self.mode)
            .field("dialect", &self.dialect)
            .field("accounting", &self.accounting)
            .finish_non_exhaustive()
    }
}

impl<E, Rs, C, L> Gate<E, Rs, C, L> {
    /// Decides, and tells the request's later readers.
    pub(crate) async fn pass<R>(&self, request: &mut R) -> Passage
    where
        R: RequestHead + Send,
        E: Extract<R> + Extractor<Output = EntityId>,
        Rs: Extract<R> + Extractor<Output = ResourceName>,
        C: Extract<R> + Extractor<Output = Cost>,
        L: Extract<R> + Extractor<Output = Limits>,
    {
        let started = Instant::now();
        if self.skip.iter().any(|skip| skip(&*request)) {
            let decision = Decision::new(Subject::default(), &[], Outcome::Skipped);
            return self.through(request, None, decision, started);
        }
        let style = RequestStyle::of(request.headers());
        let mut subject = Subject::default();
        let admitted = self.admit(request, &mut subject).await;
        let refusal = match admitted {
            Ok(lease) => {
                let decision = Decision::new(subject, lease.statuses(), Outcome::Admitted(lease.origin()));
                return self.through(request, Some(LeaseHandle::new(lease)), decision, started);
            }
            Err(refusal) => Arc::new(refusal),
        };
        match self.mode {
            // Without its body, the request cannot go on.
            Mode::Shadow if request.extensions().get::<BodyLost>().is_none() => {
                let outcome = Outcome::WouldRefuse(Arc::clone(&refusal));
                let decision = Decision::new(subject, refusal.statuses(), outcome);
                self.through(request, None, decision, started)
            }
            Mode::Shadow | Mode::Enforce => {
                let outcome = Outcome::Refused(Arc::clone(&refusal));
                let decision = Decision::new(subject, refusal.statuses(), outcome);
                self.notices.decided(&decision, started.elapsed());
                let mut response = refusal.response(style, self.dialect);
                if let Some(render) = &self.render {
                    response = render(&refusal, response);
                }
                response.extensions_mut().insert(decision);
                Passage::Answered(response)
            }
        }
    }

    fn through<R: RequestHead>(
        &self,
        request: &mut R,
        lease: Option<LeaseHandle>,
        decision: Decision,
        started: Instant,
    ) -> Passage {
        self.notices.decided(&decision, started.elapsed());
        request.extensions_mut().insert(decision.clone());
        // An outer layer's lease holds other limits than the handler of this one expects.
        request.extensions_mut().remove::<LeaseHandle>();
        let guard = lease.map_or_else(SettleGuard::nothing, |lease| {
            request.extensions_mut().insert(lease.clone());
            SettleGuard::new(lease, Arc::clone(&self.settle), self.open.token()).metered(self.accounting.as_ref())
        });
        // Clients are not told about limits that do not hold yet.
        let dialect = match self.mode {
            Mode::Enforce => self.dialect,
            Mode::Shadow => HeaderDialect::Off,
        };
        Passage::Through(Through { guard, decision, dialect })
    }

    async fn admit<R>(&self, request: &mut R, subject: &mut Subject) -> Result<Lease, Refusal>
    where
        R: RequestHead + Send,
        E: Extract<R> + Extractor<Output = EntityId>,
        Rs: Extract<R> + Extractor<Output = ResourceName>,
        C: Extract<R> + Extractor<Output = Cost>,
        L: Extract<R> + Extractor<Output = Limits>,
    {
        let entity = match (self.entity.extract(request).await?, self.unidentified) {
            (Some(entity), _) => entity,
            (None, Unidentified::Share) => {
                self.notices.anonymous();
                EntityId::new(entity::ANONYMOUS).map_err(ExtractError::from)?
            }
            (None, Unidentified::Refuse) => {
                return Err(ExtractError::unauthorized("the request does not say who sends it").into());
            }
        };
        subject.entity = Some(entity.clone());
        let resource = match self.resource.extract(request).await? {
            Some(resource) => resource,
            None => ResourceName::new(resource::DEFAULT).map_err(ExtractError::from)?,
        };
        subject.resource = Some(resource.clone());
        let cost = self.cost.extract(request).await?.unwrap_or_else(|| Cost::requests(1));
        let mut acquire = Acquire::new(entity, resource, cost);
        if let Some(limits) = self.limits.extract(request).await? {
            acquire = acquire.limits(limits);
        }
        if let Some(limits) = &self.default_limits {
            acquire = acquire.default_limits(limits.clone());
        }
        if let Some(deadline) = self.deadline {
            acquire = acquire.deadline(deadline);
        }
        if let Some(policy) = self.on_unavailable {
            acquire = acquire.on_unavailable(policy);
        }
        if let Some(reserve) = self.reserve {
            acquire = acquire.reserve(reserve);
        }
        Ok(self.limiter.acquire_with(acquire).await?)
    }
}
