//! Which batteries can be counted on: do they follow, and do sign and phase of what they do agree with the meter?

use super::steps::coarse_w;
use super::{Battery, Core};
use crate::control::alarm::Alarm;
use crate::control::capability::Trust;
use crate::control::guard::Guard;
use crate::control::history::ms;
use crate::control::input::PhaseSample;
use crate::control::ladder::Mode;
use crate::control::site::BatterySite;
use crate::units::{Phase, Span, Time};

/// This close to full or empty a battery may well do less than it is told, 0.1 %.
const TAPER_PM: i64 = 100;
/// What a battery takes to bring its phase to its target, beside the latency of the meter.
const SETTLES: Span = Span::from_s(10);

impl Core {
    /// How far each battery is counted on.
    pub fn trust(&self) -> &[Trust] {
        &self.trust
    }

    /// From now on signs and phases are believed, as the reference of the law does.
    pub fn believe_wiring(&mut self) {
        self.guard.believe_everything();
    }

    /// What is known about signs and phases.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Looks at every battery at the beginning of a step.
    pub(super) fn watch_trust(&mut self, now: Time) {
        self.guard.pass(now, self.learned.window.hi);
        for (k, b) in self.batteries.iter_mut().enumerate() {
            let mirrors = b.follow.mirrors(now);
            self.trust[k] = match self.guard.trust(k) {
                _ if b.follow.is_distrusted(now) => Trust::Distrusted,
                Trust::Full => b.follow.trust(),
                doubted => doubted,
            };
            b.distrusted = self.trust[k] == Trust::Distrusted;
            if let Some(response) = b.follow.response() {
                self.learned.batteries[k].response = Some(response);
            }
            self.alarms.set(Alarm::NotFollowed(k), !mirrors && refuses(b, &self.site.batteries[k]), now);
            let (phase, reversed) = self.guard.mistakes(k);
            self.alarms.set(Alarm::SignWrong(k), reversed || mirrors, now);
            for p in Phase::ALL {
                self.alarms.set(Alarm::PhaseWrong(k, p), phase == Some(p.index()), now);
            }
        }
    }

    /// The phases of the meter arrived just now: do they agree with what the batteries did?
    pub(super) fn watch_wiring(&mut self, phases: &[PhaseSample; 3], arrived: Time) {
        // Phases that are parts of the sum say nothing about wires.
        if self.only_sum_is_known() || !matches!(self.ladder.mode(), Mode::Run { .. }) {
            // What batteries do by themselves, or on the way to the fallback, happens too fast or too rarely to tell.
            self.guard.pause(arrived);
            return;
        }
        let overloaded = phases.iter().any(|p| self.overloaded(p));
        if overloaded && !self.was_overloaded {
            self.guard.interrupt(arrived);
        }
        self.was_overloaded = overloaded;
        let batteries = &self.batteries;
        let passed_ms = self.since_estimate_ms(arrived);
        // A step takes the latency, and some polls until its samples are exact.
        let usual_ms = (self.site.meter_period.times(12).max(SETTLES) + self.learned.window.hi).signed_ms();
        let of_phases: [i64; 3] = std::array::from_fn(|f| phases[f].power_w - self.targets_w[f]);
        let errors_w = [of_phases[0], of_phases[1], of_phases[2], of_phases.iter().sum()];
        // What a battery cannot be told exactly is no sign of a mistake.
        let coarse_w = coarse_w(&self.site);
        let errors_w = errors_w.map(|w: i64| w.signum() * (w.abs() - coarse_w).max(0));
        self.guard.note_errors(errors_w, passed_ms, usual_ms);
        self.guard.sample(ms(arrived), phases.map(|p| p.power_w), self.learned.window, arrived, |k| &batteries[k].polled);
    }
}

/// It does less than it is told, and not because it is almost full or empty.
fn refuses(b: &Battery, site: &BatterySite) -> bool {
    let (charge, discharge) = b.follow.falls_short();
    let soc_pm = b.soc_pm().unwrap_or(500);
    let (almost_full, almost_empty) = (soc_pm >= site.max_soc_pm - TAPER_PM, soc_pm <= site.min_soc_pm + TAPER_PM);
    charge && !almost_full || discharge && !almost_empty
}
