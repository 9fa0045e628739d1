//! The order of a stream's records.
//!
//! Sequence numbers are decimal numbers of up to 40 digits, which exceed 128 bits. DynamoDB compares text, so they are
//! stored with leading zeros; 40 digits of text compare like numbers.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

/// Number of digits in the longest sequence number of DynamoDB.
const DIGITS: usize = 40;

/// The position of a record in the stream. The numbers of one item's records increase; those of different stream shards
/// are not comparable.
///
/// ```
/// use zae_limiter::stream::SequenceNumber;
/// let numbers = ["9", "10"].map(|text| SequenceNumber::new(text).expect("digits"));
/// assert!(numbers[0] < numbers[1]); // as numbers, not as text
/// ```
#[derive(Clone, Debug)]
pub struct SequenceNumber {
    /// The stored form, with leading zeros, so that text compares like numbers.
    padded: String,
    /// The stream's form.
    text: String,
}

impl SequenceNumber {
    /// Parses the number of a record; `None` if it is not a number of up to 40 digits.
    pub fn new(text: &str) -> Option<Self> {
        let digits = !text.is_empty() && text.len() <= DIGITS && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| Self { padded: format!("{text:0>DIGITS$}"), text: text.to_owned() })
    }

    /// Returns the stream's form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the text with leading zeros.
    pub(crate) fn stored(&self) -> &str {
        &self.padded
    }
}

// Leading zeros do not change a number.
impl PartialEq for SequenceNumber {
    fn eq(&self, other: &Self) -> bool {
        self.padded == other.padded
    }
}

impl Eq for SequenceNumber {}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        self.padded.cmp(&other.padded)
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for SequenceNumber {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.padded.hash(state);
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_different_lengths_compare_as_numbers() {
        let number = |text| SequenceNumber::new(text).unwrap();
        assert!(number("99999999999999999999") < number("100000000000000000000"));
        assert!(number("4421584500000000017450439091") > number("421584500000000017450439092"));
        let stored = number("400000000000000000001");
        assert_eq!(SequenceNumber::new(stored.stored()), Some(stored), "as it is read back");
        for wrong in ["", "12a", "-1", "٣", &"1".repeat(41)] {
            assert_eq!(SequenceNumber::new(wrong), None, "{wrong}");
        }
    }
}
