//! Amounts as the table stores them.
//!
//! A bucket counts thousandths of tokens so that slow refills need no fractions: a limit of 100 a minute gains 1.67
//! tokens, or 1667 mt, a second. The Python package uses the same unit in every stored bucket.

/// Millitokens in a token.
pub(crate) const MILLI: i64 = 1_000;

/// Amounts in mt, in the order of their limits. Three fit without an allocation: requests and tokens a minute, and one
/// more.
pub(crate) type Amounts = smallvec::SmallVec<[i64; 3]>;
