//! The conversion of usage to charges: [`Tariff`].

mod builder;

use jiff::Timestamp;
use zae_limiter::{Cost, Lease, LeaseError, LimitName, MAX_TOKENS, Settlement};

pub use self::builder::TariffBuilder;
use crate::{
    Reading, Unseen, Usage, Weights,
    prices::{CallPrices, Prices, UnpricedModel},
    weights::{Millionths, OutOfRange},
};

/// The reason why a [`Tariff`] cannot be built.
///
/// ```
/// use zae_llm::{Tariff, TariffError};
/// assert_eq!(Tariff::builder().request("rpm").build(), Err(TariffError::Empty)); // tokens would be free
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TariffError {
    /// It charges nothing for tokens.
    #[error("the tariff charges no limit for tokens; add `.total(\"tpm\")`, or `.input(..)` and `.output(..)`")]
    Empty,
    /// A limit's name is invalid.
    #[error("the tariff names a limit that cannot exist")]
    Name(#[from] zae_limiter::ValidationError),
    /// A limit is charged twice.
    #[error("the tariff charges the limit {0} twice; combine the weights in one `.charge(..)`")]
    Duplicate(LimitName),
    /// A weight is negative, not a number, or beyond a million.
    #[error("the tariff's weight {weight} for the limit {limit} must be from 0 to 1000000")]
    Weight {
        /// The limit.
        limit: LimitName,
        /// The weight.
        weight: f64,
    },
    /// All weights of a limit are 0.
    #[error("the tariff charges the limit {0} for nothing: all its weights are 0")]
    Free(LimitName),
}

/// Prices of usage: the limits that are charged, and the tokens charged to each.
///
/// Amounts are rounded up to whole tokens, and are at most [`MAX_TOKENS`](zae_limiter::MAX_TOKENS).
///
/// ```
/// use zae_llm::{Tariff, Usage, Weights};
/// let tariff = Tariff::builder()
///     .request("rpm")
///     .input("itpm")
///     .output("otpm")
///     .charge("credits", Weights::total().cache_read(0.1).output(4.0))
///     .build()?;
/// let usage = Usage::new(100, 20).cache_read_beside(300);
/// assert_eq!(tariff.cost(&usage).to_string(), "rpm:1,itpm:400,otpm:20,credits:210");
/// # Ok::<(), zae_llm::TariffError>(())
/// ```
///
/// A tariff may differ [by model](Tariff::by_model), and charge [money](Tariff::priced) beside tokens.
/// [`for_model`](Tariff::for_model) then returns the tariff of one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tariff {
    requests: Vec<LimitName>,
    charges: Vec<Charge>,
    money: Option<Money>,
    /// Other tariffs for models with these names; they have no such list themselves.
    models: Vec<(String, Tariff)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Charge {
    limit: LimitName,
    weights: Millionths,
}

/// A limit that is charged in micro-dollars.
#[derive(Clone, Debug)]
struct Money {
    limit: LimitName,
    prices: Prices,
    /// The prices of one call, if its model is known.
    call: Option<CallPrices>,
}

impl PartialEq for Money {
    fn eq(&self, other: &Self) -> bool {
        self.limit == other.limit && self.prices.is_same(&other.prices) && self.call == other.call
    }
}

/// The limit that [`Tariff::priced`] charges.
pub const MICRODOLLARS: &str = "microdollars";

impl Tariff {
    /// Creates a builder for a tariff.
    pub fn builder() -> TariffBuilder {
        TariffBuilder::default()
    }

    /// Charges like OpenAI's limits: 1 of `rpm` per call, and input and output together of `tpm`.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage};
    /// assert_eq!(Tariff::openai().cost(&Usage::new(100, 20)).to_string(), "rpm:1,tpm:120");
    /// ```
    pub fn openai() -> Self {
        Self::plain(names(["rpm"]), charges([("tpm", Weights::total())]))
    }

    /// Charges like Anthropic's limits: 1 of `rpm` per call, input of `itpm` without the part from the cache, output of
    /// `otpm`.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage};
    /// let usage = Usage::new(100, 20).cache_read_beside(5_000).cache_write_beside(30);
    /// assert_eq!(Tariff::anthropic().cost(&usage).to_string(), "rpm:1,itpm:130,otpm:20");
    /// ```
    pub fn anthropic() -> Self {
        let input = Weights::input().cache_read(0.0);
        Self::plain(names(["rpm"]), charges([("itpm", input), ("otpm", Weights::output_only())]))
    }

    /// Charges 1 of `rpm` per call, all tokens of `tpm`, and their price of [`microdollars`](MICRODOLLARS).
    ///
    /// [`prices`](crate::prices) has an example. With [`TariffBuilder::priced`] the limits have names of your choice.
    pub fn priced(prices: &Prices) -> Self {
        let money = LimitName::new(MICRODOLLARS).ok();
        let money = money.map(|limit| Money { limit, prices: prices.clone(), call: None });
        Self { money, ..Self::openai() }
    }

    /// Sets other tariffs for some models: a call is charged by the one with the longest matching name. A name with a
    /// `*` at its end matches all models with that prefix.
    ///
    /// ```
    /// use zae_llm::{Tariff, Usage, Weights};
    /// let burndown = Tariff::builder().request("rpm").charge("tpm", Weights::total().output(5.0)).build()?;
    /// let tariff = Tariff::by_model([("anthropic.claude-*", burndown)], Tariff::openai());
    /// let cost = |model| tariff.for_model(Some(model)).map(|call| call.cost(&Usage::new(100, 20)).to_string());
    /// assert_eq!(cost("anthropic.claude-sonnet-4-5")?, "rpm:1,tpm:200");
    /// assert_eq!(cost("amazon.nova-lite-v1:0")?, "rpm:1,tpm:120");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn by_model<N: Into<String>>(models: impl IntoIterator<Item = (N, Self)>, others: Self) -> Self {
        let mut all = others.models.clone();
        all.extend(models.into_iter().map(|(name, tariff)| (name.into(), Self { models: Vec::new(), ..tariff })));
        Self { models: all, ..others }
    }

    /// Returns the tariff of a call to `model` that begins now, with its prices, which stay the same until it is
    /// settled.
    ///
    /// # Errors
    /// [`UnpricedModel`] if the model has no price, and the [`Prices`] refuse it.
    pub fn for_model(&self, model: Option<&str>) -> Result<Self, UnpricedModel> {
        let fits = |pattern: &str| {
            let model = model?;
            match pattern.strip_suffix('*') {
                Some(start) => model.starts_with(start).then_some(start.len()),
                None => (pattern == model).then_some(usize::MAX),
            }
        };
        let fitting = self.models.iter().filter_map(|(pattern, tariff)| Some((fits(pattern)?, tariff)));
        let chosen = fitting.max_by_key(|(length, _)| *length).map_or(self, |(_, tariff)| tariff);
        let mut tariff = Self { models: Vec::new(), ..chosen.clone() };
        if let Some(money) = &mut tariff.money {
            money.call = money.prices.of(model, Timestamp::now())?;
        }
        Ok(tariff)
    }

    /// Returns the cost of `usage` in micro-dollars, rounded up; `None` if no money is charged, or the model is not
    /// known: see [`for_model`](Tariff::for_model).
    pub fn micro_dollars(&self, usage: &Usage) -> Option<u64> {
        Some(self.money.as_ref()?.call.as_ref()?.micro_dollars(usage))
    }

    /// Returns true if it charges money, for models that have prices.
    pub(crate) fn has_prices(&self) -> bool {
        self.money.is_some()
    }

    /// Returns the limit that is charged in micro-dollars, if the model has prices.
    pub(crate) fn money(&self) -> Option<&LimitName> {
        self.money.as_ref().filter(|money| money.call.is_some()).map(|money| &money.limit)
    }

    /// Creates a tariff without prices.
    fn plain(requests: Vec<LimitName>, charges: Vec<Charge>) -> Self {
        Self { requests, charges, money: None, models: Vec::new() }
    }

    /// Returns the charges other than for requests.
    ///
    /// Whole tokens, and micro-dollars for money, each at most [`MAX_TOKENS`].
    fn amounts(&self, usage: &Usage) -> impl Iterator<Item = (&LimitName, u64)> + Clone {
        let tokens: Vec<_> = self.charges.iter().map(|charge| (&charge.limit, charge.weights.of(usage))).collect();
        let money = self.money.as_ref().and_then(|money| Some((&money.limit, self.micro_dollars(usage)?)));
        tokens.into_iter().chain(money.map(|(limit, amount)| (limit, amount.min(MAX_TOKENS))))
    }

    /// Returns the cost of `usage` in one call: at least 1 of something, because a cost must not be empty.
    pub fn cost(&self, usage: &Usage) -> Cost {
        let requests = self.requests.iter().map(|limit| (limit, 1));
        let tokens = self.amounts(usage);
        if self.requests.is_empty() && tokens.clone().all(|(_, tokens)| tokens == 0) {
            return self.charges.first().map_or(Cost::requests(1), |charge| Cost::of(&charge.limit, 1));
        }
        let mut amounts = requests.chain(tokens);
        let Some((first, amount)) = amounts.next() else { return Cost::requests(1) };
        amounts.fold(Cost::of(first, amount), |cost, (limit, amount)| cost.and(limit, amount))
    }

    /// Returns the limits that are charged for tokens.
    ///
    /// ```
    /// use zae_llm::Tariff;
    /// let tariff = Tariff::anthropic();
    /// let names: Vec<_> = tariff.token_limits().map(|limit| limit.as_str()).collect();
    /// assert_eq!(names, ["itpm", "otpm"]);
    /// ```
    pub fn token_limits(&self) -> impl Iterator<Item = &LimitName> {
        self.charges.iter().map(|charge| &charge.limit)
    }

    /// Adjusts `lease` to `usage`, whatever was taken for it: the charge of each token limit becomes the cost of
    /// `usage`, including adjustments by others. Limits that are charged per request are unchanged, and token limits
    /// that the lease does not have are ignored. The lease stays open.
    ///
    /// # Errors
    /// [`LeaseError::Settled`] after commit or rollback.
    pub fn adjust(&self, lease: &Lease, usage: &Usage) -> Result<(), LeaseError> {
        self.settle(lease, usage, i64::MIN)
    }

    /// Like [`adjust`](Tariff::adjust), but only upwards: for usage that may be incomplete. A larger estimate stands,
    /// so that a client that disconnects early does not pay less.
    ///
    /// # Errors
    /// See [`adjust`](Tariff::adjust).
    pub fn adjust_up(&self, lease: &Lease, usage: &Usage) -> Result<(), LeaseError> {
        self.settle(lease, usage, 0)
    }

    /// Adjusts `lease` by a reading: down or up by final usage, only up by usage so far, to the request alone if the
    /// provider [refused](crate::Unseen::Refused) it, and not at all without usage.
    ///
    /// # Errors
    /// See [`adjust`](Tariff::adjust).
    pub fn adjust_by(&self, lease: &Lease, reading: &Reading) -> Result<(), LeaseError> {
        match reading {
            Reading::Final(usage) => self.adjust(lease, usage),
            Reading::SoFar(usage) => self.adjust_up(lease, usage),
            Reading::Unseen(Unseen::Refused) => self.adjust(lease, &Usage::NONE),
            Reading::Unseen(_) => Ok(()),
        }
    }

    /// Adjusts the lease to `usage` in every limit that is charged for tokens. `least` is the lowest adjustment: 0 only
    /// raises.
    fn settle(&self, lease: &Lease, usage: &Usage, least: i64) -> Result<(), LeaseError> {
        let consumed = lease.consumed();
        for (limit, owed) in self.amounts(usage) {
            let charged = consumed.get(limit).copied().unwrap_or(0);
            // Larger than any limit: a wrong number of the provider.
            let owed = i64::try_from(owed.min(MAX_TOKENS)).unwrap_or(i64::MAX);
            let delta = owed.saturating_sub(charged).max(least);
            if delta == 0 {
                continue;
            }
            match lease.adjust(limit, delta) {
                // The limits that apply may not include all that the tariff charges.
                Ok(()) | Err(LeaseError::UnknownLimit { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Creates names from constants of this crate, which are valid.
fn names<const N: usize>(names: [&'static str; N]) -> Vec<LimitName> {
    names.into_iter().filter_map(|name| LimitName::new(name).ok()).collect()
}

/// Creates charges from constants of this crate, which are valid.
fn charges<const N: usize>(charges: [(&'static str, Weights); N]) -> Vec<Charge> {
    let charges = charges.into_iter().map(|(name, weights)| charge(LimitName::new(name)?, weights));
    charges.filter_map(Result::<_, TariffError>::ok).collect()
}

/// Checks the weights of one charge.
///
/// # Errors [`TariffError::Free`] where they are all 0, [`TariffError::Weight`] for one that cannot be.
fn charge(limit: LimitName, weights: Weights) -> Result<Charge, TariffError> {
    match weights.millionths() {
        Ok(weights) if weights == Millionths::default() => Err(TariffError::Free(limit)),
        Ok(weights) => Ok(Charge { limit, weights }),
        Err(OutOfRange(weight)) => Err(TariffError::Weight { limit, weight }),
    }
}

/// Settles a lease at the call site, for clients that cannot be wrapped.
///
/// See [`settle_from`](SettleFrom::settle_from) for an example.
pub trait SettleFrom {
    /// Adjusts the lease to `usage` by `tariff`, and commits it. The write is queued by the call; see
    /// [`Lease::commit`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Limit, Limits, RateLimiter, Repository};
    /// use zae_llm::{SettleFrom, Tariff, Usage};
    /// let repository = Repository::embedded().await?;
    /// let limits = Limits::new([Limit::per_minute("rpm", 100)?, Limit::per_minute("tpm", 10_000)?])?;
    /// repository.set_system_defaults(&limits).await?;
    /// let limiter = RateLimiter::new(repository.clone());
    /// # let limiter = RateLimiter::builder(repository).deadline(std::time::Duration::from_secs(10)).build();
    ///
    /// let tariff = Tariff::openai();
    /// let lease = limiter.acquire("user-1", "gpt-5", tariff.cost(&Usage::new(120, 500))).await?;
    /// // …the call, by whichever client, says what it used…
    /// lease.settle_from(&Usage::new(131, 87), &tariff)?.await?;
    /// assert_eq!(lease.consumed()["tpm"], 218);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`LeaseError::Settled`] after commit or rollback.
    fn settle_from(&self, usage: &Usage, tariff: &Tariff) -> Result<Settlement, LeaseError>;
}

impl SettleFrom for Lease {
    fn settle_from(&self, usage: &Usage, tariff: &Tariff) -> Result<Settlement, LeaseError> {
        tariff.adjust(self, usage)?;
        Ok(self.commit())
    }
}

#[cfg(test)]
mod tests {
    use zae_limiter::MAX_TOKENS;

    use super::*;
    use crate::weights::MAX_WEIGHT;

    fn cost(builder: TariffBuilder, usage: Usage) -> String {
        builder.build().unwrap().cost(&usage).to_string()
    }

    #[test]
    fn kinds_have_weights_of_their_own() {
        let usage = Usage::new(100, 50).cache_read_beside(1_000).cache_write_beside(10).reasoning_within(20);
        let tariff = Tariff::builder;
        assert_eq!(cost(tariff().total("tpm"), usage), "tpm:1160");
        assert_eq!(cost(tariff().input("itpm").output("otpm"), usage), "itpm:1110,otpm:50");
        assert_eq!(Tariff::anthropic().cost(&usage).to_string(), "rpm:1,itpm:110,otpm:50");
        assert_eq!(Tariff::openai().cost(&usage).to_string(), "rpm:1,tpm:1160");
        let weights = Weights::output_only().output(2.0);
        assert_eq!(cost(tariff().input("itpm").output("otpm"), Usage::default()), "itpm:1");
        assert_eq!(cost(tariff().charge("x", weights), usage), "x:100", "reasoning follows the output");
        assert_eq!(cost(tariff().charge("x", weights.reasoning(0.0)), usage), "x:60");
        assert_eq!(cost(tariff().charge("x", Weights::input().uncached(0.0).cache_write(0.0)), usage), "x:1000");
    }

    #[test]
    fn sums_are_exact_and_rounded_up_once() {
        let tenth = Weights::total().uncached(0.1).output(0.1);
        assert_eq!(cost(Tariff::builder().charge("x", tenth), Usage::new(10, 10)), "x:2");
        assert_eq!(cost(Tariff::builder().charge("x", tenth), Usage::new(10, 11)), "x:3");
        let heavy = Weights::total().output(MAX_WEIGHT);
        assert_eq!(
            cost(Tariff::builder().charge("x", heavy), Usage::new(u64::MAX, u64::MAX)),
            format!("x:{MAX_TOKENS}")
        );
    }

    #[test]
    fn what_cannot_be_meant_is_not_built() {
        let tariff = || Tariff::builder().request("rpm");
        assert_eq!(tariff().build(), Err(TariffError::Empty));
        assert!(matches!(tariff().total("").build(), Err(TariffError::Name(_))));
        assert!(matches!(tariff().total("rpm").build(), Err(TariffError::Duplicate(_))));
        for weight in [-0.1, f64::NAN, f64::INFINITY, 1e7] {
            let built = tariff().charge("x", Weights::total().output(weight)).build();
            assert!(matches!(built, Err(TariffError::Weight { .. })), "{weight}");
        }
        let free = Weights::input().uncached(0.0).cache_read(0.0).cache_write(0.0);
        assert!(matches!(tariff().charge("x", free).build(), Err(TariffError::Free(_))));
    }
}
