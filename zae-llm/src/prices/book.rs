//! Prices by model, kind, context, tier, region and date: [`PriceBook`].

use jiff::Timestamp;

use super::money::{PicoDollars, micro_dollars};
use crate::{Region, ServiceTier, Usage, weights::Split};

/// The kind of unit of a price.
///
/// ```
/// use zae_llm::prices::PriceKind;
/// assert_eq!(PriceKind::named("cache_read"), Some(PriceKind::CacheRead));
/// assert_eq!(PriceKind::CacheRead.as_str(), "cache_read");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PriceKind {
    /// Input without a cache.
    Input,
    /// Input from a cache; priced as input by default.
    CacheRead,
    /// Input into a cache; priced as input by default.
    CacheWrite,
    /// Input into a cache for an hour; priced as other input into a cache by default.
    CacheWrite1h,
    /// Audio input; priced as input by default.
    AudioInput,
    /// Image input; priced as input by default.
    ImageInput,
    /// Output.
    Output,
    /// Reasoning; priced as output by default.
    Reasoning,
    /// Audio output; priced as output by default.
    AudioOutput,
    /// Image output; priced as output by default.
    ImageOutput,
    /// Predicted tokens that were rejected; priced as output by default.
    Rejected,
    /// A call of a tool that the provider runs; free by default.
    ToolCall,
    /// A second; free by default.
    Second,
    /// An image; free by default.
    Image,
    /// A search unit; free by default.
    SearchUnit,
}

impl PriceKind {
    /// All kinds, tokens first.
    pub const ALL: [Self; 15] = [
        Self::Input,
        Self::CacheRead,
        Self::CacheWrite,
        Self::CacheWrite1h,
        Self::AudioInput,
        Self::ImageInput,
        Self::Output,
        Self::Reasoning,
        Self::AudioOutput,
        Self::ImageOutput,
        Self::Rejected,
        Self::ToolCall,
        Self::Second,
        Self::Image,
        Self::SearchUnit,
    ];

    /// Returns the kind with that name in books.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Returns its name in books.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CacheRead => "cache_read",
            Self::CacheWrite => "cache_write",
            Self::CacheWrite1h => "cache_write_1h",
            Self::AudioInput => "audio_input",
            Self::ImageInput => "image_input",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioOutput => "audio_output",
            Self::ImageOutput => "image_output",
            Self::Rejected => "rejected",
            Self::ToolCall => "tool_call",
            Self::Second => "second",
            Self::Image => "image",
            Self::SearchUnit => "search_unit",
        }
    }

    /// Returns true if it is priced per million, as tokens are, and not each.
    pub const fn is_token(self) -> bool {
        !matches!(self, Self::ToolCall | Self::Second | Self::Image | Self::SearchUnit)
    }

    /// Returns the kind whose price applies if it has none.
    ///
    /// A cached, audio or image input token is an input token unless the list names another price; units other than
    /// tokens stand alone.
    const fn whole(self) -> Option<Self> {
        match self {
            Self::CacheRead | Self::CacheWrite | Self::AudioInput | Self::ImageInput => Some(Self::Input),
            Self::CacheWrite1h => Some(Self::CacheWrite),
            Self::Reasoning | Self::AudioOutput | Self::ImageOutput | Self::Rejected => Some(Self::Output),
            _ => None,
        }
    }
}

/// The prices of a model, or of all models with a common prefix, under some conditions. A row of a [`PriceBook`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Price {
    /// The provider, for display; a model with several providers needs a different name for each.
    pub provider: Option<String>,
    /// The model; with a `*` at its end, all models with that prefix.
    pub model: String,
    /// Applies only to calls with more input tokens than this, and then to the whole call.
    pub above: u64,
    /// Applies only in this tier.
    pub tier: ServiceTier,
    /// Applies only in this region; [`Region::Anywhere`] applies in all regions without a price of their own.
    pub region: Region,
    /// Applies from this instant on.
    pub valid_from: Option<Timestamp>,
    /// The source of the numbers.
    pub source: String,
    /// Price of one unit of each kind, by [`PriceKind`]; `None` if the row has none.
    pub(crate) prices: [Option<PicoDollars>; PriceKind::ALL.len()],
}

impl Price {
    /// Creates a row without prices.
    ///
    /// `model` is a name, or a prefix of names followed by a `*`; `source` is the source of the numbers.
    pub fn new(model: impl Into<String>, source: impl Into<String>) -> Self {
        Self {
            provider: None,
            model: model.into(),
            above: 0,
            tier: ServiceTier::Standard,
            region: Region::Anywhere,
            valid_from: None,
            source: source.into(),
            prices: [None; PriceKind::ALL.len()],
        }
    }

    /// Sets the price of a kind: dollars per million tokens, or per unit of other kinds. Prices that are negative, not
    /// a number or beyond a million are ignored.
    #[must_use]
    pub fn with(mut self, kind: PriceKind, dollars: f64) -> Self {
        let price = if kind.is_token() {
            PicoDollars::from_dollars_per_million(dollars)
        } else {
            PicoDollars::from_dollars(dollars)
        };
        self.prices[kind as usize] = price.or(self.prices[kind as usize]);
        self
    }

    /// Returns the price of a kind, in dollars per million tokens, or per unit.
    pub fn get(&self, kind: PriceKind) -> Option<f64> {
        let price = self.prices[kind as usize]?;
        Some(if kind.is_token() { price.dollars_per_million() } else { price.dollars() })
    }

    /// Returns true if both rows are about the same model under the same conditions, so that one replaces the other.
    pub fn is_same(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// Returns the model and the conditions: two rows with the same key replace each other.
    fn key(&self) -> (&str, u64, ServiceTier, Region, Option<Timestamp>) {
        (&self.model, self.above, self.tier, self.region, self.valid_from)
    }

    /// Returns the length of the part of `model` that the row names; exact names take precedence over all others.
    fn fits(&self, model: &str) -> Option<usize> {
        match self.model.strip_suffix('*') {
            Some(start) => model.starts_with(start).then_some(start.len()),
            None => (self.model == model).then_some(usize::MAX),
        }
    }
}

/// The prices of models.
///
/// Of several rows for a model, those with the longest name apply; among these, for each kind of token, a row for the
/// tier and the region of the call takes precedence, then the one with the highest `above` that the call exceeds, then
/// the latest valid one.
///
/// ```
/// use zae_llm::{ServiceTier, Usage, prices::{Price, PriceBook, PriceKind}};
/// let list = Price::new("gemini-2.5-pro", "https://ai.google.dev/gemini-api/docs/pricing");
/// let mut long = list.clone().with(PriceKind::Input, 2.5).with(PriceKind::Output, 15.0);
/// long.above = 200_000;
/// let book = PriceBook::new([list.with(PriceKind::Input, 1.25).with(PriceKind::Output, 10.0), long]);
/// let now = jiff::Timestamp::now();
/// assert_eq!(book.micro_dollars("gemini-2.5-pro", &Usage::new(200_000, 100), now), Some(251_000));
/// assert_eq!(book.micro_dollars("gemini-2.5-pro", &Usage::new(200_001, 100), now), Some(501_503));
/// assert_eq!(book.micro_dollars("gemini-3-pro", &Usage::new(1, 1), now), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PriceBook {
    /// The rows, in the order in which they were set; no two of them [are the same](Price::is_same).
    rows: Vec<Price>,
}

impl PriceBook {
    /// Creates a book of these rows; of rows that [are the same](Price::is_same) the last one counts.
    pub fn new(rows: impl IntoIterator<Item = Price>) -> Self {
        let mut book = Self::default();
        for row in rows {
            book.set(row);
        }
        book
    }

    /// Adds a row, replacing one that [is the same](Price::is_same), which is returned.
    pub fn set(&mut self, row: Price) -> Option<Price> {
        match self.rows.iter_mut().find(|known| known.is_same(&row)) {
            Some(known) => Some(std::mem::replace(known, row)),
            None => {
                self.rows.push(row);
                None
            }
        }
    }

    /// Returns the rows.
    pub fn rows(&self) -> &[Price] {
        &self.rows
    }

    /// Returns true if a row names the model and is valid at `at`.
    pub fn knows(&self, model: &str, at: Timestamp) -> bool {
        self.rows.iter().any(|row| row.fits(model).is_some() && is_valid(row, at))
    }

    /// Returns the cost of a call in micro-dollars, rounded up once; `None` for a model that is not in the book.
    ///
    /// The usage contains the tier and the region. Each kind of unit is priced separately: if a row lacks a kind, the
    /// row that would apply without it is used, and then the kind that it is a part of. Cost: proportional to the
    /// number of rows.
    pub fn micro_dollars(&self, model: &str, usage: &Usage, at: Timestamp) -> Option<u64> {
        let rows = || self.rows.iter().filter(move |row| is_valid(row, at));
        let longest = rows().filter_map(|row| row.fits(model)).max()?;
        let rows: Vec<&Price> = rows()
            .filter(|row| row.fits(model) == Some(longest))
            .filter(|row| [usage.tier, ServiceTier::Standard].contains(&row.tier))
            .filter(|row| [usage.region, Region::Anywhere].contains(&row.region))
            .filter(|row| row.above == 0 || usage.input() > row.above)
            .collect();
        let stated = |kind: PriceKind| {
            let priced = rows.iter().filter(|row| row.prices[kind as usize].is_some());
            let best = priced
                .max_by_key(|row| (row.tier == usage.tier, row.region == usage.region, row.above, row.valid_from))?;
            best.prices[kind as usize]
        };
        let price = |kind: PriceKind| {
            let mut kind = Some(kind);
            std::iter::from_fn(|| {
                let this = kind?;
                kind = this.whole();
                Some(stated(this))
            })
            .flatten()
            .next()
            .unwrap_or_default()
        };
        Some(micro_dollars(amounts(usage).map(|(kind, units)| (price(kind), units))))
    }
}

/// Returns true if the row's prices are valid at `at`.
fn is_valid(row: &Price, at: Timestamp) -> bool {
    row.valid_from.is_none_or(|from| from <= at)
}

/// Returns the units of each kind, each in one kind only. Seconds are rounded up.
fn amounts(usage: &Usage) -> impl Iterator<Item = (PriceKind, u64)> {
    let split = Split::of(usage);
    [
        (PriceKind::Input, split.plain_input),
        (PriceKind::CacheRead, usage.cache_read),
        (PriceKind::CacheWrite, split.cache_write_5m),
        (PriceKind::CacheWrite1h, split.cache_write_1h),
        (PriceKind::AudioInput, split.audio_input),
        (PriceKind::ImageInput, split.image_input),
        (PriceKind::Output, split.plain_output),
        (PriceKind::Reasoning, split.reasoning),
        (PriceKind::AudioOutput, split.audio_output),
        (PriceKind::ImageOutput, split.image_output),
        (PriceKind::Rejected, split.rejected),
        (PriceKind::ToolCall, usage.tool_calls),
        (PriceKind::Second, usage.milliseconds.div_ceil(1_000)),
        (PriceKind::Image, usage.images),
        (PriceKind::SearchUnit, usage.search_units),
    ]
    .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(date: &str) -> Timestamp {
        format!("{date}T00:00:00Z").parse().unwrap()
    }

    fn row(model: &str, input: f64, output: f64) -> Price {
        Price::new(model, "test").with(PriceKind::Input, input).with(PriceKind::Output, output)
    }

    #[test]
    fn the_longest_name_counts() {
        let book = PriceBook::new([row("gpt-5*", 1.0, 1.0), row("gpt-5-mini*", 2.0, 2.0), row("gpt-5-mini", 3.0, 3.0)]);
        let cost = |model| book.micro_dollars(model, &Usage::new(10, 0), at("2026-01-01"));
        assert_eq!(cost("gpt-5-nano"), Some(10));
        assert_eq!(cost("gpt-5-mini-2025"), Some(20));
        assert_eq!(cost("gpt-5-mini"), Some(30));
        assert_eq!(cost("gpt-4"), None);
    }

    #[test]
    fn a_price_changes_at_an_instant() {
        let mut later = row("m", 5.0, 5.0);
        later.valid_from = Some(at("2026-07-01"));
        let book = PriceBook::new([row("m", 1.0, 1.0), later]);
        let cost = |date| book.micro_dollars("m", &Usage::new(1, 0), at(date));
        assert_eq!((cost("2026-06-30"), cost("2026-07-01")), (Some(1), Some(5)));
        let mut future = row("n", 1.0, 1.0);
        future.valid_from = Some(at("2027-01-01"));
        assert!(!PriceBook::new([future]).knows("n", at("2026-12-31")));
    }

    #[test]
    fn tiers_and_regions_have_prices_of_their_own_or_those_of_the_list() {
        let mut flex = row("m", 0.5, 0.5);
        flex.tier = ServiceTier::Flex;
        let mut us = Price::new("m", "test").with(PriceKind::Input, 1.1);
        us.region = Region::Us;
        let book = PriceBook::new([row("m", 1.0, 10.0).with(PriceKind::CacheRead, 0.1), flex, us]);
        let cost = |usage: Usage| book.micro_dollars("m", &usage, at("2026-01-01"));
        let usage = Usage::new(1_000, 100).cache_read_beside(1_000);
        assert_eq!(cost(usage), Some(1_000 + 1_000 + 100));
        assert_eq!(cost(usage.with_tier(ServiceTier::Flex)), Some(500 + 50 + 100));
        assert_eq!(cost(usage.with_tier(ServiceTier::Batch)), Some(2_100));
        assert_eq!(cost(usage.with_region(Region::Us)), Some(1_100 + 1_000 + 100));
    }

    #[test]
    fn what_has_no_price_costs_what_its_whole_costs() {
        let book = PriceBook::new([row("m", 2.0, 10.0)]);
        let usage = Usage::new(10, 10).cache_write_beside(10).cache_write_1h_within(5).reasoning_within(4);
        let usage = usage.audio_input_within(3).with_tool_calls(7);
        assert_eq!(book.micro_dollars("m", &usage, at("2026-01-01")), Some(2 * 20 + 10 * 10));
        let searching = row("m", 2.0, 10.0).with(PriceKind::ToolCall, 0.01).with(PriceKind::Second, 0.000_1);
        let book = PriceBook::new([searching]);
        let cost = book.micro_dollars("m", &usage.with_milliseconds(1_500), at("2026-01-01"));
        assert_eq!(cost, Some(140 + 70_000 + 200));
    }
}
