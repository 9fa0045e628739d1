//! A stamp that tells one creation of a bucket from another: [`Incarnation`].
//!
//! A refund subtracts from a bucket what an earlier write took from it. If the bucket was deleted and created again in
//! between, the new one is full and owes nothing. So each creation draws a stamp, `z_inc`, and a refund carries as a
//! condition the stamp of the bucket that its tokens came from. Buckets that other clients created have none, which is
//! a value like any other. 64 random bits suffice: only buckets of one key that succeed each other must differ.
//!
//! Not in the key, because the reference writes the same keys, and not a version that counts up, because there is
//! nothing left to count from when the item is gone.
//!
//! Example: a lease takes 50 tokens from a bucket of incarnation `3f…`. An operator deletes the entity; the next
//! acquire creates the bucket full, as `9a…`. Rolled back, the lease's refund is conditioned on `3f…`, fails, and is
//! dropped: the new bucket never gave those tokens.

use std::{fmt, sync::Arc};

use crate::random::Random;

/// A stamp that tells one creation of a bucket from another.
///
/// Every grant carries it, so the ones that are drawn here are numbers: copied without counting references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Incarnation {
    /// 64 random bits, written as 16 hexadecimal digits.
    Drawn(u64),
    /// Whatever else an item says.
    Other(Arc<str>),
}

impl Incarnation {
    /// One that no bucket had before.
    pub(crate) fn draw() -> Self {
        Self::drawn_from(&Random::default())
    }

    /// The same, where `random` decides.
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
