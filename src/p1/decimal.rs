//! Decimal fractions to integers, without floats.

/// Longest text that can be a number.
const LONGEST: usize = 24;

/// `text` in units of 10^-`decimals`: an optional minus, digits, and an optional point with digits behind it. The width is never fixed: meters
/// print `001`, `0.48`, `000.27` and `000004.71` for amperes (facts/p1-load-balancer.md 3.2). What is finer than the unit is rounded.
/// `None`: no number, or too large for 64 bits.
pub fn decimal(text: &str, decimals: u32) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (digits, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || text.len() > LONGEST || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let kept = usize::try_from(decimals).ok()?;
    let digit = |b: u8| i64::from(b - b'0');
    let padded = fraction.bytes().chain(std::iter::repeat(b'0')).take(kept);
    let value = whole.bytes().chain(padded).try_fold(0i64, |value, b| value.checked_mul(10)?.checked_add(digit(b)))?;
    let up = fraction.as_bytes().get(kept).is_some_and(|b| *b >= b'5');
    let value = value.checked_add(i64::from(up))?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_meters_print() {
        for (text, milli) in [
            ("001", 1_000),
            ("0.48", 480),
            ("000.27", 270),
            ("011.7", 11_700),
            ("000004.71", 4_710),
            ("-3.5", -3_500),
            ("0230.0", 230_000),
            ("0.0004", 0),
            ("0.0005", 1),
            ("-0.0005", -1),
            ("0", 0),
        ] {
            assert_eq!(decimal(text, 3), Some(milli), "{text}");
        }
        assert_eq!(decimal("02.027", 6), Some(2_027_000));
        assert_eq!(decimal("12345.6789", 0), Some(12_346));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "-", ".", ".5", "5.", "--5", "+5", "1.2.3", "1e3", " 1", "1 ", "0x1", "1,5", "٣", "NaN", "9999999999999999999"] {
            assert_eq!(decimal(text, 3), None, "{text}");
        }
        assert_eq!(decimal(&"0".repeat(25), 3), None);
        assert_eq!(decimal("9223372036854775.807", 3), Some(i64::MAX));
        assert_eq!(decimal("9223372036854775.808", 3), None);
        assert_eq!(decimal("9223372036854775.8079", 3), None);
    }
}
