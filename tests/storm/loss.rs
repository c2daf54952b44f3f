//! 2 and 3: what is lost leads to zero in time, and nothing new is commanded from what is not known.

use super::*;

impl Watch {
    /// 3: nothing is written before all was seen, and no new command follows from what is not known.
    pub(super) fn unknown(&mut self, now: u64) {
        let written = self.sim.site().events().count();
        if written > self.written && matches!(self.sim.control().decision().mode, Mode::Init) {
            self.find("3 unseen", "something was written before everything was seen".into());
        }
        self.written = written;
        let (cuts, absurd) = self.meter_is_gone();
        let lasts_ms = self.meter_cut.note(cuts || absurd, now);
        let settles_ms = 2 * self.poll_ms() + 4000;
        for k in 0..self.batteries.len() {
            let watched =
                lasts_ms > settles_ms && self.is_free(k, now) && !self.is_away(now) && self.built.config.batteries[k].bms.is_none();
            let Some(commanded_w) = self.commanded_w(k).filter(|_| watched) else {
                self.batteries[k].kept_w = None;
                continue;
            };
            let kept_w = *self.batteries[k].kept_w.get_or_insert(commanded_w);
            if commanded_w.abs() > kept_w.abs() + 50 {
                self.find("3 unknown", format!("battery {k} was told {commanded_w} W after {kept_w} W, {lasts_ms} ms after the loss"));
            }
        }
    }

    /// Whether nothing comes from the meter, or nothing that can be believed.
    pub(super) fn meter_is_gone(&self) -> (bool, bool) {
        let here = |t: &Trouble| t.host == self.roles.meter;
        let via = self.through_battery();
        let cuts = |t: &Trouble| match t.kind {
            Kind::Reboot => via == Some(t.host),
            _ => here(t) && t.cuts_off(&self.roles),
        };
        let now = self.now();
        let running = || self.active.iter().map(|(t, _)| t).filter(|t| t.until_ms > now);
        (running().any(cuts), running().any(|t| here(t) && t.is_absurd(&self.roles)))
    }

    /// 2: zero within a minute of the loss of the meter, measured at the batteries.
    pub(super) fn fallback(&mut self, now: u64) {
        let frozen = self.outcome.alone
            && self.active.iter().any(|(t, _)| match t.kind {
                Kind::FreezeMeter => true,
                Kind::Wire(Fault::FrozenMeter | Fault::FrozenRegisters) => t.host == self.roles.meter && !self.roles.is_p1,
                _ => false,
            });
        let frozen_ms = self.meter_frozen.note(frozen, now);
        // The first answer of a meter that stands still shows nothing: what it says may be new.
        let lost_ms = self.meter_cut.0.map_or(0, |since| now - since).max(frozen_ms.saturating_sub(self.poll_ms()));
        if lost_ms == 0 || self.is_away(now) {
            return;
        }
        let free: Vec<usize> = (0..self.batteries.len()).filter(|k| self.is_free(*k, now)).collect();
        let at_work: Vec<usize> = free.iter().copied().filter(|k| !self.rests(*k)).collect();
        if !free.is_empty() && at_work.is_empty() && self.outcome.alone && lost_ms > 5000 {
            self.outcome.fallback_ms.get_or_insert(lost_ms);
        }
        if lost_ms > FALLBACK_MS + DEVICE_MS {
            for k in at_work {
                let w = self.sim.site().battery_w(k);
                self.find(
                    "2 fallback",
                    format!("battery {k} at {w} W, told {:?}, {lost_ms} ms after the meter was lost", self.commanded_w(k)),
                );
            }
        }
    }

    /// It does nothing, or what it does by itself after it was handed back.
    pub(super) fn rests(&self, k: usize) -> bool {
        let most_w = (self.batteries[k].rated.1 / 100).max(20);
        let released = self.built.config.control.fallback == Fallback::Release && self.commanded_w(k).is_none_or(|w| w == 0);
        released || self.sim.site().battery_w(k).abs() <= most_w
    }

    /// 2: zero within a minute of the loss of the BMS.
    pub(super) fn bms_fallback(&mut self, now: u64) {
        for (k, host) in self.roles.bmses.clone() {
            let cut = self.active.iter().any(|(t, _)| {
                let gone = t.cuts_off(&self.roles) || t.kind == Kind::Wire(Fault::NotANumber);
                matches!(t.kind, Kind::Wire(_)) && t.host == host && gone && t.until_ms > now
            });
            let lasts_ms = self.batteries[k].bms_cut.note(cut, now);
            // Where both are at one host nothing can be told to the battery either.
            if lasts_ms <= FALLBACK_MS + DEVICE_MS || self.is_away(now) || host == self.roles.batteries[k] {
                continue;
            }
            let also = |t: &Trouble| t.host == self.roles.batteries[k] && matches!(t.kind, Kind::Wire(_)) || t.kind == Kind::Reboot;
            if self.active.iter().all(|(t, _)| !also(t)) && !self.rests(k) {
                let w = self.sim.site().battery_w(k);
                self.find("2 BMS", format!("battery {k} at {w} W {lasts_ms} ms after its BMS was lost"));
            }
        }
    }

    /// 2: a charger falls to its fallback by itself when nobody asks it any more.
    pub(super) fn charger_fallback(&mut self, now: u64) {
        let Some(&host) = self.roles.chargers.first() else { return };
        use Fault::{Close, Exception, Refuse, Reset, Silent, Stolen};
        let cut = |t: &Trouble| {
            matches!(t.kind, Kind::Wire(Silent | Refuse | Reset | Close | Stolen | Exception(_))) && t.host == host && t.until_ms > now
        };
        let cut = self.active.iter().any(|(t, _)| cut(t)) && self.active.iter().all(|(t, _)| t.kind != Kind::Reboot);
        let lasts_ms = self.charger_cut.note(cut, now);
        let in_force_ma = self.sim.site().charger(0).map_or(0, |c| c.in_force_ma());
        if lasts_ms > FALLBACK_MS + 1000 && in_force_ma > 6000 && !self.is_away(now) && self.charger_cut.0.is_some_and(|at| at > 60_000) {
            self.find("2 charger", format!("{in_force_ma} mA {lasts_ms} ms after it was asked last"));
        }
    }

    /// 4: after a fallback several good samples come first (control.md 2.6: five).
    pub(super) fn not_too_soon(&mut self, now: u64) {
        let (cuts, absurd) = self.meter_is_gone();
        let sample_ms = if self.roles.is_p1 { 1000 } else { self.built.poll_ms };
        // Good samples count on over a gap of three polls.
        if (cuts || absurd) && self.meter_cut.0.is_some_and(|since| now - since > 3 * sample_ms + 3000) {
            self.last_cut_at = now;
        }
        let mode = self.sim.control().decision().mode;
        let back = self.mode == Mode::Fallback && matches!(mode, Mode::Run { .. });
        let since_ms = now - self.last_cut_at;
        if back && self.last_cut_at > 0 && since_ms < 3 * sample_ms {
            self.find("4 too soon", format!("it runs {since_ms} ms after the meter was lost"));
        }
        self.mode = mode;
    }
}
