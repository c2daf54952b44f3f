//! The time a meter prints, `YYMMDDhhmmss` with `S` for summer or `W` for winter.

/// A meter's own wall clock. It decides nothing: readings carry the time of our clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MeterTime {
    /// 2000 to 2099.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// Summer time.
    pub summer: bool,
}

impl MeterTime {
    /// `None`: no such time, as in meters whose clock was never set (`000000000000W`).
    pub fn parse(text: &str) -> Option<MeterTime> {
        let (digits, summer) = match text.strip_suffix('S') {
            Some(digits) => (digits, true),
            None => (text.strip_suffix('W')?, false),
        };
        if digits.len() != 12 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let two = |i: usize| digits.get(2 * i..2 * i + 2).and_then(|two| two.parse::<u8>().ok());
        let (month, day, hour, minute, second) = (two(1)?, two(2)?, two(3)?, two(4)?, two(5)?);
        let year = 2000 + u16::from(two(0)?);
        let days = match month {
            2 if year % 4 == 0 => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let exists = (1..=12).contains(&month) && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
        exists.then_some(MeterTime { year, month, day, hour, minute, second, summer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_that_exist() {
        let summer = MeterTime { year: 2020, month: 5, day: 12, hour: 13, minute: 54, second: 9, summer: true };
        assert_eq!(MeterTime::parse("200512135409S"), Some(summer));
        assert!(MeterTime::parse("200229000000W").is_some());
        for text in
            ["000000000000W", "210229000000W", "201301000000W", "200512245409S", "200512135409", "20051213540S", "２00512135409S", ""]
        {
            assert_eq!(MeterTime::parse(text), None, "{text}");
        }
    }
}
