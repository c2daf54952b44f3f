//! What a person sees of the live site: four lines per second, one for each phase and one for their sum, within 120 columns.

use std::fmt::Write;

use serde_json::Value;

use crate::config::findings::printable;
use crate::plant::charger::ChargerState;
use crate::plant::house::Running;
use crate::plant::site::{Site, Truth};
use crate::units::Phase;

/// Longest line in columns.
const WIDTH: usize = 120;

/// Most batteries that are shown.
const MOST_BATTERIES: usize = 12;
/// Columns of a battery's name.
const NAME: usize = 10;

/// Above the columns; `widest` is the length of the longest name of a battery.
pub(super) fn header(widest: usize) -> String {
    let truth = columns(["time", "", "house", "sun", "grid"], ["read", "age"]);
    let width = name_width(widest);
    format!("\n{truth} | {:<width$}{:>6} {:>6} {:>5} | {:<16} | switched on\n", "", "power", "set", "SoC %", "written, ago")
}

/// One second: what is true, what the controller says (`null` while it does not answer), what is switched on. A line for each phase with a
/// battery beside it, one for the sum, and one for each further battery.
pub(super) fn block(second: u64, widest: usize, truth: &Truth, status: &Value, running: &[Running]) -> String {
    let mut out = String::new();
    let state = status["site"]["state"].as_str().map_or_else(|| "starting".to_owned(), printable);
    let first = [format!("{second} s"), state, String::new()];
    let width = name_width(widest);
    let beside = |k: usize| {
        let battery = &status["batteries"][k];
        let there = k < truth.battery_w.len();
        if there {
            format!("{} | {:<16}", shown(k, width, truth, battery), last_write(battery))
        } else {
            format!("{:width$} | {:16}", "", "", width = width + 19)
        }
    };
    for (f, phase) in Phase::ALL.into_iter().enumerate() {
        let [house, sun, grid] = [truth.house.load_w[f], truth.house.pv_w[f], truth.grid_w[f]].map(|w| w.to_string());
        let meter = &status["meter"]["phases"][f];
        let read = [number(&meter["power_w"]), age(&meter["age_ms"])];
        let left = columns([&first[f], &phase.to_string(), &house, &sun, &grid], [&read[0], &read[1]]);
        push(&mut out, &format!("{left} | {} | {}", beside(f), devices(phase, running)));
    }
    let [house, sun, grid] = [truth.house.load_w, truth.house.pv_w, truth.grid_w].map(|w| w.iter().sum::<i64>().to_string());
    let read = [number(&status["meter"]["power_w"]), age(&status["meter"]["age_ms"])];
    let reason = printable(status["site"]["reason"].as_str().unwrap_or_default());
    push(&mut out, &format!("{} | {reason}", columns(["", "=", &house, &sun, &grid], [&read[0], &read[1]])));
    for k in 3..truth.battery_w.len().min(MOST_BATTERIES) {
        push(&mut out, &format!("{} | {}", columns([""; 5], [""; 2]), beside(k)));
    }
    for battery in status["batteries"].as_array().into_iter().flatten().take(MOST_BATTERIES).filter(|b| b["bms"].is_object()) {
        push(&mut out, &format!("  BMS of {}: {}", printable(battery["name"].as_str().unwrap_or("?")), bms(&battery["bms"])));
    }
    for alarm in status["alarms"].as_array().into_iter().flatten() {
        push(&mut out, &format!("  ALARM: {}", printable(alarm["name"].as_str().unwrap_or("?"))));
    }
    out
}

/// A line for each charger: what is true.
pub(super) fn chargers(site: &Site, names: &[String]) -> String {
    let mut out = String::new();
    for (name, charger) in names.iter().enumerate().filter_map(|(k, name)| Some((name, site.charger(k)?))) {
        let tenths = |ma: i64| format!("{}.{}", ma / 1000, ma % 1000 / 100);
        let drawn = charger.car().current_ma().map(tenths).join(" / ");
        let state = match charger.state(site.now_ms()) {
            ChargerState::Free => "no car",
            ChargerState::Connected => "a car that wants nothing",
            ChargerState::Paused => "a car that waits",
            ChargerState::Charging => "charging",
            ChargerState::Error => "nobody asks it",
        };
        let limit = tenths(charger.in_force_ma());
        push(&mut out, &format!("  charger {}: {state}, limit {limit} A, draws {drawn} A", printable(name)));
    }
    out
}

/// What a BMS says and allows, in short.
fn bms(status: &Value) -> String {
    let may = |limit: &str, allowed: &str| match (&status[limit], status[allowed].as_bool()) {
        (_, Some(false)) => "forbidden".to_owned(),
        (Value::Number(amperes), _) => format!("{amperes} A"),
        _ => "unknown".to_owned(),
    };
    let word = |key: &str| printable(status[key].as_str().unwrap_or("-"));
    let fault =
        status["fault"].as_str().filter(|fault| !fault.is_empty()).map_or_else(String::new, |fault| format!("; {}", printable(fault)));
    format!(
        "{}, {} % SoC, {} V, {} A, may charge {}, may discharge {}{fault}",
        word("state"),
        status["soc_pct"],
        status["voltage_v"],
        status["current_a"],
        may("charge_limit_a", "charge_allowed"),
        may("discharge_limit_a", "discharge_allowed"),
    )
}

fn name_width(widest: usize) -> usize {
    widest.clamp(1, NAME) + 1
}

/// Time, phase, truth; what the controller reads.
fn columns([time, phase, house, sun, grid]: [&str; 5], [read, age]: [&str; 2]) -> String {
    format!("{time:>8}  {phase:<2} {house:>5} {sun:>5} {grid:>6} | {read:>6} {age:>6}")
}

fn push(out: &mut String, line: &str) {
    let cut: String = line.chars().take(WIDTH).collect();
    let _ = writeln!(out, "{}", cut.trim_end());
}

fn shown(f: usize, width: usize, truth: &Truth, status: &Value) -> String {
    let power = truth.battery_w.get(f).copied().unwrap_or(0);
    let soc = truth.soc_pm.get(f).copied().unwrap_or(0);
    let name = status["name"].as_str().map_or_else(|| "-".to_owned(), printable);
    let name: String = name.chars().take(width - 1).collect();
    format!("{name:<width$}{power:>6} {:>6} {:>3}.{}", number(&status["setpoint_w"]), soc / 10, soc % 10)
}

fn last_write(status: &Value) -> String {
    let Some(what) = status["last_write"].as_str().map(printable) else { return String::new() };
    format!("{:>8} {:>7}", what.strip_prefix("setpoint ").unwrap_or(&what), age(&status["last_write_age_ms"]))
}

fn devices(phase: Phase, running: &[Running]) -> String {
    let here = running.iter().filter(|r| r.phase == phase).map(|r| format!("{} {} W", r.name, r.power_w));
    here.collect::<Vec<_>>().join(", ")
}

fn number(value: &Value) -> String {
    value.as_i64().map_or_else(|| "-".to_owned(), |n| n.to_string())
}

/// An age in seconds with one decimal.
fn age(value: &Value) -> String {
    value.as_u64().map_or_else(String::new, |ms| format!("{}.{} s", ms / 1000, ms % 1000 / 100))
}
