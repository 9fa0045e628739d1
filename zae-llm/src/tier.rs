//! Conditions that affect the price of a token besides its kind: [`ServiceTier`], [`Region`].

/// A tier of service, which affects the price of a token. For calls that are added up, it is the last one other than
/// the standard.
///
/// ```
/// use zae_llm::{ServiceTier, Usage};
/// let usage = Usage::new(10, 5).with_tier(ServiceTier::named("flex"));
/// assert_eq!(usage.tier, ServiceTier::Flex);
/// assert_eq!(ServiceTier::named("default"), ServiceTier::Standard);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ServiceTier {
    /// The list price.
    #[default]
    Standard,
    /// Delayed, at a lower price: batches.
    Batch,
    /// Subject to capacity, at a lower price.
    Flex,
    /// Prioritised, at a higher price.
    Priority,
    /// On faster machines, at a higher price.
    Fast,
}

impl ServiceTier {
    /// Returns the tier with the providers' name; unknown ones are the standard.
    pub fn named(name: &str) -> Self {
        match name {
            "batch" => Self::Batch,
            "flex" => Self::Flex,
            "priority" | "scale" => Self::Priority,
            "fast" => Self::Fast,
            _ => Self::Standard,
        }
    }

    /// Returns the name for metrics and price books.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Fast => "fast",
        }
    }
}

/// The region that a call was bound to, if that costs more.
///
/// ```
/// use zae_llm::Region;
/// assert_eq!(Region::named("us"), Region::Us);
/// assert_eq!(Region::named("global"), Region::Anywhere);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Region {
    /// Any region of the provider's choice.
    #[default]
    Anywhere,
    /// The United States.
    Us,
    /// The European Union.
    Eu,
}

impl Region {
    /// Returns the region with the providers' name; unknown ones are `Anywhere`.
    pub fn named(name: &str) -> Self {
        match name {
            "us" => Self::Us,
            "eu" => Self::Eu,
            _ => Self::Anywhere,
        }
    }

    /// Returns the name for metrics and price books.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anywhere => "anywhere",
            Self::Us => "us",
            Self::Eu => "eu",
        }
    }
}
