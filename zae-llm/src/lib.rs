//! Accounting for calls to language models: tokens estimated before a call, read from the provider's response as it
//! passes by, and charged to the limits of [`zae_limiter`]. No client and no server: bytes and headers in, costs out.
//!
//! ```
//! use http::{HeaderMap, StatusCode};
//! use zae_llm::{ApiFormat, End, LlmRequest, Reading, Tariff, Usage, UsageReader, estimate::{self, Estimator}};
//!
//! // Before the call: an estimate, and its cost.
//! let request = LlmRequest::parse(br#"{"model":"gpt-5","max_completion_tokens":500,"input":"How are you?"}"#);
//! let estimate = estimate::input_and_max_output(1_000).estimate(&request);
//! let tariff = Tariff::openai();
//! assert_eq!(tariff.cost(&estimate).to_string(), "rpm:1,tpm:503");
//!
//! // While the response passes by: the usage that the provider reports, whichever provider it is.
//! let mut reader = UsageReader::new(ApiFormat::Auto, StatusCode::OK, &HeaderMap::new());
//! reader.push(b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":40}}\n\n");
//! reader.push(b"data: [DONE]\n\n");
//! let Reading::Final(usage) = reader.finish(End::Complete) else { panic!("it has usage") };
//! assert_eq!(usage, Usage::new(9, 40));
//! assert_eq!(tariff.cost(&usage).to_string(), "rpm:1,tpm:49");
//! ```
//!
//! # The way of a call
//!
//! 1. [`LlmRequest`] reads the request's body: model, bounds of the output, text, media. It keeps no document.
//! 2. An [`Estimator`](estimate::Estimator) guesses the [`Usage`] of the call.
//! 3. A [`Tariff`] turns usage into a cost: which limits are charged, and by which [`Weights`].
//! 4. A [`UsageReader`] reads the usage from the response, streamed or not; its [`Reading`] says how sure that is.
//! 5. [`Tariff::adjust_by`] makes the lease stand for what was read. Final usage replaces the estimate, in both
//!    directions; anything less only raises it. [`guide::accounting`] has the table of all cases.
//!
//! [`prices`] makes money of usage: a tariff can charge what a call costs, beside its tokens.
//!
//! [`Accounting`] is all of them together, and what the layers of `zae-tower`, `zae-axum`, `zae-actix` and
//! `zae-reqwest` take. Where a client offers no seam but the place of the call, [`SettleFrom`] settles the lease.
//! [`limits`] reads what an answer says about the provider's own limits: when to call again, and what is left.
//!
//! # Providers
//!
//! Each provider is one file of tables in `src/providers`: the members of its requests, the shapes in which it writes
//! usage, the words that end its answers, its rate-limit headers and its refusals. All readers work on these tables,
//! and the search that passes over events without a telling word is made of them. [`ApiFormat`] lists the formats, and
//! [`guide::providers`] says how to add one.
//!
//! # What is charged
//!
//! | the response | charged |
//! |---|---|
//! | is read to its end and has usage | the usage, in place of the estimate |
//! | breaks off (the client hangs up, the provider dies) after usage came that is not final | the larger of the two |
//! | has an error event, wherever it stands | the larger of the usage so far and the estimate |
//! | is a refusal by the provider within a success | the request |
//! | breaks off before, is no success, or has no usage | the estimate |
//!
//! # Metrics and events
//!
//! | metric | kind | labels | counts |
//! |---|---|---|---|
//! | `zae_llm_readings_total` | counter | `reading` = `final`, `so_far`, `unseen`; `reason` = `none`, `error_status`, `compressed`, `unknown_format`, `broke_off`, `absent`, `malformed`, `error_event`, `refused`, `absurd` | responses |
//! | `zae_llm_tokens_total` | counter | `kind` = `input_uncached`, `cache_read`, `cache_write`, `output` | tokens that providers reported |
//! | `gen_ai.client.inference.usage.input_tokens`, `.output_tokens`, `.cache_read.input_tokens`, `.cache_write.input_tokens`, `.reasoning.output_tokens` | counters | `gen_ai.operation.name`, `gen_ai.provider.name`, `gen_ai.request.model`, `gen_ai.token.modality` | the same tokens by [OpenTelemetry's conventions][otel] |
//! | `zae_llm_microdollars_total` | counter | `gen_ai.provider.name`, `gen_ai.request.model` | the cost of what was reported, where the tariff has prices |
//!
//! OpenTelemetry's conventions for models are in development: the names of these counters and labels follow them, and
//! change with them. The first hundred models that answered with usage are labels, later ones `_OTHER`; so are
//! providers that the conventions do not name. Calls without usage are not counted with a zero there, as
//! `zae_llm_readings_total` counts them.
//!
//! [otel]: https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-token-metrics.md
//!
//! | event | level | fields | when |
//! |---|---|---|---|
//! | `usage read` | `TRACE` | `resource`, `reading`, `usage` | each response with usage |
//! | `a response told no usage …` | `WARN` once per resource and reason, then `DEBUG` | `resource`, `reason` | each response without |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `tiktoken` | no | OpenAI's tokenizers as an estimator: `estimate::tokens` |

#![cfg_attr(docsrs, feature(doc_cfg))]

/// Compiles the examples of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod accounting;
mod end;
pub mod estimate;
pub mod guide;
pub mod json;
pub mod limits;
mod notices;
pub mod prices;
mod providers;
mod read;
mod request;
mod tariff;
mod telemetry;
mod tier;
mod usage;
mod weights;

pub use accounting::{
    Accounting, Admission, Bill, COST_FIELD, DEFAULT_BODY_LIMIT, DEFAULT_OUTPUT, Meter, Quote, UsageChunk,
};
pub use end::End;
pub use providers::ApiFormat;
pub use read::{ContentDecoder, Reading, Undecodable, Unseen, UnwantedChunk, UsageReader};
pub use request::{LlmRequest, form_field, include_usage};
pub use tariff::{MICRODOLLARS, SettleFrom, Tariff, TariffBuilder, TariffError};
pub use telemetry::CallLabels;
pub use tier::{Region, ServiceTier};
pub use usage::Usage;
pub use weights::Weights;
pub use zae_limiter;
