//! A run: a site, its troubles, and everything that must hold meanwhile, seen from outside every 100 ms.

use sax_controller::config::{Balance, Fallback, Strategy};
use sax_controller::control::ladder::Mode;
use sax_controller::plant::battery::Control;
use sax_controller::plant::faults::Fault;
use sax_controller::serve::document::Document;
use sax_controller::simulate::Simulation;
use sax_controller::units::Time;

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
    budget: u64,
    /// What it was commanded when the meter was lost for long enough that no command may follow any more.
    kept_w: Option<i64>,
    empty: Lasting,
    bms_cut: Lasting,
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
    watch.outcome
}

impl Watch {
    fn new(number: u64) -> Watch {
        let built = site::build(number);
        let sim = Simulation::new(&built.config, &built.library, built.params.clone());
        let roles = Roles::of(&built.plan, &built.config, &sim);
        let (troubles, alone) = trouble::plan(number, &roles);
        let battery = |k: usize| {
            let (addresses, budget) = site::budget(&built, k);
            let b = &built.config.batteries[k];
            let rated = (i64::from(b.max_charge_w), i64::from(b.max_discharge_w));
            let (empty, bms_cut) = Default::default();
            Battery { touched_at: 0, lied_at: 0, rated, addresses, budget, kept_w: None, empty, bms_cut }
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
        self.outcome.findings.push(format!(
            "{invariant}: {what}, at {} ms, {mode:?}, {} with polls of {} ms, meter at host {}, batteries at {:?}; {}",
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
        for (t, errors) in std::mem::take(&mut self.active) {
            if t.until_ms > now {
                self.active.push((t, errors));
                continue;
            }
            self.visible(&t, errors);
            let same = |o: &(Trouble, u64)| o.0.host == t.host && std::mem::discriminant(&o.0.kind) == std::mem::discriminant(&t.kind);
            match t.kind {
                Kind::Wire(fault) => {
                    let faults = self.sim.site().faults();
                    faults.clear(t.host, fault);
                    // Another one of the same kind may last longer.
                    for (other, _) in self.active.iter().filter(|o| same(o)) {
                        if let Kind::Wire(fault) = other.kind {
                            faults.set(t.host, fault);
                        }
                    }
                }
                Kind::FreezeMeter => self.sim.site().freeze_meter(false),
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

    /// All errors that the status counts at this host.
    fn errors(&self, host: usize) -> u64 {
        let end = format!(":{host}");
        let document = self.document();
        let of_host = document.errors.iter().filter(|(name, _)| name.ends_with(&end));
        of_host.map(|(_, e)| e.timeout + e.crc + e.short + e.wrong_unit + e.exception + e.invalid + e.io).sum()
    }

    fn look(&mut self) {
        let now = self.now() + LOOK_MS;
        self.sim.run_until(Time::from_ms(now));
        self.lines.extend(said::take().into_iter().map(|line| (now, line)));
        self.touch(now);
        self.limits(now);
        self.soc_policy(now);
        self.fuse(now);
        self.one_way(now);
        self.unknown(now);
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

    /// 1: nothing above a rating, and nothing above what the BMS and its configuration allow.
    fn limits(&mut self, _now: u64) {
        for k in 0..self.batteries.len() {
            let (charge_w, discharge_w) = self.batteries[k].rated;
            let delivered_w = self.sim.site().battery_w(k);
            let commanded_w = self.commanded_w(k).unwrap_or(0);
            for (what, w) in [("delivers", delivered_w), ("was told", commanded_w)] {
                if w < -charge_w - 1 || w > discharge_w + 1 {
                    self.find("1 rating", format!("battery {k} {what} {w} W"));
                }
            }
            let Some(bms) = self.built.config.batteries[k].bms.as_ref() else { continue };
            let cell_mv = 3200 + i64::from(self.sim.site().battery(k).map_or(0, |b| b.soc_pm())) / 5;
            let most = |ma: Option<i32>| ma.map_or(i64::MAX, |ma| i64::from(ma) * cell_mv * 96 / 1_000_000 * 102 / 100);
            let (most_charge_w, most_discharge_w) = (most(bms.max_charge_ma), most(bms.max_discharge_ma));
            if commanded_w < -most_charge_w || commanded_w > most_discharge_w {
                self.find("1 BMS", format!("battery {k} was told {commanded_w} W, {most_charge_w} and {most_discharge_w} W are allowed"));
            }
        }
    }

    /// 1: nothing is taken from a battery below its minimum.
    fn soc_policy(&mut self, now: u64) {
        for k in 0..self.batteries.len() {
            let min_pm = u16::try_from(self.built.plan.site.batteries[k].min_soc_pm).unwrap_or(0);
            let (soc_pm, w) = self.sim.site().battery(k).map_or((0, 0), |b| (b.soc_pm(), b.power_mw() / 1000));
            let free = self.is_free(k, now) && now > self.batteries[k].lied_at + 60_000 && !self.is_away(now);
            let commanded = self.commanded_w(k).is_some_and(|w| w > 60);
            let taken = commanded && soc_pm + 20 < min_pm && w > self.batteries[k].rated.1 / 50;
            let holds = taken && free && !self.is_fuse_at_stake();
            let lasts_ms = self.batteries[k].empty.note(holds, now);
            if lasts_ms > 30_000 {
                self.find("1 SoC", format!("battery {k} at {soc_pm} per mille gives {w} W"));
            }
        }
    }

    fn is_fuse_at_stake(&self) -> bool {
        let fuse_w = i64::from(self.built.config.site.fuse_ma) * 230 / 1000;
        self.sim.site().grid_w().iter().any(|w| w.abs() > fuse_w * 8 / 10)
    }

    fn all_well_since(&self, ms: u64, now: u64) -> bool {
        let quiet = |at: u64| at == 0 || now > at + ms;
        quiet(self.meter_touched_at) && self.batteries.iter().all(|b| quiet(b.touched_at)) && !self.is_away(now) && now > 60_000
    }

    /// 1: no phase above its fuse while batteries add to it.
    fn fuse(&mut self, now: u64) {
        let fuse_w = i64::from(self.built.config.site.fuse_ma) * 230 / 1000 * 103 / 100;
        let (grid_w, powers): ([i64; 3], Vec<i64>) = {
            let site = self.sim.site();
            (site.grid_w(), (0..self.batteries.len()).map(|k| site.battery_w(k)).collect())
        };
        let well = self.all_well_since(60_000, now);
        for (f, grid_w) in grid_w.into_iter().enumerate() {
            let on = |k: &usize| self.built.plan.site.batteries[*k].connection.is_on(f);
            let sum_w: i64 = (0..powers.len()).filter(on).map(|k| powers[k]).sum();
            let adds = grid_w > fuse_w && sum_w < -100 || grid_w < -fuse_w && sum_w > 100;
            let lasts_ms = self.over_fuse[f].note(adds && well, now);
            if lasts_ms > 15_000 + 3 * self.poll_ms() {
                self.find("1 fuse", format!("phase {f} at {grid_w} W for {lasts_ms} ms, batteries {powers:?} W"));
            }
        }
    }

    /// 1: where the sum counts, no battery fills another.
    fn one_way(&mut self, now: u64) {
        if self.built.config.site.balance != Balance::Sum {
            return;
        }
        let told: Vec<i64> = (0..self.batteries.len()).filter_map(|k| self.commanded_w(k)).collect();
        let both = told.iter().any(|w| *w > 150) && told.iter().any(|w| *w < -150);
        let well = self.all_well_since(60_000, now) && !self.is_fuse_at_stake();
        let lasts_ms = self.both_ways.note(both && well, now);
        if lasts_ms > 15_000 + 3 * self.poll_ms() {
            self.find("1 both ways", format!("told {told:?} W"));
        }
    }

    /// 3: nothing is written before all was seen, and no new command follows from what is not known.
    fn unknown(&mut self, now: u64) {
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
    fn meter_is_gone(&self) -> (bool, bool) {
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
    fn fallback(&mut self, now: u64) {
        let frozen = self.outcome.alone
            && self.active.iter().any(|(t, _)| match t.kind {
                Kind::FreezeMeter => true,
                Kind::Wire(Fault::FrozenMeter | Fault::FrozenRegisters) => t.host == self.roles.meter && !self.roles.is_p1,
                _ => false,
            });
        let frozen_ms = self.meter_frozen.note(frozen, now);
        let lost_ms = self.meter_cut.0.map_or(0, |since| now - since).max(frozen_ms);
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
    fn rests(&self, k: usize) -> bool {
        let most_w = (self.batteries[k].rated.1 / 100).max(20);
        let released = self.built.config.control.fallback == Fallback::Release && self.commanded_w(k).is_none_or(|w| w == 0);
        released || self.sim.site().battery_w(k).abs() <= most_w
    }

    /// 2: zero within a minute of the loss of the BMS.
    fn bms_fallback(&mut self, now: u64) {
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
    fn charger_fallback(&mut self, now: u64) {
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

    /// 5: no device is written more often than it bears.
    fn budget(&mut self, now: u64) {
        for k in 0..self.batteries.len() {
            let recent = {
                let site = self.sim.site();
                let within = site.events().rev().take_while(|e| e.at_ms + 60_000 > now);
                within.filter(|e| e.battery == k && self.batteries[k].addresses.contains(&e.address)).count() as u64
            };
            // A controller that was started anew knows nothing of what the one before had written.
            if recent > self.batteries[k].budget && !self.troubles.iter().any(|t| matches!(t.kind, Kind::Restart { .. })) {
                self.find("5 budget", format!("battery {k}: {recent} setpoints in a minute"));
            }
        }
    }

    /// 5: what is reported, and thereby what is kept for it, does not grow.
    fn size(&mut self) {
        let document = self.document();
        let (alarms, links) = (document.alarms.len(), document.errors.len());
        if alarms > 40 || links > 12 {
            self.find("5 size", format!("{alarms} alarms, {links} links"));
        }
    }

    /// 6: while it lasted long enough to be noticed, the status showed it.
    fn visible(&mut self, t: &Trouble, errors_before: u64) {
        let notice_ms = 12_000 + 4 * self.poll_ms();
        let restarted = self.troubles.iter().any(|o| matches!(o.kind, Kind::Restart { .. } | Kind::Pause));
        if t.lasts_ms() < notice_ms || restarted || t.kind == Kind::Reboot {
            return;
        }
        let document = self.document();
        let alarms: Vec<&str> = document.alarms.iter().map(|a| a.name.as_str()).collect();
        let named = |word: &str| alarms.iter().any(|a| a.contains(word));
        let (cuts, absurd) = (t.cuts_off(&self.roles), t.is_absurd(&self.roles));
        let (meter, poll_ms) = (t.host == self.roles.meter && matches!(t.kind, Kind::Wire(_)), self.poll_ms());
        let mut missing = Vec::new();
        if cuts && !(self.roles.is_p1 && meter) && self.errors(t.host) <= errors_before {
            missing.push("no error was counted");
        }
        let age_ms = document.meter.age_ms.unwrap_or(u64::MAX / 2);
        if meter && (cuts || absurd) && age_ms + 3000 + 3 * poll_ms < t.lasts_ms() {
            missing.push("the meter looks younger than it is");
        }
        // The ladder falls at 1.5 times its hold age, which is three polls.
        if meter && (cuts || absurd) && t.lasts_ms() > 15_000 + 6 * poll_ms && !named("meter") {
            missing.push("no alarm names the meter");
        }
        for (k, host) in self.roles.batteries.iter().enumerate() {
            let name = format!("battery {}", self.built.config.batteries[k].name);
            let own = matches!(t.kind, Kind::Wire(_)) && t.host == *host && (cuts || absurd);
            if own && t.lasts_ms() > 30_000 + 6 * poll_ms && !named(&name) {
                missing.push("no alarm names the battery");
            }
        }
        for (k, host) in &self.roles.bmses {
            let name = format!("battery {}", self.built.config.batteries[*k].name);
            if t.host == *host && cuts && t.lasts_ms() > 66_000 && !named(&name) {
                missing.push("no alarm names the BMS");
            }
        }
        if self.roles.chargers.contains(&t.host) && cuts && t.lasts_ms() > 60_000 && !named("charger") {
            missing.push("no alarm names the charger");
        }
        if t.kind == Kind::FreezeMeter && self.outcome.alone && t.lasts_ms() > 66_000 && !named("frozen") {
            missing.push("no alarm says that the meter is frozen");
        }
        if !missing.is_empty() {
            let said = format!("{:?} of {} ms: {}; alarms {alarms:?}", t.kind, t.lasts_ms(), missing.join(", "));
            self.find("6 visible", said);
        }
    }

    /// 4: without help all is well again within a bound, and the alarms are gone.
    fn recover(&mut self) {
        site::calm(&self.sim);
        let (start, bound_ms) = (self.now(), self.bound_ms());
        let (mut well, mut why) = (Lasting::default(), String::new());
        while self.now() < start + bound_ms {
            self.look();
            let now = self.now();
            if now % 500 != 0 {
                continue;
            }
            why = self.not_well();
            if well.note(why.is_empty(), now) >= 3000 {
                self.outcome.recovery_ms = Some(now - 3000 - start);
                return;
            }
        }
        self.find("4 recovery", format!("after {bound_ms} ms {why}"));
    }

    /// After flapping, up to 60 good samples are asked for (control.md 2.6); then the batteries are asked, told, and settle; an alarm about a
    /// battery needs its next polls, and what needs a rest before it is tried again gets it. A sign that looked wrong is not believed for an
    /// hour, and then tried.
    fn bound_ms(&self) -> u64 {
        let usual = 60 * self.poll_ms() + 150_000;
        let doubted =
            |t: &&Trouble| matches!(t.kind, Kind::Wire(Fault::SignFlip | Fault::Jumps | Fault::FrozenRegisters | Fault::FrozenMeter));
        if self.troubles.iter().any(|t| doubted(&t)) { usual + 2 * 3_600_000 } else { usual }
    }

    /// What is not well; empty: nothing.
    fn not_well(&self) -> String {
        let mode = self.sim.control().decision().mode;
        if !matches!(mode, Mode::Run { .. }) {
            return format!("the site is in {mode:?}");
        }
        let document = self.document();
        if let Some(alarm) = document.alarms.first() {
            return format!("there is an alarm: {}", alarm.name);
        }
        let rated_w = self.batteries.iter().map(|b| b.rated.1).max().unwrap_or(0);
        // What can be told in coarse steps only is off by half of one.
        let step_w = self.built.plan.site.batteries.iter().map(|b| b.step_w).max().unwrap_or(1);
        let near_w = (rated_w / 60).max(80).max(step_w / 2 + 80);
        let config = &self.built.config;
        let balances = config.site.strategy == Strategy::SelfConsumption && config.schedule.is_none() && !self.built.is_low;
        if !balances {
            let off = (0..self.batteries.len()).filter_map(|k| Some((k, self.commanded_w(k)?, self.sim.site().battery_w(k))));
            let off = off.filter(|(_, told, does)| (told - does).abs() > near_w);
            return off.map(|(k, told, does)| format!("battery {k} does {does} W and was told {told} W; ")).collect();
        }
        let grid_w = self.sim.site().grid_w();
        let total_w: i64 = grid_w.iter().sum();
        let site = &self.built.plan.site;
        let only_own = site.batteries.iter().all(|b| b.connection.slot() < 3);
        if config.site.balance == Balance::PerPhase && only_own {
            let served = |f: &usize| site.batteries.iter().any(|b| b.connection.is_on(*f));
            let off = (0..3).filter(served).find(|f| grid_w[*f].abs() > near_w);
            return off.map_or(String::new(), |f| format!("phase {f} is at {} W", grid_w[f]));
        }
        if total_w.abs() <= 2 * near_w { String::new() } else { format!("the grid is at {grid_w:?} W") }
    }

    /// 6: what a fault says, it says once; and what lasts is said.
    fn lines(&mut self) {
        if !self.outcome.alone {
            return;
        }
        let Some(t) = self.troubles.first().copied() else { return };
        let bad = |line: &str| line.starts_with("WARN") || line.starts_with("ERROR");
        let since: Vec<&String> = self.lines.iter().filter(|(at, line)| *at >= t.from_ms && bad(line)).map(|(_, line)| line).collect();
        let most = 10 + 2 * self.batteries.len();
        let twice = since.iter().find(|line| since.iter().filter(|other| other == line).count() > 3);
        let noticed = t.lasts_ms() > 12_000 + 4 * self.poll_ms() && t.cuts_off(&self.roles) && t.from_ms > 0;
        let said = match twice {
            Some(line) => Some(format!("said more than three times: {line}")),
            None if since.len() > most => Some(format!("{} lines: {since:?}", since.len())),
            None if noticed && since.is_empty() && t.kind != Kind::Reboot => Some("nothing was said".into()),
            None => None,
        };
        if let Some(said) = said {
            self.find("6 journal", said);
        }
    }

    /// 7: what the same number must lead to again.
    fn note_digest(&mut self) {
        let truth = self.sim.site().truth();
        let text = format!("{truth:?}{}", self.lines.len());
        self.outcome.digest = sax_controller::plant::rng::mix(self.outcome.digest ^ sax_controller::plant::rng::fnv1a64(text.as_bytes()));
    }
}
