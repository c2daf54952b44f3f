//! A house with a charger under the real controller in virtual time, and a record of what happens there.
#![allow(dead_code, missing_docs)]

use sax_controller::daemon::wiring::plan;
use sax_controller::plant::battery_params::{BatteryParams, SaxParams};
use sax_controller::plant::car::CarParams;
use sax_controller::plant::charger::{ChargerParams, Written};
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::rng::Rng;
use sax_controller::plant::site::SiteParams;
use sax_controller::simulate::Simulation;
use sax_controller::simulated_devices::devices;
use sax_controller::units::{Phase, Time};

use crate::house::{library, parse};

/// The fuse, and what it carries.
pub const FUSE_W: i64 = 25 * 230;
/// A kettle and an oven, W.
pub const KETTLE_W: i64 = 2_100;
pub const OVEN_W: i64 = 2_400;
/// Fall of a simulated car's current, mA per second (`src/plant/car.rs`).
const CAR_FALLS_MA_PER_S: u64 = 8_000;
/// How closely is looked.
const STEP_MS: usize = 50;

/// The batteries, one on each phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Batteries {
    Absent,
    /// With this state of charge, 0.1 %. They give nothing below 10 %, and below 5 % not even for a fuse.
    At(u16),
}

#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub batteries: Batteries,
    pub poll_ms: u64,
    /// From a limit to the movement of the car, and from the end of a pause to its first current.
    pub follow_ms: u64,
    pub resume_ms: u64,
    /// Without delays in meter and batteries.
    pub instant: bool,
}

impl Setting {
    pub fn new(batteries: Batteries, poll_ms: u64) -> Setting {
        Setting { batteries, poll_ms, follow_ms: 2_500, resume_ms: 15_000, instant: false }
    }

    pub fn instant(self) -> Setting {
        Setting { follow_ms: 0, resume_ms: 0, instant: true, ..self }
    }

    pub fn meter_latency_ms(&self) -> u64 {
        if self.instant { 0 } else { 600 }
    }

    /// Alarm wait and two periods of the meter; what is beyond that is the reaction of the devices: the meter shows the truth late, and the
    /// car begins late, or the battery does, and needs a while for what is above the fuse, mA.
    pub fn most_over_ms(&self, over_ma: u64) -> u64 {
        let devices_ms = self.meter_latency_ms() + self.follow_ms + over_ma * 1000 / CAR_FALLS_MA_PER_S;
        1_000 + 2 * self.poll_ms + devices_ms
    }
}

pub fn config_text(setting: &Setting) -> String {
    let poll_ms = setting.poll_ms;
    let mut text = match setting.batteries {
        Batteries::Absent => format!(
            "[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n[meter]\ndevice = \"p1\"\npoll_ms = {poll_ms}\nlink.serial = {{ port = \"/dev/ttyUSB0\" }}\n"
        ),
        Batteries::At(_) => crate::house::config_text(u32::try_from(poll_ms).unwrap(), "", ""),
    };
    text += "[load_balancer]\n[[charger]]\nname = \"garage\"\ndevice = \"abb-terra-ac\"\nsettings = { most_a = 16 }\nlink.tcp = { host = \"192.0.2.9\" }\n";
    text
}

/// The house takes these powers.
pub fn simulation(setting: &Setting, house: House) -> Simulation {
    simulation_of(&config_text(setting), setting, house)
}

pub fn simulation_of(text: &str, setting: &Setting, house: House) -> Simulation {
    let (config, library) = (parse(text), library());
    let phases: &[Phase] = if config.batteries.is_empty() { &[] } else { &Phase::ALL };
    let mut params = SiteParams::new(7, house, phases);
    params.meter = MeterParams { period_ms: 10, latency_ms: setting.meter_latency_ms(), ..MeterParams::default() };
    if let Batteries::At(soc_pm) = setting.batteries {
        let (dead_ms, tau_ms) = if setting.instant { (0, 0) } else { (600, 500) };
        params.batteries.iter_mut().for_each(|(b, _): &mut (BatteryParams, SaxParams)| {
            *b = BatteryParams { soc_pm, dead_ms, tau_ms, ..b.clone() };
        });
    }
    let car = CarParams {
        plug_ms: 5_000,
        need_wh: 1_000_000,
        follow_ms: setting.follow_ms,
        resume_ms: setting.resume_ms,
        ..CarParams::default()
    };
    params.chargers = config.chargers.iter().map(|_| ChargerParams { car: car.clone(), ..ChargerParams::default() }).collect();
    params.devices = devices(&config, &plan(&config, &library), &library);
    Simulation::new(&config, &library, params)
}

/// A base load, and on top of it the kettle on L2 and the oven on L3.
#[derive(Debug)]
pub struct Kitchen {
    pub base_w: [i64; 3],
    /// When the kettle is switched on, for 3 min, ms.
    pub kettle_ms: Vec<u64>,
    /// From when to when the oven is hot, s.
    pub oven_s: Option<(u64, u64)>,
    pub number: u64,
}

impl Kitchen {
    pub fn house(&self) -> House {
        let mut now_w = self.base_w;
        let mut trace = vec![(0, now_w)];
        for (at_ms, phase, w) in self.switches() {
            now_w[phase] += w;
            trace.push((at_ms, now_w));
        }
        House::Trace(trace)
    }

    /// When something is switched on, ms.
    pub fn steps_up_ms(&self) -> Vec<u64> {
        self.switches().iter().filter(|(.., w)| *w > 0).map(|(at_ms, ..)| *at_ms).collect()
    }

    /// When, on which phase, and by how many watts.
    fn switches(&self) -> Vec<(u64, usize, i64)> {
        let mut rng = Rng::new(self.number, "kitchen");
        let mut switches = Vec::new();
        for ms in &self.kettle_ms {
            switches.extend([(*ms, 1, KETTLE_W), (ms + 180_000, 1, -KETTLE_W)]);
        }
        if let Some((from_s, to_s)) = self.oven_s {
            let mut at_ms = from_s * 1000 + 810;
            while at_ms < to_s * 1000 {
                let on_ms = rng.range(18_000, 32_000).unsigned_abs();
                switches.extend([(at_ms, 2, OVEN_W), (at_ms + on_ms, 2, -OVEN_W)]);
                at_ms += on_ms + rng.range(30_000, 50_000).unsigned_abs();
            }
        }
        switches.sort_unstable();
        switches
    }
}

/// What was seen.
#[derive(Default, Debug)]
pub struct Record {
    /// The longest time without interruption above the fuse, on any phase, ms, and when it began.
    pub over_ms: (u64, u64),
    /// What the charger was told, and when, ms.
    pub limits: Vec<(u64, i64)>,
    /// The contactor's movements.
    pub switches: Vec<(u64, bool)>,
    /// What each battery was told, once per second.
    pub setpoints_w: Vec<Vec<i64>>,
    /// Largest power on any phase, W.
    pub most_w: i64,
}

impl Record {
    /// How often the charger was told something else in this time, s.
    pub fn limit_changes(&self, from_s: u64, to_s: u64) -> usize {
        let within = |ms: u64| (from_s * 1000..to_s * 1000).contains(&ms);
        self.limits.windows(2).filter(|two| two[0].1 != two[1].1 && within(two[1].0)).count()
    }

    /// How often the setpoint of a battery turns back by more than `by_w` in this time, s.
    pub fn reversals(&self, by_w: i64, from_s: usize, to_s: usize) -> usize {
        let batteries = self.setpoints_w.first().map_or(0, Vec::len);
        (0..batteries).map(|k| turns(self.setpoints_w.iter().skip(from_s).take(to_s - from_s).map(|w| w[k]), by_w)).sum()
    }

    /// Movements between a pause and at least 6 A.
    pub fn pauses(&self) -> Vec<(u64, bool)> {
        let mut runs = false;
        let mut changes = Vec::new();
        for (at_ms, limit_ma) in &self.limits {
            if (*limit_ma >= 6_000) != runs {
                runs = !runs;
                changes.push((*at_ms, runs));
            }
        }
        changes
    }
}

/// How often a course turns back by more than `by`.
fn turns(course: impl Iterator<Item = i64>, by: i64) -> usize {
    let (mut turns, mut rising, mut extreme) = (0, None, None);
    for w in course {
        let peak = *extreme.get_or_insert(w);
        match rising {
            None if (w - peak).abs() > by => (rising, extreme) = (Some(w > peak), Some(w)),
            None => {}
            Some(up) if (w > peak) == up && w != peak => extreme = Some(w),
            Some(up) if (w - peak).abs() > by => (turns, rising, extreme) = (turns + 1, Some(!up), Some(w)),
            Some(_) => {}
        }
    }
    turns
}

/// Lets time pass until then, s, and looks.
pub fn watch(sim: &mut Simulation, until_s: u64) -> Record {
    let mut record = Record::default();
    let mut over_since = [None; 3];
    let mut closed = false;
    for ms in (sim.now().as_ms()..until_s * 1000).step_by(STEP_MS) {
        sim.run_until(Time::from_ms(ms));
        let site = sim.site();
        for (since, w) in over_since.iter_mut().zip(site.grid_w()) {
            record.most_w = record.most_w.max(w);
            *since = (w.abs() > FUSE_W).then(|| since.unwrap_or(ms));
            let longest = since.map_or(0, |since| ms + STEP_MS as u64 - since);
            if longest > record.over_ms.0 {
                record.over_ms = (longest, ms + STEP_MS as u64 - longest);
            }
        }
        let now_closed = site.charger(0).is_some_and(|charger| charger.is_closed());
        if now_closed != closed {
            closed = now_closed;
            record.switches.push((ms, closed));
        }
        drop(site);
        if ms % 1000 == 0 {
            record.setpoints_w.push(sim.control().decision().batteries.iter().map(|b| b.setpoint_w).collect());
        }
    }
    let site = sim.site();
    let told = site.charger(0).into_iter().flat_map(|charger| charger.told());
    record.limits = told.filter_map(|told| if let Written::LimitMa(ma) = told.what { Some((told.at_ms, ma)) } else { None }).collect();
    drop(site);
    record
}
