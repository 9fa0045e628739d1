//! The limit on outgoing calls, and its settings: [`OutgoingLimit`].

use std::{fmt, sync::Arc, time::Duration};

use zae_tower::{
    AcquireSettings, Cost, EntityId, RateLimiter, ResourceName,
    extract::{Extract, ExtractError, Extractor},
    llm::{Accounting, CallLabels, Tariff, Usage, UsageChunk, prices::UnpricedModel},
    settle::{SettleRule, Standard},
};

use crate::{
    call::Call,
    find::{self, Find},
    pause::{PauseBook, Pauses},
    wait::{Lines, Wait},
};

/// The entity charged for calls that do not name one: it stands for the program, and thus for the whole fleet.
pub const DEFAULT_ENTITY: &str = "outgoing";
/// Maximum time that a call waits, unless another is set.
pub const DEFAULT_MAX_WAIT: Duration = Duration::from_secs(30);
/// The longest pause that is observed, unless another is set.
pub const DEFAULT_MAX_PAUSE: Duration = Duration::from_secs(60);

/// The time that one call may wait, overriding the limit's setting: an extension of its request.
///
/// ```
/// # use std::time::Duration;
/// # use zae_reqwest::MaxWait;
/// # fn example(client: reqwest_middleware::ClientWithMiddleware) {
/// let request = client.get("https://api.example.com/").with_extension(MaxWait(Duration::ZERO)); // now or not at all
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaxWait(pub Duration);

/// Handling of a provider's permanent refusal (`insufficient_quota`).
///
/// ```
/// # fn example(limit: zae_reqwest::OutgoingLimit) -> zae_reqwest::OutgoingLimit {
/// use zae_reqwest::Refusals;
/// limit.refusals(Refusals::Fail) // stops retry layers outside
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusals {
    /// The response is passed on unchanged, with its [`Answer`](crate::provider::Answer) in the extensions.
    #[default]
    PassOn,
    /// The call fails with [`RefusedForGood`](crate::RefusedForGood), so that no outer retry layer tries it again.
    Fail,
}

pub(crate) type OnWait = Arc<dyn Fn(&Wait<'_>) + Send + Sync>;

/// Limits the calls that a program makes to other services: acquires before sending, waits if necessary, learns from
/// the provider's responses, and settles when the response has ended.
///
/// It is a middleware of [`reqwest_middleware`], a [`Layer`](tower_layer::Layer) over services of [`reqwest::Request`],
/// and has [`acquire`](OutgoingLimit::acquire) for clients that cannot be wrapped; see the [crate's
/// documentation](crate) for the right form for each client. Clones share everything that was learned.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use zae_reqwest::{Limit, Limits, OutgoingLimit, Repository, ResourceName, find, llm::{Accounting, Tariff}};
///
/// let repository = Repository::embedded().await?;
/// let limits = Limits::new([Limit::per_minute("rpm", 500)?, Limit::per_minute("tpm", 200_000)?])?;
/// repository.set_system_defaults(&limits).await?;
///
/// let limit = OutgoingLimit::new(repository)
///     .resource(find::json::<ResourceName>("/model"))
///     .llm(Accounting::new(Tariff::openai()))
///     .max_wait(Duration::from_secs(20))
///     .on_wait(|wait| println!("waiting {:?}: {}", wait.expected, wait.reason));
/// let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(limit.clone()).build();
/// // …call…
/// limit.shutdown().await;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
#[derive(Clone)]
#[must_use = "a limit does nothing until a client uses it"]
pub struct OutgoingLimit {
    pub(crate) limiter: RateLimiter,
    pub(crate) entity: Option<Arc<dyn Find<EntityId>>>,
    pub(crate) resource: Option<Arc<dyn Find<ResourceName>>>,
    pub(crate) cost: Option<Arc<dyn Find<Cost>>>,
    pub(crate) pause_scope: Option<Arc<dyn Find<ResourceName>>>,
    pub(crate) acquire: AcquireSettings,
    pub(crate) accounting: Option<Accounting>,
    pub(crate) settle: Arc<dyn SettleRule>,
    pub(crate) max_wait: Duration,
    pub(crate) on_wait: Option<OnWait>,
    pub(crate) refusals: Refusals,
    pub(crate) pauses: Arc<PauseBook>,
    pub(crate) lines: Lines,
}

impl OutgoingLimit {
    /// Enforces the limits stored in the table; takes a [`Repository`](zae_tower::Repository) or a [`RateLimiter`] with
    /// your own settings.
    ///
    /// The entity is the [`EntityId`] in the request's extensions, otherwise [`DEFAULT_ENTITY`]; the resource is the
    /// host; the cost is 1 of each limit that counts requests.
    pub fn new(limiter: impl Into<RateLimiter>) -> Self {
        let limiter = limiter.into();
        let pauses = PauseBook::new(limiter.repository().clone(), Pauses::default(), DEFAULT_MAX_PAUSE);
        Self {
            limiter,
            entity: None,
            resource: None,
            cost: None,
            pause_scope: None,
            acquire: AcquireSettings::default(),
            accounting: None,
            settle: Arc::new(Standard),
            max_wait: DEFAULT_MAX_WAIT,
            on_wait: None,
            refusals: Refusals::default(),
            pauses: Arc::new(pauses),
            lines: Lines::default(),
        }
    }

    /// Sets the entity to charge; see [`find`]. If it finds none, the entity is [`DEFAULT_ENTITY`].
    pub fn entity<X: Extract<Call> + Extractor<Output = EntityId>>(mut self, extractor: X) -> Self {
        self.entity = Some(Arc::new(extractor));
        self
    }

    /// Sets the resource to charge; see [`find`]. If it finds none, the resource is the host.
    pub fn resource<X: Extract<Call> + Extractor<Output = ResourceName>>(mut self, extractor: X) -> Self {
        self.resource = Some(Arc::new(extractor));
        self
    }

    /// Sets the cost of a call: a [`Cost`], or an extractor; see [`find`]. It takes precedence over the estimate of
    /// [`llm`](OutgoingLimit::llm). If it finds nothing, the cost is that estimate, or 1 of each limit that counts
    /// requests.
    pub fn cost<X: Extract<Call> + Extractor<Output = Cost>>(mut self, extractor: X) -> Self {
        self.cost = Some(Arc::new(extractor));
        self
    }

    fn acquire_settings(mut self, change: impl FnOnce(&mut AcquireSettings)) -> Self {
        change(&mut self.acquire);
        self
    }

    zae_tower::acquire_settings!();

    /// Enables accounting for calls to language models: estimates each by its body, and settles it by the usage that
    /// the provider reports, streamed or not.
    pub fn llm(mut self, accounting: impl Into<Accounting>) -> Self {
        self.accounting = Some(accounting.into());
        self
    }

    /// Sets the rule that settles the charge in the end; see [`settle`](zae_tower::settle). By default the charge is
    /// kept, whatever the status; a call that the provider refused costs the request and no tokens, and one that never
    /// reached it costs nothing.
    pub fn settle(mut self, rule: impl SettleRule) -> Self {
        self.settle = Arc::new(rule);
        self
    }

    /// Bounds the total time that a call may wait; with zero, it never waits. Default: [`DEFAULT_MAX_WAIT`], 30 s. A
    /// call that would have to wait longer fails at once with [`NotYet`](crate::NotYet).
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }

    /// Calls `tell` with each wait as it begins. It must not block.
    ///
    /// ```
    /// # fn example(limit: zae_reqwest::OutgoingLimit) -> zae_reqwest::OutgoingLimit {
    /// limit.on_wait(|wait| println!("{} waits {:?}: {}", wait.resource, wait.expected, wait.reason))
    /// # }
    /// ```
    pub fn on_wait<F>(mut self, tell: F) -> Self
    where
        F: Fn(&Wait<'_>) + Send + Sync + 'static,
    {
        self.on_wait = Some(Arc::new(tell));
        self
    }

    /// Sets the handling of the pauses that the provider asks for. Default: [`Pauses::Shared`].
    pub fn pauses(mut self, pauses: Pauses) -> Self {
        self.pauses = Arc::new(self.pauses.with(pauses, self.pauses.cap));
        self
    }

    /// Sets the longest pause that is observed, whoever asks for it; after it, one call probes if the provider accepts
    /// calls. Default: [`DEFAULT_MAX_PAUSE`], 60 s.
    pub fn max_pause(mut self, pause: Duration) -> Self {
        self.pauses = Arc::new(self.pauses.with(self.pauses.mode, pause));
        self
    }

    /// Sets the scope of a pause: all calls with the same scope observe it. By default, the scope is the host and the
    /// resource together.
    pub fn pause_scope<X: Extract<Call> + Extractor<Output = ResourceName>>(mut self, extractor: X) -> Self {
        self.pause_scope = Some(Arc::new(extractor));
        self
    }

    /// Sets the handling of a provider's permanent refusal.
    pub fn refusals(mut self, refusals: Refusals) -> Self {
        self.refusals = refusals;
        self
    }

    /// Returns the limiter that decides.
    pub fn limiter(&self) -> &RateLimiter {
        &self.limiter
    }

    /// Writes all pending settlements and waits until they are stored; see [`RateLimiter::shutdown`].
    ///
    /// Cancel-safe: if it is dropped early, the writing continues.
    pub async fn shutdown(&self) {
        self.limiter.shutdown().await;
    }
}

impl fmt::Debug for OutgoingLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingLimit")
            .field("acquire", &self.acquire)
            .field("accounting", &self.accounting)
            .field("max_wait", &self.max_wait)
            .field("refusals", &self.refusals)
            .field("pauses", &self.pauses)
            .finish_non_exhaustive()
    }
}

/// The properties of a call: its entity, its resource, its cost, and the scope of its pauses.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) entity: EntityId,
    pub(crate) resource: ResourceName,
    pub(crate) cost: Cost,
    pub(crate) scope: ResourceName,
    pub(crate) max_wait: Duration,
    /// The tariff of the call, with the prices of its model.
    pub(crate) tariff: Option<Tariff>,
    pub(crate) labels: CallLabels,
    /// Selects whether the caller gets a chunk of usage.
    pub(crate) chunk: UsageChunk,
}

impl OutgoingLimit {
    /// Inspects a call, and requests the usage of its stream if that is configured.
    pub(crate) async fn look(&self, call: &mut Call) -> Result<Subject, zae_tower::extract::ExtractError> {
        use zae_tower::RequestHead;
        let entity = match found(self.entity.as_deref(), call).await? {
            Some(entity) => entity,
            None => match call.extensions().get::<EntityId>() {
                Some(entity) => entity.clone(),
                None => EntityId::new(DEFAULT_ENTITY)?,
            },
        };
        let resource = match found(self.resource.as_deref(), call).await? {
            Some(resource) => resource,
            None => find::named(call.host())?,
        };
        let scope = match found(self.pause_scope.as_deref(), call).await? {
            Some(scope) => scope,
            None => find::named(&format!("{}/{resource}", call.host()))?,
        };
        // A request without a body does not call a model.
        let accounting = self.accounting.as_ref().filter(|_| !call.is_bodiless());
        let tariff = match accounting {
            Some(accounting) => Some(accounting.tariff().for_model(call.llm().model()).map_err(unpriced)?),
            None => None,
        };
        let cost = match (found(self.cost.as_deref(), call).await?, accounting, &tariff) {
            (Some(cost), ..) => cost,
            (None, Some(accounting), Some(tariff)) => {
                let request = call.llm().clone().of_key(entity.as_str());
                tariff.cost(&accounting.estimate(&request))
            }
            (None, ..) => match &self.accounting {
                Some(accounting) => accounting.tariff().cost(&Usage::NONE),
                None => Cost::requests(1),
            },
        };
        let mut chunk = UsageChunk::Wanted;
        if let Some(accounting) = &self.accounting
            && !call.host().ends_with("mistral.ai")
            && !call.is_coded()
            && let Some(body) = call.body().and_then(|body| accounting.rewrite(call.path(), body, call.llm()))
        {
            call.replace_body(body);
            chunk = UsageChunk::Unwanted;
        }
        let max_wait = call.extensions().get::<MaxWait>().map_or(self.max_wait, |wait| wait.0);
        let labels = tariff.as_ref().map(|_| CallLabels::of(call.llm()).at_host(call.host())).unwrap_or_default();
        Ok(Subject { entity, resource, cost, scope, max_wait, tariff, labels, chunk })
    }
}

#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn unpriced(model: UnpricedModel) -> ExtractError {
    ExtractError::not_found(model.to_string())
}

async fn found<T>(extractor: Option<&dyn Find<T>>, call: &mut Call) -> zae_tower::extract::Extracted<T> {
    match extractor {
        Some(extractor) => extractor.find(call).await,
        None => Ok(None),
    }
}
