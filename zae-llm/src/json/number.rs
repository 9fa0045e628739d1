//! Numbers in JSON's notation.

use std::str;

/// Returns true if `word` is a number by JSON's grammar.
pub(super) fn is_number(word: &[u8]) -> bool {
    let rest = word.strip_prefix(b"-").unwrap_or(word);
    let digits = digits(rest);
    if digits == 0 || digits > 1 && rest[0] == b'0' {
        return false;
    }
    let mut rest = &rest[digits..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = self::digits(fraction);
        if digits == 0 {
            return false;
        }
        rest = &fraction[digits..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let digits = self::digits(exponent);
        return digits > 0 && digits == exponent.len();
    }
    rest.is_empty()
}

/// Returns the number of leading digits.
fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Converts a non-negative number to a whole one, in any notation: `100000.0` and `1e5` are 100 000. A fraction is
/// rounded up, and numbers that are too large are [`u64::MAX`]. `None` for anything else.
pub(crate) fn whole(word: &[u8]) -> Option<u64> {
    let text = str::from_utf8(word).ok().filter(|_| is_number(word))?;
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number: f64 = text.parse().ok()?;
    // Conversions saturate.
    (number >= 0.0).then(|| number.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_servers_read_them() {
        for (text, number) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("100000", Some(100_000)),
            ("100000.0", Some(100_000)),
            ("1e5", Some(100_000)),
            ("1.5E+1", Some(15)),
            ("0.2", Some(1)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", Some(u64::MAX)),
            ("1e999", Some(u64::MAX)),
            ("-1", None),
            ("NaN", None),
            ("Infinity", None),
            ("inf", None),
            ("+5", None),
            ("05", None),
            ("", None),
        ] {
            assert_eq!(whole(text.as_bytes()), number, "{text}");
        }
    }
}
