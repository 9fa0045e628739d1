//! Conditions that decide the price of a token beside its kind: [`ServiceTier`], [`Region`].

/// A tier of service, which decides the price of a token. Of calls that are added up, that of the last one that names
/// another than the standard.
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
    /// The price list's own.
    #[default]
    Standard,
    /// Later, for less: batches.
    Batch,
    /// When there is room, for less.
    Flex,
    /// Before others, for more.
    Priority,
    /// By faster machines, for more.
    Fast,
}

impl ServiceTier {
    /// Returns the tier that providers call so; what is unknown is the standard.
    pub fn named(name: &str) -> Self {
        match name {
            "batch" => Self::Batch,
            "flex" => Self::Flex,
            "priority" | "scale" => Self::Priority,
            "fast" => Self::Fast,
            _ => Self::Standard,
        }
    }

    /// Returns the word for metrics and price books.
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

/// The region that a call was bound to, where that costs more than anywhere.
///
/// ```
/// use zae_llm::Region;
/// assert_eq!(Region::named("us"), Region::Us);
/// assert_eq!(Region::named("global"), Region::Anywhere);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Region {
    /// Wherever the provider likes.
    #[default]
    Anywhere,
    /// The United States.
    Us,
    /// The European Union.
    Eu,
}

impl Region {
    /// Returns the region that providers call so; what is unknown is anywhere.
    pub fn named(name: &str) -> Self {
        match name {
            "us" => Self::Us,
            "eu" => Self::Eu,
            _ => Self::Anywhere,
        }
    }

    /// Returns the word for metrics and price books.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anywhere => "anywhere",
            Self::Us => "us",
            Self::Eu => "eu",
        }
    }
}
