//! The task of the grid meter: the total at every period, the phases more rarely, and at once when the total has moved.
//!
//! Where the meter sits behind a battery whose registers lie beside the total, one request brings both and the battery is not asked again.
//! It never judges what it measured; the core does.

mod banks;

use std::sync::Arc;

use self::banks::Used;
use super::apportion::Apportion;
use super::bank_choice::{BatteryBank, MeterBank};
use super::bank_in_use::{self, link_report};
use super::clock::Clock;
use super::endpoint::SharedEndpoint;
use super::message::{Energies, Event, MeterReport};
use super::reading;
use super::schedule::Schedule;
use crate::control::input::MeterSample;
use crate::device::decode::{Registers, value};
use crate::device::profile::{Block, Profile};
use crate::device::quantity::Quantity;
use crate::link::fault::Fault;
use crate::units::{Span, Time};

/// The phases are read at once when the total has moved by more than this since they were last read, W (`spec/control.md`, head).
const MOVED_W: i64 = 100;
/// … or by more than this in three readings in a row, so that a slow drift is not left alone until the period is over.
const DRIFTED_W: i64 = 30;
const DRIFTED_READINGS: u32 = 3;
/// After such a movement the phases come with every reading for this long: the first samples are taken while the batteries still move, and
/// only when those are older than the latency can be the estimate is exact (`spec/control.md` 2.2: 6 s).
const WATCHED: Span = Span::from_s(8);
/// While an answer is the same as the one before, bit by bit, the phases are read this often: their voltages tell a calm house from a
/// frozen meter.
const DOUBTED: Span = Span::from_s(10);
/// So soon comes the second poll when control is to go on.
const RESUME: Span = Span::from_s(1);

/// What the configuration says about the meter.
#[derive(Clone, PartialEq, Debug)]
pub struct MeterSpec {
    /// The banks it is read from.
    pub bank: MeterBank,
    /// Period of the total.
    pub poll: Span,
    /// First poll.
    pub first_poll: Time,
    /// Period of the phases.
    pub phase_poll: Span,
    /// Tries after a failed poll.
    pub retries: u32,
    /// The phases that have a battery.
    pub used_phases: [bool; 3],
    /// More power than this cannot be on one phase, W.
    pub most_phase_w: i64,
    /// The battery it sits behind and how that is read, where its registers may come along.
    pub battery: Option<(usize, BatteryBank)>,
    /// That battery cannot have more power than this, W.
    pub most_battery_w: i64,
    /// The site nets its phases, so that a total will do: see [`super::apportion`].
    pub balance_sum: bool,
    /// Voltage where the meter gives none, mV.
    pub nominal_mv: i64,
    /// The second poll follows the first after a second: two good samples are waited for, and not more.
    pub resumes: bool,
    /// With this current on a phase, mA, the phases come with every reading: someone watches what becomes of it.
    pub watched_ma: Option<u32>,
}

/// The state of the task.
pub struct MeterTask {
    spec: MeterSpec,
    endpoint: SharedEndpoint,
    schedule: Schedule,
    used: Option<Used>,
    /// The total's bank of the search before, and the battery beside it: those stay.
    kept: Option<(Arc<Profile>, Option<usize>)>,
    /// When the banks in use were found, and whether the device has talked nonsense since.
    found: (Time, bool),
    phases_due: Time,
    /// Total when the phases were last read, W.
    total_then_w: Option<i64>,
    drifted: u32,
    /// The phases come with every reading until then.
    watched_until: Time,
    /// The phases that were read last have as much current that they come with every reading.
    loaded: bool,
    /// When the phases were read last.
    phases_read: Time,
    /// Digests of the newest answers: the total, and the phases.
    prints: (u64, u64),
    /// One of them was the same twice in a row.
    doubted: bool,
    /// The total of this poll, while the phases still have to be asked for.
    pending: Option<Registers>,
    apportion: Apportion,
}

impl MeterTask {
    /// A task that has not asked anything yet.
    pub fn new(spec: MeterSpec, endpoint: SharedEndpoint) -> MeterTask {
        let schedule = Schedule::new(spec.poll, spec.first_poll, spec.retries);
        MeterTask {
            spec,
            endpoint,
            schedule,
            used: None,
            kept: None,
            found: (Time::ZERO, false),
            phases_due: Time::ZERO,
            total_then_w: None,
            drifted: 0,
            watched_until: Time::ZERO,
            loaded: false,
            phases_read: Time::ZERO,
            prints: (0, 0),
            doubted: false,
            pending: None,
            apportion: Apportion::default(),
        }
    }

    /// When there is something to do.
    pub fn wake_at(&self, now: Time) -> Time {
        let Some(used) = &self.used else { return self.spec.bank.choice.probe_at(&self.endpoint) };
        let endpoint = self.endpoint.lock();
        match (&self.pending, &used.phases) {
            (Some(_), Some((profile, unit, _))) => endpoint.ready_to_read_at(*unit, profile.gap, now),
            _ => self.schedule.due().max(endpoint.ready_to_read_at(used.total_unit, used.total.gap, now)),
        }
    }

    /// Does what is due and reports it.
    pub fn work(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) {
        if self.used.is_none() && !self.find_banks(clock, report) {
            return;
        }
        let now = clock.now();
        if now < self.wake_at(now) {
            return;
        }
        match self.pending.take() {
            Some(total) => self.read_phases(total, clock, report),
            None => self.read_total(now, clock, report),
        }
    }

    fn read_total(&mut self, now: Time, clock: &dyn Clock, report: &mut dyn FnMut(Event)) {
        self.schedule.started(now);
        let Some(used) = &self.used else { return };
        let registers = ask(&self.endpoint, used.total_unit, &used.total_requests, used.total.gap, clock);
        let arrived = clock.now();
        if let Some(k) = used.battery {
            let fault = registers.as_ref().err().cloned();
            let values = registers.as_ref().map_or_else(|_| Registers::default(), Clone::clone);
            let link = link_report(&self.endpoint.lock());
            report(Event::Battery(k, bank_in_use::report(&used.total, &values, fault, link, arrived)));
        }
        let registers = match registers {
            Ok(registers) => registers,
            Err(fault) => {
                self.schedule.failed(arrived);
                self.report(None, Default::default(), Some(fault), arrived, report);
                return;
            }
        };
        if used.is_beside_nonsense(&registers, self.spec.most_battery_w) {
            self.found.1 = true;
            let why = Fault::Invalid("power or state of charge of the battery beside it is no usable value".into());
            self.report(None, Default::default(), Some(why), arrived, report);
            return;
        }
        self.search_phases_again(arrived);
        let Some(used) = &self.used else { return };
        if std::mem::take(&mut self.spec.resumes) {
            self.schedule.also(arrived + RESUME);
        }
        if used.together {
            self.finish(&registers, Some(&registers), None, arrived, report);
        } else if used.phases.is_some() && self.wants_phases(&registers, arrived) {
            let ready = self.used.as_ref().and_then(|u| u.phases.as_ref()).map(|(p, u, _)| self.endpoint.lock().ready_at(*u, p.gap));
            if ready.is_some_and(|t| t > arrived) {
                self.pending = Some(registers);
            } else {
                self.read_phases(registers, clock, report);
            }
        } else {
            self.finish(&registers, None, None, arrived, report);
        }
    }

    fn wants_phases(&mut self, registers: &Registers, now: Time) -> bool {
        let total = self.used.as_ref().and_then(|u| value(&u.total, registers, Quantity::GridPower));
        let moved = match (total, self.total_then_w) {
            (Some(total), Some(then)) => (total - then).abs(),
            _ => i64::MAX,
        };
        self.drifted = if moved > DRIFTED_W { self.drifted + 1 } else { 0 };
        if moved > MOVED_W || self.drifted >= DRIFTED_READINGS {
            self.watched_until = now + WATCHED;
        }
        let print = self.used.as_ref().map_or(0, |u| registers.print(&u.total, Quantity::is_total));
        self.doubted |= print == self.prints.0;
        self.prints.0 = print;
        let doubtful = self.doubted && now.since(self.phases_read) >= DOUBTED;
        // Half a period early: a period that is a multiple of the total's must not slip to the next one.
        // Currents without powers tell only how the total of this moment lies on the phases.
        let guessed = self.used.as_ref().is_some_and(|u| u.phases.as_ref().is_some_and(|p| !p.0.has_phases()));
        guessed || self.loaded || now < self.watched_until || doubtful || now + Span::from_ms(self.spec.poll.as_ms() / 2) >= self.phases_due
    }

    fn read_phases(&mut self, total: Registers, clock: &dyn Clock, report: &mut dyn FnMut(Event)) {
        let Some((profile, unit, requests)) = self.used.as_ref().and_then(|u| u.phases.clone()) else { return };
        let answer = ask(&self.endpoint, unit, &requests, profile.gap, clock);
        let arrived = clock.now();
        match answer {
            Ok(phases) => self.finish(&total, Some(&phases), None, arrived, report),
            Err(fault) => self.finish(&total, None, Some(fault), arrived, report),
        }
    }

    /// Makes the sample of this poll. `fault`: the phases were wanted and did not come.
    fn finish(
        &mut self,
        total: &Registers,
        phases: Option<&Registers>,
        fault: Option<Fault>,
        arrived: Time,
        report: &mut dyn FnMut(Event),
    ) {
        let Some(used) = &self.used else { return };
        let phase_profile = used.phases.as_ref().map(|p| &p.0);
        let measured = phases.and_then(|r| reading::phases(phase_profile?, r));
        let sum = measured.map(|p| p.iter().map(|p| p.power_w).sum());
        let total_w = value(&used.total, total, Quantity::GridPower).or(sum);
        let total_will_do = self.spec.balance_sum && fault.is_none() && !phase_profile.is_some_and(|p| p.has_phases());
        let values = measured.or_else(|| {
            let known = phases.zip(phase_profile).map_or_else(Default::default, |(r, p)| reading::known(p, r));
            total_w.filter(|_| total_will_do).map(|total_w| self.apportion.phases(total_w, &known, self.spec.nominal_mv))
        });
        let frequency =
            phases.and_then(|r| value(phase_profile?, r, Quantity::Frequency)).or_else(|| value(&used.total, total, Quantity::Frequency));
        let counter = |q: Quantity| phases.and_then(|r| value(phase_profile?, r, q)).or_else(|| value(&used.total, total, q));
        let energies = Energies { import_wh: counter(Quantity::GridImport), export_wh: counter(Quantity::GridExport) };
        let phase_print = phases.and_then(|r| Some(r.print(phase_profile?, Quantity::is_lively_with_phases)));
        if let Some(print) = phase_print {
            (self.doubted, self.prints.1, self.phases_read) = (print == self.prints.1, print, arrived);
        }
        let unusable = phases.is_some() && values.is_none();
        if let (Some(phases), Some(watched_ma)) = (&values, self.spec.watched_ma) {
            self.loaded = phases.iter().any(|phase| phase.load_ma(self.spec.nominal_mv) >= watched_ma);
        }
        let missing = unusable || fault.is_some() || (used.phases.is_none() && values.is_none());
        let lively = |q: Quantity| matches!(q, Quantity::GridVoltageOf(_) | Quantity::Frequency);
        let sample = total_w.map(|_| MeterSample {
            taken: arrived,
            total_w,
            phases: values,
            phases_missing: missing,
            phases_apportioned: measured.is_none() && values.is_some(),
            total_print: total.print(&used.total, Quantity::is_total),
            phase_print,
            phase_print_is_lively: phase_profile.is_some_and(|p| p.points.iter().any(|p| lively(p.quantity))),
        });
        let fault = fault
            .or_else(|| unusable.then(|| Fault::Invalid("the power of a phase is no usable value".into())))
            .or_else(|| {
                let none = used.phases.is_none() && !total_will_do;
                none.then(|| Fault::Invalid("the meter gives no power per phase".into()))
            })
            .or_else(|| sample.is_none().then(|| Fault::Invalid("the total power is no usable value".into())));
        // Phases that cannot be true are asked for again at the next poll.
        if values.is_some() && sample.is_some_and(|s| s.is_plausible(self.spec.used_phases, self.spec.most_phase_w)) {
            self.phases_due = arrived + self.spec.phase_poll;
            self.total_then_w = total_w;
            self.drifted = 0;
        } else if missing || phases.is_some() {
            self.phases_due = arrived;
        }
        self.report(sample, (frequency, energies), fault, arrived, report);
    }

    fn report(
        &self,
        sample: Option<MeterSample>,
        (frequency_mhz, energies): (Option<i64>, Energies),
        fault: Option<Fault>,
        at: Time,
        report: &mut dyn FnMut(Event),
    ) {
        let link = link_report(&self.endpoint.lock());
        let device = self.used.as_ref().map_or_else(String::new, |u| match &u.phases {
            Some((p, ..)) if p.name != u.total.name => format!("{} + {}", u.total.name, p.name),
            _ => u.total.name.clone(),
        });
        report(Event::Meter(MeterReport { at, sample, frequency_mhz, energies, device, fault, link }));
    }
}

fn ask(endpoint: &SharedEndpoint, unit: u8, requests: &[Block], gap: Span, clock: &dyn Clock) -> Result<Registers, Fault> {
    let mut registers = Registers::default();
    for request in requests {
        let values = endpoint.lock().read(unit, request, gap, clock).map_err(|e| Fault::of(&e))?;
        registers.add(request, values);
    }
    Ok(registers)
}
