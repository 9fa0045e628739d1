//! Prices of models: [`PriceBook`], and [`Prices`], which can change while a program runs.
//!
//! A book contains the price of a token of each kind, by model, length of the context, tier of service, region and
//! date. A [`Tariff`](crate::Tariff) that is [priced](crate::Tariff::priced) charges a limit in micro-dollars beside
//! tokens, in the same decision: the estimated cost before the call, and the real one after it.
//!
//! ```
//! use zae_llm::{Tariff, Usage, prices::{PriceBook, Prices, UnknownModel}};
//! let book = PriceBook::from_json(br#"{"models": [
//!     {"model": "gpt-5*", "per_million": {"input": 1.25, "cache_read": 0.125, "output": 10}, "source": "contract"}
//! ]}"#)?;
//! let prices = Prices::new(book).unknown(UnknownModel::Refuse);
//! let tariff = Tariff::priced(&prices);
//! let call = tariff.for_model(Some("gpt-5-mini"))?;
//! // 1 request, 1 200 tokens, and 1 000 × 1.25 + 200 × 10 micro-dollars.
//! assert_eq!(call.cost(&Usage::new(1_000, 200)).to_string(), "rpm:1,tpm:1200,microdollars:3250");
//! assert!(tariff.for_model(Some("gpt-6")).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | a book is read from | by |
//! |---|---|
//! | its own format, JSON | [`PriceBook::from_json`]; `zae-deploy prices` takes YAML, too |
//! | LiteLLM's map, `model_prices_and_context_window.json` | [`PriceBook::from_litellm`] |
//! | `api.json` of models.dev | [`PriceBook::from_models_dev`] |
//! | the table, shared by all processes | [`StoredBook`]; `zae-deploy prices --in-table` |
//! | this crate | [`PriceBook::bundled`]: a few models, each with its date and source |

mod book;
mod format;
mod import;
mod live;
mod money;
mod stored;
#[cfg(test)]
mod tests;

pub(crate) use self::live::CallPrices;
pub use self::{
    book::{Price, PriceBook, PriceKind},
    format::BookError,
    live::{Prices, UnknownModel, UnpricedModel},
    stored::{StoredBook, StoredBookError},
};
