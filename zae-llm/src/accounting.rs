//! Estimate, tariff and reader in one: [`Accounting`], [`Quote`], [`Meter`].

mod call;

use std::{fmt, sync::Arc};

use bytes::Bytes;

pub use self::call::{Bill, Meter, Quote, UsageChunk};
pub use crate::estimate::DEFAULT_OUTPUT;
use crate::{
    ApiFormat, CallLabels, LlmRequest, Tariff, Usage,
    estimate::{self, Estimator},
    include_usage,
    notices::Notices,
    prices::UnpricedModel,
};

/// The largest request that is read to be estimated, in bytes: as large as Anthropic takes one, and larger than what
/// OpenAI transcribes (25 MB) and Gemini takes within a request (20 MB).
pub const DEFAULT_BODY_LIMIT: usize = 32 * 1024 * 1024;

/// Accounts for calls to models: estimates them by their request, charges them by a tariff, settles them by their
/// response.
///
/// All adapters take one: `ZaeLimit::llm` of `zae-tower`, `zae-axum` and `zae-actix` for requests that come in,
/// `OutgoingLimit::llm` of `zae-reqwest` for those that go out. By itself it serves clients of other kinds:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{Limit, Limits, RateLimiter, Repository};
/// use zae_llm::{Accounting, End, Reading, Tariff, Usage};
/// # let repository = Repository::embedded().await?;
/// # let limits = Limits::new([Limit::per_minute("rpm", 100)?, Limit::per_minute("tpm", 10_000)?])?;
/// # repository.set_system_defaults(&limits).await?;
/// let limiter = RateLimiter::new(repository.clone());
/// # let limiter = RateLimiter::builder(repository).deadline(std::time::Duration::from_secs(10)).build();
/// let accounting = Accounting::new(Tariff::openai());
///
/// let request = br#"{"model":"gpt-5","max_completion_tokens":500,"messages":[{"role":"user","content":"Hi"}]}"#;
/// let quote = accounting.quote(request);
/// let lease = limiter.acquire("user-1", quote.model().unwrap_or("default"), quote.cost().clone()).await?;
///
/// let mut meter = accounting.meter();
/// // …send it; then, of the response…
/// let headers = http::HeaderMap::new();
/// meter.start(http::StatusCode::OK, &headers);
/// meter.push(br#"{"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":90}}"#);
/// let reading = meter.settle(&lease, End::Complete);
/// lease.commit().await?;
/// assert_eq!(reading, Reading::Final(Usage::new(8, 90)));
/// assert_eq!(lease.consumed()["tpm"], 98);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "accounting does nothing until a layer or a client uses it"]
pub struct Accounting {
    /// The charges of usage.
    tariff: Arc<Tariff>,
    /// The guess before the call.
    estimator: Arc<dyn Estimator>,
    /// The format of responses that is read.
    format: ApiFormat,
    /// Selects whether OpenAI is asked for the usage of streams.
    usage_in_streams: UsageInStreams,
    /// Bytes of a request's body that are read and parsed.
    body_limit: usize,
    /// Metrics and log lines of readings.
    notices: Arc<Notices>,
    /// The way in which the provider counts.
    admission: Admission,
    /// A caller's function that is told of each call.
    on_settled: Option<OnSettled>,
    /// Selects whether clients are told what their calls cost.
    cost_told: CostTold,
}

/// The trailer in which a response carries its cost, in micro-dollars; see [`Accounting::tell_cost`].
pub const COST_FIELD: &str = "x-cost-microdollars";

/// Selects whether clients are told what their calls cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CostTold {
    Never,
    InTrailer,
}

/// A function that is told of each settled call.
type OnSettled = Arc<dyn Fn(&Bill<'_>) + Send + Sync>;

/// The way in which a provider counts a call against its limits, for limits that are to keep within the provider's.
///
/// ```
/// use zae_llm::{Accounting, Admission, Tariff};
/// let accounting = Accounting::new(Tariff::openai()).admission(Admission::Bound);
/// let quote = accounting.quote(br#"{"model":"gpt-5","max_completion_tokens":4000,"input":""}"#);
/// assert_eq!(quote.estimate().output, 4_000); // and never less in the end
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Admission {
    /// By what it used in the end: Anthropic, Gemini, Groq, most others. The estimate is settled up or down.
    #[default]
    Usage,
    /// By the request's bound while it runs, and by what it used in the end: Bedrock. The estimate is the bound, and is
    /// settled up or down.
    Held,
    /// By the request's bound when it comes, and that stays: OpenAI and Azure as they document it, Cerebras. The
    /// estimate is the bound, and is settled only upwards.
    Bound,
}

/// Selects whether OpenAI is asked for the usage of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UsageInStreams {
    /// Only where the client asks for it.
    AsAsked,
    /// In every stream of chat completions.
    Always,
}

impl Accounting {
    /// Charges by `tariff`. Estimates are [`estimate::learned`]: the input by its text and media, the output by what
    /// earlier calls of the key and model used, within the request's own bound. Until eight calls have been settled,
    /// the bound counts, or [`DEFAULT_OUTPUT`]. Responses are read in whichever format they are.
    pub fn new(tariff: Tariff) -> Self {
        Self {
            tariff: Arc::new(tariff),
            estimator: Arc::new(estimate::learned()),
            format: ApiFormat::Auto,
            usage_in_streams: UsageInStreams::AsAsked,
            body_limit: DEFAULT_BODY_LIMIT,
            notices: Arc::default(),
            admission: Admission::default(),
            on_settled: None,
            cost_told: CostTold::Never,
        }
    }

    /// Estimates by `estimator`; see [`estimate`].
    pub fn estimator(mut self, estimator: impl Estimator) -> Self {
        self.estimator = Arc::new(estimator);
        self
    }

    /// Reads only usage of `format`.
    pub fn format(mut self, format: ApiFormat) -> Self {
        self.format = format;
        self
    }

    /// Asks OpenAI for the usage of streams where the request does not; see [`include_usage`](crate::include_usage).
    /// The chunk that OpenAI then adds, without choices, is left out for clients that did not ask for it, unless the
    /// stream is compressed.
    ///
    /// Only requests whose path ends in `/completions` are changed, as `/v1/chat/completions` does: the bodies of other
    /// providers look the same, and some of these refuse what they do not know. Mistral refuses the option on that path
    /// too, and sends usage without it: requests for the models of its own API are left alone, and outgoing ones to its
    /// host.
    pub fn include_usage(mut self) -> Self {
        self.usage_in_streams = UsageInStreams::Always;
        self
    }

    /// The largest request body that is read and parsed, in bytes; [`DEFAULT_BODY_LIMIT`] if it is not set. Larger ones
    /// are refused where they come in, and [not parsed](LlmRequest::unparsed) where they go out.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// The largest request body that is to be read, in bytes.
    pub fn max_body(&self) -> usize {
        self.body_limit
    }

    /// Sets the way in which the provider counts calls; by their usage if it is not set.
    pub fn admission(mut self, admission: Admission) -> Self {
        self.admission = admission;
        self
    }

    /// Calls `tell` with each call as it is settled: what was read of its response, and what it is charged. It must not
    /// block.
    ///
    /// ```
    /// use zae_llm::{Accounting, Tariff, prices::{PriceBook, Prices}};
    /// let accounting = Accounting::new(Tariff::priced(&Prices::new(PriceBook::bundled()))).on_settled(|bill| {
    ///     println!("{} used {}: {:?} micro-dollars", bill.entity, bill.resource, bill.micro_dollars);
    /// });
    /// # let _ = accounting;
    /// ```
    pub fn on_settled(mut self, tell: impl Fn(&Bill<'_>) + Send + Sync + 'static) -> Self {
        self.on_settled = Some(Arc::new(tell));
        self
    }

    /// Tells clients the cost of their calls in money: incoming layers add it to the response, in micro-dollars, as the
    /// trailer [`COST_FIELD`]. It is known only when the response has ended, so that no header can have it.
    ///
    /// Nothing is added where the tariff has no prices, and to responses with a `Content-Length`, which over HTTP/1.1
    /// have no trailers.
    ///
    /// ```
    /// use zae_llm::{Accounting, Tariff, prices::{PriceBook, Prices}};
    /// let accounting = Accounting::new(Tariff::priced(&Prices::new(PriceBook::bundled()))).tell_cost();
    /// assert!(accounting.meter().tells_cost());
    /// ```
    pub fn tell_cost(mut self) -> Self {
        self.cost_told = CostTold::InTrailer;
        self
    }

    /// Returns the tariff to charge by.
    pub fn tariff(&self) -> &Tariff {
        &self.tariff
    }

    /// Estimates the cost of the call with this request body.
    ///
    /// # Errors
    /// [`UnpricedModel`](crate::prices::UnpricedModel) as of [`Tariff::for_model`]; never where the tariff charges no
    /// money.
    pub fn try_quote(&self, body: &[u8]) -> Result<Quote, UnpricedModel> {
        let request = LlmRequest::parse(body);
        let estimate = self.estimate(&request);
        let tariff = self.tariff.for_model(request.model())?;
        Ok(Quote { cost: tariff.cost(&estimate), tariff, request, estimate })
    }

    /// As [`try_quote`](Accounting::try_quote), but what has no price is charged its tokens alone.
    pub fn quote(&self, body: &[u8]) -> Quote {
        let request = LlmRequest::parse(body);
        let estimate = self.estimate(&request);
        let tariff = self.tariff.for_model(request.model()).unwrap_or_else(|_| (*self.tariff).clone());
        Quote { cost: tariff.cost(&estimate), tariff, request, estimate }
    }

    /// Estimates the usage of `request`: nothing where its [endpoint](LlmRequest::at) costs no tokens, and no output
    /// where that answers none. Where the provider counts the request's bound, the output is that bound.
    pub fn estimate(&self, request: &LlmRequest) -> Usage {
        if request.is_free() {
            return Usage::NONE;
        }
        let mut guess = self.estimator.estimate(request);
        if let (Admission::Held | Admission::Bound, Some(bound)) = (self.admission, request.max_output()) {
            guess = Usage::new(guess.input(), bound);
        }
        if request.answers_tokens() { guess } else { Usage::new(guess.input(), 0) }
    }

    /// The body to send to `path` (without the query) in place of `body`, where
    /// [`include_usage`](Accounting::include_usage) asks for another. `request` is what `body` was parsed to.
    ///
    /// ```
    /// use zae_llm::{Accounting, LlmRequest, Tariff};
    /// let accounting = Accounting::new(Tariff::openai()).include_usage();
    /// let body = br#"{"stream":true,"messages":[]}"#;
    /// let request = LlmRequest::parse(body);
    /// assert!(accounting.rewrite("/v1/chat/completions", body, &request).is_some());
    /// assert_eq!(accounting.rewrite("/v1/messages", body, &request), None); // Anthropic's
    /// let mistral = br#"{"model":"mistral-large-latest","stream":true,"messages":[]}"#;
    /// assert_eq!(accounting.rewrite("/v1/chat/completions", mistral, &LlmRequest::parse(mistral)), None);
    /// ```
    pub fn rewrite(&self, path: &str, body: &[u8], request: &LlmRequest) -> Option<Bytes> {
        match self.usage_in_streams {
            UsageInStreams::Always if path.ends_with("/completions") && !refuses_stream_options(request) => {
                request.problem().map_or_else(|| include_usage(body), |_| None)
            }
            UsageInStreams::Always | UsageInStreams::AsAsked => None,
        }
    }

    /// A meter for one call, charged by the tariff as it is for an unknown model.
    pub fn meter(&self) -> Meter {
        self.meter_by((*self.tariff).clone())
    }

    /// A meter for one call that is charged by `tariff`: that of its [model](Tariff::for_model), or of its
    /// [quote](Quote::tariff).
    pub fn meter_by(&self, tariff: Tariff) -> Meter {
        let (labels, chunk) = (CallLabels::default(), UsageChunk::default());
        Meter { accounting: self.clone(), tariff, labels, reader: None, chunk, filter: None }
    }
}

/// Names with which the models of Mistral's API begin.
const MISTRAL: [&str; 9] = [
    "mistral-large",
    "mistral-medium",
    "mistral-small",
    "mistral-saba",
    "ministral-",
    "magistral-",
    "codestral-",
    "devstral-",
    "pixtral-",
];

/// Returns true for models of a provider that answers the option with a 422.
fn refuses_stream_options(request: &LlmRequest) -> bool {
    request.model().is_some_and(|model| MISTRAL.iter().any(|name| model.starts_with(name)))
}

impl From<Tariff> for Accounting {
    fn from(tariff: Tariff) -> Self {
        Self::new(tariff)
    }
}

impl fmt::Debug for Accounting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounting")
            .field("tariff", &self.tariff)
            .field("format", &self.format)
            .field("usage_in_streams", &self.usage_in_streams)
            .field("body_limit", &self.body_limit)
            .finish_non_exhaustive()
    }
}
