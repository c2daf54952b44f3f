//! One line of a telegram: an object's code and its values, `A-B:C.D.E(value)(value)`.

/// A line that is in order, as text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line<'t> {
    /// The code, without the group F that some meters print (`*255`).
    pub code: &'t str,
    /// There was a group F: the ASCII form of IEC 62056-21, in which one signed value stands for import and export.
    pub has_group_f: bool,
    /// Everything from the first to the last parenthesis.
    pub values: &'t str,
}

impl<'t> Line<'t> {
    /// `None`: it is no such line.
    pub fn parse(line: &'t [u8]) -> Option<Line<'t>> {
        let text = std::str::from_utf8(line).ok().filter(|text| text.bytes().all(|b| (b' '..=b'~').contains(&b)))?;
        let open = text.find('(')?;
        let (code, values) = text.split_at(open);
        let (code, group_f) = code.split_once('*').map_or((code, None), |(code, f)| (code, Some(f)));
        let numbers = code.split(['-', ':', '.']).all(|n| (1..=3).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()));
        let separators: String = code.chars().filter(|c| !c.is_ascii_digit()).collect();
        let f_is_number = group_f.is_none_or(|f| (1..=3).contains(&f.len()) && f.bytes().all(|b| b.is_ascii_digit()));
        let in_order = numbers && separators == "-:.." && f_is_number && is_values(values);
        in_order.then_some(Line { code, has_group_f: group_f.is_some(), values })
    }

    /// The one value, where there is exactly one.
    pub fn only(&self) -> Option<&'t str> {
        self.values.strip_prefix('(')?.strip_suffix(')').filter(|value| !value.contains(['(', ')']))
    }

    /// The number and the unit of the one value.
    pub fn measured(&self) -> Option<(&'t str, &'t str)> {
        self.only()?.split_once('*')
    }
}

/// A line that goes on with the values of the one before, as DSMR 2.2 and 3.0 print gas readings.
pub fn is_continuation(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok_and(is_values)
}

/// `(…)(…)…`, with nothing between or behind.
fn is_values(text: &str) -> bool {
    let mut open = false;
    let balanced = text.bytes().all(|b| match b {
        b'(' => !std::mem::replace(&mut open, true),
        b')' => std::mem::replace(&mut open, false),
        b' '..=b'~' => open,
        _ => false,
    });
    balanced && !open && !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_values_are_told_apart() {
        let line = |text: &'static str| Line::parse(text.as_bytes());
        let power = line("1-0:1.7.0(00.258*kW)").unwrap();
        assert_eq!((power.code, power.has_group_f, power.measured()), ("1-0:1.7.0", false, Some(("00.258", "kW"))));
        let easymeter = line("1-0:1.7.0*255(000440.47*W)").unwrap();
        assert_eq!((easymeter.code, easymeter.has_group_f, easymeter.measured()), ("1-0:1.7.0", true, Some(("000440.47", "W"))));
        let gas = line("0-1:24.2.1(190320181003W)(00304.089*m3)").unwrap();
        assert_eq!((gas.only(), gas.values), (None, "(190320181003W)(00304.089*m3)"));
        assert_eq!(line("0-0:96.13.0()").unwrap().only(), Some(""));
    }

    #[test]
    fn what_is_out_of_order_is_no_line() {
        for text in ["", "(1)", "1-0:1.7.0", "1-0:1.7.0(1", "1-0:1.7.0 1)", "1-0:1.7.0(1))", "1-0:1.7(1)", "1.0:1.7.0(1)", "1-0:1.7.0(1)x"]
        {
            assert_eq!(Line::parse(text.as_bytes()), None, "{text}");
        }
        for text in
            ["1-0:1.7.0((1)", "1-0:1.7.0(1)(", "-0:1.7.0(1)", "1-0:1.7.0*(1)", "1-0:1.7.0*25x(1)", "1-0:1.7.0(\u{e9})", "1-0:1.7.0(\t)"]
        {
            assert_eq!(Line::parse(text.as_bytes()), None, "{text}");
        }
        assert!(is_continuation(b"(00001.001)") && !is_continuation(b"") && !is_continuation(b"00001.001)"));
    }
}
