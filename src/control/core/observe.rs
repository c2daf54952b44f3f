//! What a sample of the meter says about the net load, given what the batteries may have done when it was taken.

use super::Core;
use crate::control::allocate::Binding;
use crate::control::estimate::BatteriesThen;
use crate::control::history::{Hull, hull, ms};
use crate::control::input::PhaseSample;
use crate::control::site::Connection;
use crate::units::{Span, Time};

impl Core {
    /// Takes the powers of the phases, which arrived just now, into the estimates.
    pub(super) fn estimate(&mut self, phases: &[PhaseSample; 3], arrived: Time) {
        let window = self.learned.window;
        let (from, to) = (ms(arrived) - ms_of(window.hi), ms(arrived) - ms_of(window.lo));
        for (f, phase) in phases.iter().enumerate() {
            let then = self.batteries_then(f, from, to);
            let saturated = self.plans[f].binding != Binding::Load;
            self.estimates[f].take(phase.power_w, &then, self.targets_w[f], saturated, window, &self.site.tuning);
        }
    }

    fn batteries_then(&self, f: usize, from: i64, to: i64) -> BatteriesThen {
        let mut then = BatteriesThen { hull: Hull { lo: 0, hi: 0 }, middle_w: 0, absolute_w: 0 };
        let members = self.batteries.iter().zip(&self.site.batteries).filter(|(_, s)| s.connection.is_on(f));
        // A battery that is not heard, or not believed, counts as part of the load, and so do the commands it may or may not have got.
        for (b, s) in members.filter(|(b, _)| !b.polled.is_empty() && !b.distrusted) {
            let part = if s.connection == Connection::AllPhases { 3 } else { 1 };
            let h = hull(&b.polled, &b.written, from, to);
            then.hull.lo += h.lo.div_euclid(part);
            then.hull.hi -= (-h.hi).div_euclid(part);
            then.middle_w += b.polled.at((from + to).div_euclid(2)).unwrap_or(0).div_euclid(part);
            then.absolute_w += b.polled.newest().map_or(0, |p| p.1.abs()) / part;
        }
        then
    }
}

fn ms_of(span: Span) -> i64 {
    i64::try_from(span.as_ms()).unwrap_or(i64::MAX)
}
