//! Amounts as the table stores them.
//!
//! A bucket counts thousandths of tokens so that slow refills need no fractions: a limit of 100 a minute gains 1.67
//! tokens, or 1667 mt, a second. The unit is the Python package's, and so is in every stored bucket.

/// Millitokens in a token.
pub(crate) const MILLI: i64 = 1_000;

/// Amounts by limit, in the order of the limits that they belong to, in mt. Three fit without an allocation: requests
/// and tokens a minute, and one more.
pub(crate) type Amounts = smallvec::SmallVec<[i64; 3]>;
