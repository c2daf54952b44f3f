//! A simulation under random faults, watched continuously.
#![allow(dead_code, missing_docs)]

use sax_controller::plant::faults::{Fault, Faults};
use sax_controller::plant::house::House;
use sax_controller::plant::rng::Rng;
use sax_controller::simulate::Simulation;
use sax_controller::units::Time;

use crate::house;

pub fn grid_w(sim: &Simulation) -> [i64; 3] {
    sim.site().grid_w()
}

pub fn battery_w(sim: &Simulation) -> [i64; 3] {
    let site = sim.site();
    [0, 1, 2].map(|k| site.battery_w(k))
}

pub fn faults(sim: &Simulation) -> Faults {
    sim.site().faults()
}

pub fn clear(sim: &Simulation) {
    let faults = faults(sim);
    (0..3).for_each(|k| faults.clear_all(k));
}

pub fn setpoint_writes(sim: &Simulation) -> usize {
    sim.site().events().filter(|e| [41, 40049].contains(&e.address)).count()
}

/// Every ten seconds or so another load on one of the phases.
pub fn house_that_moves(number: u64) -> House {
    let mut rng = Rng::new(number, "moves");
    let (mut at, mut loads, mut trace) = (0, [500, 700, 400], Vec::new());
    while at < 3_600_000 {
        trace.push((at, loads));
        at += rng.range(4_000, 20_000) as u64;
        loads[rng.below(3) as usize] = rng.range(-2500, 4200);
    }
    House::Trace(trace)
}

const ALL: [Fault; 20] = [
    Fault::Silent,
    Fault::Delay(1200),
    Fault::Reset,
    Fault::Close,
    Fault::HalfFrame,
    Fault::Garbage,
    Fault::WrongId,
    Fault::WrongUnit,
    Fault::Exception(6),
    Fault::OtherFunction,
    Fault::Trickle(20),
    Fault::Refuse,
    Fault::WrongLength,
    Fault::TrailingBytes,
    Fault::ShortByOne,
    Fault::FrozenMeter,
    Fault::FrozenRegisters,
    Fault::AbsurdValues,
    Fault::LoseReply { permille: 400 },
    Fault::LoseRequest { permille: 400 },
];
const RATED: (i64, i64) = (-3500, 4600);
const LOOK_MS: u64 = 100;
const BURST: usize = 3;
/// From the end of a fault until the battery was told and did it: a poll, the write budget, dead time and lag.
const AGAIN_MS: u64 = 15_000;

pub struct Watch {
    pub sim: Simulation,
    pub findings: Vec<String>,
    pub trace: Vec<String>,
    poll_ms: u64,
    rng: Rng,
    /// When which fault of which battery ends, ms.
    ends: Vec<(u64, usize, Fault)>,
    unusable_since: Option<u64>,
    /// When each battery last had a fault, ms.
    hit_at: [u64; 3],
}

impl Watch {
    pub fn new(number: u64) -> Watch {
        let mut rng = Rng::new(number, "watch");
        let poll_ms = [200, 500, 1000, 1000, 2000, 5000][rng.below(6) as usize];
        let battery = if rng.chance(300) { "device = \"sax-basic\"" } else { "" };
        let params = house::params(number, house_that_moves(number), 10 * rng.range(0, 300) as u64);
        let text = house::config_text(poll_ms, "", battery);
        let text = if battery.is_empty() { text } else { text.replace("device = \"sax\"\nrole", "role") };
        let sim = Simulation::new(&house::parse(&text), &house::library(), params);
        Watch {
            sim,
            findings: Vec::new(),
            trace: Vec::new(),
            poll_ms: poll_ms.into(),
            rng,
            ends: Vec::new(),
            unusable_since: None,
            hit_at: [0; 3],
        }
    }

    fn now(&self) -> u64 {
        self.sim.now().as_ms()
    }

    fn find(&mut self, what: String) {
        if self.findings.len() < 20 {
            let (now, mode) = (self.now(), self.sim.control().decision().mode);
            self.findings.push(format!("at {now} ms ({mode:?}): {what}; faults until {:?}", self.ends));
        }
    }

    pub fn storm(&mut self, seconds: u64) {
        let end = self.now() + seconds * 1000;
        let mut next = self.now() + 60_000;
        while self.now() < end {
            if self.now() >= next {
                next = self.now() + self.rng.range(2_000, 60_000) as u64;
                self.one_fault();
            }
            self.look();
        }
        clear(&self.sim);
        self.ends.clear();
        self.sim.site().freeze_meter(false);
    }

    fn one_fault(&mut self) {
        let k = self.rng.below(3) as usize;
        let until = self.now() + self.rng.range(300, 120_000) as u64;
        match self.rng.below(22) {
            20 => {
                let down = self.rng.range(500, 60_000) as u64;
                self.sim.site().reboot(k, down);
                self.trace.push(format!("{}: {k} reboot {down}\n", self.now()));
                self.ends.push((self.now() + down, k, Fault::Refuse));
            }
            n => {
                let fault = ALL[(n as usize).min(19)];
                faults(&self.sim).set(k, fault);
                self.trace.push(format!("{}: {k} {fault:?} until {until}\n", self.now()));
                self.ends.push((until, k, fault));
            }
        }
    }

    fn look(&mut self) {
        let now = self.now();
        let (over, ends) = std::mem::take(&mut self.ends).into_iter().partition::<Vec<_>, _>(|e| e.0 <= now);
        self.ends = ends;
        for (_, k, fault) in over {
            // The same kind may have been set again, for longer.
            if !self.ends.iter().any(|e| e.1 == k && std::mem::discriminant(&e.2) == std::mem::discriminant(&fault)) {
                faults(&self.sim).clear(k, fault);
            }
        }
        self.sim.run_until(Time::from_ms(now + LOOK_MS));
        let now = self.now();
        let power = battery_w(&self.sim);
        for (k, w) in power.into_iter().enumerate() {
            if !(RATED.0 - 1..=RATED.1 + 1).contains(&w) {
                self.find(format!("battery {k} at {w} W"));
            }
            let hit = self.ends.iter().any(|e| e.1 == k);
            if hit {
                self.hit_at[k] = now;
            }
        }
        self.meter_unusable(now, power);
        self.writes(now);
    }

    /// The meter is certainly unusable while battery A answers nothing or nothing that can be believed.
    fn meter_unusable(&mut self, now: u64, power: [i64; 3]) {
        let kills = |f: &Fault| {
            !matches!(
                f,
                Fault::Delay(_)
                    | Fault::Trickle(_)
                    | Fault::LoseReply { .. }
                    | Fault::LoseRequest { .. }
                    | Fault::FrozenMeter
                    | Fault::FrozenRegisters
            )
        };
        let unusable = self.ends.iter().any(|e| e.1 == 0 && kills(&e.2) && e.0 > now);
        if !unusable {
            self.unusable_since = None;
            return;
        }
        let since = *self.unusable_since.get_or_insert(now);
        for (k, w) in power.into_iter().enumerate() {
            // A battery that could not be reached either keeps what it was told until its own timeout, or until it can be told again.
            let free = now > self.hit_at[k] + AGAIN_MS;
            if now - since > 64_000 && free && w.abs() > 20 {
                self.find(format!("battery {k} at {w} W, {} ms after the meter was lost", now - since));
            }
        }
    }

    fn writes(&mut self, now: u64) {
        if now % 1000 != 0 {
            return;
        }
        let recent: Vec<(u64, usize)> =
            self.sim.site().events().rev().take_while(|e| e.at_ms + 60_000 > now).map(|e| (e.at_ms, e.battery)).collect();
        for k in 0..3 {
            let within = |ms: u64| recent.iter().filter(|e| e.1 == k && e.0 + ms > now).count();
            let (short, minute) = (within(4000), within(60_000));
            if short > BURST + 1 {
                self.find(format!("battery {k}: {short} writes in 4 s"));
            }
            if minute > 60 / 5 + BURST + 1 {
                self.find(format!("battery {k}: {minute} writes in a minute"));
            }
        }
        let outside = self.sim.site().events().rev().take_while(|e| e.at_ms + 1000 > now).find_map(|e| {
            let w = i64::from(e.value as i16);
            (e.address == 41 && !(RATED.0..=RATED.1).contains(&w)).then_some((e.battery, w))
        });
        if let Some((k, w)) = outside {
            self.find(format!("battery {k} was told {w} W"));
        }
    }

    /// No faults any more and constant loads: `seconds` after enough good samples every phase is in balance.
    pub fn calm(&mut self, seconds: u64) {
        self.sim.site().set_house(House::Fixed([800, 1200, 600]));
        // After flapping up to 60 good samples are asked for (control.md 2.6), which takes 5 minutes at 5 s.
        let seconds = seconds.max(60 * self.poll_ms / 1000 + 60);
        let end = self.now() + seconds * 1000;
        while self.now() < end {
            self.look();
        }
        let grid = grid_w(&self.sim);
        let soc = [0, 1, 2].map(|k| self.sim.site().battery(k).map_or(0, |b| b.soc_pm()));
        for k in 0..3 {
            if grid[k].abs() > 60 && (150..=950).contains(&soc[k]) {
                let why = self.sim.control().decision().batteries[k];
                let alarms: Vec<_> = self.sim.control().core().alarms().active().collect();
                self.find(format!(
                    "phase {k} still at {} W ({:?}, progress {:?}, alarms {alarms:?})",
                    grid[k],
                    why.order,
                    self.sim.control().decision().progress
                ));
            }
        }
    }
}
