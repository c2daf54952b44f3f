//! How long a battery takes from a command to its first movement, from steps that stand alone.

use crate::control::history::Series;
use crate::units::Span;

/// A step of at least this much tells, W.
const STEP_W: i64 = 200;
/// Moved by this much is moved, W.
const MOVED_W: i64 = 100;
/// At rest before the step: within this, W, for this long, ms.
const REST_W: i64 = 60;
const REST_MS: i64 = 2000;
/// A command is alone if the one before is this old, ms.
const ALONE_MS: i64 = 10_000;
/// What takes longer is no answer, ms.
const LONGEST_MS: i64 = 60_000;
/// So many are kept, and so many are needed.
const KEPT: usize = 8;
const NEEDED: u32 = 3;

/// A command that stands alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Step {
    /// When it was given, ms.
    at: i64,
    /// Power before, W.
    from: i64,
    /// 1 is up.
    direction: i64,
    /// No earlier command can still be on its way.
    alone: bool,
}

/// The latest responses of a battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Responses {
    ms: [i64; KEPT],
    seen: u32,
    /// The command in force, W.
    command_w: Option<i64>,
    /// Steps in a row that were answered with their negative.
    opposite: u32,
    /// When that changed last, ms.
    changed_ms: i64,
    /// A step that is waited for.
    step: Option<Step>,
}

impl Responses {
    /// The longest of the latest, once there were several.
    pub fn longest(&self) -> Option<Span> {
        let longest = self.ms.iter().copied().max().and_then(|ms| u64::try_from(ms).ok());
        longest.filter(|_| self.seen >= NEEDED).map(Span::from_ms)
    }

    /// What was seen stays, what was under way does not.
    pub fn interrupted(&self) -> Responses {
        Responses { command_w: None, step: None, ..*self }
    }

    /// Looks at the newest poll and the newest command.
    pub fn watch(&mut self, polled: &Series, written: &Series) {
        let (Some((now, power)), Some((_, told))) = (polled.newest(), written.newest()) else { return };
        self.take_movement(now, power, self.command_w.unwrap_or(told));
        let before = self.command_w.replace(told);
        let Some(change) = before.map(|before| told - before).filter(|change| *change != 0) else { return };
        let at = since(written, told);
        let Some((last, from)) = polled.iter().take_while(|p| p.0 <= at).last() else { return };
        let at_rest = polled.at(last - REST_MS).is_some_and(|w| (w - from).abs() <= REST_W);
        let direction = change.signum();
        let alone = at - std::mem::replace(&mut self.changed_ms, at) >= ALONE_MS;
        self.step = match self.step {
            // More of the same: the first command counts.
            Some(step) if step.direction == direction => Some(Step { alone: false, ..step }),
            _ if change.abs() >= STEP_W && at_rest && (told - from).signum() == direction => Some(Step { at, from, direction, alone }),
            _ => None,
        };
        self.take_movement(now, power, told);
    }

    /// Steps in a row that were answered with their negative.
    pub fn opposite(&self) -> u32 {
        self.opposite
    }

    /// Those count no longer.
    pub fn forgive(&mut self) {
        self.opposite = 0;
    }

    fn take_movement(&mut self, now: i64, power: i64, told: i64) {
        let Some(Step { at, from, direction, alone }) = self.step else { return };
        if now - at > LONGEST_MS {
            self.step = None;
        } else if (power - from) * direction >= MOVED_W {
            self.ms[self.seen as usize % KEPT] = (now - at).max(0);
            self.seen = if self.seen as usize >= 2 * KEPT - 1 { KEPT as u32 } else { self.seen + 1 };
            (self.step, self.opposite) = (None, 0);
        } else if alone && (power - from) * direction <= -MOVED_W && (power + told).abs() <= MOVED_W + told.abs() / 4 {
            (self.step, self.opposite) = (None, self.opposite.saturating_add(1));
        }
    }
}

/// Since when the newest commands are all this one, ms.
fn since(written: &Series, told: i64) -> i64 {
    let mut at = written.newest().map_or(0, |w| w.0);
    for i in (0..written.len()).rev() {
        match written.get(i) {
            Some((t, w)) if w == told => at = t,
            _ => break,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Time;

    #[test]
    fn several_steps_make_a_response_and_the_longest_counts() {
        let (mut polled, mut written, mut responses) = (Series::default(), Series::default(), Responses::default());
        let mut told = 0;
        for s in 1..200u64 {
            let now = Time::from_ms(s * 1000);
            if s % 20 == 1 {
                told = if told == 0 { 1000 } else { 0 };
                written.push(now, told);
            }
            // Every third answer takes 5 s instead of 2 s.
            let dead = if s / 20 % 3 == 2 { 5 } else { 2 };
            let power = if s % 20 > dead { told } else { 1000 - told };
            polled.push(now, power);
            responses.watch(&polled, &written);
        }
        assert_eq!(responses.longest(), Some(Span::from_s(5)));
        assert_eq!(responses.interrupted().longest(), Some(Span::from_s(5)));
    }
}
