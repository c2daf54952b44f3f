//! How fast and how well the grid came back to zero after something in the house was switched: the labelled steps of a day (control.md 5.2).
//!
//! Only steps are judged around which nothing else happened, and which the batteries could follow. Means of one second, so a time is right
//! to a second.

use std::collections::VecDeque;

use super::day::DAY_S;
use super::kpi::Second;

/// Something in the house was switched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Switched {
    /// What.
    pub name: &'static str,
    /// Its phase, from 0.
    pub phase: usize,
    /// The first second with the new power.
    pub at_s: u32,
    /// How much more it takes from then on, W.
    pub change_w: i64,
}

/// So long before and after a step nothing else may happen, s.
const BEFORE_S: usize = 5;
const AFTER_S: usize = 20;
/// More than this on the phase is something else, mW.
const ELSE_MW: i64 = 150_000;
/// Within this of its goal, or within a twentieth of the step, the grid has settled, mW.
const SETTLED_MW: i64 = 100_000;

/// A step that was judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Judged {
    /// The step.
    pub step: Switched,
    /// From the step until the grid stayed where it was wanted, s; `None` when it did not within 20 s.
    pub settled_s: Option<u64>,
    /// How long it takes at best with these delays, ms.
    pub bound_ms: u64,
    /// How far the grid went beyond its goal, in 0.1 % of the step.
    pub overshoot_pm: i64,
}

/// Delays of meter and batteries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delays {
    /// From the step to the first sample that holds all of it, on average; and the dead time of the batteries, ms.
    pub dead_ms: u64,
    /// From the sample to its arrival, ms.
    pub latency_ms: u64,
    /// Time constant of the batteries, ms.
    pub tau_ms: u64,
}

impl Delays {
    /// The bound of control.md 3: `t_s + d_m + d_c + d_b + tau ln(step / 50 W)`.
    pub fn bound_ms(&self, step_w: i64) -> u64 {
        self.dead_ms + self.latency_ms + self.tau_ms * ln_permille(step_w.unsigned_abs() / 50) / 1000
    }
}

/// The natural logarithm in thousandths, between powers of two along a straight line.
fn ln_permille(value: u64) -> u64 {
    let value = value.max(1);
    let whole = u64::from(value.ilog2());
    let rest = (value - (1 << whole)) * 1000 / (1 << whole);
    (whole * 1000 + rest) * 693 / 1000
}

/// The steps of a day and what became of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Steps {
    steps: Vec<Switched>,
    delays: Delays,
    next: usize,
    second: u64,
    newest: VecDeque<Kept>,
    /// The steps that were judged, oldest first.
    pub judged: Vec<Judged>,
}

/// What is kept of a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Kept {
    /// Net load and grid of each phase, mW.
    net_mw: [i64; 3],
    grid_mw: [i64; 3],
    /// See [`Second::spent`].
    spent: [[bool; 2]; 3],
}

impl Steps {
    /// Judges these steps of a day, which repeats.
    pub fn new(mut steps: Vec<Switched>, delays: Delays) -> Steps {
        steps.sort_by_key(|s| s.at_s);
        Steps { steps, delays, next: 0, second: 0, newest: VecDeque::new(), judged: Vec::new() }
    }

    /// The meter is this late from now on.
    pub fn set_latency_ms(&mut self, latency_ms: u64) {
        self.delays.latency_ms = latency_ms;
    }

    /// Takes in a second.
    pub fn second(&mut self, second: &Second) {
        let net_mw = std::array::from_fn(|k| second.load_mw[k] - second.pv_mw / 3);
        if self.newest.len() == BEFORE_S + AFTER_S {
            self.newest.pop_front();
        }
        self.newest.push_back(Kept { net_mw, grid_mw: second.grid_mw, spent: second.spent });
        self.second += 1;
        // The newest second is the last one that belongs to a step so long ago.
        let Some(begun) = self.second.checked_sub(AFTER_S as u64).filter(|_| self.newest.len() == BEFORE_S + AFTER_S) else { return };
        let of_day = (begun % DAY_S as u64) as u32;
        if of_day == 0 {
            self.next = 0;
        }
        while let Some(step) = self.steps.get(self.next).copied().filter(|s| s.at_s <= of_day) {
            self.next += 1;
            if step.at_s == of_day {
                self.judged.extend(self.judge(step));
            }
        }
    }

    fn judge(&self, step: Switched) -> Option<Judged> {
        let series = |k: usize| self.newest.get(k).map(|kept| (kept.net_mw[step.phase], kept.grid_mw[step.phase]));
        let change_mw = step.change_w * 1000;
        let first = series(BEFORE_S - 1)?.0;
        for k in 0..BEFORE_S + AFTER_S {
            let expected = if k < BEFORE_S { first } else { first + change_mw };
            if (series(k)?.0 - expected).abs() > ELSE_MW {
                return None;
            }
        }
        let towards = change_mw.signum();
        let end = series(BEFORE_S + AFTER_S - 1)?.1 * towards;
        // The batteries were kept from it, or there are none.
        if end > change_mw.abs() / 2 || series(BEFORE_S - 1)?.1.abs() > change_mw.abs() / 2 {
            return None;
        }
        let band = SETTLED_MW.max(change_mw.abs() / 20);
        let after: Vec<i64> = (BEFORE_S..BEFORE_S + AFTER_S).filter_map(series).map(|(_, grid)| grid * towards).collect();
        let last_off = after.iter().rposition(|mw| mw.abs() > band).map_or(0, |k| k as u64 + 1);
        // What is left is more than the batteries have: they are empty, full or at their rating.
        let last = self.newest.back()?;
        let is_export = last.grid_mw[step.phase] < 0;
        if last_off >= AFTER_S as u64 && last.spent[step.phase][usize::from(is_export)] {
            return None;
        }
        let beyond = after.iter().map(|mw| -mw).max().unwrap_or(0).max(0);
        Some(Judged {
            step,
            settled_s: (last_off < AFTER_S as u64).then_some(last_off),
            bound_ms: self.delays.bound_ms(step.change_w),
            overshoot_pm: beyond * 1000 / change_mw.abs().max(1),
        })
    }

    /// Median and 95th percentile of settling time to bound, in hundredths; one that never settled counts as ten. `None` without steps.
    pub fn ratio_percent(&self) -> Option<(u64, u64)> {
        quantiles(self.judged.iter().map(|j| j.settled_s.map_or(1000, |s| s * 100_000 / j.bound_ms.max(1))).collect())
    }

    /// Median and 95th percentile of the overshoot, in 0.1 %.
    pub fn overshoot_pm(&self) -> Option<(u64, u64)> {
        quantiles(self.judged.iter().map(|j| j.overshoot_pm.unsigned_abs()).collect())
    }
}

fn quantiles(mut values: Vec<u64>) -> Option<(u64, u64)> {
    values.sort_unstable();
    let last = values.len().checked_sub(1)?;
    Some((*values.get(last / 2)?, *values.get(last * 95 / 100)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KETTLE: Switched = Switched { name: "kettle", phase: 1, at_s: 30, change_w: 2000 };

    /// A minute in which the grid needs `late` seconds, and then goes 100 W beyond zero for two more.
    fn minute(late: i64, noise_mw: i64) -> Steps {
        let mut steps = Steps::new(vec![KETTLE], Delays { dead_ms: 900, latency_ms: 600, tau_ms: 500 });
        for second in 0..60 {
            let (load, since) = (if second >= 30 { 2_100_000 } else { 100_000 }, second - 30);
            let grid = if since < 0 || since >= late + 2 {
                0
            } else if since >= late {
                -150_000
            } else {
                2_000_000
            };
            let noise = if second == 33 { noise_mw } else { 0 };
            steps.second(&Second { load_mw: [0, load + noise, 0], grid_mw: [0, grid, 0], ..Second::default() });
        }
        steps
    }

    #[test]
    fn a_step_is_measured() {
        let steps = minute(3, 0);
        // ln(40) is 3.69, 3.65 along the straight lines.
        let bound_ms = 1500 + 500 * 3638 / 1000;
        assert_eq!(steps.judged, [Judged { step: KETTLE, settled_s: Some(5), bound_ms, overshoot_pm: 75 }]);
        assert_eq!(steps.ratio_percent(), Some((500_000 / bound_ms, 500_000 / bound_ms)));
        assert_eq!(steps.overshoot_pm(), Some((75, 75)));
    }

    /// A kettle of which the battery can take 1400 W, or does.
    fn in_part(spent: [bool; 2]) -> Steps {
        let mut steps = Steps::new(vec![KETTLE], Delays { dead_ms: 900, latency_ms: 600, tau_ms: 500 });
        for second in 0..60 {
            let (load, grid) = if second >= 30 { (2_100_000, 600_000) } else { (100_000, 0) };
            steps.second(&Second {
                load_mw: [0, load, 0],
                grid_mw: [0, grid, 0],
                spent: [[false; 2], spent, [false; 2]],
                ..Second::default()
            });
        }
        steps
    }

    #[test]
    fn what_batteries_cannot_give_is_no_fault_and_what_they_do_not_give_is() {
        assert!(in_part([true, false]).judged.is_empty());
        // Import is left, and it is taking in that they cannot do more of.
        for spent in [[false, false], [false, true]] {
            assert_eq!(in_part(spent).judged.iter().map(|j| j.settled_s).collect::<Vec<_>>(), [None]);
        }
    }

    #[test]
    fn a_later_meter_has_a_later_bound() {
        let mut steps = minute(3, 0);
        let before = steps.delays.bound_ms(2000);
        steps.set_latency_ms(3000);
        assert_eq!(steps.delays.bound_ms(2000), before + 2400);
    }

    #[test]
    fn what_is_disturbed_or_not_followed_is_left_out() {
        assert!(minute(3, 400_000).judged.is_empty());
        assert!(minute(40, 0).judged.is_empty());
        assert_eq!(minute(40, 0).ratio_percent(), None);
    }
}
