//! How busy a serial bus would be with what the plan asks there. A pure function, so that `check` can refuse what cannot work.
//!
//! Counts characters and the silences between frames. What a gateway passes on comes on top. How long devices think before they answer
//! nobody knows here: that, lost frames and retries must fit into what is left.

use std::fmt;
use std::time::Duration;

use super::bank_choice::BankChoice;
use super::wiring::Plan;
use crate::device::plan::{battery_requests, bms_requests, charger_requests, merge, requests};
use crate::device::profile::{Block, Profile};
use crate::device::quantity::Quantity;
use crate::link::line::Pace;
use crate::link::place::Place;
use crate::units::Span;

/// A bus that is busier than this has no room for answers that take their time, 0.1 %.
pub const BUSIEST_PM: u64 = 800;
/// A BMS that wants a heartbeat gets one a second.
const HEARTBEAT: Span = Span::from_s(1);
/// A charger gets a new limit no more often than the load balancer checks.
const LIMIT: Span = crate::balancer::CHECK;

/// What one serial bus carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BusLoad {
    /// Its index in [`Plan::endpoints`].
    pub endpoint: usize,
    /// Its port.
    pub port: String,
    /// How much of the time characters go over it, 0.1 %; above 1000 it cannot be.
    pub busy_pm: u64,
    /// The longest request with its reply.
    pub longest: Duration,
    /// The time there is for it.
    pub timeout: Span,
}

/// Why a bus cannot carry what the plan asks there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Overload {
    /// Too much for its speed.
    Busy(BusLoad),
    /// One request takes longer than its deadline.
    Slow(BusLoad),
}

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Overload::Busy(load) => write!(
                f,
                "The serial bus {} would be busy for {} of the time, and devices need time to answer: it must not be more than {} %. Poll less \
                 often (poll_ms, phase_poll_ms), use a higher baud, or a port of its own for some of the devices.",
                load.port,
                percent(load.busy_pm),
                BUSIEST_PM / 10
            ),
            Overload::Slow(load) => write!(
                f,
                "On the serial bus {} the longest request and its reply take {} ms, and timeout_ms leaves {} ms. Use a higher baud or a longer \
                 timeout_ms.",
                load.port,
                load.longest.as_millis(),
                load.timeout.as_ms()
            ),
        }
    }
}

/// A share in 0.1 % for people.
pub fn percent(pm: u64) -> String {
    format!("{}.{} %", pm / 10, pm % 10)
}

/// The load of every serial bus of the plan.
pub fn bus_loads(plan: &Plan) -> Vec<BusLoad> {
    let load = |(endpoint, e): (usize, &super::wiring::EndpointPlan)| {
        let Place::Rtu(serial) = &e.place else { return None };
        let mut sum = Sum { pace: Pace::of(serial), busy_pm: 0, longest: Duration::ZERO };
        ask(plan, endpoint, &mut sum);
        Some(BusLoad { endpoint, port: serial.port.clone(), busy_pm: sum.busy_pm, longest: sum.longest, timeout: e.timeout })
    };
    plan.endpoints.iter().enumerate().filter_map(load).collect()
}

/// The first bus that cannot carry what the plan asks there.
pub fn overload(plan: &Plan) -> Option<Overload> {
    bus_loads(plan).into_iter().find_map(|load| {
        if load.longest >= load.timeout.to_duration() {
            Some(Overload::Slow(load))
        } else if load.busy_pm > BUSIEST_PM {
            Some(Overload::Busy(load))
        } else {
            None
        }
    })
}

/// What was counted so far.
struct Sum {
    pace: Pace,
    busy_pm: u64,
    longest: Duration,
}

impl Sum {
    /// A read of each of these, every `period`.
    fn reads(&mut self, blocks: &[Block], period: Span) {
        // Request: unit, function, address, count, CRC. Reply: unit, function, byte count, registers, CRC.
        blocks.iter().for_each(|block| self.exchange(8, 5 + 2 * usize::from(block.count), period));
    }

    fn exchange(&mut self, request: usize, reply: usize, period: Span) {
        let time = self.pace.of_bytes(request + reply) + 2 * self.pace.silence;
        self.longest = self.longest.max(time);
        let period_us = u64::max(period.as_ms(), 1).saturating_mul(1000);
        let time_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.busy_pm = self.busy_pm.saturating_add(time_us.saturating_mul(1000).div_ceil(period_us));
    }
}

/// Everything that is asked and written there: of several banks the one that takes longest.
fn ask(plan: &Plan, endpoint: usize, sum: &mut Sum) {
    if let Some(meter) = plan.meter.as_ref().filter(|m| m.endpoint == endpoint) {
        let m = &meter.spec;
        let total = |bank: &Profile| {
            let along = m.battery.as_ref().filter(|(_, b)| b.choice.candidates.iter().any(|c| c.name == bank.name));
            let battery = along.map(|_| battery_requests(bank)).unwrap_or_default();
            merge(bank, &requests(bank, Quantity::is_total), &battery)
        };
        sum.reads(&longest(&m.bank.choice, &m.bank.total, total), m.poll);
        sum.reads(&longest(&m.bank.choice, &m.bank.phases, |bank| requests(bank, Quantity::is_read_with_phases)), m.phase_poll);
    }
    for b in plan.batteries.iter().filter(|b| b.endpoint == endpoint).map(|b| &b.spec) {
        let with_meter = plan.meter.as_ref().and_then(|m| m.spec.battery.as_ref()).is_some_and(|(index, _)| *index == b.index);
        if !with_meter {
            sum.reads(&longest(&b.bank.choice, &b.bank.prefer, battery_requests), b.poll);
        }
        let spacing = |bank: &&Profile| b.write_refill.unwrap_or(bank.budget.refill);
        if let Some(refill) = banks(&b.bank.choice, &b.bank.prefer).map(|bank| spacing(&bank)).min() {
            // A write and its echo, as often as the budget allows in the long run.
            sum.exchange(8, 8, refill);
        }
    }
    for b in plan.bmses.iter().filter(|b| b.endpoint == endpoint).map(|b| &b.spec) {
        sum.reads(&bms_requests(&b.profile), b.poll);
        if b.heartbeat && b.profile.bms.as_ref().is_some_and(|bms| bms.heartbeat_at.is_some()) {
            sum.exchange(11, 8, HEARTBEAT);
        }
    }
    for c in plan.chargers.iter().filter(|c| c.endpoint == endpoint).map(|c| &c.spec) {
        sum.reads(&charger_requests(&c.profile), c.poll);
        if let Some(parts) = &c.profile.charger {
            // Unit, function, address, count, byte count, registers, CRC; function 6 has no counts.
            let request = if parts.limit.function == 6 { 8 } else { 9 + 2 * usize::from(parts.limit.kind.words()) };
            sum.exchange(request, 8, LIMIT);
        }
    }
}

fn longest(choice: &BankChoice, names: &[String], asked: impl Fn(&Profile) -> Vec<Block>) -> Vec<Block> {
    let characters = |blocks: &Vec<Block>| blocks.iter().map(|block| 13 + 2 * usize::from(block.count)).sum::<usize>();
    banks(choice, names).map(asked).max_by_key(characters).unwrap_or_default()
}

fn banks<'p>(choice: &'p BankChoice, names: &'p [String]) -> impl Iterator<Item = &'p Profile> {
    names.iter().filter_map(|n| choice.candidates.iter().find(|p| p.name == *n).map(AsRef::as_ref))
}
