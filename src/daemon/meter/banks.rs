//! Which banks the meter is read from, and what to ask them.

use std::sync::Arc;

use super::MeterTask;
use crate::daemon::clock::Clock;
use crate::daemon::message::Event;
use crate::device::decode::{Registers, value};
use crate::device::plan::{battery_requests, covers, merge, requests};
use crate::device::profile::{Block, Profile};
use crate::device::quantity::Quantity;
use crate::units::{Span, Time};

/// The banks in use and what to ask them.
pub(super) struct Used {
    pub(super) total: Arc<Profile>,
    pub(super) total_unit: u8,
    pub(super) total_requests: Vec<Block>,
    pub(super) phases: Option<(Arc<Profile>, u8, Vec<Block>)>,
    /// The phases come with the total.
    pub(super) together: bool,
    /// The battery whose registers come with the total.
    pub(super) battery: Option<usize>,
}

impl Used {
    /// What came in one answer with a battery's power or state of charge that cannot be is not believed either: in 16 bits with an offset
    /// what means "no value" is a total like others.
    pub(super) fn is_beside_nonsense(&self, registers: &Registers, most_battery_w: i64) -> bool {
        let of_battery = |quantity| value(&self.total, registers, quantity);
        let is_measured = || of_battery(Quantity::Soc).is_some() && of_battery(Quantity::Power).is_some_and(|w| w.abs() <= most_battery_w);
        self.total.meter_behind_battery && !is_measured()
    }
}

/// Phases without which nothing can be controlled are looked for again after this time.
const PHASES_AGAIN: Span = Span::from_s(30);

impl MeterTask {
    /// A bank that seemed dead while the device talked nonsense or refused, as one that starts does, may be there. Where the phases were
    /// not found, it is looked for again once the device measures.
    pub(super) fn search_phases_again(&mut self, now: Time) {
        let Some(used) = self.used.as_ref().filter(|used| used.phases.is_none()) else { return };
        let may_have = self.spec.bank.choice.probing && !self.spec.bank.phases.is_empty();
        let (found, nonsense) = self.found;
        if may_have && (nonsense || !self.spec.balance_sum && now.since(found) >= PHASES_AGAIN) {
            self.endpoint.lock().banks.forget(now);
            self.kept = Some((used.total.clone(), used.battery));
            self.used = None;
        }
    }

    /// Looks for them, one probe at a time. False as long as they are not known.
    pub(super) fn find_banks(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) -> bool {
        let nothing_fits = "no register bank with meter values answers";
        let (total, phases) = match self.spec.bank.choice.search(&self.endpoint, clock, nothing_fits, |banks| self.spec.bank.pick(banks)) {
            Ok(banks) => banks,
            Err(fault) => {
                if fault.is_some() {
                    self.report(None, Default::default(), fault, clock.now(), report);
                }
                return false;
            }
        };
        let kept = self.kept.clone();
        let total = kept.as_ref().map_or(total, |(kept, _)| kept.clone());
        let endpoint = self.endpoint.lock();
        let unit = |p: &Profile| self.spec.bank.choice.unit_of(p);
        // What tells nonsense from values comes along, whoever asks the battery.
        let beside_total = |q: Quantity| total.meter_behind_battery && matches!(q, Quantity::Power | Quantity::Soc);
        let own = requests(&total, |q| q.is_total() || beside_total(q));
        let beside = self.spec.battery.as_ref().and_then(|(k, bank)| {
            let profile = bank.pick(&endpoint.banks)?;
            (profile.name == total.name && bank.choice.unit_of(&profile) == unit(&total)).then_some(*k)
        });
        // The battery's bank is not known before its own probing has ended, which may be a moment after ours.
        if self.spec.battery.as_ref().is_some_and(|(_, bank)| !bank.choice.is_settled(&endpoint.banks)) {
            return false;
        }
        let beside = kept.map_or(beside, |(_, battery)| battery);
        let total_requests = if beside.is_some() { merge(&total, &own, &battery_requests(&total)) } else { own };
        let phases = phases.map(|p| {
            let (unit, requests) = (unit(&p), requests(&p, Quantity::is_read_with_phases));
            (p, unit, requests)
        });
        let same_bank = phases.as_ref().is_some_and(|(p, u, _)| p.name == total.name && *u == unit(&total));
        // Registers that share a block with the total cost nothing more, so they come along every time.
        let total_requests = match &phases {
            Some((_, _, r)) if same_bank => merge(&total, &total_requests, r),
            _ => total_requests,
        };
        let together = same_bank && phases.as_ref().is_some_and(|(_, _, r)| covers(&total_requests, r));
        let from = phases.as_ref().map_or("no phases".into(), |(p, u, _)| format!("phases from {} on unit {u}", p.name));
        log::info!("meter: total from {} on unit {}, {from}", total.name, unit(&total));
        let total_unit = unit(&total);
        drop(endpoint);
        self.kept = None;
        self.found = (clock.now(), false);
        self.used = Some(Used { total, total_unit, total_requests, phases, together, battery: beside });
        true
    }
}
