//! The format of books in files: [`PriceBook::from_json`], [`PriceBook::to_json`].
//!
//! ```json
//! {"models": [
//!   {"provider": "anthropic", "model": "claude-sonnet-4-5*", "above": 200000, "tier": "standard",
//!    "region": "anywhere", "valid_from": "2025-09-29", "per_million": {"input": 6, "output": 22.5},
//!    "each": {"tool_call": 0.01}, "source": "https://docs.anthropic.com/en/docs/about-claude/pricing"}
//! ]}
//! ```
//!
//! `model` and `source` are required, everything else has the defaults of [`Price`].
//!
//! | member | value | default |
//! |---|---|---|
//! | `model` | a name, or the beginning of names and a `*` | needed |
//! | `per_million` | dollars per million tokens, by [kind](PriceKind) | one of the two is needed |
//! | `each` | dollars for one tool call, second, picture or search unit | |
//! | `above` | input tokens that a call has to exceed | 0 |
//! | `tier`, `region` | as [`ServiceTier`] and [`Region`] spell them | `standard`, `anywhere` |
//! | `valid_from` | a date, from midnight UTC on, or an instant | always |
//! | `provider` | a name for people | none |
//! | `source` | a link and a date | needed |
//!
//! Unknown members are errors, because a misspelt condition would make a price apply where it should not.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Map, Value, json};

use super::{Price, PriceBook, PriceKind};
use crate::{Region, ServiceTier};

/// The bundled book.
const BUNDLED: &[u8] = include_bytes!("bundled.json");

/// The reason why a price book cannot be read.
///
/// ```
/// use zae_llm::prices::PriceBook;
/// let error = PriceBook::from_json(br#"{"models": [{"model": "m", "per_million": {"inputs": 1}}]}"#).unwrap_err();
/// assert_eq!(error.to_string(), "row 1 of the price book (model m): there is no price of the kind `inputs`");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BookError {
    /// It is not JSON.
    #[error("the price book is not valid JSON")]
    Json(#[from] serde_json::Error),
    /// It has no rows at the expected location.
    #[error("the price book has no {0}; is it of another format?")]
    NoRows(&'static str),
    /// A row is invalid.
    #[error("row {row} of the price book (model {model}): {problem}")]
    Row {
        /// Position of the row, from 1.
        row: usize,
        /// The model that it names, if any.
        model: String,
        /// The problem.
        problem: String,
    },
}

impl PriceBook {
    /// Parses a book in this crate's own format.
    ///
    /// # Errors
    /// [`BookError`] with the first invalid row: a misspelling never makes a model free.
    pub fn from_json(text: &[u8]) -> Result<Self, BookError> {
        let value: Value = serde_json::from_slice(text)?;
        let rows = value.get("models").and_then(Value::as_array).ok_or(BookError::NoRows("list `models`"))?;
        let mut book = Self::default();
        for (index, value) in rows.iter().enumerate() {
            let model = value.get("model").and_then(Value::as_str).unwrap_or_default();
            let wrong = |problem| BookError::Row { row: index + 1, model: model.to_owned(), problem };
            let row = row(value).map_err(wrong)?;
            if book.set(row).is_some() {
                return Err(wrong("an earlier row says the same with other prices".to_owned()));
            }
        }
        Ok(book)
    }

    /// Formats the book in this crate's own format.
    ///
    /// ```
    /// use zae_llm::prices::PriceBook;
    /// let book = PriceBook::bundled();
    /// assert_eq!(PriceBook::from_json(book.to_json().as_bytes())?, book);
    /// # Ok::<(), zae_llm::prices::BookError>(())
    /// ```
    pub fn to_json(&self) -> String {
        let rows: Vec<Value> = self.rows().iter().map(written).collect();
        // All values are text and numbers; without a map there would be no rows.
        let mut text = serde_json::to_string_pretty(&json!({ "models": rows })).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Returns a few models of the large providers, with their list prices on the date in each row's source. Prices
    /// change: start with it, and maintain your own book.
    pub fn bundled() -> Self {
        // A test parses it.
        Self::from_json(BUNDLED).unwrap_or_default()
    }
}

/// Parses one row.
///
/// # Errors The problem in words, for a member that is unknown, missing or of another type.
fn row(value: &Value) -> Result<Price, String> {
    let Value::Object(members) = value else { return Err("a row is an object".to_owned()) };
    let known = ["provider", "model", "above", "tier", "region", "valid_from", "per_million", "each", "source"];
    if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("there is no member `{name}`"));
    }
    let text = |name: &str| match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("`{name}` is a text")),
    };
    let model = text("model")?.filter(|model| !model.is_empty()).ok_or("`model` is missing")?;
    let mut row = Price::new(model, "");
    row.provider = text("provider")?.map(str::to_owned);
    if let Some(above) = members.get("above") {
        row.above = above.as_u64().ok_or("`above` is a number of tokens")?;
    }
    if let Some(tier) = text("tier")? {
        row.tier = ServiceTier::named(tier);
        if row.tier.as_str() != tier {
            return Err(format!("there is no tier `{tier}`"));
        }
    }
    if let Some(region) = text("region")? {
        row.region = Region::named(region);
        if row.region.as_str() != region {
            return Err(format!("there is no region `{region}`"));
        }
    }
    row.valid_from = text("valid_from")?.map(instant).transpose()?;
    for (name, is_token) in [("per_million", true), ("each", false)] {
        let Some(prices) = members.get(name) else { continue };
        let prices = prices.as_object().ok_or_else(|| format!("`{name}` is an object"))?;
        for (kind, dollars) in prices {
            row = priced(row, kind, dollars, is_token)?;
        }
    }
    if row.prices.iter().all(Option::is_none) {
        return Err("it has no price".to_owned());
    }
    row.source = text("source")?.filter(|source| !source.is_empty()).ok_or("`source` is missing")?.to_owned();
    Ok(row)
}

/// Sets one price of a row.
///
/// # Errors The problem in words: an unknown kind, a kind in the wrong member (a token under `each`), a number that is
/// no price.
fn priced(row: Price, name: &str, dollars: &Value, is_token: bool) -> Result<Price, String> {
    let kind = PriceKind::named(name).ok_or_else(|| format!("there is no price of the kind `{name}`"))?;
    if kind.is_token() != is_token {
        let place = if kind.is_token() { "per_million" } else { "each" };
        return Err(format!("the price of `{name}` belongs into `{place}`"));
    }
    let dollars = dollars.as_f64().ok_or_else(|| format!("the price of `{name}` is a number of dollars"))?;
    let row = Price {
        prices: {
            let mut prices = row.prices;
            prices[kind as usize] = None;
            prices
        },
        ..row
    };
    let row = row.with(kind, dollars);
    if row.get(kind).is_none() {
        return Err(format!("the price of `{name}` must be from 0 to 1000000 dollars"));
    }
    Ok(row)
}

/// Parses a date, which begins at midnight UTC, or an instant.
fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    let midnight = text.parse::<Date>().and_then(|date| date.to_zoned(TimeZone::UTC));
    midnight.map(|date| date.timestamp()).map_err(|_| format!("`valid_from` is a date or an instant, not `{text}`"))
}

/// Formats one row, without defaults.
fn written(row: &Price) -> Value {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
    if let Some(provider) = &row.provider {
        put("provider", json!(provider));
    }
    put("model", json!(row.model));
    if row.above > 0 {
        put("above", json!(row.above));
    }
    if row.tier != ServiceTier::Standard {
        put("tier", json!(row.tier.as_str()));
    }
    if row.region != Region::Anywhere {
        put("region", json!(row.region.as_str()));
    }
    if let Some(from) = row.valid_from {
        put("valid_from", json!(from.to_string()));
    }
    for (name, is_token) in [("per_million", true), ("each", false)] {
        let kinds = PriceKind::ALL.into_iter().filter(|kind| kind.is_token() == is_token);
        let prices = kinds.filter_map(|kind| Some((kind.as_str().to_owned(), json!(row.get(kind)?))));
        let prices: Map<String, Value> = prices.collect();
        if !prices.is_empty() {
            put(name, Value::Object(prices));
        }
    }
    put("source", json!(row.source));
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_says_what_cannot_be_is_no_price() {
        for (row, problem) in [
            ("{}", "`model` is missing"),
            (r#"{"model":"m","per_million":{"input":1}}"#, "`source` is missing"),
            (r#"{"model":"m","source":"s"}"#, "it has no price"),
            (r#"{"model":"m","per_million":{"input":-1},"source":"s"}"#, "must be from 0"),
            (r#"{"model":"m","per_million":{"input":"1"},"source":"s"}"#, "is a number of dollars"),
            (r#"{"model":"m","per_million":{"tool_call":1},"source":"s"}"#, "belongs into `each`"),
            (r#"{"model":"m","per_million":{"input":1},"teir":"flex","source":"s"}"#, "no member `teir`"),
            (r#"{"model":"m","per_million":{"input":1},"tier":"flexible","source":"s"}"#, "no tier `flexible`"),
            (r#"{"model":"m","per_million":{"input":1},"valid_from":"soon","source":"s"}"#, "`valid_from` is a date"),
        ] {
            let error = PriceBook::from_json(format!("{{\"models\":[{row}]}}").as_bytes()).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let twice = r#"{"models":[{"model":"m","per_million":{"input":1},"source":"s"},
            {"model":"m","per_million":{"input":2},"source":"s"}]}"#;
        assert!(PriceBook::from_json(twice.as_bytes()).unwrap_err().to_string().contains("row 2"));
    }

    #[test]
    fn the_bundled_book_is_dated_and_has_a_source_for_each_number() {
        let book = PriceBook::from_json(BUNDLED).unwrap();
        assert!(book.rows().len() >= 10);
        for row in book.rows() {
            assert!(row.source.contains("https://") && row.source.contains("20"), "{row:?}");
        }
        assert!(book.knows("gpt-5-mini", Timestamp::now()));
    }
}
