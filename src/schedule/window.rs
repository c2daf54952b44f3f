//! One window in the week: days, from, to. Knows minutes of local time only, neither dates nor zones.

use std::fmt;

use crate::control::demand::Action;

/// Minutes of a day.
const DAY: u16 = 24 * 60;
/// Minutes of a week.
const WEEK: u16 = 7 * DAY;

/// A day of the week.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Day {
    /// The first.
    Monday,
    /// The second.
    Tuesday,
    /// The third.
    Wednesday,
    /// The fourth.
    Thursday,
    /// The fifth.
    Friday,
    /// The sixth.
    Saturday,
    /// The seventh.
    Sunday,
}

/// A set of days.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Days(u8);

/// A time on certain days at which something is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// The days on which it begins.
    pub days: Days,
    /// First minute of the day, 0 to 1439.
    pub from_min: u16,
    /// One past the last minute, 1 to 1440 and not `from_min`; where it is earlier than `from_min`, it is that of the next day.
    pub to_min: u16,
    /// What is asked for.
    pub action: Action,
}

impl Day {
    /// All of them, in order.
    pub const ALL: [Day; 7] = [Day::Monday, Day::Tuesday, Day::Wednesday, Day::Thursday, Day::Friday, Day::Saturday, Day::Sunday];

    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][self as usize]
    }

    /// The day before.
    pub fn before(self) -> Day {
        Day::ALL[(self as usize + 6) % 7]
    }
}

impl Days {
    /// Every day.
    pub const ALL: Days = Days(0x7f);
    /// No day.
    pub const NONE: Days = Days(0);

    /// These and another day.
    pub fn and(self, day: Day) -> Days {
        Days(self.0 | 1 << day as u8)
    }

    /// Whether the day is among them.
    pub fn has(self, day: Day) -> bool {
        self.0 & 1 << day as u8 != 0
    }

    /// The days, in order.
    pub fn iter(self) -> impl Iterator<Item = Day> {
        Day::ALL.into_iter().filter(move |day| self.has(*day))
    }
}

impl Window {
    /// Whether it is active on this day at this minute of the day. What lies after midnight belongs to the day on which it began.
    pub fn holds(&self, day: Day, minute: u16) -> bool {
        if self.from_min < self.to_min {
            self.days.has(day) && (self.from_min..self.to_min).contains(&minute)
        } else {
            self.days.has(day) && minute >= self.from_min || self.days.has(day.before()) && minute < self.to_min
        }
    }

    /// The first minute of the week at which both are active, which is the beginning of one of them.
    pub fn meets(&self, other: &Window) -> Option<(Day, u16)> {
        let mine = self.starts().filter(|s| other.holds(day_of(*s), s % DAY));
        let theirs = other.starts().filter(|s| self.holds(day_of(*s), s % DAY));
        mine.chain(theirs).min().map(|s| (day_of(s), s % DAY))
    }

    /// Where it begins, in minutes since Monday 00:00.
    fn starts(&self) -> impl Iterator<Item = u16> {
        let from = self.from_min;
        self.days.iter().map(move |day| (day as u16 * DAY + from) % WEEK)
    }
}

fn day_of(minute_of_week: u16) -> Day {
    Day::ALL[usize::from(minute_of_week / DAY) % 7]
}

/// A minute of the day as `HH:MM`; 1440 is `24:00`.
pub fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} to {}", self.days, clock(self.from_min), clock(self.to_min))
    }
}

impl fmt::Display for Days {
    /// `every day`, `mon to fri`, `sat, sun`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<Day> = self.iter().collect();
        match days.as_slice() {
            all if all.len() == 7 => f.write_str("every day"),
            [first, .., last] if days.len() > 2 && *last as usize - *first as usize + 1 == days.len() => {
                write!(f, "{} to {}", first.name(), last.name())
            }
            _ => f.write_str(&days.iter().map(|d| d.name()).collect::<Vec<_>>().join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[Day], from_min: u16, to_min: u16) -> Window {
        Window { days: days.iter().fold(Days::NONE, |all, d| all.and(*d)), from_min, to_min, action: Action::Hold }
    }

    #[test]
    fn what_lies_after_midnight_belongs_to_the_day_before() {
        let night = window(&[Day::Sunday], 22 * 60, 5 * 60);
        let active =
            [(Day::Sunday, 0), (Day::Sunday, 1319), (Day::Sunday, 1320), (Day::Monday, 299), (Day::Monday, 300), (Day::Monday, 1320)];
        assert_eq!(active.map(|(d, m)| night.holds(d, m)), [false, false, true, true, false, false]);
    }

    #[test]
    fn overlaps_are_found_around_the_week() {
        let night = window(&[Day::Sunday], 22 * 60, 5 * 60);
        assert_eq!(night.meets(&window(&[Day::Monday], 4 * 60, 6 * 60)), Some((Day::Monday, 240)));
        assert_eq!(night.meets(&window(&[Day::Monday], 5 * 60, 6 * 60)), None);
        assert_eq!(night.meets(&window(&[Day::Sunday], 0, DAY)), Some((Day::Sunday, 1320)));
        assert_eq!(window(&Day::ALL, 0, DAY).meets(&window(&[Day::Friday], 720, 721)), Some((Day::Friday, 720)));
    }

    /// Against every minute of the week.
    #[test]
    fn two_windows_meet_exactly_when_a_minute_is_in_both() {
        let times = [(0, 60), (30, 90), (1380, 30), (1439, 1), (0, DAY), (60, 59)];
        let days = [vec![Day::Monday], vec![Day::Tuesday, Day::Sunday], Day::ALL.to_vec()];
        let windows: Vec<_> = times.iter().flat_map(|t| days.iter().map(move |d| window(d, t.0, t.1))).collect();
        for a in &windows {
            for b in &windows {
                let both = (0..WEEK).any(|m| a.holds(day_of(m), m % DAY) && b.holds(day_of(m), m % DAY));
                assert_eq!(a.meets(b).is_some(), both, "{a} and {b}");
            }
        }
    }

    #[test]
    fn windows_in_words() {
        assert_eq!(window(&Day::ALL, 60, 300).to_string(), "every day 01:00 to 05:00");
        assert_eq!(window(&Day::ALL[..5], 60, DAY).to_string(), "mon to fri 01:00 to 24:00");
        assert_eq!(window(&[Day::Saturday, Day::Sunday], 1320, 300).to_string(), "sat, sun 22:00 to 05:00");
        assert_eq!(window(&[Day::Monday, Day::Wednesday, Day::Friday], 0, 1).to_string(), "mon, wed, fri 00:00 to 00:01");
    }
}
