//! What a person sees of the live site: four lines per second, one for each phase and one for their sum, within 120 columns.

use std::fmt::Write;

use serde_json::Value;

use crate::config::findings::printable;
use crate::plant::house::Running;
use crate::plant::site::Truth;
use crate::units::Phase;

/// Longest line in columns.
const WIDTH: usize = 120;

/// Above the columns.
pub(super) fn header() -> String {
    let truth = columns(["time", "", "house", "sun", "grid"], ["read", "age"]);
    format!("\n{truth} | {:<2}{:>6} {:>6} {:>5} | {:<16} | switched on\n", "", "power", "set", "SoC %", "written, ago")
}

/// One second: what is true, what the controller says (`null` while it does not answer), what is switched on.
pub(super) fn block(second: u64, truth: &Truth, status: &Value, running: &[Running]) -> String {
    let mut out = String::new();
    let state = status["site"]["state"].as_str().map_or_else(|| "starting".to_owned(), printable);
    let first = [format!("{second} s"), state, String::new()];
    for (f, phase) in Phase::ALL.into_iter().enumerate() {
        let [house, sun, grid] = [truth.house.load_w[f], truth.house.pv_w[f], truth.grid_w[f]].map(|w| w.to_string());
        let meter = &status["meter"]["phases"][f];
        let read = [number(&meter["power_w"]), age(&meter["age_ms"])];
        let left = columns([&first[f], &phase.to_string(), &house, &sun, &grid], [&read[0], &read[1]]);
        let battery = &status["batteries"][f];
        push(&mut out, &format!("{left} | {} | {:<16} | {}", shown(f, truth, battery), last_write(battery), devices(phase, running)));
    }
    let [house, sun, grid] = [truth.house.load_w, truth.house.pv_w, truth.grid_w].map(|w| w.iter().sum::<i64>().to_string());
    let read = [number(&status["meter"]["power_w"]), age(&status["meter"]["age_ms"])];
    let reason = printable(status["site"]["reason"].as_str().unwrap_or_default());
    push(&mut out, &format!("{} | {reason}", columns(["", "=", &house, &sun, &grid], [&read[0], &read[1]])));
    for alarm in status["alarms"].as_array().into_iter().flatten() {
        push(&mut out, &format!("  ALARM: {}", printable(alarm["name"].as_str().unwrap_or("?"))));
    }
    out
}

/// Time, phase, truth; what the controller reads.
fn columns([time, phase, house, sun, grid]: [&str; 5], [read, age]: [&str; 2]) -> String {
    format!("{time:>8}  {phase:<2} {house:>5} {sun:>5} {grid:>6} | {read:>6} {age:>6}")
}

fn push(out: &mut String, line: &str) {
    let cut: String = line.chars().take(WIDTH).collect();
    let _ = writeln!(out, "{}", cut.trim_end());
}

fn shown(f: usize, truth: &Truth, status: &Value) -> String {
    let power = truth.battery_w.get(f).copied().unwrap_or(0);
    let soc = truth.soc_pm.get(f).copied().unwrap_or(0);
    let name = status["name"].as_str().map_or_else(|| "-".to_owned(), printable);
    format!("{name:<2}{power:>6} {:>6} {:>3}.{}", number(&status["setpoint_w"]), soc / 10, soc % 10)
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
