//! The cost of a call: [`Cost`].
//!
//! A cost is built in a handler, copied through a layer, and resolved when limits are known. It is therefore small (two
//! named amounts without an allocation), infallible to build, and keeps the first mistake until [`Cost::check`]:
//! `Cost::of("rpm", 1).and("tpm", n)` reads better than two question marks, and a wrong name is detected before
//! anything is sent.
//!
//! [`Cost::requests`] is for code that does not know the names of limits, such as a layer's default: it takes from each
//! limit that counts requests by its usual name.

use std::fmt;

use crate::{
    error::{ValidationError, ValidationReason},
    model::amount::{Amounts, MILLI},
    model::{
        limit::{Limit, Limits, MAX_TOKENS},
        name::LimitName,
    },
};

/// Names that [`Cost::requests`] looks for among the limits that apply.
pub const REQUEST_LIMIT_NAMES: [&str; 5] = ["rps", "rpm", "rph", "rpd", "requests"];

/// The amount that one call takes from its limits, in whole tokens per limit.
///
/// A cost is checked on use: an invalid name, an amount beyond [`MAX_TOKENS`] or a cost of only zeros is a
/// [`ValidationError`] before anything is sent.
///
/// ```
/// use zae_limiter::Cost;
/// let cost = Cost::of("rpm", 1).and("tpm", 500);
/// assert_eq!(cost.to_string(), "rpm:1,tpm:500");
/// ```
///
/// Amounts are tokens, not millitokens. An amount of 0 is allowed beside others: a call that costs no model tokens
/// still costs a request.
///
/// If a parent is charged too, the same cost is taken from those of its limits that the cost names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Named amounts, or requests.
    kind: CostKind,
    /// Boxed: costs are copied often, and are hardly ever invalid.
    invalid: Option<Box<ValidationError>>,
}

/// The two ways to name amounts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum CostKind {
    /// Amounts by limit.
    Named(Entries),
    /// One amount, for each limit that counts requests.
    Requests(u64),
}

/// Two without an allocation: requests and tokens.
type Entries = smallvec::SmallVec<[(LimitName, u64); 2]>;

impl Cost {
    /// Creates a cost of `tokens` from the limit called `name`.
    pub fn of(name: impl AsRef<str>, tokens: u64) -> Self {
        Self { kind: CostKind::Named(Entries::new()), invalid: None }.and(name, tokens)
    }

    /// Creates a cost of `count` from every limit that counts requests ([`REQUEST_LIMIT_NAMES`]).
    ///
    /// Fails with [`ValidationReason::UnknownLimit`] if none of the limits that apply has such a name.
    pub fn requests(count: u64) -> Self {
        Self { kind: CostKind::Requests(count), invalid: None }
    }

    /// Adds `tokens` from the limit called `name`; amounts of the same name add up.
    ///
    /// Applied to a [`Cost::requests`], it first turns that into a cost of the `requests` limit.
    #[must_use]
    pub fn and(mut self, name: impl AsRef<str>, tokens: u64) -> Self {
        let name = match LimitName::new(name.as_ref()) {
            Ok(name) => name,
            Err(error) => {
                self.invalid.get_or_insert_with(|| Box::new(error));
                return self;
            }
        };
        if let CostKind::Requests(count) = self.kind {
            self.kind = CostKind::Named(Entries::new());
            self = self.and("requests", count);
        }
        let CostKind::Named(entries) = &mut self.kind else { return self };
        match entries.iter_mut().find(|(known, _)| *known == name) {
            Some((_, amount)) => *amount = amount.saturating_add(tokens),
            None => entries.push((name, tokens)),
        }
        self
    }

    /// Returns the amounts by limit name; those of a [`Cost::requests`] are named as in `limits`.
    ///
    /// # Errors
    /// [`ValidationError`] if a name is invalid, an amount is too large, a name is not among `limits`, or all amounts
    /// are zero.
    pub fn resolve(&self, limits: &Limits) -> Result<Vec<(LimitName, u64)>, ValidationError> {
        self.check()?;
        let entries: Vec<_> = match &self.kind {
            CostKind::Requests(count) => {
                let names = limits.iter().map(Limit::name).filter(|name| REQUEST_LIMIT_NAMES.contains(&name.as_str()));
                names.map(|name| (name.clone(), *count)).collect()
            }
            CostKind::Named(entries) => entries.to_vec(),
        };
        if entries.is_empty() || entries.iter().any(|(name, _)| limits.get(name.as_str()).is_none()) {
            return Err(self.unknown_among(limits));
        }
        Ok(entries.into_iter().filter(|(_, amount)| *amount > 0).collect())
    }

    /// Creates the error of a cost that names none of `limits`.
    fn unknown_among(&self, limits: &Limits) -> ValidationError {
        let named = match &self.kind {
            CostKind::Requests(_) => None,
            CostKind::Named(entries) => {
                entries.iter().map(|(name, _)| name.as_str()).find(|name| limits.get(name).is_none())
            }
        };
        let known = join(limits.iter().map(|limit| limit.name().as_str()));
        ValidationError::new("cost", named.unwrap_or_default(), ValidationReason::UnknownLimit { known })
    }

    /// Returns the amounts in the order of `limits`, in mt.
    ///
    /// # Errors
    /// As [`Cost::resolve`].
    pub(crate) fn amounts_of(&self, limits: &Limits) -> Result<Amounts, ValidationError> {
        self.check()?;
        self.amounts(limits).ok_or_else(|| self.unknown_among(limits))
    }

    /// Returns the amounts of a checked cost in the order of `limits`, in mt; `None` if it names other limits.
    #[inline]
    pub(crate) fn amounts(&self, limits: &Limits) -> Option<Amounts> {
        let mt = |tokens: u64| i64::try_from(tokens).map_or(i64::MAX, |tokens| tokens.saturating_mul(MILLI));
        match &self.kind {
            CostKind::Requests(count) => {
                let counts = |limit: &Limit| REQUEST_LIMIT_NAMES.contains(&limit.name().as_str());
                let amounts: Amounts = limits.iter().map(|l| if counts(l) { mt(*count) } else { 0 }).collect();
                amounts.iter().any(|amount| *amount > 0).then_some(amounts)
            }
            CostKind::Named(entries) => {
                let mut amounts = Amounts::from_elem(0, limits.as_slice().len());
                for (name, tokens) in entries {
                    let slot = limits.iter().position(|limit| limit.name() == name)?;
                    amounts[slot] = mt(*tokens);
                }
                Some(amounts)
            }
        }
    }

    /// Returns the amounts by name, as far as they are known without the limits.
    pub(crate) fn named(&self) -> Vec<(LimitName, u64)> {
        match &self.kind {
            CostKind::Named(entries) => entries.to_vec(),
            CostKind::Requests(_) => Vec::new(),
        }
    }

    /// Checks everything that does not depend on the limits.
    ///
    /// # Errors
    /// As [`Cost::resolve`], except for unknown names.
    pub fn check(&self) -> Result<(), ValidationError> {
        if let Some(error) = &self.invalid {
            return Err((**error).clone());
        }
        let too_large = |amount: u64| {
            ValidationError::new("cost", amount.to_string(), ValidationReason::TooLarge { max: MAX_TOKENS })
        };
        let largest = match &self.kind {
            CostKind::Requests(count) => *count,
            CostKind::Named(entries) => entries.iter().map(|(_, amount)| *amount).max().unwrap_or(0),
        };
        match largest {
            0 => Err(ValidationError::new("cost", self.to_string(), ValidationReason::NothingRequested)),
            largest if largest > MAX_TOKENS => Err(too_large(largest)),
            _ => Ok(()),
        }
    }
}

/// Joins names with commas.
fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            CostKind::Requests(count) => write!(f, "requests:{count}"),
            CostKind::Named(entries) => {
                for (index, (name, amount)) in entries.iter().enumerate() {
                    write!(f, "{}{name}:{amount}", if index == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::new([Limit::per_minute("rpm", 10).unwrap(), Limit::per_minute("tpm", 100).unwrap()]).unwrap()
    }

    #[test]
    fn same_names_add_up_and_zeros_drop_out() {
        let cost = Cost::of("rpm", 1).and("rpm", 2).and("tpm", 0);
        assert_eq!(cost.resolve(&limits()).unwrap(), [(LimitName::new("rpm").unwrap(), 3)]);
    }

    #[test]
    fn requests_take_only_from_limits_that_count_requests() {
        assert_eq!(Cost::requests(1).resolve(&limits()).unwrap(), [(LimitName::new("rpm").unwrap(), 1)]);
        let tokens_only = Limits::from(Limit::per_minute("tpm", 1).unwrap());
        let error = Cost::requests(1).resolve(&tokens_only).unwrap_err();
        assert!(matches!(error.reason(), ValidationReason::UnknownLimit { .. }));
        assert_eq!(
            error.to_string(),
            "invalid cost: none of the limits that apply counts requests (tpm); name one of them"
        );
    }

    #[test]
    fn the_limit_that_does_not_apply_is_named() {
        let error = Cost::of("rpm", 1).and("tokens", 2).resolve(&limits()).unwrap_err();
        assert!(
            error.to_string().starts_with("invalid cost: `tokens` is not among the limits that apply ("),
            "{error}"
        );
    }

    #[test]
    fn bad_costs_say_what_is_wrong() {
        for (cost, reason) in [
            (Cost::of("rpm", 0), "nothing"),
            (Cost::of("", 1), "empty"),
            (Cost::of("wcu", 1), "reserved"),
            (Cost::of("rpd", 1), "not among"),
            (Cost::of("rpm", u64::MAX), "at most"),
        ] {
            let text = cost.resolve(&limits()).unwrap_err().to_string();
            assert!(text.contains(reason), "{text}");
        }
    }
}
