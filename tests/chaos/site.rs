//! The simulated devices of one run, as a process of their own, so that they can be stopped and do not disturb those of other runs.
//!
//! Says on standard output where they are, and then five times a second what is the case and what was commanded. Takes commands on standard
//! input, a line each. Ends with its standard input. Never judges what the controller does.

use std::io::{self, BufRead, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use sax_controller::config::{self, Config};
use sax_controller::daemon::wiring::plan;
use sax_controller::device::library::Library;
use sax_controller::link::place::{Place, Serial};
use sax_controller::plant::battery::Control;
use sax_controller::plant::battery_params::{Banks, BatteryParams, SaxParams, Wiring};
use sax_controller::plant::car::CarParams;
use sax_controller::plant::charger::ChargerParams;
use sax_controller::plant::faults::Fault;
use sax_controller::plant::house::House;
use sax_controller::plant::line::Line;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::serve::{LiveSite, Reached};
use sax_controller::plant::site::SiteParams;
use sax_controller::simulated_devices::{devices, like_its_profile, places};
use sax_controller::units::Phase;
use serde_json::{Value, json};

use crate::layout::{CELLS_W, Layout, Variant};

type Outcome<T> = Result<T, String>;

const SAY_EVERY: Duration = Duration::from_millis(200);
/// What each phase of the house draws.
pub const LOADS: [i64; 3] = [700, 500, 400];

/// Runs the site with this number; `slot` chooses its addresses.
pub fn run(number: u64, slot: u16, folder: &Path) -> Outcome<()> {
    let layout = Layout::of(number);
    let library = Library::built_in().map_err(|e| e.to_string())?;
    let keys = ["A", "B", "C", "charger", "meter", "bms"];
    let at = |key: &str| (format!("192.0.2.{}", 1 + keys.iter().position(|k| *k == key).unwrap_or(99)), 502);
    let text = layout.text(folder, &at);
    let config = config::parse(&text, &library).map_err(|f| f.render("chaos"))?;
    let key_of = |host: &str| keys.into_iter().find(|key| at(key).0 == host).unwrap_or("?");
    let all = places(&config, &plan(&config, &library), &library);
    let mut named = Vec::new();
    let mut hosts = Vec::new();
    for (host, place) in all.iter().enumerate() {
        let octet = u8::try_from(host + 1).unwrap_or(250);
        let [high, low] = (slot + 256).to_be_bytes();
        let (key, reached) = match place {
            Some(Place::Tcp { host, .. }) => (key_of(host), Reached::Tcp(Ipv4Addr::new(127, high, low, octet))),
            Some(Place::Rtu(Serial { port, .. })) => ("bus", Reached::Bus(PathBuf::from(port), Line { baud: 19_200, ..Line::slow() })),
            None => ("", Reached::Never),
        };
        named.push(key);
        hosts.push(reached);
    }
    if layout.variant == Variant::P1 {
        named.push("p1");
        hosts.push(Reached::Telegrams(folder.join("p1"), 115_200));
    }
    let site = LiveSite::start_hosts(params(&layout, &config, &library), 1, &hosts).map_err(|e| e.to_string())?;
    let addresses: Vec<_> = named.iter().zip(site.addresses()).map(|(key, at)| json!([key, at.ip().to_string(), at.port()])).collect();
    say(&json!({ "hosts": addresses }))?;
    serve(&site, &named)
}

fn params(layout: &Layout, config: &Config, library: &Library) -> SiteParams {
    let mut params = SiteParams::new(layout.number, House::Fixed(LOADS), &[]);
    params.meter = MeterParams { period_ms: 200, phase_ms: 0, latency_ms: 300, window_ms: 0, noise_w: 4, ..MeterParams::default() };
    for (k, soc_pm) in layout.soc_pm.iter().enumerate() {
        let wiring = if layout.variant == Variant::Bms { Wiring::All } else { Wiring::One(Phase::ALL[k]) };
        let battery = BatteryParams { soc_pm: *soc_pm, connected: layout.soc_pm.len() > 1, own_meter: false, ..BatteryParams::on(wiring) };
        let mut battery = like_its_profile(battery, &config.batteries[k].device, library);
        battery.own_meter = false;
        if layout.variant == Variant::Bms {
            (battery.max_charge_w, battery.max_discharge_w, battery.capacity_wh) = (CELLS_W, CELLS_W, 20_000);
        }
        let new = layout.number % 2 == 0;
        let banks = Banks { basic: true, extended: !new, sunspec: new };
        params.batteries.push((battery, SaxParams { banks, response_ms: 20, ..SaxParams::default() }));
    }
    // Nobody's car is there: what is looked at is what the wallbox is told.
    let car = CarParams { plug_ms: u64::MAX / 4, ..CarParams::default() };
    params.chargers = config.chargers.iter().map(|_| ChargerParams { car: car.clone(), ..ChargerParams::default() }).collect();
    params.devices = devices(config, &plan(config, library), library);
    params
}

fn serve(site: &LiveSite, named: &[&str]) -> Outcome<()> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut next = Instant::now();
    loop {
        match receiver.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                obey(site, named, &line)?;
                say(&json!({ "did": line, "t": site.with(|site| site.now_ms()) }))?;
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                let late_ms = next.elapsed().as_millis() as u64;
                next = Instant::now() + SAY_EVERY;
                say(&state(site, late_ms))?;
            }
        }
    }
}

/// What is the case, and what each battery was told last, and when.
fn state(site: &LiveSite, late_ms: u64) -> Value {
    site.with(|site| {
        let truth = site.truth();
        let told = |k: usize| {
            let battery = site.battery(k)?;
            match battery.control(truth.at_ms) {
                Control::Commanded { power_w, until_ms } => Some((power_w, until_ms.saturating_sub(u64::from(battery.timeout_s()) * 1000))),
                Control::OwnMeter => None,
            }
        };
        json!({
            "t": truth.at_ms, "late": late_ms, "grid": truth.grid_w, "power": truth.battery_w, "soc": truth.soc_pm,
            "told": (0..site.batteries()).map(told).collect::<Vec<_>>(),
            "charger": site.charger(0).map(|c| [c.in_force_ma(), c.limit_ma()]),
        })
    })
}

fn obey(site: &LiveSite, named: &[&str], line: &str) -> Outcome<()> {
    let words: Vec<_> = line.split_whitespace().collect();
    let number = |word: &str| word.parse::<i64>().map_err(|_| format!("{line}: {word} is no number"));
    let host = |key: &str| match key {
        "p1" => Ok(site.with(|site| site.p1_host())),
        _ => named.iter().position(|k| *k == key).ok_or_else(|| format!("{line}: there is no {key}")),
    };
    match words.as_slice() {
        ["load", l1, l2, l3] => {
            let load_w = [number(l1)?, number(l2)?, number(l3)?];
            site.with(|site| site.set_extra_load_w(load_w));
        }
        ["fault", key, name, value] => site.faults().set(host(key)?, fault(name, number(value)?.unsigned_abs())?),
        ["clear", key, name, value] => site.faults().clear(host(key)?, fault(name, number(value)?.unsigned_abs())?),
        ["freeze", frozen] => site.with(|site| site.freeze_meter(*frozen == "1")),
        ["reboot", battery, down_ms] => {
            let (battery, down_ms) = (number(battery)?.unsigned_abs(), number(down_ms)?.unsigned_abs());
            site.with(|site| site.reboot(battery as usize, down_ms));
        }
        ["reboot-charger", down_ms] => {
            let down_ms = number(down_ms)?.unsigned_abs();
            site.with(|site| site.reboot_charger(0, down_ms));
        }
        _ => return Err(format!("{line}: no such command")),
    }
    Ok(())
}

fn fault(name: &str, value: u64) -> Outcome<Fault> {
    Ok(match name {
        "silent" => Fault::Silent,
        "delay" => Fault::Delay(value),
        "reset" => Fault::Reset,
        "half" => Fault::HalfFrame,
        "garbage" => Fault::Garbage,
        "id" => Fault::WrongId,
        "unit" => Fault::WrongUnit,
        "exception" => Fault::Exception(value as u8),
        "frozen" => Fault::FrozenRegisters,
        "absurd" => Fault::AbsurdValues,
        "nan" => Fault::NotANumber,
        "sign" => Fault::SignFlip,
        "jumps" => Fault::Jumps,
        "stolen" => Fault::Stolen,
        "trickle" => Fault::Trickle(value),
        "refuse" => Fault::Refuse,
        "lose" => Fault::LoseReply { permille: value as u16 },
        _ => return Err(format!("there is no fault {name}")),
    })
}

/// One line at once.
fn say(value: &Value) -> Outcome<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{value}").and_then(|()| out.flush()).map_err(|e| format!("nobody listens: {e}"))
}
