//! Phases for a meter that gives only the total, or the total with currents: so that a site that nets its phases can be controlled.
//!
//! The powers add up to the total exactly; how they lie on the phases is a guess that must not be used for anything else, which the sample
//! says (`MeterSample::phases_apportioned`). With currents the directions are chosen that fit the total best, and kept while they fit, so
//! that the guess does not jump. Pure.

use crate::control::input::PhaseSample;

/// Two choices of directions whose errors differ by less than this, or by less than a tenth of the apparent power, fit equally well, W:
/// whole amperes on three phases hide up to 3 x 0.5 A x 230 V (facts/p1-load-balancer.md 3.3).
const SAME_W: i64 = 345;

/// No current and no voltage of a connection is larger, mA and mV.
const MOST_MA: i64 = 2_000_000;
const MOST_MV: i64 = 1_000_000;
/// A voltage below this carries nothing, mV.
const ABSENT_MV: i64 = 50_000;

/// What is known of a phase beside the total.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Known {
    /// Voltage to neutral, mV.
    pub voltage_mv: Option<i64>,
    /// Magnitude of the current, mA.
    pub current_ma: Option<i64>,
}

/// Apportions totals, one after the other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Apportion {
    /// Which phases export, as chosen last; a bit each.
    exporting: usize,
}

impl Apportion {
    /// Phases for this total, W, import positive. `nominal_mv` stands where no voltage is known.
    pub fn phases(&mut self, total_w: i64, known: &[Known; 3], nominal_mv: i64) -> [PhaseSample; 3] {
        let apparent_va = apparent(known, nominal_mv);
        let power_w = match apparent_va {
            Some(apparent_va) => self.by_current(total_w, apparent_va),
            None => spread(total_w, [0; 3], [1; 3]),
        };
        std::array::from_fn(|f| PhaseSample {
            power_w: power_w[f],
            reactive_var: 0,
            voltage_mv: known[f].voltage_mv,
            current_ma: known[f]
                .current_ma
                .map(|current| if power_w[f] < 0 { -current.saturating_abs() } else { current.saturating_abs() }),
        })
    }

    fn by_current(&mut self, total_w: i64, apparent_va: [i64; 3]) -> [i64; 3] {
        let fits = Fits { total_w, apparent_va };
        let best = fits.best();
        if !fits.as_well(self.exporting, best) {
            self.exporting = best;
        }
        spread(total_w, fits.signed(self.exporting), apparent_va)
    }
}

/// Which of these apportioned phases may take power in: one exports for certain only where no choice of directions in which it does not fits
/// the total as well as the best one.
pub fn may_import(phases: &[PhaseSample; 3], nominal_mv: i64) -> [bool; 3] {
    let known = phases.map(|phase| Known { voltage_mv: phase.voltage_mv, current_ma: phase.current_ma });
    let Some(apparent_va) = apparent(&known, nominal_mv) else { return [true; 3] };
    let total_w = phases.iter().fold(0, |sum: i64, phase| sum.saturating_add(phase.power_w));
    let fits = Fits { total_w, apparent_va };
    let best = fits.best();
    std::array::from_fn(|f| (0..8).any(|exporting| exporting >> f & 1 == 0 && fits.as_well(exporting, best)))
}

/// How well a choice of directions, of which every bit is a phase that exports, fits a total.
struct Fits {
    total_w: i64,
    apparent_va: [i64; 3],
}

impl Fits {
    fn signed(&self, exporting: usize) -> [i64; 3] {
        std::array::from_fn(|f| if exporting >> f & 1 == 1 { -self.apparent_va[f] } else { self.apparent_va[f] })
    }

    fn error(&self, exporting: usize) -> i64 {
        self.total_w.saturating_sub(self.signed(exporting).iter().sum::<i64>()).saturating_abs()
    }

    fn best(&self) -> usize {
        (0..8).min_by_key(|exporting| self.error(*exporting)).unwrap_or_default()
    }

    fn as_well(&self, exporting: usize, best: usize) -> bool {
        let same = SAME_W.max(self.apparent_va.iter().sum::<i64>() / 10);
        self.error(exporting) <= self.error(best).saturating_add(same)
    }
}

/// V x I of each phase, VA; `None` where a current is not known, or none flows.
fn apparent(known: &[Known; 3], nominal_mv: i64) -> Option<[i64; 3]> {
    let mut apparent_va = [0; 3];
    for (apparent, phase) in apparent_va.iter_mut().zip(known) {
        let voltage_mv = phase.voltage_mv.unwrap_or(nominal_mv).clamp(0, MOST_MV);
        let current_ma = phase.current_ma?.saturating_abs().min(MOST_MA);
        *apparent = if voltage_mv < ABSENT_MV { 0 } else { voltage_mv * current_ma / 1_000_000 };
    }
    (apparent_va != [0; 3]).then_some(apparent_va)
}

/// `base`, and what is missing to the total in proportion to `weights`, of which one is not 0. The sum is the total exactly.
fn spread(total_w: i64, base: [i64; 3], weights: [i64; 3]) -> [i64; 3] {
    let rest = i128::from(total_w) - base.iter().map(|w| i128::from(*w)).sum::<i128>();
    let sum = weights.iter().map(|w| i128::from(*w)).sum::<i128>().max(1);
    let mut given = 0;
    let mut seen = 0;
    std::array::from_fn(|f| {
        // Rounded sums, so that the last one brings exactly the rest.
        seen += i128::from(weights[f]);
        let part = rest * seen / sum - given;
        given += part;
        i64::try_from(i128::from(base[f]) + part).unwrap_or(total_w)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::*;

    const NOMINAL: i64 = 230_000;

    fn known(current_ma: [i64; 3]) -> [Known; 3] {
        current_ma.map(|ma| Known { voltage_mv: Some(NOMINAL), current_ma: Some(ma) })
    }

    fn powers(apportion: &mut Apportion, total_w: i64, known: &[Known; 3]) -> [i64; 3] {
        apportion.phases(total_w, known, NOMINAL).map(|phase| phase.power_w)
    }

    #[test]
    fn a_total_alone_is_cut_in_three() {
        assert_eq!(powers(&mut Apportion::default(), 1_000, &[Known::default(); 3]), [333, 333, 334]);
        assert_eq!(powers(&mut Apportion::default(), -1, &[Known::default(); 3]), [0, 0, -1]);
        let one_missing = [Known { current_ma: Some(9_000), ..Known::default() }, Known::default(), Known::default()];
        assert_eq!(powers(&mut Apportion::default(), 900, &one_missing), [300; 3]);
    }

    #[test]
    fn the_directions_are_those_that_fit() {
        // 10 A in on L1, 5 A out on L2, 2 A in on L3.
        let mut apportion = Apportion::default();
        let currents = known([10_000, 5_000, 2_000]);
        assert_eq!(powers(&mut apportion, 1_610, &currents), [2_300, -1_150, 460]);
        let phases = apportion.phases(1_610, &currents, NOMINAL);
        assert_eq!(phases.map(|phase| phase.current_ma), [Some(10_000), Some(-5_000), Some(2_000)]);
        // E.ON Hungary: 3, 4 and 3 A while 2.6 kW are exported, more than their product.
        let exported = powers(&mut Apportion::default(), -2_600, &known([3_000, 4_000, 3_000]));
        assert_eq!(exported, [-780, -1_040, -780]);
        // A power factor of 0.8.
        assert_eq!(powers(&mut Apportion::default(), 1_840, &known([5_000, 0, 5_000])), [920, 0, 920]);
    }

    #[test]
    fn directions_that_fit_as_well_do_not_change_from_sample_to_sample() {
        let mut apportion = Apportion::default();
        let before = powers(&mut apportion, 460, &known([6_000, 8_000, 4_000]));
        assert_eq!(before, [1_380, -1_840, 920]);
        for (total, currents) in [(500, [6_000, 7_000, 3_000]), (300, [6_000, 7_500, 5_000]), (480, [5_600, 8_000, 4_400])] {
            let now = powers(&mut apportion, total, &known(currents));
            assert_eq!(now.map(i64::signum), [1, -1, 1], "{now:?}");
        }
        assert_eq!(powers(&mut apportion, 4_140, &known([6_000, 8_000, 4_000])), [1_380, 1_840, 920], "another house");
    }

    #[test]
    fn a_phase_without_a_voltage_carries_nothing() {
        let mut belgian = known([8_000, 15_880, 6_000]);
        belgian[1].voltage_mv = Some(0);
        assert_eq!(powers(&mut Apportion::default(), 3_220, &belgian), [1_840, 0, 1_380]);
    }

    #[test]
    fn a_phase_exports_for_certain_only_where_nothing_else_fits() {
        let imports = |total_w: i64, currents: [i64; 3]| {
            let phases = Apportion::default().phases(total_w, &known(currents), NOMINAL);
            may_import(&phases, NOMINAL)
        };
        assert_eq!(imports(-6_900, [10_000; 3]), [false; 3]);
        assert_eq!(imports(1_610, [10_000, 5_000, 2_000]), [true, false, true]);
        // 26 A in on L1, and 20 and 6 A out; or the other way round.
        assert_eq!(imports(0, [26_000, 20_000, 6_000]), [true; 3]);
        assert_eq!(imports(-900, [0; 3]), [true; 3], "nothing is known");
    }

    proptest! {
        #[test]
        fn the_sum_is_the_total_whatever_is_known(totals in prop::collection::vec(any::<i64>(), 1..5), values in any::<[(Option<i64>, Option<i64>); 3]>()) {
            let mut apportion = Apportion::default();
            for total_w in totals {
                // A total beyond anything that can be is refused afterwards; until then nothing may overflow.
                let known = values.map(|(voltage_mv, current_ma)| Known { voltage_mv, current_ma });
                let sum: i128 = powers(&mut apportion, total_w, &known).iter().map(|w| i128::from(*w)).sum();
                assert!(sum == i128::from(total_w) || total_w.unsigned_abs() > 1 << 60);
            }
        }
    }
}
