//! Decimal numbers as integers of a smaller unit, exactly: "25.0" with three decimals is 25000. No floating point is involved.

/// Why a literal is no such number. The text is the end of a sentence that begins with the literal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NotANumber {
    /// `nan`, `inf` and the like.
    NotFinite,
    /// `2.5e1`.
    Exponent,
    /// More decimals than the unit has.
    TooFine,
    /// Too many digits before the point.
    TooLarge,
}

/// The value in units of 10^-`decimals`.
pub(super) fn fixed_from_text(literal: &str, decimals: u32) -> Result<i64, NotANumber> {
    let literal: String = literal.chars().filter(|c| *c != '_').collect();
    let (negative, unsigned) = match literal.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, literal.strip_prefix('+').unwrap_or(&literal)),
    };
    if unsigned.contains(['e', 'E']) {
        return Err(NotANumber::Exponent);
    }
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() || !whole.chars().chain(fraction.chars()).all(|c| c.is_ascii_digit()) {
        return Err(NotANumber::NotFinite);
    }
    let missing = usize::try_from(decimals).unwrap_or(usize::MAX).checked_sub(fraction.len()).ok_or(NotANumber::TooFine)?;
    let digits = format!("{whole}{fraction}{}", "0".repeat(missing));
    let value: i64 = digits.parse().map_err(|_| NotANumber::TooLarge)?;
    Ok(if negative { -value } else { value })
}

/// The shortest way to write such a number: 25000 with three decimals is "25", 12500 is "12.5".
pub(crate) fn fixed_to_text(value: i64, decimals: u32) -> String {
    let one = 10u64.saturating_pow(decimals);
    let sign = if value < 0 { "-" } else { "" };
    let (whole, fraction) = (value.unsigned_abs() / one, value.unsigned_abs() % one);
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    let width = usize::try_from(decimals).unwrap_or_default();
    format!("{sign}{whole}.{fraction:0width$}").trim_end_matches('0').to_owned()
}

/// Milliamperes as amperes, as the file has them.
pub(crate) fn amperes(ma: u32) -> String {
    fixed_to_text(ma.into(), 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        let read = ["25.0", "25", "-0.001", "+1_000.5", "0.1000", "9223372036854775.807"].map(|text| fixed_from_text(text, 3));
        assert_eq!(read, [Ok(25_000), Ok(25_000), Ok(-1), Ok(1_000_500), Ok(100), Ok(i64::MAX)]);
        let refused = ["nan", "-inf", "1e3", "0.0001", "9223372036854775.808", ""].map(|text| fixed_from_text(text, 3).unwrap_err());
        use NotANumber::{Exponent, NotFinite, TooFine, TooLarge};
        assert_eq!(refused, [NotFinite, NotFinite, Exponent, TooFine, TooLarge, NotFinite]);
    }

    #[test]
    fn they_are_written_as_short_as_possible() {
        let written = [25_000, 12_500, -1, 0, i64::MIN].map(|value| fixed_to_text(value, 3));
        assert_eq!(written, ["25", "12.5", "-0.001", "0", "-9223372036854775.808"]);
        assert_eq!(fixed_to_text(7, 0), "7");
    }
}
