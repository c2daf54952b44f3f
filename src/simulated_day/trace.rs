//! A recorded load: CSV with a header, a line per moment.
//!
//! Sans-IO and strict: every mistake has its line, its column and a sentence. Reads what [`csv`](super::csv) writes.

mod line;

use std::fmt;

use self::line::{Field, fields, number, seconds};
use crate::plant::house::Recorded;

/// A longer file is not read: a week, second by second, with everything that the table of a day holds, is about 100 MB.
pub const LONGEST: u64 = 256 << 20;
/// More lines than this are not read.
const MOST_LINES: usize = 2_000_000;
/// A week.
const LONGEST_MS: i64 = 168 * 3_600_000;
/// No phase, and no panels, of a simulated site have more, W.
const MOST_W: i64 = 20_000;
const MOST_PV_W: i64 = 60_000;
/// What panels take at night, W.
const NIGHT_W: i64 = 100;
/// So many mistakes are told.
const TOLD: usize = 20;

/// A mistake, and where it is, both from 1; the column counts characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
    /// A sentence.
    pub said: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.said)
    }
}

/// Reads a trace. The mistakes are the first ones.
pub fn parse(text: &str) -> Result<Recorded, Vec<Mistake>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let nothing = |line, said: &str| vec![Mistake { line, column: 1, said: said.to_owned() }];
    let Some((number, header)) = lines.next() else { return Err(nothing(1, "The file has no header.")) };
    let columns = Columns::of(number, header)?;
    let mut reader = Reader { columns, recorded: Recorded::default(), first_ms: None, last: [None; 4], mistakes: Vec::new() };
    for (number, line) in lines {
        if reader.recorded.points.len() >= MOST_LINES {
            reader.mistakes.extend(nothing(number, &format!("The file has more than {MOST_LINES} lines.")));
        }
        if reader.mistakes.len() >= TOLD || reader.recorded.points.len() >= MOST_LINES {
            break;
        }
        reader.line(number, line);
    }
    reader.end()
}

/// Where in a line everything is.
struct Columns {
    separator: char,
    time: usize,
    power: Power,
    sun: Option<usize>,
}

enum Power {
    Phases([usize; 3]),
    Total(usize),
}

impl Columns {
    fn of(number: usize, header: &str) -> Result<Columns, Vec<Mistake>> {
        // One within quotes separates nothing: names of batteries stand there.
        let separator = if fields(header, ';').len() > 1 { ';' } else { ',' };
        let names = fields(header, separator);
        let mut mistakes = Vec::new();
        let mut find = |known: &[&str]| {
            let mut found = names.iter().enumerate().filter(|(_, f)| known.iter().any(|name| f.text.eq_ignore_ascii_case(name)));
            let first = found.next();
            if let Some((_, again)) = found.next() {
                mistakes.push(Mistake {
                    line: number,
                    column: again.column,
                    said: format!("There is a second column \"{}\".", again.text),
                });
            }
            first.map(|(k, _)| k)
        };
        let (time, total, sun) = (find(&["time_s", "time"]), find(&["total_w"]), find(&["pv_w"]));
        let phases = [find(&["l1_w"]), find(&["l2_w"]), find(&["l3_w"])];
        let mut say = |said: &str| mistakes.push(Mistake { line: number, column: 1, said: said.to_owned() });
        let power = match (phases, total) {
            ([Some(a), Some(b), Some(c)], None) => Some(Power::Phases([a, b, c])),
            ([None, None, None], Some(total)) => Some(Power::Total(total)),
            ([None, None, None], None) => {
                say("The header names neither l1_w, l2_w and l3_w nor total_w.");
                None
            }
            (_, Some(_)) => {
                say("The header names total_w beside a phase: it must be the one or the other.");
                None
            }
            _ => {
                say("The header names one phase and not all of them: l1_w, l2_w and l3_w belong together.");
                None
            }
        };
        if time.is_none() {
            say("The header names no time: a column \"time_s\" or \"time\" is needed.");
        }
        match (time, power) {
            (Some(time), Some(power)) if mistakes.is_empty() => Ok(Columns { separator, time, power, sun }),
            _ => Err(mistakes),
        }
    }
}

struct Reader {
    columns: Columns,
    recorded: Recorded,
    /// Time of the first line, ms.
    first_ms: Option<i64>,
    /// What the phases and the sun were last; the first one is the sum where that is given.
    last: [Option<i64>; 4],
    mistakes: Vec<Mistake>,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) {
        let found = fields(line, self.columns.separator);
        let mut mistakes = Vec::new();
        let moment = self.moment(line, &found, &mut mistakes);
        self.mistakes.extend(mistakes.into_iter().map(|(column, said)| Mistake { line: number, column, said }));
        self.recorded.points.extend(moment);
    }

    fn moment(&mut self, line: &str, found: &[Field<'_>], mistakes: &mut Vec<(usize, String)>) -> Option<(u32, [i32; 3], i32)> {
        let end = line.chars().count() + 1;
        let field = |k: usize| found.get(k).copied().unwrap_or(Field { text: "", column: end });
        let at_ms = self.time(field(self.columns.time), mistakes);
        let decimal_comma = self.columns.separator == ';';
        let mut watts = |slot: usize, k: usize, name: &str, least: i64, most: i64| {
            let field = field(k);
            match (field.text.is_empty(), number(field.text, decimal_comma)) {
                (true, _) if self.last[slot].is_none() => {
                    mistakes.push((field.column, format!("{name} has no value yet: the first line needs one.")))
                }
                (true, _) => {}
                (_, Some(w)) if (least..=most).contains(&w) => self.last[slot] = Some(w),
                (_, Some(w)) => mistakes.push((field.column, format!("{name} must be {least} to {most} W, not {w} W."))),
                (_, None) => mistakes.push((field.column, format!("{name} must be a number of watts, not \"{}\".", shown(field.text)))),
            }
        };
        match self.columns.power {
            Power::Phases([a, b, c]) => {
                watts(0, a, "l1_w", -MOST_W, MOST_W);
                watts(1, b, "l2_w", -MOST_W, MOST_W);
                watts(2, c, "l3_w", -MOST_W, MOST_W);
            }
            Power::Total(total) => watts(0, total, "total_w", -3 * MOST_W, 3 * MOST_W),
        }
        if let Some(sun) = self.columns.sun {
            watts(3, sun, "pv_w", -NIGHT_W, MOST_PV_W);
        }
        let [a, b, c, sun] = self.last.map(|w| w.unwrap_or(0) as i32);
        let load_w = if matches!(self.columns.power, Power::Total(_)) { thirds(a) } else { [a, b, c] };
        Some((at_ms?, load_w, sun.max(0)))
    }

    /// Since the first line.
    fn time(&mut self, field: Field<'_>, mistakes: &mut Vec<(usize, String)>) -> Option<u32> {
        let mut say = |said: String| mistakes.push((field.column, said));
        let Some(ms) = seconds(field.text, self.columns.separator == ';') else {
            say(format!("The time must be seconds or like 2026-01-31T12:00:00Z, not \"{}\".", shown(field.text)));
            return None;
        };
        let since_ms = ms - *self.first_ms.get_or_insert(ms);
        let last_ms = self.recorded.points.last().map(|(at_ms, ..)| i64::from(*at_ms));
        match last_ms {
            Some(last_ms) if since_ms <= last_ms => say("The time must be later than that of the line before.".to_owned()),
            _ if since_ms > LONGEST_MS => say("The file is longer than 168 hours.".to_owned()),
            _ => return u32::try_from(since_ms).ok(),
        }
        None
    }

    /// The last line holds as long as the one before it did, and for a second at least.
    fn end(mut self) -> Result<Recorded, Vec<Mistake>> {
        let points = &self.recorded.points;
        let (last, before) = (points.last(), points.len().checked_sub(2).and_then(|k| points.get(k)));
        match last {
            _ if !self.mistakes.is_empty() => Err(self.mistakes),
            None => Err(vec![Mistake { line: 1, column: 1, said: "The file has a header and no lines below it.".to_owned() }]),
            Some((last_ms, ..)) => {
                let step_ms = before.map_or(1000, |(before_ms, ..)| (last_ms - before_ms).max(1000));
                self.recorded.span_ms = (i64::from(*last_ms) + i64::from(step_ms)).min(LONGEST_MS) as u32;
                Ok(self.recorded)
            }
        }
    }
}

/// What does not divide goes to the first phase.
fn thirds(w: i32) -> [i32; 3] {
    [w / 3 + w % 3, w / 3, w / 3]
}

/// The beginning of what was found.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}
