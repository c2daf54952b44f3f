//! A run: a site, its troubles, and everything that must hold meanwhile, seen from outside every 100 ms.

use sax_controller::config::{Balance, Fallback, Strategy};
use sax_controller::control::ladder::Mode;
use sax_controller::plant::battery::Control;
use sax_controller::plant::faults::Fault;
use sax_controller::serve::document::Document;
use sax_controller::simulate::Simulation;
use sax_controller::units::Time;

#[path = "limits.rs"]
mod limits;
#[path = "loss.rs"]
mod loss;
#[path = "recovery.rs"]
mod recovery;
#[path = "seen.rs"]
mod seen;

use sax_controller::plant::rng::Rng;

use super::said;
use super::site::{self, Built, DEVICE_MS, Roles};
use super::trouble::{self, Kind, Trouble};

const LOOK_MS: u64 = 100;
/// From the end of a trouble until a battery was told and did it: polls, the write budget, dead time and lag.
const AGAIN_MS: u64 = 20_000;
/// The loss of what is needed ends in zero within this (issue 7); the device's own dead time and lag come on top.
const FALLBACK_MS: u64 = 60_000;

/// What came of a run.
#[derive(Default)]
pub struct Outcome {
    pub findings: Vec<String>,
    pub kinds: Vec<Kind>,
    pub alone: bool,
    /// From the loss until every battery that could be reached was at rest, ms.
    pub fallback_ms: Option<u64>,
    /// From the end of the last trouble until all was well, ms.
    pub recovery_ms: Option<u64>,
    pub digest: u64,
    /// What the controller said, and when, ms.
    pub journal: Vec<(u64, String)>,
}

/// Since when something holds that must not last.
#[derive(Clone, Copy, Default)]
struct Lasting(Option<u64>);

impl Lasting {
    /// How long it has held by now, ms.
    fn note(&mut self, holds: bool, now: u64) -> u64 {
        self.0 = if holds { Some(self.0.unwrap_or(now)) } else { None };
        self.0.map_or(0, |since| now - since)
    }
}

struct Battery {
    touched_at: u64,
    lied_at: u64,
    rated: (i64, i64),
    addresses: Vec<u16>,
    burst: u64,
    refill_ms: u64,
    /// What it was commanded when the meter was lost for long enough that no command may follow any more.
    kept_w: Option<i64>,
    empty: Lasting,
    bms_cut: Lasting,
    beyond_bms: Lasting,
}

pub struct Watch {
    built: Built,
    pub sim: Simulation,
    roles: Roles,
    troubles: Vec<Trouble>,
    active: Vec<(Trouble, u64)>,
    batteries: Vec<Battery>,
    outcome: Outcome,
    meter_cut: Lasting,
    meter_frozen: Lasting,
    charger_cut: Lasting,
    over_fuse: [Lasting; 3],
    both_ways: Lasting,
    meter_touched_at: u64,
    /// Killed or stopped: until it runs again, and a moment, nothing is expected of it.
    away_until: u64,
    awaits_run: bool,
    /// When the meter was cut off last, and how the controller was then.
    last_cut_at: u64,
    mode: Mode,
    /// When which part of their power the batteries have, 0.1 %, as their BMS says it.
    derates: Vec<(u64, u16)>,
    written: usize,
    lines: Vec<(u64, String)>,
}

/// Does run `number`.
pub fn run(number: u64) -> Outcome {
    said::take();
    let mut watch = Watch::new(number);
    watch.storm();
    watch.recover();
    watch.lines();
    watch.outcome.journal = watch.lines;
    watch.outcome
}

/// What the cells bear, from when on, the first one last: everything again within eight minutes.
fn derates(number: u64) -> Vec<(u64, u16)> {
    let mut rng = Rng::new(number, "storm derates");
    let mut all = vec![(480_000, 1000)];
    for n in (0..rng.below(6)).rev() {
        all.push((60_000 + u64::from(n) * 70_000 + u64::from(rng.below(60_000)), [0, 100, 300, 600, 1000][rng.below(5) as usize]));
    }
    all
}

impl Watch {
    fn new(number: u64) -> Watch {
        let built = site::build(number);
        let sim = Simulation::new(&built.config, &built.library, built.params.clone());
        let roles = Roles::of(&built.plan, &built.config, &sim);
        let (troubles, alone) = trouble::plan(number, &roles);
        let battery = |k: usize| {
            let (addresses, burst, refill_ms) = site::budget(&built, k);
            let b = &built.config.batteries[k];
            let rated = (i64::from(b.max_charge_w), i64::from(b.max_discharge_w));
            let (empty, bms_cut, beyond_bms) = Default::default();
            Battery { touched_at: 0, lied_at: 0, rated, addresses, burst, refill_ms, kept_w: None, empty, bms_cut, beyond_bms }
        };
        let batteries = (0..built.config.batteries.len()).map(battery).collect();
        let outcome = Outcome { kinds: troubles.iter().map(|t| t.kind).collect(), alone, digest: 7, ..Outcome::default() };
        Watch {
            built,
            sim,
            roles,
            troubles,
            active: Vec::new(),
            batteries,
            outcome,
            meter_cut: Lasting::default(),
            meter_frozen: Lasting::default(),
            charger_cut: Lasting::default(),
            over_fuse: Default::default(),
            both_ways: Lasting::default(),
            meter_touched_at: 0,
            away_until: 0,
            awaits_run: true,
            last_cut_at: 0,
            mode: Mode::Init,
            derates: derates(number),
            written: 0,
            lines: Vec::new(),
        }
    }

    fn now(&self) -> u64 {
        self.sim.now().as_ms()
    }

    fn document(&self) -> Document {
        self.sim.control().document(self.sim.now())
    }

    fn poll_ms(&self) -> u64 {
        if self.roles.is_p1 { self.built.poll_ms.max(1000) } else { self.built.poll_ms }
    }

    /// What was seen, with everything needed to understand it.
    fn find(&mut self, invariant: &str, what: String) {
        let repeated = self.outcome.findings.iter().any(|f| f.starts_with(invariant));
        if repeated {
            return;
        }
        let troubles: Vec<_> = self.troubles.iter().map(|t| format!("{:?}@{} {}..{}", t.kind, t.host, t.from_ms, t.until_ms)).collect();
        let mode = self.sim.control().decision().mode;
        let last = |k: usize| {
            let site = self.sim.site();
            site.events().rev().filter(|e| e.battery == k).take(2).map(|e| (e.at_ms, e.address, e.value)).collect::<Vec<_>>()
        };
        let written: Vec<_> = (0..self.batteries.len()).map(last).collect();
        self.outcome.findings.push(format!(
            "{invariant}: {what}, at {} ms, {mode:?}, written {written:?}, {} with polls of {} ms, meter at host {}, batteries at {:?}; {}",
            self.now(),
            self.built.kind,
            self.built.poll_ms,
            self.roles.meter,
            self.roles.batteries,
            troubles.join("; ")
        ));
    }

    fn storm(&mut self) {
        let end = self.troubles.iter().map(|t| t.until_ms).max().unwrap_or(0);
        while self.now() < end || !self.active.is_empty() {
            self.begin_and_end();
            self.look();
        }
    }

    fn begin_and_end(&mut self) {
        let now = self.now();
        let before = self.active.len();
        for (t, errors) in std::mem::take(&mut self.active) {
            if t.until_ms > now {
                self.active.push((t, errors));
                continue;
            }
            self.visible(&t, errors);
            match t.kind {
                Kind::Wire(fault) => self.sim.site().faults().clear(t.host, fault),
                Kind::FreezeMeter => self.sim.site().freeze_meter(false),
                _ => {}
            }
        }
        // Another one of a kind that has ended here may last longer.
        for (t, _) in self.active.iter().filter(|_| self.active.len() < before) {
            match t.kind {
                Kind::Wire(fault) => self.sim.site().faults().set(t.host, fault),
                Kind::FreezeMeter => self.sim.site().freeze_meter(true),
                _ => {}
            }
        }
        for t in self.troubles.clone().into_iter().filter(|t| t.from_ms <= now && now < t.from_ms + LOOK_MS) {
            let errors = self.errors(t.host);
            self.begin(&t);
            self.active.push((t, errors));
        }
    }

    fn begin(&mut self, t: &Trouble) {
        let count = self.roles.batteries.len();
        match t.kind {
            Kind::Wire(fault) => self.sim.site().faults().set(t.host, fault),
            Kind::FreezeMeter => self.sim.site().freeze_meter(true),
            Kind::Reboot if t.host < count => self.sim.site().reboot(t.host, t.lasts_ms()),
            Kind::Reboot => self.sim.site().reboot_charger(t.host - count, t.lasts_ms()),
            Kind::Clock(s) => {
                let wall_s = self.sim.site().wall_s();
                self.sim.set_wall_s(wall_s + s);
            }
            Kind::Pause => {
                self.sim.pause_until(Time::from_ms(t.until_ms));
                self.away_until = self.away_until.max(t.until_ms + AGAIN_MS + 3 * self.poll_ms());
            }
            Kind::Restart { forgets } => {
                let learned = self.sim.control().core().learned().clone();
                self.sim.restart(&self.built.config, &self.built.library);
                if !forgets {
                    self.sim.remember(learned);
                }
                self.awaits_run = true;
            }
        }
    }

    /// Batteries with a BMS lose a part of their power and get it back.
    fn derate(&mut self, now: u64) {
        let Some((_, permille)) = self.derates.last().copied().filter(|(at, _)| *at <= now) else { return };
        self.derates.pop();
        for (k, _) in self.roles.bmses.clone() {
            if let Some(battery) = self.sim.site().battery_mut(k) {
                battery.derate(permille);
            }
        }
    }

    fn look(&mut self) {
        let now = self.now() + LOOK_MS;
        self.sim.run_until(Time::from_ms(now));
        self.lines.extend(said::take().into_iter().map(|line| (now, line)));
        self.touch(now);
        self.derate(now);
        self.limits(now);
        self.soc_policy(now);
        self.fuse(now);
        self.one_way(now);
        self.unknown(now);
        self.not_too_soon(now);
        self.fallback(now);
        self.bms_fallback(now);
        self.charger_fallback(now);
        if now % 1000 == 0 {
            self.budget(now);
            self.note_digest();
        }
        if now % 60_000 == 0 {
            self.size();
        }
    }

    /// Who is affected by what at the moment.
    fn touch(&mut self, now: u64) {
        for (t, _) in &self.active {
            let meter_too = t.kind == Kind::FreezeMeter || matches!(t.kind, Kind::Wire(_)) && t.host == self.roles.meter;
            let via = self.through_battery();
            if meter_too || t.kind == Kind::Reboot && via == Some(t.host) {
                self.meter_touched_at = now;
            }
            for (k, battery) in self.batteries.iter_mut().enumerate() {
                let host = self.roles.batteries[k];
                let own = match t.kind {
                    Kind::Wire(_) => t.host == host || self.roles.bmses.contains(&(k, t.host)),
                    Kind::Reboot => t.host == k,
                    _ => false,
                };
                if own {
                    battery.touched_at = now;
                    if t.lies() {
                        battery.lied_at = now;
                    }
                }
            }
        }
        if self.awaits_run && matches!(self.sim.control().decision().mode, Mode::Run { .. }) {
            self.awaits_run = false;
            self.away_until = self.away_until.max(now + AGAIN_MS + 3 * self.poll_ms());
        }
    }

    /// The battery through which the meter is read.
    fn through_battery(&self) -> Option<usize> {
        self.built.plan.meter.as_ref().and_then(|_| self.built.kind.starts_with("SAX").then_some(0))
    }

    /// Nothing has been in the way of this battery for a while.
    fn is_free(&self, k: usize, now: u64) -> bool {
        let touched_at = self.batteries[k].touched_at;
        touched_at == 0 || now > touched_at + AGAIN_MS + 3 * self.poll_ms()
    }

    fn is_away(&self, now: u64) -> bool {
        self.awaits_run || now < self.away_until
    }

    fn commanded_w(&self, k: usize) -> Option<i64> {
        let site = self.sim.site();
        match site.battery(k)?.control(site.now_ms()) {
            Control::Commanded { power_w, .. } => Some(power_w),
            Control::OwnMeter => None,
        }
    }

    fn all_well_since(&self, ms: u64, now: u64) -> bool {
        let quiet = |at: u64| at == 0 || now > at + ms;
        quiet(self.meter_touched_at) && self.batteries.iter().all(|b| quiet(b.touched_at)) && !self.is_away(now) && now > 60_000
    }

    /// 7: what the same number must lead to again.
    fn note_digest(&mut self) {
        let truth = self.sim.site().truth();
        let text = format!("{truth:?}{}", self.lines.len());
        self.outcome.digest = sax_controller::plant::rng::mix(self.outcome.digest ^ sax_controller::plant::rng::fnv1a64(text.as_bytes()));
    }
}
