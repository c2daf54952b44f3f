//! What the core is told: answers of batteries and of the meter, and what became of writes. What cannot be, or comes too late, changes
//! nothing. Decides nothing.

use super::{Battery, Commanded, Core};
use crate::control::alarm::Alarm;
use crate::control::bms::Contact;
use crate::control::frozen::Freshness;
use crate::control::history::ms;
use crate::control::input::{BatterySample, Implausible, MeterSample, Written};
use crate::control::ladder::Mode;
use crate::units::{Span, Time};

/// Batteries that were never heard hold up the others for at most this long.
const WAIT_FOR_BATTERIES: Span = Span::from_s(15);

impl Core {
    /// Battery `k` has answered. Samples that are not newer than the last one, and such as cannot be, are ignored.
    pub fn battery(&mut self, k: usize, sample: BatterySample) {
        let Some(b) = self.batteries.get_mut(k) else { return };
        if !sample.is_plausible(self.site.batteries[k].plausible_w()) || b.sample.is_some_and(|s| s.taken >= sample.taken) {
            return;
        }
        b.polled.push(sample.taken, sample.power_w);
        self.learner.polled(k, ms(sample.taken), sample.power_w);
        b.sample = Some(sample);
        b.blocks = b.blocks.after(&self.site.batteries[k], b.soc_pm().unwrap_or(sample.soc_pm));
        if b.commanded != Commanded::Not {
            b.follow.judge(&b.polled, &b.written, self.learned.batteries[k].response, self.site.batteries[k].cap_age);
        }
    }

    /// Something was written to battery `k`, or may have been.
    pub fn written(&mut self, k: usize, what: Written, at: Time) {
        let Some(b) = self.batteries.get_mut(k) else { return };
        match what {
            Written::Sending(w) => b.written.push(at, w),
            Written::Setpoint(w) => {
                b.written.push(at, w);
                b.writes_failed = 0;
            }
            Written::Unknown(w) => {
                b.written.push(at, w);
                b.writes_failed = b.writes_failed.saturating_add(1);
            }
            Written::Refused | Written::NotAcknowledged => b.writes_failed = b.writes_failed.saturating_add(1),
            Written::Limits => b.writes_failed = 0,
            Written::Released => {
                b.written.clear();
                b.follow.rest();
                b.writes_failed = 0;
            }
        }
    }

    /// The meter has answered. Samples that are not newer than the last one change nothing.
    pub fn meter(&mut self, sample: MeterSample) {
        if self.newest_sample.is_some_and(|t| sample.taken <= t) {
            return;
        }
        self.newest_sample = Some(sample.taken);
        let now = sample.taken;
        let implausible = sample.implausible(self.site.used_phases(), self.site.plausible_phase_w());
        self.alarms.set(Alarm::MeterImplausible(implausible.unwrap_or(Implausible::Nothing)), implausible.is_some(), now);
        if implausible.is_some() {
            self.ladder.bad_sample();
            return;
        }
        let freshness = self.freshness(&sample);
        self.alarms.set(Alarm::MeterFrozen, matches!(freshness, Freshness::Frozen { .. }), now);
        if let Freshness::Frozen { since } = freshness {
            self.ladder.disown_since(since);
            return;
        }
        let complete = sample.phases.is_some() || (self.phases.is_some() && !sample.phases_missing);
        if !complete {
            self.ladder.bad_sample();
            return;
        }
        if let Some(phases) = sample.phases {
            (self.phases, self.phases_taken) = (Some(phases), Some(now));
            if freshness == Freshness::New || !self.estimates[0].seeded {
                self.apportioned = sample.phases_apportioned;
                self.watch_wiring(&phases, now);
                self.estimate(&phases, now);
            }
        }
        let before = self.ladder.mode();
        let ready = self.is_ready(now) && self.estimates.iter().all(|e| e.seeded);
        self.ladder.good_sample(now, ready, &self.site.ladder);
        if matches!(before, Mode::Init | Mode::Fallback) && matches!(self.ladder.mode(), Mode::Run { .. }) {
            self.start_bumpless();
        }
    }

    /// The meter has answered, but nothing that could be used.
    pub fn meter_unusable(&mut self) {
        self.ladder.bad_sample();
    }

    fn freshness(&mut self, sample: &MeterSample) -> Freshness {
        let settle = self.learned.window.hi + self.site.meter_period.times(2);
        let polled = || self.batteries.iter().map(|b| &b.polled);
        let total = self.total_block.judge(sample.total_print, sample.taken, None, settle, polled());
        let Some(print) = sample.phase_print else { return total };
        let lively_for = sample.phase_print_is_lively.then_some(self.site.frozen_after);
        self.phase_block.judge(print, sample.taken, lively_for, settle, polled())
    }

    fn is_ready(&self, now: Time) -> bool {
        let waited = self.started.is_some_and(|t| now.since(t) >= WAIT_FOR_BATTERIES);
        let heard = |b: &Battery| b.sample.is_some() && b.bms.is_none_or(|bms| bms.contact() != Contact::Unheard);
        waited || self.batteries.iter().all(heard)
    }

    /// The first command is what the battery is doing anyway.
    fn start_bumpless(&mut self) {
        for b in &mut self.batteries {
            (b.out_w, b.aim_w) = b.sample.map_or((0, 0), |s| (s.power_w, s.power_w));
        }
    }
}
