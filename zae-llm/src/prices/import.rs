//! Imports the two common public formats: LiteLLM's map, and models.dev.
//!
//! Sources: <https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json> and
//! <https://models.dev/api.json>.
//!
//! | | LiteLLM | models.dev |
//! |---|---|---|
//! | unit | dollars per token | dollars per million tokens |
//! | long contexts | names that end in `_above_200k_tokens` | `context_over_200k`, or `tiers` with a size |
//! | tiers of service | names that end in `_flex`, `_priority`, `_batches` | none |
//! | a model that several providers sell | one row each, with the provider in its name | one entry below each provider |
//!
//! Prices of units that a call does not report (training, storage, sessions) are ignored.

use serde_json::{Map, Value};

use super::{BookError, Price, PriceBook, PriceKind};
use crate::ServiceTier;

/// LiteLLM's names of prices, in dollars per unit. Suffixes such as `_above_200k_tokens` and `_flex` may follow.
const LITELLM: [(&str, PriceKind); 13] = [
    ("input_cost_per_token", PriceKind::Input),
    ("cache_read_input_token_cost", PriceKind::CacheRead),
    ("cache_creation_input_token_cost", PriceKind::CacheWrite),
    ("cache_creation_input_token_cost_above_1hr", PriceKind::CacheWrite1h),
    ("input_cost_per_audio_token", PriceKind::AudioInput),
    ("input_cost_per_image_token", PriceKind::ImageInput),
    ("output_cost_per_token", PriceKind::Output),
    ("output_cost_per_reasoning_token", PriceKind::Reasoning),
    ("output_cost_per_audio_token", PriceKind::AudioOutput),
    ("output_cost_per_image_token", PriceKind::ImageOutput),
    ("input_cost_per_second", PriceKind::Second),
    ("output_cost_per_image", PriceKind::Image),
    ("input_cost_per_query", PriceKind::SearchUnit),
];

/// Suffixes of these names for tiers of service.
const TIERS: [(&str, ServiceTier); 3] =
    [("_flex", ServiceTier::Flex), ("_priority", ServiceTier::Priority), ("_batches", ServiceTier::Batch)];

/// models.dev's names of prices, in dollars per million tokens.
const MODELS_DEV: [(&str, PriceKind); 7] = [
    ("input", PriceKind::Input),
    ("cache_read", PriceKind::CacheRead),
    ("cache_write", PriceKind::CacheWrite),
    ("input_audio", PriceKind::AudioInput),
    ("output", PriceKind::Output),
    ("reasoning", PriceKind::Reasoning),
    ("output_audio", PriceKind::AudioOutput),
];

impl PriceBook {
    /// Parses LiteLLM's map, `model_prices_and_context_window.json`. `source` is recorded in each row.
    ///
    /// Models keep their names in the map, so some have their provider as a prefix (`azure/gpt-5`). Rows without prices
    /// are ignored.
    ///
    /// ```
    /// use zae_llm::prices::PriceBook;
    /// let map = br#"{"sample_spec": {}, "gpt-5": {"litellm_provider": "openai", "input_cost_per_token": 1.25e-06,
    ///     "output_cost_per_token": 1e-05, "input_cost_per_token_flex": 6.25e-07}}"#;
    /// let book = PriceBook::from_litellm(map, "LiteLLM, 2026-11-30")?;
    /// assert_eq!(book.rows().len(), 2); // the list, and flex
    /// # Ok::<(), zae_llm::prices::BookError>(())
    /// ```
    ///
    /// # Errors
    /// [`BookError`] if it is not such a map.
    pub fn from_litellm(text: &[u8], source: &str) -> Result<Self, BookError> {
        let Value::Object(models) = serde_json::from_slice(text)? else { return Err(BookError::NoRows("models")) };
        let mut book = Self::default();
        for (model, members) in models.iter().filter(|(model, _)| *model != "sample_spec") {
            let Value::Object(members) = members else { continue };
            let provider = members.get("litellm_provider").and_then(Value::as_str).map(str::to_owned);
            let mut rows: Vec<Price> = Vec::new();
            for (name, value) in members {
                let Some((kind, tier, above)) = litellm_price(name) else { continue };
                let Some(dollars) = value.as_f64() else { continue };
                let at = rows.iter().position(|row| row.tier == tier && row.above == above).unwrap_or_else(|| {
                    let row = Price { tier, above, provider: provider.clone(), ..Price::new(model, source) };
                    rows.push(row);
                    rows.len() - 1
                });
                let row = std::mem::replace(&mut rows[at], Price::new("", ""));
                rows[at] = row.with(kind, if kind.is_token() { dollars * 1e6 } else { dollars });
            }
            rows.sort_by_key(|row| (row.tier, row.above));
            rows.into_iter().for_each(|row| drop(book.set(row)));
        }
        if book.rows().is_empty() { Err(BookError::NoRows("prices per token")) } else { Ok(book) }
    }

    /// Parses `api.json` of models.dev. `source` is recorded in each row.
    ///
    /// Of a model that several providers sell, the first provider in `providers` counts; without any, models are named
    /// with their provider, `openai/gpt-5`.
    ///
    /// ```
    /// use zae_llm::prices::PriceBook;
    /// let api = br#"{"openai": {"models": {"gpt-5": {"id": "gpt-5", "cost": {"input": 1.25, "output": 10}}}},
    ///     "resold": {"models": {"gpt-5": {"id": "gpt-5", "cost": {"input": 2, "output": 20}}}}}"#;
    /// let book = PriceBook::from_models_dev(api, &["openai"], "models.dev, 2026-11-30")?;
    /// assert_eq!(book.rows()[0].model, "gpt-5");
    /// let all = PriceBook::from_models_dev(api, &[], "models.dev, 2026-11-30")?;
    /// assert_eq!(all.rows()[1].model, "resold/gpt-5");
    /// # Ok::<(), zae_llm::prices::BookError>(())
    /// ```
    ///
    /// # Errors
    /// [`BookError`] if it is not such a file.
    pub fn from_models_dev(text: &[u8], providers: &[&str], source: &str) -> Result<Self, BookError> {
        let Value::Object(all) = serde_json::from_slice(text)? else { return Err(BookError::NoRows("providers")) };
        let names: Vec<&str> =
            if providers.is_empty() { all.keys().map(String::as_str).collect() } else { providers.to_vec() };
        let mut book = Self::default();
        for provider in names {
            let models = all.get(provider).and_then(|provider| provider.get("models")).and_then(Value::as_object);
            let prefix = if providers.is_empty() { format!("{provider}/") } else { String::new() };
            for (model, members) in models.into_iter().flatten() {
                let Some(Value::Object(cost)) = members.get("cost") else { continue };
                let model = format!("{prefix}{model}");
                if book.rows().iter().any(|row| row.model == model) {
                    continue;
                }
                let row = |above, prices: &Map<String, Value>| {
                    let provider = Some(provider.to_owned());
                    let row = Price { provider, above, ..Price::new(&model, source) };
                    MODELS_DEV.into_iter().fold(row, |row, (name, kind)| {
                        match prices.get(name).and_then(Value::as_f64) {
                            Some(dollars) => row.with(kind, dollars),
                            None => row,
                        }
                    })
                };
                drop(book.set(row(0, cost)));
                for (above, prices) in contexts(cost) {
                    drop(book.set(row(above, prices)));
                }
            }
        }
        if book.rows().is_empty() { Err(BookError::NoRows("models with a cost")) } else { Ok(book) }
    }
}

/// Returns the kind, the tier and the context of one of LiteLLM's names.
fn litellm_price(name: &str) -> Option<(PriceKind, ServiceTier, u64)> {
    let (rest, tier) = TIERS
        .into_iter()
        .find_map(|(end, tier)| Some((name.strip_suffix(end)?, tier)))
        .unwrap_or((name, ServiceTier::Standard));
    let exact = |name: &str| LITELLM.into_iter().find(|(known, _)| *known == name).map(|(_, kind)| kind);
    if let Some(kind) = exact(rest) {
        return Some((kind, tier, 0));
    }
    let (rest, above) = rest.strip_suffix("k_tokens")?.rsplit_once("_above_")?;
    Some((exact(rest)?, tier, above.parse::<u64>().ok()?.checked_mul(1_000)?))
}

/// Returns the prices of long contexts, in either spelling.
fn contexts(cost: &Map<String, Value>) -> Vec<(u64, &Map<String, Value>)> {
    let tiers = cost.get("tiers").and_then(Value::as_array).into_iter().flatten().filter_map(|tier| {
        let bound = tier.get("tier")?;
        let is_context = bound.get("type").and_then(Value::as_str) == Some("context");
        Some((bound.get("size").and_then(Value::as_u64).filter(|_| is_context)?, tier.as_object()?))
    });
    let tiers: Vec<_> = tiers.collect();
    match cost.get("context_over_200k").and_then(Value::as_object) {
        Some(long) if tiers.is_empty() => vec![(200_000, long)],
        _ => tiers,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::Usage;

    #[test]
    fn litellm_has_a_price_for_everything() {
        let map = br#"{
            "sample_spec": {"input_cost_per_token": 0.0},
            "claude-sonnet-4-5": {"litellm_provider": "anthropic", "mode": "chat", "input_cost_per_token": 3e-06,
                "output_cost_per_token": 1.5e-05, "cache_read_input_token_cost": 3e-07,
                "cache_creation_input_token_cost": 3.75e-06, "cache_creation_input_token_cost_above_1hr": 6e-06,
                "input_cost_per_token_above_200k_tokens": 6e-06, "output_cost_per_token_above_200k_tokens": 2.25e-05,
                "cache_read_input_token_cost_above_200k_tokens": 6e-07, "input_cost_per_token_batches": 1.5e-06},
            "whisper-1": {"litellm_provider": "openai", "input_cost_per_second": 0.0001, "output_cost_per_second": 0},
            "free": {"litellm_provider": "x", "max_tokens": 1}
        }"#;
        let book = PriceBook::from_litellm(map, "test").unwrap();
        let cost = |model, usage| book.micro_dollars(model, &usage, Timestamp::now());
        let usage = Usage::new(1_000, 100).cache_read_beside(1_000).cache_write_beside(200).cache_write_1h_within(100);
        assert_eq!(cost("claude-sonnet-4-5", usage), Some(3_000 + 1_500 + 300 + 375 + 600));
        let long = Usage::new(200_001, 100);
        assert_eq!(cost("claude-sonnet-4-5", long), Some(1_200_006 + 2_250));
        assert_eq!(cost("claude-sonnet-4-5", Usage::new(10, 0).with_tier(ServiceTier::Batch)), Some(15));
        assert_eq!(cost("whisper-1", Usage::NONE.with_milliseconds(9_000)), Some(900));
        assert_eq!(cost("free", usage), None);
        assert_eq!(cost("sample_spec", usage), None);
    }

    #[test]
    fn models_dev_has_contexts_in_two_spellings() {
        let api = br#"{"google": {"id": "google", "models": {
            "gemini-2.5-pro": {"cost": {"input": 1.25, "output": 10, "cache_read": 0.31, "input_audio": 1.25,
                "context_over_200k": {"input": 2.5, "output": 15}}},
            "grok": {"cost": {"input": 2, "output": 6, "tiers": [
                {"input": 4, "output": 12, "tier": {"type": "context", "size": 128000}}]}},
            "without": {"name": "no cost"}}}}"#;
        let book = PriceBook::from_models_dev(api, &["google"], "test").unwrap();
        let cost = |model, input| book.micro_dollars(model, &Usage::new(input, 0), Timestamp::now());
        assert_eq!(
            (cost("gemini-2.5-pro", 200_000), cost("gemini-2.5-pro", 400_000)),
            (Some(250_000), Some(1_000_000))
        );
        assert_eq!((cost("grok", 128_000), cost("grok", 128_001)), (Some(256_000), Some(512_004)));
        assert_eq!(cost("without", 1), None);
    }

    #[test]
    fn what_is_of_another_format_is_no_book() {
        for text in ["[]", "{}", "{\"a\":{\"b\":1}}", "3"] {
            assert!(PriceBook::from_litellm(text.as_bytes(), "test").is_err(), "{text}");
            assert!(PriceBook::from_models_dev(text.as_bytes(), &[], "test").is_err(), "{text}");
            assert!(PriceBook::from_json(text.as_bytes()).is_err(), "{text}");
        }
    }
}
