//! The BMS of a battery in the law: an input of its own, its state of charge before the battery's, and the last word about every power.

use super::{Battery, Core};
use crate::control::alarm::Alarm;
use crate::control::bms::{Bms, Contact, Objection};
use crate::control::capability::Capability;
use crate::control::input::{BatterySample, BmsSample};
use crate::control::ladder::Mode;
use crate::control::site::FallbackKind;
use crate::units::Time;

impl Core {
    /// The BMS of battery `k` has answered. Samples that are not newer than the last one, and such as cannot be, are ignored.
    pub fn bms(&mut self, k: usize, sample: BmsSample) {
        let Some(b) = self.batteries.get_mut(k) else { return };
        let Some(bms) = &mut b.bms else { return };
        let was_lost = bms.is_lost();
        if !bms.take(sample) {
            return;
        }
        let running = matches!(self.ladder.mode(), Mode::Run { .. });
        if was_lost && !bms.is_lost() && running && self.site.fallback == FallbackKind::Release {
            // It was on its own meanwhile: the first command is what it is doing anyway.
            (b.out_w, b.aim_w) = b.sample.map_or((0, 0), |s| (s.power_w, s.power_w));
        }
        if let Some(soc_pm) = b.soc_pm() {
            b.blocks = b.blocks.after(&self.site.batteries[k], soc_pm);
        }
    }

    /// The BMS of battery `k` answers, but shows no sign of life: what it forbids counts at once, and it is as unheard as before.
    pub fn bms_forbids(&mut self, k: usize, standing: &BmsSample) {
        if let Some(bms) = self.batteries.get_mut(k).and_then(|b| b.bms.as_mut()) {
            bms.forbid(standing);
        }
    }

    /// The state of the BMS of battery `k`, where it has one.
    pub fn bms_state(&self, k: usize) -> Option<&Bms> {
        self.batteries.get(k).and_then(|b| b.bms.as_ref())
    }

    /// Lowers what battery `k` may do to what its BMS allows.
    pub(super) fn under_bms(&mut self, k: usize, cap: Capability, now: Time) -> Capability {
        let Some(bms) = &mut self.batteries[k].bms else { return cap };
        bms.pass(now);
        let never = bms.contact() == Contact::Unheard;
        let late = self.started.is_some_and(|t| self.site.batteries[k].bms.is_some_and(|ages| now.since(t) >= ages.lost));
        let cap = bms.limit(cap, now);
        let lost = bms.is_lost() || (never && late);
        self.alarms.set(Alarm::BmsLost(k), lost, now);
        cap
    }

    /// Whether battery `k` has a BMS that is lost.
    pub(super) fn lacks_bms(&self, k: usize) -> bool {
        self.batteries[k].bms.is_some_and(|bms| bms.is_lost())
    }

    /// Whether the last word of the BMS of battery `k` is against this power.
    pub(super) fn is_forbidden(&self, k: usize, w: i64) -> bool {
        self.batteries[k].bms.is_some_and(|bms| {
            let (charge_w, discharge_w) = bms.last_word_w();
            !(-charge_w..=discharge_w).contains(&w)
        })
    }

    /// What there is against leaving battery `k` to its own control: that the last word of its BMS forbids a direction, and that it is not
    /// heard, unless the configuration wants a release just then.
    pub(super) fn objection(&self, k: usize) -> Option<Objection> {
        let bms = self.batteries[k].bms.as_ref()?;
        match bms.newest() {
            Some(word) if !bms.is_lost() || self.site.fallback == FallbackKind::Release => Objection::of(word),
            _ => Some(Objection::Silence),
        }
    }

    /// The limits that battery `k` may be given at most, W: in a fallback, which is not bound by what it could do, its BMS still counts.
    pub(super) fn most_limits(&self, k: usize, fallback_w: (i64, i64), now: Time) -> (i64, i64) {
        let cap = &self.capabilities[k];
        let free = (cap.hard_charge_w.max(fallback_w.0), cap.hard_discharge_w.max(fallback_w.1));
        match &self.batteries[k].bms {
            None => free,
            Some(bms) if bms.is_lost() => {
                let said = bms.last_word_w();
                (fallback_w.0.min(said.0), fallback_w.1.min(said.1))
            }
            Some(bms) => {
                let all = Capability { hard_charge_w: free.0, hard_discharge_w: free.1, ..Capability::default() };
                let left = bms.limit(all, now);
                (left.hard_charge_w, left.hard_discharge_w)
            }
        }
    }
}

impl Battery {
    /// The state of charge that counts, 0.1 %: the BMS knows it better.
    pub(super) fn soc_pm(&self) -> Option<i64> {
        self.bms.and_then(|bms| bms.soc_pm()).or(self.sample.map(|s| s.soc_pm))
    }

    /// The newest sample with the state of charge that counts.
    pub(super) fn counted(&self) -> Option<BatterySample> {
        self.sample.map(|s| BatterySample { soc_pm: self.soc_pm().unwrap_or(s.soc_pm), ..s })
    }
}
