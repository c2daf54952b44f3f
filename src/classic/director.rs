//! A classic law in the place of the control task.
//!
//! Chargers stand under the same load balancer as ours: that of a control task that knows of no battery. Without a controller a charger
//! is left to itself, and permits what it can.

use super::aims::{Group, bounds, groups, shares, together};
use super::law::{Bounds, Kind, Law};
use crate::config::Config;
use crate::control::decision::Order;
use crate::control::input::{BatterySample, BmsSample};
use crate::control::site::{ControlKind, Site};
use crate::daemon::charger::ChargerInstruction;
use crate::daemon::control::ControlTask;
use crate::daemon::director::Director;
use crate::daemon::message::{Event, Instruction};
use crate::daemon::wiring::{COMMAND_VALID, Plan, plan};
use crate::device::library::Library;
use crate::plant::kpi::Mode;
use crate::serve::document::Document;
use crate::simulated_day::Judged;
use crate::units::{Span, Time};

/// A cycle of OpenEMS.
const CYCLE: Span = Span::from_s(1);
/// Their time between two writes; they have no budget beyond it.
const WRITE_SPACING: Span = Span::from_s(1);
const NO_REFILL: Span = Span::from_ms(1);

/// The plan that is fair to them: phases with every reading of the meter, and no budget of writes.
pub fn plan_for(config: &Config, library: &Library) -> Plan {
    let mut plan = plan(config, library);
    for battery in &mut plan.batteries {
        battery.spec.write_spacing = Some(WRITE_SPACING);
        battery.spec.write_refill = Some(NO_REFILL);
    }
    if let Some(meter) = &mut plan.meter {
        meter.spec.phase_poll = meter.spec.poll;
    }
    plan
}

/// A site under a classic law.
pub struct Classic {
    kind: Kind,
    site: Site,
    /// Its load balancer, and nothing else of it, is at work.
    balancer: ControlTask,
    groups: Vec<(Group, Law)>,
    /// The newest deviation that each group has seen, W.
    deviations_w: Vec<Option<i64>>,
    batteries: Vec<Option<BatterySample>>,
    bmses: Vec<Option<BmsSample>>,
    chargers: usize,
    next_cycle: Time,
}

impl Classic {
    /// A law that has seen nothing.
    pub fn new(kind: Kind, config: &Config, plan: &Plan) -> Classic {
        let site = plan.site.clone();
        let groups: Vec<_> = groups(&site).into_iter().map(|group| (group, Law::new(kind))).collect();
        let count = site.batteries.len();
        let alone = Config { batteries: Vec::new(), server: None, schedule: None, ..config.clone() };
        let mut without = plan.clone();
        without.site.batteries.clear();
        Classic {
            kind,
            balancer: ControlTask::new(alone, &without),
            deviations_w: vec![None; groups.len()],
            groups,
            batteries: vec![None; count],
            bmses: vec![None; count],
            chargers: plan.chargers.len(),
            site,
            next_cycle: Time::ZERO,
        }
    }

    fn bounds(&self, group: &Group) -> Vec<Bounds> {
        let one = |k: &usize| bounds(&self.site.batteries[*k], self.batteries[*k].as_ref(), self.bmses[*k].as_ref());
        group.members.iter().map(one).collect()
    }

    fn cycle(&mut self) {
        for n in 0..self.groups.len() {
            let can = together(&self.bounds(&self.groups[n].0));
            let (group, law) = &mut self.groups[n];
            let battery_w = group.members.iter().filter_map(|k| self.batteries[*k]).map(|b| b.power_w).sum();
            if let Some(deviation_w) = self.deviations_w[n] {
                law.cycle(deviation_w, battery_w, can);
            }
        }
    }

    fn order(&self, battery: usize, watts: i64) -> Order {
        let site = &self.site.batteries[battery];
        let rests = self.kind == Kind::Rest;
        match site.control {
            // One that takes limits only balances by itself: no law of theirs reaches it.
            ControlKind::Limits if rests => Order::Limits { charge_w: 0, discharge_w: 0, urgent: false },
            ControlKind::Limits => Order::Limits { charge_w: site.max_charge_w, discharge_w: site.max_discharge_w, urgent: false },
            ControlKind::Setpoint | ControlKind::Hybrid => Order::Setpoint { watts, urgent: false },
        }
    }
}

impl Director for Classic {
    fn take(&mut self, event: Event) -> bool {
        match &event {
            Event::Meter(report) => {
                for n in 0..self.groups.len() {
                    let deviation_w = report.sample.as_ref().and_then(|s| self.groups[n].0.deviation_w(&self.site, s));
                    let can = together(&self.bounds(&self.groups[n].0));
                    if let Some(w) = deviation_w {
                        self.deviations_w[n] = deviation_w;
                        self.groups[n].1.sample(w, can);
                    }
                }
            }
            Event::Battery(k, report) => {
                if let (Some(newest), Some(sample)) = (self.batteries.get_mut(*k), report.sample) {
                    *newest = Some(sample);
                }
            }
            Event::Bms(k, report) => {
                if let (Some(newest), Some(sample)) = (self.bmses.get_mut(*k), report.sample) {
                    *newest = Some(sample);
                }
            }
            _ => {}
        }
        // What concerns batteries it passes by: it knows of none.
        self.balancer.take(event)
    }

    fn step(&mut self, now: Time, wall_s: i64, instruct: &mut dyn FnMut(usize, Instruction)) {
        if now >= self.next_cycle {
            self.next_cycle = now + CYCLE;
            self.cycle();
        }
        for (group, law) in &self.groups {
            for (k, watts) in group.members.iter().zip(shares(law.command_w(), &self.bounds(group))) {
                let order = self.order(*k, watts);
                instruct(
                    *k,
                    Instruction { order, valid_until: now + COMMAND_VALID, only_if_commanded: false, encoding: None, objection: None },
                );
            }
        }
        self.balancer.step(now, wall_s, |_, _| {});
    }

    fn instruct_chargers(&mut self, now: Time, instruct: &mut dyn FnMut(usize, ChargerInstruction)) {
        if self.kind == Kind::Rest {
            let all = ChargerInstruction { limit_ma: RATED_MA, valid_until: now + COMMAND_VALID };
            (0..self.chargers).for_each(|k| instruct(k, all));
        } else {
            self.balancer.instruct_chargers(now, instruct);
        }
    }

    fn wake_at(&self) -> Option<Time> {
        let check = self.balancer.next_check();
        Some(check.map_or(self.next_cycle, |at| at.min(self.next_cycle)))
    }

    fn document(&self, _now: Time) -> Document {
        Document::default()
    }
}

/// More than any wallbox of a house was set up for: what it was set up for decides then, and the car.
const RATED_MA: u32 = 32_000;

impl Judged for Classic {
    fn mode(&self) -> Mode {
        if self.deviations_w.iter().any(Option::is_some) { Mode::Run } else { Mode::Init }
    }
}
