//! What goes wrong on a simulated day, and when (control.md 5.1, "fault overlays"): all of it on every day, at times that follow from a number.
//!
//! Only plans and switches; the faults themselves are in the plant.

use super::course::{Course, Overlay};
use super::{Judged, run};
use crate::config::{Config, MeterSource};
use crate::plant::day::{DAY_S, hm};
use crate::plant::faults::Fault;
use crate::plant::kpi::Kpi;
use crate::plant::rng::Rng;
use crate::simulate::Simulation;

/// Least of the replies that get lost, in a thousand.
pub const LOSS_PERMILLE: u16 = 50;
/// The meter is this late before noon and from noon on, ms.
pub const LATENCIES_MS: (u64, u64) = (500, 3_000);
/// What a site with one device may take while it is dimmed, W (control.md 2, P14a with n = 1). The batteries count as one, and the car,
/// which nothing in the program dims, is not looked at.
pub const DIMMED_W: i64 = 4_200;
/// So much of its ratings a battery is left with, in 0.1 %.
const DERATED_PM: u16 = 500;
/// How long a battery is derated; the specification leaves it open.
const DERATED_S: u32 = 3_600;
/// So long nothing else happens before and after what was drawn, where that can be had.
const APART_S: u32 = 300;
/// So often a time is drawn again.
const DRAWS: u32 = 100;

/// What can go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// The meter is not heard.
    MeterSilent,
    /// Everything that the meter says stays as it is.
    MeterFrozen,
    /// The meter is later than before.
    MeterLate,
    /// This battery is not heard.
    BatterySilent(usize),
    /// The management of this battery lets half of its ratings through.
    Derated(usize),
    /// The grid operator dims the site.
    Dimmed,
}

/// A trouble and its time, in seconds of the simulation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Planned {
    /// What.
    pub trouble: Trouble,
    /// Its first second.
    pub from_s: u32,
    /// The second after its last one.
    pub to_s: u32,
}

/// Everything that goes wrong.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Overlays {
    /// In order of its beginning.
    pub planned: Vec<Planned>,
    /// The battery that the meter is asked through.
    meter_behind: Option<usize>,
    /// More replies are lost than otherwise.
    lossy: bool,
}

impl Overlays {
    /// Those of this number on a site with this configuration, for so many seconds.
    pub fn plan(number: u64, config: &Config, seconds: u32) -> Overlays {
        let meter_behind =
            config.meter.as_ref().and_then(|m| if let MeterSource::Battery { index } = m.source { Some(index) } else { None });
        let mut overlays = Overlays { planned: Vec::new(), meter_behind, lossy: true };
        let mut rng = Rng::new(number, "fault");
        for day in 0..seconds.div_ceil(DAY_S as u32) {
            overlays.day(&mut rng, config, day * DAY_S as u32);
        }
        overlays.planned.retain(|p| p.from_s < seconds);
        overlays.planned.iter_mut().for_each(|p| p.to_s = p.to_s.min(seconds));
        overlays.planned.sort_by_key(|p| (p.from_s, p.to_s));
        overlays
    }

    /// The order of the draws is part of the result.
    fn day(&mut self, rng: &mut Rng, config: &Config, begin_s: u32) {
        let first = self.planned.len();
        for length_s in [20, 20, 20, 300] {
            self.draw(rng, first, begin_s, Trouble::MeterSilent, length_s);
        }
        let count = config.batteries.len();
        // One that the meter does not depend on, where there is one.
        let others: Vec<usize> = (0..count).filter(|k| Some(*k) != self.meter_behind || count == 1).collect();
        if let Some(k) = others.get(rng.below(others.len() as u32) as usize) {
            self.draw(rng, first, begin_s, Trouble::BatterySilent(*k), 600);
        }
        if count > 0 {
            let k = rng.below(count as u32) as usize;
            self.draw(rng, first, begin_s, Trouble::Derated(k), DERATED_S);
        }
        self.draw(rng, first, begin_s, Trouble::MeterFrozen, 60);
        let at = |trouble: Trouble, from: i64, to: i64| Planned { trouble, from_s: begin_s + from as u32, to_s: begin_s + to as u32 };
        self.planned.push(at(Trouble::MeterLate, hm(12, 0), hm(24, 0)));
        if count > 0 {
            self.planned.push(at(Trouble::Dimmed, hm(18, 0), hm(20, 0)));
        }
    }

    /// At a time of the day at which nothing of what was drawn before, from `first` on, happens.
    fn draw(&mut self, rng: &mut Rng, first: usize, begin_s: u32, trouble: Trouble, length_s: u32) {
        let mut from_s = 0;
        for _ in 0..DRAWS {
            from_s = begin_s + rng.below(DAY_S as u32 - length_s);
            let apart = |p: &Planned| from_s + length_s + APART_S <= p.from_s || p.to_s + APART_S <= from_s;
            if self.planned.iter().skip(first).all(apart) {
                break;
            }
        }
        self.planned.push(Planned { trouble, from_s, to_s: from_s + length_s });
    }

    /// Under their names, for a course with these batteries.
    pub fn named(&self, batteries: &[String]) -> Vec<Overlay> {
        let name = |trouble: Trouble| trouble.of(|k| batteries.get(k).map(String::as_str));
        self.planned.iter().map(|p| Overlay { name: name(p.trouble), from_s: p.from_s, to_s: p.to_s }).collect()
    }

    /// Runs a whole simulation from its start, as [`run`] does, with all of this.
    pub fn run<D: Judged>(
        &self,
        simulation: &mut Simulation<D>,
        seconds: u32,
        with: &mut Kpi,
        without: &mut Kpi,
        mut course: Option<&mut Course>,
    ) {
        if self.lossy {
            lose_more(simulation);
            simulation.site().set_meter_latency_ms(LATENCIES_MS.0);
        }
        if let Some(course) = &mut course {
            course.overlays = self.named(&course.batteries);
        }
        let mut now_s = 0;
        while now_s < seconds {
            // What ends now must not end what begins now.
            self.planned.iter().filter(|p| p.to_s == now_s).for_each(|p| self.switch(simulation, p.trouble, false));
            self.planned.iter().filter(|p| p.from_s == now_s).for_each(|p| self.switch(simulation, p.trouble, true));
            if let Some(steps) = with.steps.as_mut().filter(|_| self.lossy) {
                // They are measured against what this latency allows.
                let late = self.planned.iter().any(|p| p.trouble == Trouble::MeterLate && (p.from_s..p.to_s).contains(&now_s));
                steps.set_latency_ms(if late { LATENCIES_MS.1 } else { LATENCIES_MS.0 });
            }
            let changes = self.planned.iter().flat_map(|p| [p.from_s, p.to_s]);
            let next_s = changes.filter(|s| *s > now_s).fold(seconds, u32::min);
            run(simulation, u64::from(next_s - now_s), with, without, course.as_deref_mut());
            now_s = next_s;
        }
    }

    fn switch<D: Judged>(&self, simulation: &mut Simulation<D>, trouble: Trouble, on: bool) {
        let mut site = simulation.site();
        match trouble {
            Trouble::MeterSilent => match self.meter_behind {
                Some(battery) => site.cut_off(battery, on),
                None => site.silence_meter(on),
            },
            Trouble::MeterFrozen => site.freeze_meter(on),
            Trouble::MeterLate => site.set_meter_latency_ms(if on { LATENCIES_MS.1 } else { LATENCIES_MS.0 }),
            Trouble::BatterySilent(k) => site.cut_off(k, on),
            Trouble::Derated(k) => {
                if let Some(battery) = site.battery_mut(k) {
                    battery.derate(if on { DERATED_PM } else { 1000 });
                }
            }
            Trouble::Dimmed => {
                drop(site);
                simulation.director().dim(on.then_some(DIMMED_W));
            }
        }
    }
}

fn lose_more<D: Judged>(simulation: &mut Simulation<D>) {
    let site = simulation.site();
    let faults = site.faults();
    for host in 0..site.hosts() {
        let lost = faults.active(host).iter().find_map(|f| if let Fault::LoseReply { permille } = f { Some(*permille) } else { None });
        faults.set(host, Fault::LoseReply { permille: lost.unwrap_or(0).max(LOSS_PERMILLE) });
    }
}

impl Trouble {
    /// What it is called.
    fn name(self) -> &'static str {
        match self {
            Trouble::MeterSilent => "meter silent",
            Trouble::MeterFrozen => "meter frozen",
            Trouble::MeterLate => "meter 3 s late",
            Trouble::BatterySilent(_) => "battery silent",
            Trouble::Derated(_) => "battery at half power",
            Trouble::Dimmed => "dimmed",
        }
    }

    /// What it is called, with the name of the battery that it concerns.
    pub fn of<'a>(self, battery: impl Fn(usize) -> Option<&'a str>) -> String {
        let concerned = match self {
            Trouble::BatterySilent(k) | Trouble::Derated(k) => battery(k),
            _ => None,
        };
        concerned.map_or(self.name().to_owned(), |battery| format!("{}: {battery}", self.name()))
    }
}
