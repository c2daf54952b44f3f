//! What the load balancer is told of the meter: the largest phase current, and what of it is left once the batteries do what they were told.
//! Out of the core's newest decision; decides nothing.

use crate::balancer::Measured;
use crate::control::core::Core;
use crate::control::input::PhaseSample;
use crate::daemon::apportion::may_import;

/// The largest current of the first `phases` phases; `None` where no valid one was measured yet.
pub(super) fn measured(core: &Core, phases: u8) -> Option<Measured> {
    // A meter that stood still was believed too long: then what it confirmed is older than what it said.
    let (taken, confirmed) = (core.phases_taken()?, core.last_good()?);
    let samples = core.phases()?;
    let nominal_mv = core.site().voltage_mv;
    // A direction that is only guessed makes no load disappear.
    let guessed_imports = if core.phases_are_apportioned() { may_import(samples, nominal_mv) } else { [false; 3] };
    let (mut largest_ma, mut expected_ma) = (0, 0);
    for (f, sample) in samples.iter().enumerate().take(phases.into()) {
        if core.phases_are_apportioned() && sample.current_ma.is_none() {
            return None;
        }
        let sample = PhaseSample { power_w: if guessed_imports[f] { sample.power_w.saturating_abs() } else { sample.power_w }, ..*sample };
        let load_ma = sample.load_ma(nominal_mv);
        let relief = PhaseSample { power_w: core.relief_w(f).max(0), ..sample };
        let relief_ma = u32::try_from(relief.current_by_power_ma(nominal_mv)).unwrap_or(u32::MAX);
        largest_ma = load_ma.max(largest_ma);
        expected_ma = load_ma.saturating_sub(relief_ma).max(expected_ma);
    }
    let bearable = i64::from(largest_ma) <= core.site().fuse_ma;
    Some(Measured { taken, confirmed, largest_ma, expected_ma, bearable })
}
