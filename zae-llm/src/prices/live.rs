//! Prices that may change while a program runs: [`Prices`].

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use jiff::Timestamp;

use super::{BookError, PriceBook};
use crate::Usage;

/// The cost of a call to a model that is not in the book.
///
/// ```
/// use zae_llm::prices::{PriceBook, Prices, UnknownModel};
/// let prices = Prices::new(PriceBook::bundled()).unknown(UnknownModel::PricedAs("gpt-5".to_owned()));
/// # let _ = prices;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownModel {
    /// The call is refused, because its cost is unknown.
    #[default]
    Refuse,
    /// The same as for this model.
    PricedAs(String),
    /// No money: only its tokens are charged.
    TokensOnly,
}

/// A model without a price. [`UnknownModel`] has the choices, with an example.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model {} has no price; add it to the price book, or choose what unknown models cost",
    .model.as_deref().unwrap_or("(none)"))]
#[non_exhaustive]
pub struct UnpricedModel {
    /// The model; `None` if the request names none.
    pub model: Option<String>,
}

/// A price book that can be replaced while a program runs. Clones share it.
///
/// A call is priced by the book at its start, for the estimate and for the settlement.
///
/// ```
/// use zae_llm::{Usage, prices::{PriceBook, Prices}};
/// let cheap = br#"{"models": [{"model": "m", "per_million": {"input": 1, "output": 1}, "source": "test"}]}"#;
/// let dear = br#"{"models": [{"model": "m", "per_million": {"input": 2, "output": 2}, "source": "test"}]}"#;
/// let prices = Prices::new(PriceBook::from_json(cheap)?);
/// let now = jiff::Timestamp::now();
/// assert_eq!(prices.book().micro_dollars("m", &Usage::new(100, 0), now), Some(100));
/// prices.replace(PriceBook::from_json(dear)?);
/// assert_eq!(prices.book().micro_dollars("m", &Usage::new(100, 0), now), Some(200));
/// # Ok::<(), zae_llm::prices::BookError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Prices {
    /// The book, which is read once per call and replaced as a whole.
    book: Arc<RwLock<Arc<PriceBook>>>,
    /// The choice for models that are not in it.
    unknown: UnknownModel,
    /// The file that [`reload`](Prices::reload) reads.
    file: Option<Arc<PathBuf>>,
}

impl Prices {
    /// Creates prices from `book`. A model that is not in it is refused, unless [`unknown`](Self::unknown) selects
    /// otherwise.
    pub fn new(book: PriceBook) -> Self {
        Self { book: Arc::new(RwLock::new(Arc::new(book))), unknown: UnknownModel::default(), file: None }
    }

    /// Creates prices from a JSON file, which [`reload`](Self::reload) reads again.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a book.
    pub fn from_file(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let prices = Self::new(read(path)?);
        Ok(Self { file: Some(Arc::new(path.to_owned())), ..prices })
    }

    /// Sets the cost of models that are not in the book.
    #[must_use]
    pub fn unknown(mut self, unknown: UnknownModel) -> Self {
        self.unknown = unknown;
        self
    }

    /// Replaces the book, for all clones. Calls under way keep the prices at their start.
    pub fn replace(&self, book: PriceBook) {
        *self.book.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(book);
    }

    /// Reads the file again, if the prices are [from](Self::from_file) one. If that fails, the prices are unchanged.
    ///
    /// # Errors
    /// See [`from_file`](Self::from_file).
    pub fn reload(&self) -> io::Result<()> {
        if let Some(file) = &self.file {
            self.replace(read(file)?);
        }
        Ok(())
    }

    /// Returns the current book.
    pub fn book(&self) -> Arc<PriceBook> {
        Arc::clone(&self.book.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the prices of a call to `model` that begins at `at`. `Ok(None)` if it costs no money.
    pub(crate) fn of(&self, model: Option<&str>, at: Timestamp) -> Result<Option<CallPrices>, UnpricedModel> {
        let book = self.book();
        let known = |model: &str| book.knows(model, at);
        let priced = match (model.filter(|model| known(model)), &self.unknown) {
            (Some(model), _) => model,
            (None, UnknownModel::PricedAs(other)) if known(other) => other,
            (None, UnknownModel::TokensOnly) => return Ok(None),
            (None, _) => return Err(UnpricedModel { model: model.map(str::to_owned) }),
        };
        Ok(Some(CallPrices { model: priced.into(), book, at }))
    }

    /// Returns true if both share one book and treat unknown models alike.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.book, &other.book) && self.unknown == other.unknown
    }
}

/// Parses a book; anything else is an error of the kind `InvalidData`.
fn read(path: &Path) -> io::Result<PriceBook> {
    let invalid = |error: BookError| io::Error::new(io::ErrorKind::InvalidData, error);
    PriceBook::from_json(&fs::read(path)?).map_err(invalid)
}

/// The prices of one call.
#[derive(Clone, Debug)]
pub(crate) struct CallPrices {
    /// The model whose prices apply: the call's own, or its substitute.
    model: Arc<str>,
    /// The book at the start of the call.
    book: Arc<PriceBook>,
    /// The start of the call.
    at: Timestamp,
}

impl CallPrices {
    /// Returns the cost of `usage` in micro-dollars, rounded up.
    pub(crate) fn micro_dollars(&self, usage: &Usage) -> u64 {
        // It was known when the call began, and the book is still the same.
        self.book.micro_dollars(&self.model, usage, self.at).unwrap_or_default()
    }
}

impl PartialEq for CallPrices {
    fn eq(&self, other: &Self) -> bool {
        self.model == other.model && self.at == other.at && Arc::ptr_eq(&self.book, &other.book)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::{Price, PriceKind};

    #[test]
    fn an_unknown_model_is_an_explicit_choice() {
        let book = PriceBook::new([Price::new("m", "test").with(PriceKind::Input, 3.0)]);
        let cost = |prices: &Prices, model| {
            let call = prices.of(model, Timestamp::now())?;
            Ok::<_, UnpricedModel>(call.map(|call| call.micro_dollars(&Usage::new(10, 0))))
        };
        let prices = Prices::new(book);
        assert_eq!(cost(&prices, Some("m")), Ok(Some(30)));
        for unknown in [Some("n"), None] {
            let refused = UnpricedModel { model: unknown.map(str::to_owned) };
            assert_eq!(cost(&prices, unknown), Err(refused));
            assert_eq!(cost(&prices.clone().unknown(UnknownModel::PricedAs("m".to_owned())), unknown), Ok(Some(30)));
            assert_eq!(cost(&prices.clone().unknown(UnknownModel::TokensOnly), unknown), Ok(None));
            let nowhere = prices.clone().unknown(UnknownModel::PricedAs("o".to_owned()));
            assert!(cost(&nowhere, unknown).is_err(), "the other one has to be known");
        }
    }

    #[test]
    fn a_call_keeps_the_prices_that_it_began_with() {
        let of = |dollars| PriceBook::new([Price::new("m", "test").with(PriceKind::Input, dollars)]);
        let prices = Prices::new(of(1.0));
        let call = prices.of(Some("m"), Timestamp::now()).unwrap().unwrap();
        prices.replace(of(2.0));
        assert_eq!(call.micro_dollars(&Usage::new(10, 0)), 10);
        let next = prices.clone().of(Some("m"), Timestamp::now()).unwrap().unwrap();
        assert_eq!(next.micro_dollars(&Usage::new(10, 0)), 20, "clones share the book");
    }
}
