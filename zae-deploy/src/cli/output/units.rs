//! Formats numbers for people.

/// Formats with thousands separators: `1,234,567`.
pub(crate) fn count(number: impl Into<i128>) -> String {
    let number = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats with thousands separators and two decimals: `1,234.50`.
pub(crate) fn decimal(number: f64) -> String {
    let text = format!("{:.2}", number.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "00"));
    let whole = whole.parse::<i128>().map_or_else(|_| whole.to_owned(), count);
    let sign = if number < 0.0 && text != "0.00" { "-" } else { "" };
    format!("{sign}{whole}.{fraction}")
}

/// Formats `~999`, `~1.2K`, `~3.4M`, for estimated counts.
pub(crate) fn roughly(number: u64) -> String {
    scaled(number as f64, 1000.0, &["", "K", "M", "G", "T"], "")
}

/// Formats `~512 B`, `~256.0 KB`, in steps of 1024.
pub(crate) fn bytes_roughly(number: u64) -> String {
    scaled(number as f64, 1024.0, &["B", "KB", "MB", "GB", "TB"], " ")
}

/// Formats `12.3 KB`, in steps of 1024.
pub(crate) fn bytes(number: u64) -> String {
    bytes_roughly(number).trim_start_matches('~').to_owned()
}

fn scaled(number: f64, step: f64, units: &[&str], space: &str) -> String {
    let mut value = number;
    let mut unit = 0;
    // A value that would be displayed as a whole step moves to the next unit.
    while value >= step - 0.05 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let name = units[unit];
    if unit == 0 { format!("~{value:.0}{space}{name}") } else { format!("~{value:.1}{space}{name}") }
}

#[cfg(test)]
mod tests {
    use super::{bytes, bytes_roughly, count, decimal, roughly};

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (-1_234_567, "-1,234,567")] {
            assert_eq!(count(number), text);
        }
        for (number, text) in [(0.0, "0.00"), (1234.5, "1,234.50"), (-0.001, "0.00"), (-1.5, "-1.50")] {
            assert_eq!(decimal(number), text);
        }
    }

    #[test]
    fn estimates_have_one_decimal_and_a_unit() {
        for (number, text) in [(0, "~0"), (999, "~999"), (1_200, "~1.2K"), (999_999, "~1.0M"), (3_400_000, "~3.4M")] {
            assert_eq!(roughly(number), text);
        }
        for (number, text) in [(0, "~0 B"), (1_023, "~1023 B"), (262_144, "~256.0 KB"), (1_048_570, "~1.0 MB")] {
            assert_eq!(bytes_roughly(number), text);
        }
        assert_eq!(bytes(12_595), "12.3 KB");
    }
}
