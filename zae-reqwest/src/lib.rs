//! Rate limits for outgoing HTTP clients: waits or fails before sending, learns from the provider's responses, and
//! settles by the usage that it reports.
//!
//! ```
//! # #[cfg(feature = "embedded")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use zae_reqwest::{Limit, Limits, OutgoingLimit, Repository, ResourceName, find, llm::{Accounting, Tariff}};
//!
//! let repository = Repository::embedded().await?; // no AWS; `Repository::open` is the real one
//! let limits = Limits::new([Limit::per_minute("rpm", 480)?, Limit::per_minute("tpm", 190_000)?])?;
//! repository.set_system_defaults(&limits).await?;
//!
//! let limit = OutgoingLimit::new(repository)
//!     .resource(find::json::<ResourceName>("/model")) // each model by itself
//!     .llm(Accounting::new(Tariff::openai())); // one request and its tokens
//!
//! let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(limit.clone()).build();
//! // `client` is used as ever; calls wait where they must.
//! limit.shutdown().await; // settles what is still open
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "embedded"))]
//! # fn main() {}
//! ```
//!
//! # Which client takes which form
//!
//! | client | form |
//! |---|---|
//! | `reqwest-middleware`, and what is made of it (`rig`) | [`OutgoingLimit`] is a [`Middleware`](reqwest_middleware::Middleware) |
//! | plain `reqwest`, and Tower stacks over it | [`OutgoingLimit`] is a [`Layer`](tower_layer::Layer) over [`reqwest::Client`] |
//! | `async-openai`, from 0.37 on | `OutgoingLimit::openai` makes a service for `with_http_service` (feature `async-openai`) |
//! | everything else (AWS SDKs, `genai`) | [`OutgoingLimit::acquire`] at the place of the call |
//!
//! # The way of a call
//!
//! 1. The extractors inspect it ([`find`]) for entity, resource and cost. By default, all calls of all processes to a
//!    host share one set of buckets, and each takes 1 of each limit that counts requests; with
//!    [`llm`](OutgoingLimit::llm), it takes its estimate.
//! 2. If the provider has asked for a pause, the call waits until it is over. If a limit has too few tokens, it waits
//!    for them. It waits in line, first come, first served, for up to [`max_wait`](OutgoingLimit::max_wait); a call
//!    that would have to wait longer fails at once, and [`CallError`] contains the time to retry. Each wait is reported
//!    to [`on_wait`](OutgoingLimit::on_wait), the log and the metrics.
//! 3. It is sent. From here on it counts, even if the caller stops waiting for the response.
//! 4. The limiter learns the provider's limits from the response ([`provider`]). A pause is shared through the table,
//!    so that the whole fleet observes it ([`Pauses`]).
//! 5. The response is passed on at once and unchanged, with URL, version, address and length, and with [`Admission`]
//!    and [`Answer`](provider::Answer) in its extensions. Usage is read from its body as it streams through.
//! 6. When the body ends, in whichever way, the lease is settled:
//!
//! | the call | charged |
//! |---|---|
//! | is answered, and the answer is read to its end | the usage that it reports; without, the estimate |
//! | breaks off: the caller hangs up or never reads, the provider dies | the estimate, or the usage so far if that is more |
//! | is refused, or not run, by the provider (400 to 498 but 408, 500, 501, 503, 529) | the request, and no tokens |
//! | never reached the provider: no connection | nothing |
//! | gets no answer, for another reason | the estimate |
//! | fails with another status, after which it may have run | the estimate, unless a [`settle`] rule says otherwise |
//!
//! # Beside retries
//!
//! Each run is charged once. With `reqwest-retry` (or any other retry layer) *around* the limit, each attempt waits its
//! turn and is charged, which is how providers count; this is the recommended order. With the limit around the retries,
//! all attempts together are charged once, and only the first one waits.
//!
//! ```
//! # use reqwest_middleware::{ClientBuilder, Middleware};
//! # fn example(limit: zae_reqwest::OutgoingLimit, retry: impl Middleware) {
//! let client = ClientBuilder::new(reqwest::Client::new())
//!     .with(retry) // first given, outermost
//!     .with(limit) // each attempt is charged
//!     .build();
//! # }
//! ```
//!
//! Errors of this crate are never retried by `reqwest-retry`, and [`CallError::find`] finds them within its errors. A
//! lease belongs to one attempt: leases in a cloned request's extensions are ignored.
//!
//! # How high to set the limits
//!
//! Set limits slightly below the provider's: calls that are sent evenly do not arrive evenly. At 96 % of the rate, and
//! with a bucket somewhat smaller than the provider's, 32 callers see no refusal.
//!
//! # Metrics and events
//!
//! | metric | kind | labels | counts |
//! |---|---|---|---|
//! | `zae_client_calls_total` | counter | `outcome` = `at_once`, `waited`, `not_yet`, `failed` | calls |
//! | `zae_client_wait_seconds` | histogram | | time that each call waited, in seconds |
//! | `zae_client_waits_total` | counter | `reason` = `limit`, `provider`, `line`, `store` | waits; a call may have several |
//! | `zae_client_provider_refusals_total` | counter | `verdict` = `not_yet`, `never` | refusals by the provider |
//! | `zae_client_pauses_shared_total` | counter | | pauses written to the table |
//! | `zae_client_settlements_total` | counter | `end` = `complete`, `body_failed`, `dropped`, `never_sent`; `verdict` = `keep`, `refund`, `refused`, `by_caller` | leases settled |
//!
//! | event | level | fields | when |
//! |---|---|---|---|
//! | `call waits` | `DEBUG` | `entity`, `resource`, `reason`, `expected` | each wait |
//! | `call not made` | `DEBUG` | `entity`, `resource`, `error` | each call that was not |
//! | `the provider refused` | `DEBUG` | `scope`, `status` | each refusal |
//! | `the provider refuses for good` | `WARN` | `scope`, `status`, `reason` | each refusal of that kind |
//! | `the provider asked for a pause …` | `INFO` | `scope`, `pause`, `said` | a pause was written to the table |
//! | `other processes could not be told …` | `WARN` | `scope`, `error` | it could not be written |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `aws` | yes | connect to AWS: credentials, region, proxies, TLS |
//! | `sso` | no | credentials of IAM Identity Center as well |
//! | `login` | no | credentials of `aws login` as well |
//! | `embedded` | no | an in-process store, for development and tests |
//! | `async-openai` | no | `OutgoingLimit::openai` |
//! | `tiktoken` | no | OpenAI's tokenizers as an estimator: `llm::estimate::tokens` |

#![cfg_attr(docsrs, feature(doc_cfg))]

/// Compiles the examples of the crate's README.
#[cfg(all(doctest, feature = "embedded"))]
#[doc = include_str!("../README.md")]
struct Readme;

mod admit;
mod call;
mod collect;
mod error;
pub mod find;
pub mod guide;
mod middleware;
#[cfg(feature = "async-openai")]
mod openai;
mod outgoing;
mod pause;
mod peek;
mod permit;
mod response;
mod returns;
mod service;
mod telemetry;
mod wait;

pub use call::Call;
pub use error::{CallError, NotYet, RefusedForGood, ServiceError};
#[cfg(feature = "async-openai")]
pub use openai::OpenAiService;
pub use outgoing::{DEFAULT_ENTITY, DEFAULT_MAX_PAUSE, DEFAULT_MAX_WAIT, MaxWait, OutgoingLimit, Refusals};
pub use pause::Pauses;
pub use permit::Permit;
pub use response::Admission;
pub use service::{LimitedService, ResponseFuture};
pub use wait::{Wait, WaitReason};
pub use zae_tower::{
    self, AcquireError, Cost, EntityId, IntoName, Lease, LeaseError, LeaseOrigin, Limit, LimitStatus, Limits,
    OnUnavailable, RateLimiter, Repository, RequestHead, Reserve, ResourceName, ValidationError, extract, llm,
    llm::limits as provider, settle,
};
