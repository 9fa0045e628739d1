//! Amounts as the table stores them.

/// Millitokens in a token.
pub(crate) const MILLI: i64 = 1_000;

/// Amounts by limit, in the order of the limits that they belong to, in mt. Three fit without an allocation: requests
/// and tokens a minute, and one more.
pub(crate) type Amounts = smallvec::SmallVec<[i64; 3]>;
