//! A random site that follows from a number: its configuration, and the simulated devices behind it.

use sax_controller::config::{self, Config, Phases};
use sax_controller::daemon::wiring::{Plan, plan};
use sax_controller::device::library::Library;
use sax_controller::plant::battery_params::{Banks, BatteryParams, SaxParams, Wiring};
use sax_controller::plant::car::CarParams;
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::rng::Rng;
use sax_controller::plant::site::SiteParams;
use sax_controller::simulate::{Simulation, host_of};
use sax_controller::simulated_devices::{chargers, devices, is_sax, like_its_profile};

/// Dead time and lag of the simulated batteries: 99 % of a step is done after this, ms.
pub const DEVICE_MS: u64 = 600 + 5 * 500;

/// Who is behind which host of the simulated site.
#[derive(Clone, Debug)]
pub struct Roles {
    pub meter: usize,
    pub is_p1: bool,
    pub batteries: Vec<usize>,
    /// Battery and host.
    pub bmses: Vec<(usize, usize)>,
    pub chargers: Vec<usize>,
}

impl Roles {
    pub fn of(plan: &Plan, config: &Config, sim: &Simulation) -> Roles {
        let site = sim.site();
        let host = |endpoint: usize| host_of(plan, config, &site, endpoint);
        Roles {
            meter: plan.meter.as_ref().map_or(site.p1_host(), |m| host(m.endpoint)),
            is_p1: plan.p1.is_some(),
            batteries: plan.batteries.iter().map(|b| host(b.endpoint)).collect(),
            bmses: plan.bmses.iter().map(|b| (b.spec.index, host(b.endpoint))).collect(),
            chargers: plan.chargers.iter().map(|c| host(c.endpoint)).collect(),
        }
    }

    /// All hosts, each once.
    pub fn hosts(&self) -> Vec<usize> {
        let bmses = self.bmses.iter().map(|b| b.1);
        let mut all: Vec<usize> =
            self.batteries.iter().copied().chain([self.meter]).chain(bmses).chain(self.chargers.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// What kind of site, in a word or two.
const KINDS: [&str; 9] =
    ["SAX", "SAX", "SAX and wallbox", "SAX behind P1", "powerpack", "Tesla and SAX", "bus", "powerpack and SBAU", "Tesla and 802"];

pub struct Built {
    pub kind: &'static str,
    pub config: Config,
    pub library: Library,
    pub plan: Plan,
    pub params: SiteParams,
    pub poll_ms: u64,
    /// A battery is below its minimum: balance is not to be expected.
    pub is_low: bool,
}

pub fn build(number: u64) -> Built {
    let (mut rng, mut more) = (Rng::new(number, "storm site"), Rng::new(number, "storm site, more"));
    let kind = KINDS[rng.below(KINDS.len() as u32) as usize];
    let poll_ms = [500, 1000, 1000, 2000, 5000, 9000][rng.below(6) as usize];
    let (poll_ms, basic) = if more.chance(150) { (200, more.chance(500)) } else { (poll_ms, more.chance(100)) };
    let text = text(kind, poll_ms, &mut rng);
    // Batteries of which one bank is used, without looking for others.
    let text = if basic { text.replace("device = \"sax\"\nrole", "device = \"sax-basic\"\nrole") } else { text };
    let library = Library::built_in().unwrap_or_else(|e| panic!("{e}"));
    let config = config::parse(&text, &library).unwrap_or_else(|f| panic!("number {number}:\n{text}\n{}", f.render("storm.toml")));
    let plan = plan(&config, &library);
    let is_low = rng.chance(80);
    let params = params(number, &config, &plan, &library, is_low, &mut rng);
    Built { kind, config, library, plan, params, poll_ms: poll_ms.into(), is_low }
}

fn text(kind: &str, poll_ms: u32, rng: &mut Rng) -> String {
    let big = kind.contains("powerpack");
    let fuse_a = if big { 250 } else { [25, 25, 35, 63][rng.below(4) as usize] };
    let balance = if rng.chance(500) { "per-phase" } else { "sum" };
    let peak = rng.chance(150);
    let mut text = format!("[site]\nbalance = \"{balance}\"\nfuse_a = {fuse_a}\n");
    text += if peak {
        "strategy = \"peak-shaving\"\nimport_limit_w = 3000\nrecharge_below_w = 1000\n"
    } else {
        "strategy = \"self-consumption\"\n"
    };
    if !peak && rng.chance(200) {
        text += "export_limit_w = 3000\n";
    }
    let fallback = if rng.chance(850) { "zero" } else { "release" };
    text += &format!("[control]\nfallback = \"{fallback}\"\n");
    let phase_poll_ms = poll_ms.max(if rng.chance(500) { 1000 } else { 30_000 });
    let own =
        |device: &str, link: &str| format!("[meter]\ndevice = \"{device}\"\npoll_ms = {poll_ms}\nphase_poll_ms = {poll_ms}\n{link}\n");
    // Only one of them tells the phases apart.
    let acuvim = if balance == "sum" && rng.chance(500) { "acuvim2" } else { "acuvim2-float" };
    let tcp = |n: u32| format!("link.tcp = {{ host = \"192.0.2.{n}\" }}");
    let bus = "link.rtu = { port = \"/dev/ttyUSB0\", baud = 19200, timeout_ms = 300, retry_count = 1 }";
    let rated = |wh: u32, w: u32| format!("capacity_wh = {wh}\nmax_charge_w = {w}\nmax_discharge_w = {w}\n");
    let other = |name: &str, device: &str, phase: &str, rated: &str, more: &str| {
        format!("[[battery]]\nname = \"{name}\"\ndevice = \"{device}\"\nphase = \"{phase}\"\npoll_ms = {poll_ms}\n{rated}{more}\n")
    };
    match kind {
        "powerpack" => text += &(own(acuvim, &tcp(101)) + &other("P", "powerpack", "all", &rated(200_000, 100_000), &tcp(100))),
        "Tesla and SAX" => {
            text += &own(acuvim, &tcp(101));
            text += &other("T", "tesla", "all", &rated(100_000, 30_000), &tcp(100));
            text += &sax(1, poll_ms, false, rng);
        }
        "bus" => {
            text += &own(acuvim, &format!("unit = 1\n{bus}"));
            for k in 0..2 {
                let name = ["A", "B"][k];
                text += &other(name, "powerpack", ["L1", "L2"][k], &rated(20_000, 8_000), &format!("unit = {}\n{bus}", k + 2));
            }
        }
        "powerpack and SBAU" => {
            text += &own(acuvim, &tcp(101));
            text += &other("S", "powerpack", "all", &rated(300_000, 100_000), &tcp(100));
            let bms_poll_ms = poll_ms.min(5000);
            text += &format!(
                "[battery.bms]\ndevice = \"sbau\"\npoll_ms = {bms_poll_ms}\nlink.tcp = {{ host = \"192.0.2.21\", port = 2404 }}\nmax_charge_a = 50\nmax_discharge_a = 60\n"
            );
        }
        "Tesla and 802" => {
            text += &own(acuvim, &tcp(101));
            text += &other("T", "tesla", "all", &rated(100_000, 30_000), &tcp(100));
            text += &format!("[battery.bms]\ndevice = \"sunspec-802\"\nunit = 2\n{}\n", tcp(100));
        }
        "SAX behind P1" => {
            text += "[meter]\ndevice = \"p1\"\nlink.serial = { port = \"/dev/ttyUSB1\" }\n";
            text += &sax(1 + rng.below(6), poll_ms, true, rng);
        }
        _ => {
            text += &format!("[meter]\ndevice = \"sax\"\npoll_ms = {poll_ms}\nphase_poll_ms = {phase_poll_ms}\n");
            text += &sax(if kind == "SAX" { 1 + rng.below(6) } else { 3 }, poll_ms, true, rng);
            if kind == "SAX and wallbox" {
                text += "[load_balancer]\ncharger_limit_a = 16\nalarm_limit_a = 24\nupper_limit_a = 22\nlower_limit_a = 19\n";
                text += "[[charger]]\nname = \"wallbox\"\ndevice = \"abb-terra-ac\"\nunit = 1\n";
                text += "link.rtu = { port = \"/dev/ttyUSB2\", baud = 9600 }\nfallback_limit_a = 6\n";
            }
        }
    }
    if !peak && rng.chance(100) {
        text += "[[schedule]]\ntimezone = \"UTC\"\ndays = [\"mon\"]\nfrom = \"00:03\"\nto = \"00:10\"\naction = { hold = true }\n";
    }
    text
}

fn sax(count: u32, poll_ms: u32, roles: bool, rng: &mut Rng) -> String {
    let turn = rng.below(3);
    let battery = |k: u32| {
        let role = match (roles, k) {
            (false, _) => "",
            (true, 0) => "role = \"master\"\n",
            (true, _) => "role = \"slave\"\n",
        };
        let (name, phase) = (["A", "B", "C", "D", "E", "F"][k as usize], 1 + (k + turn) % 3);
        format!(
            "[[battery]]\nname = \"{name}\"\ndevice = \"sax\"\n{role}phase = \"L{phase}\"\npoll_ms = {poll_ms}\nlink.tcp = {{ host = \"192.0.2.{}\" }}\n",
            k + 11
        )
    };
    (0..count).map(battery).collect()
}

fn params(number: u64, config: &Config, plan: &Plan, library: &Library, is_low: bool, rng: &mut Rng) -> SiteParams {
    let old = rng.chance(500);
    let house = restless(number);
    let soc = |rng: &mut Rng| if is_low { rng.range(50, 95) } else { rng.range(400, 700) } as u16;
    let batteries: Vec<_> = config
        .batteries
        .iter()
        .map(|b| {
            let wiring = match b.phase {
                Phases::One(phase) => Wiring::One(phase),
                Phases::All => Wiring::All,
            };
            let battery = BatteryParams {
                capacity_wh: b.capacity_wh.into(),
                soc_pm: soc(rng),
                max_discharge_w: b.max_discharge_w.into(),
                max_charge_w: b.max_charge_w.into(),
                dead_ms: 600,
                tau_ms: 500,
                connected: config.batteries.len() > 1,
                ..BatteryParams::on(wiring)
            };
            let banks = Banks { basic: true, extended: old, sunspec: !old };
            (like_its_profile(battery, &b.device, library), SaxParams { banks, ..SaxParams::default() })
        })
        .collect();
    let mut params = SiteParams::new(number, house.clone(), &[]);
    let period_ms = [200, 200, 1000][rng.below(3) as usize];
    params.meter = MeterParams { period_ms, latency_ms: 10 * rng.range(0, 150) as u64, ..MeterParams::default() };
    params.batteries = batteries;
    params.chargers = chargers(config, &house);
    params.devices = devices(config, plan, library);
    params
}

/// Every ten seconds or so another load on one of the phases.
fn restless(number: u64) -> House {
    let mut rng = Rng::new(number, "moves");
    let (mut at, mut loads, mut trace) = (0, [500, 700, 400], Vec::new());
    while at < 7_200_000 {
        trace.push((at, loads));
        at += rng.range(4_000, 20_000) as u64;
        loads[rng.below(3) as usize] = rng.range(-2500, 4200);
    }
    House::Trace(trace)
}

/// Loads that every battery can carry.
pub const CALM: [i64; 3] = [800, 600, 500];

/// Constant loads that every battery can carry, and a car that wants nothing.
pub fn calm(sim: &Simulation) {
    let mut site = sim.site();
    site.set_house(House::Fixed(CALM));
    for k in 0..site.chargers() {
        if let Some(charger) = site.charger_mut(k) {
            charger.set_car(CarParams { need_wh: 0, ..CarParams::default() });
        }
    }
}

/// Where a setpoint of battery `k` is written, how often that is allowed at once, and after which time once more, ms.
pub fn budget(built: &Built, k: usize) -> (Vec<u16>, u64, u64) {
    let device = &built.config.batteries[k].device;
    let sax = is_sax(&built.library, device);
    let profile = built.library.profile(if sax { "sax-basic" } else { device });
    let profile = profile.unwrap_or_else(|| panic!("no profile {device}"));
    let (burst, refill_ms) = (u64::from(profile.budget.burst) + 2, profile.budget.refill.as_ms().max(1));
    match (&profile.setpoint, sax) {
        (Some(setpoint), false) => (vec![setpoint.register.address], burst, refill_ms),
        _ => (vec![41, 40049, 49], burst, refill_ms),
    }
}
