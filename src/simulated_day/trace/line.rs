//! A line of CSV, and what a field of it may be.

use jiff::Timestamp;

/// A field without its quotes, and the column at which it begins, from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Field<'a> {
    pub(super) text: &'a str,
    pub(super) column: usize,
}

/// The fields of a line. Within quotes a separator separates nothing; doubled quotes stay doubled, they stand only in names that nobody
/// asks for.
pub(super) fn fields(line: &str, separator: char) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    let (mut begun, mut column, mut quoted) = (0, 1, false);
    let mut begun_column = 1;
    for (k, c) in line.char_indices().chain([(line.len(), separator)]) {
        if c == '"' {
            quoted = !quoted;
        }
        if c == separator && (!quoted || k == line.len()) {
            fields.push(field(line.get(begun..k).unwrap_or(""), begun_column));
            (begun, begun_column) = (k + c.len_utf8(), column + 1);
        }
        column += 1;
    }
    fields
}

fn field(raw: &str, column: usize) -> Field<'_> {
    let blank = raw.chars().take_while(|c| c.is_whitespace()).count();
    let text = raw.trim();
    let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    Field { text: inner.trim(), column: column + if text.is_empty() { 0 } else { blank } }
}

/// A number, rounded; with a comma as well as a point where the comma does not separate fields.
pub(super) fn number(text: &str, decimal_comma: bool) -> Option<i64> {
    thousandths(text, decimal_comma).map(|value| (value + 500).div_euclid(1000))
}

/// Seconds, of unix time or since whatever, or a moment of RFC 3339; in ms.
pub(super) fn seconds(text: &str, decimal_comma: bool) -> Option<i64> {
    thousandths(text, decimal_comma).or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond))
}

fn thousandths(text: &str, decimal_comma: bool) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let is_point = |c: char| c == '.' || decimal_comma && c == ',';
    let (whole, part) = digits.split_once(is_point).unwrap_or((digits, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    // Twelve digits are more than any unix time has.
    if whole.len() + part.len() == 0 || whole.len() > 12 || part.len() > 30 || !all_digits(whole) || !all_digits(part) {
        return None;
    }
    let figure = |k: usize| part.as_bytes().get(k).map_or(0, |b| i64::from(b - b'0'));
    let whole = if whole.is_empty() { 0 } else { whole.parse::<i64>().ok()? };
    let value = whole * 1000 + figure(0) * 100 + figure(1) * 10 + figure(2);
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_their_columns() {
        let found = |line| fields(line, ';').into_iter().map(|f| (f.text, f.column)).collect::<Vec<_>>();
        assert_eq!(found("a; bä ;;\"c;d\""), [("a", 1), ("bä", 4), ("", 8), ("c;d", 9)]);
        assert_eq!(found(""), [("", 1)]);
        assert_eq!(found("\"open;end"), [("\"open;end", 1)]);
    }

    #[test]
    fn numbers_and_times() {
        assert_eq!(
            [number("12.5", false), number("-12.5", false), number("-0.4", false), number("+3", false)],
            [Some(13), Some(-12), Some(0), Some(3)]
        );
        assert_eq!([number("1,5", true), number("1,5", false), number(".5", false), number("", false)], [Some(2), None, Some(1), None]);
        assert!(["-", ".", "1.2.3", "1e3", "NaN", "12345678901234", "0x10", "--1"].iter().all(|t| number(t, true).is_none()));
        assert_eq!(seconds("2026-01-31T12:00:00.25+01:00", false), Some(1_769_857_200_250));
        assert_eq!([seconds("1769857200.25", false), seconds("noon", false)], [Some(1_769_857_200_250), None]);
    }
}
