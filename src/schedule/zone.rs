//! Time zones by name. The only place that knows the library behind them; the database is compiled in.

use std::fmt;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, civil};

use super::window::{Day, clock};

/// A time zone, such as `Europe/Berlin`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

/// What the clock on the wall shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    /// Day of the week.
    pub day: Day,
    /// Minute of the day, 0 to 1439.
    pub minute: u16,
    /// Year, month and day of the month.
    pub date: (i16, i8, i8),
}

impl Zone {
    /// The zone of this name, however its letters are written.
    pub fn find(name: &str) -> Option<Zone> {
        let rules = TimeZoneDatabase::bundled().get(name).ok()?;
        // The stand-in for an unknown zone has no name.
        let name = rules.iana_name()?.to_owned();
        Some(Zone { name, rules })
    }

    /// The names of all zones.
    pub fn names() -> Vec<String> {
        TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
    }

    /// The name as the database writes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Local time at `unix_s`; `None` thousands of years away from here.
    pub fn local(&self, unix_s: i64) -> Option<Local> {
        let shown = self.rules.to_datetime(Timestamp::from_second(unix_s).ok()?);
        let day = Day::ALL[usize::try_from(shown.weekday().to_monday_zero_offset()).ok()?.min(6)];
        let minute = u16::try_from(i32::from(shown.hour()) * 60 + i32::from(shown.minute())).ok()?;
        Some(Local { day, minute, date: (shown.year(), shown.month(), shown.day()) })
    }

    /// The unix second of this local time; of two the earlier, and in a gap as if it were not there. `None`: no such date.
    pub fn unix_s(&self, (year, month, day): (i16, i8, i8), (hour, minute): (i8, i8)) -> Option<i64> {
        let shown = civil::DateTime::new(year, month, day, hour, minute, 0, 0).ok()?;
        self.rules.to_timestamp(shown).ok().map(|t| t.as_second())
    }
}

impl fmt::Display for Local {
    /// `sat 2026-11-21 01:00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date;
        write!(f, "{} {year:04}-{month:02}-{day:02} {}", self.day.name(), clock(self.minute))
    }
}

/// This moment in UTC as ISO 8601 writes it, with milliseconds; the plain number thousands of years away from here.
pub fn utc(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).map_or_else(|_| format!("{unix_ms} ms"), |moment| format!("{moment:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_database() {
        assert_eq!(Zone::find("europe/berlin").unwrap().name(), "Europe/Berlin");
        assert!(["Berlin", "", "Etc/Unknown", "../Europe/Berlin", "\u{0}"].iter().all(|n| Zone::find(n).is_none()));
        assert!(Zone::names().iter().filter(|n| *n != "Etc/Unknown").all(|n| Zone::find(n).is_some()));
    }

    #[test]
    fn moments_in_logs() {
        assert_eq!(utc(1_774_746_000_007), "2026-03-29T01:00:00.007Z");
        assert_eq!(utc(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(i64::MAX), format!("{} ms", i64::MAX));
    }

    #[test]
    fn summer_time_is_known_and_nonsense_is_harmless() {
        let berlin = Zone::find("Europe/Berlin").unwrap();
        let shown = [1_774_745_999, 1_774_746_000].map(|s| berlin.local(s).unwrap().to_string());
        assert_eq!(shown, ["sun 2026-03-29 01:59", "sun 2026-03-29 03:00"]);
        assert_eq!(berlin.unix_s((2026, 3, 29), (3, 0)), Some(1_774_746_000));
        assert!(berlin.local(i64::MAX).is_none() && berlin.local(i64::MIN).is_none());
        assert!(berlin.local(-1).is_some());
        assert_eq!(berlin.unix_s((2026, 2, 30), (0, 0)), None);
    }
}
