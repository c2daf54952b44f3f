//! Which register bank a task reads: fixed by the configuration, or the best of those that answer.

use std::sync::Arc;

use super::banks::{Bank, Banks, probe};
use super::clock::Clock;
use super::endpoint::SharedEndpoint;
use crate::device::profile::Profile;
use crate::link::fault::Fault;
use crate::units::{Span, Time};

/// A probe is given no more time than this: a living bank answers at once, and a dead one must not delay the start.
const PROBE_TIMEOUT: Span = Span::from_ms(700);
/// A device without a usable bank is probed again after this time.
const UNFIT_AGAIN: Span = Span::from_s(30);

/// The banks of a device.
#[derive(Clone, PartialEq, Debug)]
pub struct BankChoice {
    /// All of them, in the order of probing.
    pub candidates: Vec<Arc<Profile>>,
    /// They must be probed; otherwise there is one, and it is taken as given.
    pub probing: bool,
    /// Unit id from the configuration, instead of the profile's.
    pub unit: Option<u8>,
    /// Deadline of ordinary requests.
    pub timeout: Span,
}

impl BankChoice {
    /// The unit id of a bank.
    pub fn unit_of(&self, profile: &Profile) -> u8 {
        self.unit.unwrap_or(profile.unit)
    }

    /// Whether it is known which banks answer.
    pub fn is_settled(&self, banks: &Banks) -> bool {
        !self.probing || banks.next(&self.profiles()).is_none()
    }

    /// The first of `names` that answers and fits.
    pub fn pick(&self, names: &[String], banks: &Banks, fits: impl Fn(&Profile, Option<i64>) -> bool) -> Option<Arc<Profile>> {
        let fit = |p: &&Arc<Profile>| match banks.state(&p.name) {
            _ if !self.probing => true,
            Bank::Alive { context } => fits(p, context.reference_w),
            _ => false,
        };
        names.iter().filter_map(|n| self.candidates.iter().find(|p| p.name == *n)).find(fit).cloned()
    }

    /// When the next probe may be made.
    pub fn probe_at(&self, endpoint: &SharedEndpoint) -> Time {
        let endpoint = endpoint.lock();
        let next = endpoint.banks.next(&self.profiles());
        let ready = next.map_or(Time::ZERO, |p| endpoint.ready_at(self.unit_of(p), p.gap));
        endpoint.banks.not_before().max(ready)
    }

    /// Makes one probe, if one is due. What went wrong is returned only while nothing has answered.
    fn probe(&self, endpoint: &SharedEndpoint, clock: &dyn Clock) -> Option<Fault> {
        let mut endpoint = endpoint.lock();
        let all = self.profiles();
        let profile = endpoint.banks.next(&all)?;
        let ready = endpoint.ready_at(self.unit_of(profile), profile.gap).max(endpoint.banks.not_before());
        if clock.now() < ready {
            return None;
        }
        endpoint.set_timeout(self.timeout.min(PROBE_TIMEOUT).to_duration());
        let fault = probe(&mut endpoint, profile, self.unit_of(profile), &all, clock);
        endpoint.set_timeout(self.timeout.to_duration());
        fault.filter(|_| !all.iter().any(|p| endpoint.banks.is_alive(&p.name)))
    }

    /// One step of the search for the banks to use: `pick` chooses among those that answer. Where everything is known and nothing fits, it
    /// begins anew after a while. `Err`: nothing yet, with what went wrong, if anything did; `nothing_fits` says it in words.
    pub fn search<T>(
        &self,
        endpoint: &SharedEndpoint,
        clock: &dyn Clock,
        nothing_fits: &str,
        pick: impl Fn(&Banks) -> Option<T>,
    ) -> Result<T, Option<Fault>> {
        let settled = self.is_settled(&endpoint.lock().banks);
        let fault = if settled { None } else { self.probe(endpoint, clock) };
        let mut endpoint = endpoint.lock();
        if let Some(found) = pick(&endpoint.banks) {
            return Ok(found);
        }
        if !self.is_settled(&endpoint.banks) {
            return Err(fault);
        }
        endpoint.banks.forget(clock.now() + UNFIT_AGAIN);
        Err(fault.or_else(|| Some(Fault::Invalid(nothing_fits.into()))))
    }

    fn profiles(&self) -> Vec<&Profile> {
        self.candidates.iter().map(Arc::as_ref).collect()
    }
}

/// The bank that a battery is read and written through.
#[derive(Clone, PartialEq, Debug)]
pub struct BatteryBank {
    /// What there is.
    pub choice: BankChoice,
    /// Best first.
    pub prefer: Vec<String>,
}

impl BatteryBank {
    /// The bank to use, once that is known.
    pub fn pick(&self, banks: &Banks) -> Option<Arc<Profile>> {
        let fits = |p: &Profile, reference_w: Option<i64>| match (p.single_unit_reference_w, reference_w) {
            (Some(single_w), Some(w)) => w <= single_w,
            _ => true,
        };
        if self.choice.is_settled(banks) { self.choice.pick(&self.prefer, banks, fits) } else { None }
    }
}

/// The banks that the meter is read from.
#[derive(Clone, PartialEq, Debug)]
pub struct MeterBank {
    /// What there is.
    pub choice: BankChoice,
    /// Where the total is, best first.
    pub total: Vec<String>,
    /// Where the phases are, best first.
    pub phases: Vec<String>,
}

impl MeterBank {
    /// The banks of total and phases, once they are known.
    pub fn pick(&self, banks: &Banks) -> Option<(Arc<Profile>, Option<Arc<Profile>>)> {
        if !self.choice.is_settled(banks) {
            return None;
        }
        let phases = self.choice.pick(&self.phases, banks, |p, _| p.has_phases());
        let total = self.choice.pick(&self.total, banks, |p, _| p.has_total()).or_else(|| phases.clone())?;
        Some((total, phases))
    }
}
