//! A stamp that identifies one creation of a bucket: [`Incarnation`].
//!
//! A refund subtracts from a bucket what an earlier write took from it. If the bucket was deleted and created again in
//! between, the new one is full and owes nothing. So each creation draws a stamp, `z_inc`, and a refund is conditional
//! on the stamp of the bucket that its tokens came from. Buckets created by other clients have none, which is a value
//! like any other. 64 random bits suffice: only successive buckets of one key must differ.
//!
//! It is not in the key, because the Python package writes the same keys, and not a counter, because nothing is left to
//! count from when the item is gone.
//!
//! Example: a lease takes 50 tokens from a bucket of incarnation `3f…`. An operator deletes the entity; the next
//! acquire creates the bucket full, as `9a…`. When the lease is rolled back, its refund is conditional on `3f…`, fails,
//! and is dropped: the new bucket never granted those tokens.

use std::{fmt, sync::Arc};

use crate::random::Random;

/// A stamp that identifies one creation of a bucket.
///
/// Every grant carries it, so the ones drawn here are numbers, which are copied without reference counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Incarnation {
    /// 64 random bits, written as 16 hexadecimal digits.
    Drawn(u64),
    /// Any other value on an item.
    Other(Arc<str>),
}

impl Incarnation {
    /// Draws a new one.
    pub(crate) fn draw() -> Self {
        Self::drawn_from(&Random::default())
    }

    /// Draws a new one from `random`.
    pub(crate) fn drawn_from(random: &Random) -> Self {
        Self::Drawn(random.bits())
    }
}

impl From<&str> for Incarnation {
    fn from(text: &str) -> Self {
        let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        let drawn = text.len() == 16 && text.bytes().all(is_digit);
        let bits = drawn.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        bits.map_or_else(|| Self::Other(text.into()), Self::Drawn)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drawn(bits) => write!(f, "{bits:016x}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_stays_itself() {
        for (text, drawn) in [
            ("00000000000000ff", true),
            ("ffffffffffffffff", true),
            ("FFFFFFFFFFFFFFFF", false),
            ("+0000000000000ff", false),
            ("ff", false),
            ("00000000000000000", false),
            ("", false),
            ("größer als ascii", false),
        ] {
            let read = Incarnation::from(text);
            assert_eq!((read.to_string().as_str(), matches!(read, Incarnation::Drawn(_))), (text, drawn));
        }
        assert_eq!(Incarnation::from(&*Incarnation::draw().to_string()).to_string().len(), 16);
        assert_ne!(Incarnation::draw(), Incarnation::draw());
    }
}
