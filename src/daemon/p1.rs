//! The task of a grid meter that sends telegrams by itself: listens, passes them on, and reports each as a sample.
//!
//! A sample is taken when the end of its telegram arrived. Only a valid telegram with a usable total makes one; everything else is a fault
//! that is counted. It never judges what was measured; the core does.

pub mod source;

use std::net::SocketAddr;
use std::time::Duration;

use self::source::ByteSource;
use super::apportion::{Apportion, Known};
use super::clock::Clock;
use super::comm_log::CommLog;
use super::director::Device;
use super::forward::Forwarder;
use super::message::{Energies, Event, LinkReport, MeterReport};
use crate::config::{Config, MeterSource, TelegramLink};
use crate::control::input::{MeterSample, PhaseSample};
use crate::device::library::Library;
use crate::device::parse as device;
use crate::link::Counters;
use crate::link::fault::Fault;
use crate::p1::{Checksum, Flaw, Found, Reader, Telegram};
use crate::units::{Span, Time};

/// Waiting for bytes ends after this time, so that readers are let in and the thread shows that it lives.
const LISTEN: Duration = Duration::from_millis(200);
/// One turn takes no longer than this, however slowly bytes trickle in …
const TURN: Span = Span::from_s(1);
/// … and takes this many pieces at most; more wait for the next.
const MOST_PIECES: usize = 64;
const PIECE: usize = 4096;
/// One turn reports this many flaws; the others are only counted.
const MOST_FLAWS: usize = 4;
/// From one attempt to bind a port for other readers to the next.
const BIND_AGAIN: Span = Span::from_s(1);
/// So many gaps in a row must be longer than the configuration says, before that is said.
const GAPS: usize = 4;

/// What the configuration says about the meter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct P1Spec {
    /// The name of its profile.
    pub device: String,
    /// Where telegrams come from.
    pub link: TelegramLink,
    /// Where other readers get them.
    pub forward: Option<SocketAddr>,
    /// How often they are expected.
    pub interval: Span,
    /// How their CRC is made.
    pub checksum: Checksum,
    /// The site nets its phases, so that a total will do: see [`super::apportion`].
    pub balance_sum: bool,
    /// Voltage where the telegrams have none, mV.
    pub nominal_mv: i64,
}

impl P1Spec {
    /// What the configuration says, where its meter sends telegrams.
    pub fn of(config: &Config, library: &Library, balance_sum: bool) -> Option<P1Spec> {
        let meter = config.meter.as_ref()?;
        let MeterSource::Telegrams { link, forward } = &meter.source else { return None };
        let checksum = match library.find(&meter.device) {
            Some(device::Device::Telegrams(sender)) => sender.checksum,
            _ => Checksum::default(),
        };
        let (device, link, forward) = (meter.device.clone(), link.clone(), *forward);
        Some(P1Spec { device, link, forward, interval: meter.poll(), checksum, balance_sum, nominal_mv: config.site.voltage_mv.into() })
    }
}

/// A port for other readers that has not been bound yet.
struct Unbound {
    address: SocketAddr,
    /// When it is tried next.
    due: Time,
    /// Since when it fails.
    since: Option<Time>,
}

/// The state of the task.
pub struct P1Task {
    spec: P1Spec,
    source: Box<dyn ByteSource>,
    forwarder: Option<Forwarder>,
    unbound: Option<Unbound>,
    comm_log: Option<CommLog>,
    reader: Reader,
    generation: u64,
    counters: Counters,
    apportion: Apportion,
    /// Without a valid telegram until then, that is a fault.
    patience: Time,
    /// When the newest telegram came, and the gaps between the last ones.
    newest: Option<Time>,
    gaps: [Span; GAPS],
}

impl P1Task {
    /// A task that has not heard anything yet.
    pub fn new(spec: P1Spec, source: Box<dyn ByteSource>, forwarder: Option<Forwarder>) -> P1Task {
        P1Task {
            reader: Reader::new(spec.checksum),
            patience: Time::ZERO + silence(spec.interval),
            spec,
            source,
            forwarder,
            unbound: None,
            comm_log: None,
            generation: 0,
            counters: Counters::default(),
            apportion: Apportion::default(),
            newest: None,
            gaps: [Span::ZERO; GAPS],
        }
    }

    /// As the specification says, over a real link.
    pub fn open(spec: P1Spec, comm_log: Option<CommLog>) -> P1Task {
        let source = source::open(&spec.link, spec.interval.to_duration());
        let unbound = spec.forward.map(|address| Unbound { address, due: Time::ZERO, since: None });
        let mut task = P1Task { comm_log, unbound, ..P1Task::new(spec, source, None) };
        // Nobody hears yet what it reports; it does so again.
        task.let_in(Time::ZERO, &mut |_| {});
        task
    }

    /// Lets readers in. The port that they come to may not be there yet.
    fn let_in(&mut self, now: Time, report: &mut dyn FnMut(Event)) {
        if let Some(forwarder) = &mut self.forwarder {
            forwarder.accept();
        }
        let Some(unbound) = self.unbound.as_mut().filter(|unbound| now >= unbound.due) else { return };
        let alarm = format!("meter: nobody gets telegrams from {}", unbound.address);
        match Forwarder::bind(unbound.address) {
            Ok(forwarder) => {
                if unbound.since.is_some() {
                    log::info!("meter: telegrams are passed on at {}", unbound.address);
                    report(Event::Port(alarm, None));
                }
                (self.forwarder, self.unbound) = (Some(forwarder), None);
            }
            Err(error) => {
                if unbound.since.is_none() {
                    log::warn!("meter: {error}. It is tried again every second.");
                }
                let since = *unbound.since.get_or_insert(now);
                unbound.due = now + BIND_AGAIN;
                report(Event::Port(alarm, Some(since)));
            }
        }
    }

    /// Takes all that is there, and waits a moment for it: the newest telegram, and what went wrong.
    fn listen(&mut self, clock: &dyn Clock, flaws: &mut Vec<Fault>) -> Option<Telegram> {
        let begun = clock.now();
        let mut newest = None;
        let mut piece = [0; PIECE];
        for _ in 0..MOST_PIECES {
            let patience = if newest.is_none() && flaws.is_empty() { LISTEN } else { Duration::ZERO };
            let length = match self.source.read(&mut piece, patience) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) => {
                    self.note(Fault::Io(error.to_string()), flaws);
                    break;
                }
            };
            if self.source.generation() != self.generation {
                self.generation = self.source.generation();
                self.reader.restart();
            }
            self.take(piece.get(..length).unwrap_or_default(), &mut newest, flaws);
            if clock.now().since(begun) >= TURN {
                break;
            }
        }
        newest
    }

    fn take(&mut self, bytes: &[u8], newest: &mut Option<Telegram>, flaws: &mut Vec<Fault>) {
        let (forwarder, counters) = (&mut self.forwarder, &mut self.counters);
        self.reader.feed(bytes, &mut |found| {
            let (raw, complete) = match found {
                Found::Telegram(telegram, raw) => {
                    counters.requests = counters.requests.saturating_add(1);
                    *newest = Some(*telegram);
                    (raw, true)
                }
                Found::Flawed(flaw, raw) => {
                    let complete = !matches!(flaw, Flaw::Cut | Flaw::TooLong);
                    note(fault_of(&flaw, raw.len()), counters, flaws);
                    (raw, complete)
                }
            };
            if let Some(forwarder) = forwarder.as_mut().filter(|_| complete) {
                forwarder.pass_on(raw);
            }
        });
    }

    fn note(&mut self, fault: Fault, flaws: &mut Vec<Fault>) {
        note(fault, &mut self.counters, flaws);
    }

    /// Measures how often telegrams come; the shortest of the last gaps, once there are enough of them.
    fn pace(&mut self, now: Time) -> Option<Span> {
        if let Some(before) = self.newest.replace(now) {
            self.gaps.rotate_left(1);
            self.gaps[GAPS - 1] = now.since(before);
        }
        self.gaps.iter().min().copied().filter(|gap| *gap > Span::ZERO)
    }

    fn sample(&mut self, telegram: &Telegram, taken: Time) -> (Option<MeterSample>, Option<Fault>) {
        let Some(total_w) = telegram.power_w() else {
            return (None, Some(Fault::Invalid("the telegram holds no usable total power".into())));
        };
        let measured = measured(telegram, total_w);
        let phases = measured.or_else(|| self.spec.balance_sum.then(|| self.apportioned(telegram, total_w)));
        let says_time = telegram.time.is_some();
        let sample = MeterSample {
            taken,
            total_w: Some(total_w),
            phases,
            phases_missing: phases.is_none(),
            phases_apportioned: measured.is_none() && phases.is_some(),
            total_print: telegram.digest,
            phase_print: (measured.is_some() || says_time).then_some(telegram.digest),
            phase_print_is_lively: says_time || telegram.phases.iter().any(|phase| phase.voltage_mv.is_some()),
        };
        let fault = phases.is_none().then(|| {
            let text = "the telegrams hold no power per phase; with balance = \"sum\" in [site] their total will do for control";
            Fault::Invalid(text.into())
        });
        (Some(sample), fault)
    }

    fn apportioned(&mut self, telegram: &Telegram, total_w: i64) -> [PhaseSample; 3] {
        let known = telegram.phases.map(|phase| Known { voltage_mv: phase.voltage_mv, current_ma: phase.current_ma });
        self.apportion.phases(total_w, &known, self.spec.nominal_mv)
    }

    fn report(&self, at: Time, sample: Option<MeterSample>, energies: Energies, fault: Option<Fault>) -> Event {
        let link = LinkReport { name: self.source.name().to_owned(), counters: self.counters };
        Event::Meter(MeterReport { at, sample, frequency_mhz: None, energies, device: self.spec.device.clone(), fault, link })
    }
}

impl Device for P1Task {
    type Told = ();

    fn wake_at(&self, now: Time) -> Time {
        self.source.ready_at(now).min(self.patience)
    }

    fn work(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) {
        self.let_in(clock.now(), report);
        let mut flaws = Vec::new();
        let newest = self.listen(clock, &mut flaws);
        let now = clock.now();
        let gone = flaws.iter().any(|fault| matches!(fault, Fault::Io(_)));
        if newest.is_some() || gone {
            self.patience = now + silence(self.spec.interval);
        } else if now >= self.patience {
            self.patience = now + silence(self.spec.interval);
            self.note(Fault::Timeout, &mut flaws);
        }
        if let Some(log) = &self.comm_log {
            flaws.iter().for_each(|fault| log.note(self.source.name(), "telegram=p1", fault));
        }
        flaws.into_iter().for_each(|fault| report(self.report(now, None, Energies::default(), Some(fault))));
        let Some(telegram) = newest else { return };
        let pace = self.pace(now);
        let (sample, fault) = self.sample(&telegram, now);
        let fault = fault.or_else(|| too_slow(pace?, self.spec.interval));
        report(self.report(now, sample, energies(&telegram), fault));
    }
}

/// The counter of all tariffs, or the sum of those that there are.
fn energies(telegram: &Telegram) -> Energies {
    let all = |counters: &[Option<i64>; 5]| {
        let by_tariff = || counters.iter().flatten().copied().reduce(i64::saturating_add);
        counters[0].or_else(by_tariff)
    };
    Energies { import_wh: all(&telegram.energy_in_wh), export_wh: all(&telegram.energy_out_wh) }
}

/// Without a valid telegram for this long something is wrong: one may be lost.
fn silence(interval: Span) -> Span {
    interval.times(2) + Span::from_s(1)
}

/// Telegrams come more rarely than the configuration says: the fail-safe would hold the batteries between any two of them.
fn too_slow(pace: Span, interval: Span) -> Option<Fault> {
    let slow = pace.as_ms() > interval.as_ms().saturating_mul(3) / 2;
    let rounded_ms = pace.as_ms().saturating_add(500) / 1000 * 1000;
    slow.then(|| Fault::Invalid(format!("telegrams come every {pace} and not every {interval}; [meter] poll_ms = {rounded_ms} says so")))
}

fn note(fault: Fault, counters: &mut Counters, flaws: &mut Vec<Fault>) {
    counters.count_fault(&fault);
    if flaws.len() < MOST_FLAWS || matches!(fault, Fault::Io(_)) {
        flaws.push(fault);
    }
}

fn fault_of(flaw: &Flaw, bytes: usize) -> Fault {
    match flaw {
        Flaw::Crc | Flaw::NoCrc => Fault::Crc,
        Flaw::Cut => Fault::Short { bytes },
        Flaw::TooLong | Flaw::Spliced(_) | Flaw::Malformed(_) => Fault::Invalid(flaw.to_string()),
    }
}

/// The phases, where the telegram holds the power of each, or speaks of L1 only: then that is the whole connection.
fn measured(telegram: &Telegram, total_w: i64) -> Option<[PhaseSample; 3]> {
    let mut phases = [PhaseSample { voltage_mv: Some(0), current_ma: Some(0), ..PhaseSample::default() }; 3];
    let single = telegram.is_single_phase();
    for (f, (sample, phase)) in phases.iter_mut().zip(&telegram.phases).enumerate() {
        if single && f > 0 {
            continue;
        }
        let power_w = phase.power_w().or(single.then_some(total_w))?;
        *sample = PhaseSample { power_w, reactive_var: 0, voltage_mv: phase.voltage_mv, current_ma: phase.current_ma };
    }
    Some(phases)
}
