//! Accounting for calls to language models: estimated before, settled by the usage that the provider reports.
//!
//! - [`Usage`] is what a call used, the same for all providers.
//! - [`Tariff`] says which limits are charged for it.
//! - [`estimate`] guesses it from the request; [`UsageReader`] reads it from the response, streamed or not.
//! - [`Accounting`] is the three together, and what [`ZaeLimit::llm`](crate::ZaeLimit::llm) takes.
//! - [`SettleFrom`] settles a lease where a client offers no seam but the place of the call.
//!
//! # What is charged
//!
//! | the response | charged |
//! |---|---|
//! | is read to its end and has usage | the usage, in place of the estimate |
//! | breaks off (the client hangs up, the provider dies) after usage came that is not final | the larger of the two |
//! | has an error event, wherever it stands | the larger of the usage so far and the estimate |
//! | breaks off before, is compressed, is no success, or has no usage | the estimate |
//!
//! # What can be seen
//!
//! | metric | kind | labels | counts |
//! |---|---|---|---|
//! | `zae_llm_readings_total` | counter | `reading` = `final`, `so_far`, `unseen`; `reason` = `none`, `error_status`, `compressed`, `unknown_format`, `broke_off`, `absent`, `malformed`, `error_event`, `absurd` | responses |
//! | `zae_llm_tokens_total` | counter | `kind` = `input_uncached`, `cache_read`, `cache_write`, `output` | tokens that providers reported |
//!
//! | event | level | fields | when |
//! |---|---|---|---|
//! | `usage read` | `TRACE` | `resource`, `reading`, `usage` | each response with usage |
//! | `a response told no usage …` | `WARN` once per resource and reason, then `DEBUG` | `resource`, `reason` | each response without |

mod accounting;
mod cost;
pub mod estimate;
mod inject;
mod members;
mod notices;
mod pieces;
mod read;
mod request;
mod tariff;
#[cfg(feature = "tiktoken")]
mod tokens;
mod usage;
mod weights;

pub use accounting::{Accounting, DEFAULT_BODY_LIMIT, DEFAULT_OUTPUT, Meter, Quote};
pub use cost::LlmCost;
pub use inject::include_usage;
pub use read::{ApiFormat, Reading, Unseen, UsageReader};
pub use request::LlmRequest;
pub use tariff::{SettleFrom, Tariff, TariffBuilder, TariffError};
pub use usage::Usage;
pub use weights::Weights;

/// The programs in the guide compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/llm.md")]
struct Guide;
