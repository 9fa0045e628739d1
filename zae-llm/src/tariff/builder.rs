//! The builder of tariffs: [`TariffBuilder`].

use zae_limiter::LimitName;

use super::{Money, Tariff, TariffError, charge};
use crate::{Weights, prices::Prices};

/// Builder of a [`Tariff`]; see there for an example.
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct TariffBuilder {
    /// Limits to which each call counts 1; names are checked by `build`.
    requests: Vec<String>,
    /// Limits to which tokens count, with their weights.
    charges: Vec<(String, Weights)>,
    /// The limit in micro-dollars, and the prices.
    money: Option<(String, Prices)>,
}

impl TariffBuilder {
    /// Counts 1 per call towards `limit`.
    ///
    /// The count does not depend on the usage, and applies to refused calls too.
    pub fn request(mut self, limit: impl Into<String>) -> Self {
        self.requests.push(limit.into());
        self
    }

    /// Counts all tokens towards `limit`.
    pub fn total(self, limit: impl Into<String>) -> Self {
        self.charge(limit, Weights::total())
    }

    /// Counts input tokens towards `limit`, cached or not.
    pub fn input(self, limit: impl Into<String>) -> Self {
        self.charge(limit, Weights::input())
    }

    /// Counts output tokens towards `limit`, reasoning included.
    pub fn output(self, limit: impl Into<String>) -> Self {
        self.charge(limit, Weights::output_only())
    }

    /// Counts tokens towards `limit` by `weights`.
    ///
    /// A weighted sum is exact and rounded up once. Several charges towards different limits are decided together: the
    /// call is admitted if all of them have room.
    pub fn charge(mut self, limit: impl Into<String>, weights: Weights) -> Self {
        self.charges.push((limit.into(), weights));
        self
    }

    /// Counts the cost of a call towards `limit`, in micro-dollars: beside tokens, in the same decision.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, prices::{PriceBook, Prices}};
    /// let prices = Prices::new(PriceBook::bundled());
    /// let tariff = Tariff::builder().request("rpm").total("tpm").priced("usd_millionths", &prices).build()?;
    /// let call = tariff.for_model(Some("gpt-5-nano"))?;
    /// assert_eq!(call.cost(&Usage::new(1_000, 100)).to_string(), "rpm:1,tpm:1100,usd_millionths:90");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn priced(mut self, limit: impl Into<String>, prices: &Prices) -> Self {
        self.money = Some((limit.into(), prices.clone()));
        self
    }

    /// Validates and builds the tariff.
    ///
    /// An empty tariff is an error, because it certainly is a mistake.
    ///
    /// # Errors
    /// [`TariffError`] names the invalid limit or weight.
    pub fn build(self) -> Result<Tariff, TariffError> {
        if self.charges.is_empty() {
            return Err(TariffError::Empty);
        }
        let mut seen: Vec<LimitName> = Vec::new();
        let mut once = |name: String| -> Result<LimitName, TariffError> {
            let name = LimitName::new(name)?;
            if seen.contains(&name) {
                return Err(TariffError::Duplicate(name));
            }
            seen.push(name.clone());
            Ok(name)
        };
        let requests = self.requests.into_iter().map(&mut once).collect::<Result<_, _>>()?;
        let charges = self.charges.into_iter().map(|(name, weights)| charge(once(name)?, weights));
        let charges = charges.collect::<Result<_, TariffError>>()?;
        let money = match self.money {
            Some((limit, prices)) => Some(Money { limit: once(limit)?, prices, call: None }),
            None => None,
        };
        Ok(Tariff { money, ..Tariff::plain(requests, charges) })
    }
}
