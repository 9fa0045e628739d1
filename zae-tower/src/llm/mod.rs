//! Accounting for calls to language models: the crate [`zae_llm`], and its use in a layer's decision.
//!
//! [`ZaeLimit::llm`](crate::ZaeLimit::llm) takes an [`Accounting`], or a [`Tariff`] if its defaults will do. Each
//! request is charged its estimate, which is replaced by the usage in its response when the body has ended. The
//! documentation of [`zae_llm`] describes the charge in each case, and the metrics and events.
//! [`guide::llm`](crate::guide::llm) is a complete walk-through.
//!
//! ```
//! use zae_tower::{Repository, ZaeLimit, llm::{Accounting, Tariff, estimate}, resource};
//! # fn example(repository: Repository) {
//! let accounting = Accounting::new(Tariff::openai()).estimator(estimate::input_and_max_output(4_000));
//! let limit = ZaeLimit::new(repository)
//!     .resource(resource::json_field("model").among(["gpt-5", "gpt-5-mini"]))
//!     .llm(accounting);
//! # let _ = limit;
//! # }
//! ```

mod cost;

pub use cost::LlmCost;
pub(crate) use cost::{Asker, CallTariff};
pub use zae_llm::{
    Accounting, Admission, ApiFormat, Bill, COST_FIELD, CallLabels, ContentDecoder, DEFAULT_BODY_LIMIT, DEFAULT_OUTPUT,
    LlmRequest, MICRODOLLARS, Meter, Quote, Reading, Region, ServiceTier, SettleFrom, Tariff, TariffBuilder,
    TariffError, Undecodable, Unseen, UnwantedChunk, Usage, UsageChunk, UsageReader, Weights, estimate, include_usage,
    json, limits, prices,
};
