//! Estimate, tariff and reader in one: [`Accounting`], [`Quote`], [`Meter`].

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use zae_limiter::{Cost, Lease};

use crate::{
    ApiFormat, End, LlmRequest, Reading, Tariff, Unseen, Usage, UsageReader,
    estimate::{self, Estimator},
    include_usage,
    notices::Notices,
};

/// The output that a request without a bound of its own is estimated at, in tokens.
pub const DEFAULT_OUTPUT: u64 = 1_000;
/// The largest request that is read to be estimated, in bytes.
pub const DEFAULT_BODY_LIMIT: usize = 10 * 1024 * 1024;

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
    tariff: Arc<Tariff>,
    estimator: Arc<dyn Estimator>,
    format: ApiFormat,
    usage_in_streams: UsageInStreams,
    body_limit: usize,
    notices: Arc<Notices>,
}

/// Selects whether OpenAI is asked for the usage of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UsageInStreams {
    AsAsked,
    Always,
}

impl Accounting {
    /// Charges by `tariff`. Estimates are characters/4 and the request's own bound of its output (else
    /// [`DEFAULT_OUTPUT`]); responses are read in whichever format they are.
    pub fn new(tariff: Tariff) -> Self {
        Self {
            tariff: Arc::new(tariff),
            estimator: Arc::new(estimate::input_and_max_output(DEFAULT_OUTPUT)),
            format: ApiFormat::Auto,
            usage_in_streams: UsageInStreams::AsAsked,
            body_limit: DEFAULT_BODY_LIMIT,
            notices: Arc::default(),
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
    /// The client that streams gets one chunk more, without choices.
    ///
    /// Only requests whose path ends in `/completions` are changed, as `/v1/chat/completions` does: the bodies of other
    /// providers look the same, and some of these refuse what they do not know.
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

    /// Returns the tariff to charge by.
    pub fn tariff(&self) -> &Tariff {
        &self.tariff
    }

    /// Estimates the cost of the call with this request body.
    pub fn quote(&self, body: &[u8]) -> Quote {
        let request = LlmRequest::parse(body);
        let estimate = self.estimate(&request);
        Quote { cost: self.tariff.cost(&estimate), request, estimate }
    }

    /// Estimates the usage of `request`.
    pub fn estimate(&self, request: &LlmRequest) -> Usage {
        self.estimator.estimate(request)
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
    /// ```
    pub fn rewrite(&self, path: &str, body: &[u8], request: &LlmRequest) -> Option<Bytes> {
        match self.usage_in_streams {
            UsageInStreams::Always if path.ends_with("/completions") => {
                request.problem().map_or_else(|| include_usage(body), |_| None)
            }
            UsageInStreams::Always | UsageInStreams::AsAsked => None,
        }
    }

    /// A meter for one call.
    pub fn meter(&self) -> Meter {
        Meter { accounting: self.clone(), reader: None }
    }
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

/// Expected usage and cost of a call.
///
/// ```
/// use zae_llm::{Accounting, Tariff};
/// let quote = Accounting::new(Tariff::openai()).quote(br#"{"model":"gpt-5","max_tokens":500,"messages":[]}"#);
/// assert_eq!((quote.model(), quote.estimate().output), (Some("gpt-5"), 500));
/// assert_eq!(quote.cost().to_string(), "rpm:1,tpm:500");
/// ```
#[derive(Clone, Debug)]
pub struct Quote {
    request: LlmRequest,
    estimate: Usage,
    cost: Cost,
}

impl Quote {
    /// The request.
    pub fn request(&self) -> &LlmRequest {
        &self.request
    }

    /// The model that is asked, where the body says it.
    pub fn model(&self) -> Option<&str> {
        self.request.model()
    }

    /// Returns the expected usage.
    pub fn estimate(&self) -> &Usage {
        &self.estimate
    }

    /// Returns the cost to take from the limits before the call.
    pub fn cost(&self) -> &Cost {
        &self.cost
    }
}

/// Reads one response as it passes by, and settles its lease.
///
/// ```
/// # use bytes::Bytes;
/// use http::{HeaderMap, StatusCode};
/// use zae_llm::{Accounting, End, zae_limiter::Lease};
///
/// async fn settle(accounting: &Accounting, lease: Lease, headers: &HeaderMap, body: Vec<Bytes>) {
///     let mut meter = accounting.meter();
///     meter.start(StatusCode::OK, headers);
///     for chunk in &body {
///         meter.push(chunk); // and pass it on
///     }
///     meter.settle(&lease, End::Complete);
///     drop(lease.commit());
/// }
/// ```
#[derive(Debug)]
pub struct Meter {
    accounting: Accounting,
    reader: Option<UsageReader>,
}

impl Meter {
    /// The head of the response is there.
    pub fn start(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.reader = Some(UsageReader::new(self.accounting.format, status, headers));
    }

    /// The next bytes of its body; before [`start`](Meter::start) they are ignored.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Some(reader) = &mut self.reader {
            reader.push(bytes);
        }
    }

    /// The response has ended in this way: adjusts `lease` by what was read, and says so in metrics and log. The lease
    /// stays open, for the caller to commit; one that is settled already is left alone.
    ///
    /// Final usage replaces the estimate, in both directions. Usage of a response that broke off only raises it, and
    /// where none was seen it stands: whoever hangs up early pays no less.
    pub fn settle(self, lease: &Lease, end: End) -> Reading {
        let reading = self.reader.map_or(Reading::Unseen(Unseen::BrokeOff), |reader| reader.finish(end));
        self.accounting.notices.read(&reading, lease.resource());
        // It fails only on a lease that somebody has settled, who then knows better.
        let _ = self.accounting.tariff.adjust_by(lease, &reading);
        reading
    }
}
