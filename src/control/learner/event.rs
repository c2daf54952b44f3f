//! What a single movement of a battery says about the age of the meter's values.
//!
//! The load is constant from the sample that set the movement off until the next change of what is wanted, so every sample tells how far
//! the battery had come when it was taken. That bounds the time at which it was taken, and with its arrival its age, from both sides.
//! Between two readings the battery may have been anywhere between them, so slow polls give wide bounds, never wrong ones.

use super::samples::{Sample, Samples};
use super::{LEAST_FOR_SCALE_W, LONGEST_MS, REST_MS, REST_W};
use crate::control::history::{Past, Series};

/// Sensors may be off, and the load may drift, by this much without anything being noticed, W: less than what is wanted anew.
const NOISE_W: i64 = 100;
/// … and by this share of the movement, per mille.
const NOISE_PM: i64 = 40;
/// While nothing has come, the samples differ by no more than their noise: a drift could hide the movement.
const STILL_W: i64 = 40;
const STILL_PM: i64 = 20;
/// A movement shows at the meter with this share of what the battery says, per mille; what is outside had another cause (2.2: ± 15 %).
const EFFECT_PM: std::ops::RangeInclusive<i64> = 820..=1180;
/// The scale follows effects in this range only, per mille.
const SCALABLE_PM: std::ops::RangeInclusive<i64> = 850..=1150;
/// … and where at least so many samples were taken afterwards (`spec/control/plant.py`).
const LEAST_AFTER: i64 = 2;
/// The ages of the samples of one movement differ by no more than this, ms.
const MOST_SPREAD_MS: i64 = 1500;
/// A sample sets a movement off within this time, ms.
const TRIGGER_MS: i64 = 1500;
/// Samples after the movement that say the same are not looked at any more.
const SAME: u32 = 3;

/// A movement of a battery between two rests. Times in ms, powers as read, in W.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Power before.
    pub from_w: i64,
    /// Power after.
    pub to_w: i64,
    /// The last reading before the movement.
    pub start_ms: i64,
    /// The first reading after it.
    pub end_ms: i64,
    /// When it was first wanted to move.
    pub first_told_ms: i64,
    /// When what is wanted last changed before it rested again.
    pub told_ms: i64,
    /// Samples that arrived later do not belong to it.
    pub cut_ms: i64,
    /// When it was wanted to move on, if that is what cuts it short.
    pub next_told_ms: Option<i64>,
    /// Both rests were long.
    pub rested: bool,
}

/// What one movement says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finding {
    /// A sample was at least this old, ms.
    pub at_least_ms: i64,
    /// A sample was at most this old, ms.
    pub at_most_ms: i64,
    /// What the meter saw of what the battery said, per mille, where that can be told.
    pub effect_pm: Option<i64>,
    /// From the command to the movement, ms.
    pub response_ms: Option<i64>,
}

/// What was found out about an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Judged {
    /// About the ages, where it can be judged.
    pub finding: Option<Finding>,
    /// How much of the load step the first sample showed, per mille, where that can be told.
    pub first_share: Option<i64>,
}

/// What the judging goes by: the movement as the meter ought to see it.
struct Course<'a> {
    event: &'a Event,
    past: &'a Past<'a>,
    part: i64,
    change_w: i64,
    tolerance_pm: i64,
}

impl Event {
    /// Whether this other battery did not move meanwhile.
    pub fn rests(&self, polled: &Series) -> bool {
        let first = polled.before(self.start_ms - REST_MS).saturating_sub(1);
        let (lo, hi) =
            polled.iter_from(first).take_while(|p| p.0 <= self.cut_ms).fold((i64::MAX, i64::MIN), |(lo, hi), p| (lo.min(p.1), hi.max(p.1)));
        polled.is_empty() || hi.saturating_sub(lo) < REST_W
    }

    /// Something else was wanted at `at_ms`: from there on the samples may show another load.
    pub fn end_samples(&mut self, at_ms: i64) {
        if at_ms <= self.cut_ms {
            (self.cut_ms, self.next_told_ms) = (at_ms - 1, Some(at_ms));
        }
    }

    /// Judges the movement by the samples of phase `f`, where the battery shows one part in `part`. `window_ms` and `averaging_ms`: what is
    /// known so far.
    pub fn judge(&self, past: &Past, part: i64, samples: &Samples, f: usize, window_ms: (i64, i64), averaging_ms: i64) -> Judged {
        let scaled = |w: i64| w * past.scale_pm / 1000 / part;
        let change_w = scaled(self.to_w) - scaled(self.from_w);
        if change_w == 0 {
            return Judged::default();
        }
        let tolerance_pm = NOISE_PM + NOISE_W * 1000 / change_w.abs();
        let course = Course { event: self, past, part, change_w, tolerance_pm };
        let first = samples.until(self.told_ms).checked_sub(1);
        let end = samples.until(self.cut_ms);
        Judged {
            finding: first.and_then(|i| course.finding(samples, f, i, end, averaging_ms)).map(|found| Finding {
                effect_pm: found.effect_pm.and(first.and_then(|i| course.effect_pm(samples, f, i, end, window_ms))),
                ..found
            }),
            first_share: if self.rested { course.first_share(samples, f, end, averaging_ms) } else { None },
        }
    }
}

impl Course<'_> {
    /// The samples from `first`, which set the movement off, until before `end`.
    fn finding(&self, samples: &Samples, f: usize, first: usize, end: usize, averaging_ms: i64) -> Option<Finding> {
        let base = samples.get(first).filter(|s| self.event.told_ms - s.at_ms <= TRIGGER_MS)?;
        if end < first + 3 {
            return None;
        }
        let shown = |i: usize| samples.get(i).map_or(0, |s| (base.power_w[f] - s.power_w[f]) * 1000 / self.change_w);
        // The mean of the last two, which should be past the movement.
        let effect = (shown(end - 1) + shown(end - 2)).div_euclid(2);
        if effect.abs() <= self.tolerance_pm {
            return self.nothing_came(samples, first, &shown);
        }
        if !self.event.rested || !EFFECT_PM.contains(&effect) || (shown(end - 1) - shown(end - 2)).abs() > self.tolerance_pm {
            return None;
        }
        let (mut least, mut most, mut same) = (0, LONGEST_MS, 0);
        for i in first + 1..end {
            let (came, at_ms) = (shown(i) * 1000 / effect, samples.get(i)?.at_ms);
            let (lo, hi) = (came - self.tolerance_pm, came + self.tolerance_pm);
            if hi < -self.tolerance_pm || lo > 1000 + self.tolerance_pm {
                return None;
            }
            same = if hi >= 1000 { same + 1 } else { 0 };
            if same > SAME {
                continue;
            }
            if let Some(latest) = self.latest_at(hi).filter(|_| hi < 1000) {
                least = least.max(at_ms - latest - averaging_ms);
            }
            if lo > 0 {
                most = most.min(at_ms - self.earliest_at(lo));
            }
        }
        let plain = self.event.first_told_ms == self.event.told_ms && self.change_w.abs() >= LEAST_FOR_SCALE_W;
        (most >= -200 && least - most <= MOST_SPREAD_MS && least <= LONGEST_MS).then_some(Finding {
            at_least_ms: least,
            at_most_ms: most.max(0),
            effect_pm: plain.then_some(effect),
            response_ms: if plain { self.response_ms() } else { None },
        })
    }

    /// The load after the movement less the load before, against the movement: what the meter saw of it, per mille. Afterwards the battery
    /// may have been corrected a little, so every sample is taken with the power of its time.
    fn effect_pm(&self, samples: &Samples, f: usize, first: usize, end: usize, window_ms: (i64, i64)) -> Option<i64> {
        let settled = samples.until(self.event.end_ms + window_ms.1).max(first + 1);
        let power = |s: Sample| s.power_w[f] + self.past.at(s.at_ms - (window_ms.0 + window_ms.1) / 2) / self.part;
        let after: i64 = (settled..end).filter_map(|i| samples.get(i)).map(power).sum();
        let count = end.saturating_sub(settled) as i64;
        let before = samples.get(first)?.power_w[f] + self.event.from_w * self.past.scale_pm / 1000 / self.part;
        let effect = 1000 - (after / count.max(1) - before) * 1000 / self.change_w;
        (count >= LEAST_AFTER && SCALABLE_PM.contains(&effect)).then_some(effect)
    }

    /// The movement has not reached the meter: its values are older than that. The sample that sent the battery on says it most clearly;
    /// it could be another load only if that came at the very moment of the effect, and were as large.
    fn nothing_came(&self, samples: &Samples, first: usize, shown: &impl Fn(usize) -> i64) -> Option<Finding> {
        let end = samples.until(self.event.next_told_ms.unwrap_or(self.event.cut_ms));
        let most_pm = STILL_PM + STILL_W * 1000 / self.change_w.abs();
        let still = (first..end).all(|i| shown(i).abs() <= most_pm);
        let last_ms = samples.get(end.checked_sub(1)?)?.at_ms;
        let least = last_ms - self.latest_at(self.tolerance_pm)?;
        (still && (REST_MS / 2..=LONGEST_MS).contains(&least)).then_some(Finding {
            at_least_ms: least,
            at_most_ms: LONGEST_MS,
            effect_pm: None,
            response_ms: None,
        })
    }

    /// The readings of the movement with the share that had come, per mille.
    fn readings(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let polled = self.past.polled;
        let whole = self.event.to_w - self.event.from_w;
        let first = polled.before(self.event.start_ms);
        let until = self.event.end_ms + 2000;
        polled.iter_from(first).take_while(move |p| p.0 <= until).map(move |p| (p.0, (p.1 - self.event.from_w) * 1000 / whole))
    }

    /// The latest time at which no more than `pm` of the movement may have come: the reading after the last such one, if there is one.
    fn latest_at(&self, pm: i64) -> Option<i64> {
        let mut latest = None;
        for (t, came) in self.readings() {
            latest = if came <= pm { None } else { latest.or(Some(t)) };
        }
        latest
    }

    /// The earliest time at which `pm` of the movement may have come: not before it was told.
    fn earliest_at(&self, pm: i64) -> i64 {
        let before = self.readings().take_while(|r| r.1 < pm).last();
        before.map_or(self.event.start_ms, |r| r.0).max(self.event.first_told_ms)
    }

    /// From the first command to the first reading that shows it, less half the time since the reading before.
    fn response_ms(&self) -> Option<i64> {
        let commands = self.past.commands;
        let written_ms = commands.get(commands.before(self.event.first_told_ms))?.0;
        let seen = self.readings().find(|r| r.1 > self.tolerance_pm).map_or(self.event.end_ms, |r| r.0);
        let before = self.readings().take_while(|r| r.1 <= self.tolerance_pm).last().map_or(self.event.start_ms, |r| r.0);
        (written_ms < seen).then(|| (seen + before.max(written_ms)) / 2 - written_ms)
    }

    /// How much of the load step that caused all this the first sample showed. The grid must have come back to where it was.
    fn first_share(&self, samples: &Samples, f: usize, end: usize, averaging_ms: i64) -> Option<i64> {
        let trigger = samples.until(self.event.first_told_ms).checked_sub(1)?;
        let trigger_at = samples.get(trigger).filter(|s| self.event.first_told_ms - s.at_ms <= TRIGGER_MS)?.at_ms;
        let power = |i: usize| samples.get(i).map(|s| s.power_w[f]);
        let (last, one_before) = (power(end.checked_sub(1)?)?, power(end.checked_sub(2)?)?);
        let mut base = trigger.checked_sub(1)?;
        let step = |base_w: i64| last - base_w + self.change_w;
        // Where the confirm rule has held the first sample, the one before it is the base.
        if averaging_ms > 0 && base > 0 && (power(base)? - power(base - 1)?).abs() * 12 > step(power(base - 1)?).abs() {
            base -= 1;
        }
        let base_w = power(base)?;
        let step_w = step(base_w);
        let quiet = (last - base_w).abs() * 4 <= step_w.abs() && (last - one_before).abs() <= NOISE_W;
        let fits = (step_w - self.change_w).abs() * 4 <= step_w.abs() && trigger_at < self.event.end_ms;
        (quiet && fits && step_w.abs() >= LEAST_FOR_SCALE_W).then(|| (power(base + 1).unwrap_or(0) - base_w) * 1000 / step_w)
    }
}
