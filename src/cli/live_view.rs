//! What a person sees of the live site: three lines per second, one for each phase, within 120 columns.

use std::fmt::Write;

use serde_json::Value;

use crate::config::findings::printable;
use crate::plant::house::Running;
use crate::plant::site::Truth;
use crate::units::Phase;

/// Above the columns.
pub(super) const HEADER: &str = "
             what really is, W    | as read by the | battery    W  setpoint  SoC %| last write            | switched on
   time      house    sun    grid | controller   W |                              |                       |
";

/// Longest line in columns.
const WIDTH: usize = 120;

/// One second: what is true, what the controller says (`null` while it does not answer), what is switched on.
pub(super) fn block(second: u64, truth: &Truth, status: &Value, running: &[Running]) -> String {
    let mut out = String::new();
    let state = status["site"]["state"].as_str().map_or_else(|| "starting".to_owned(), printable);
    let first = [format!("{second:>5} s"), state, String::new()];
    for (f, phase) in Phase::ALL.into_iter().enumerate() {
        let (house, sun, grid) = (truth.house.load_w[f], truth.house.pv_w[f], truth.grid_w[f]);
        let meter = &status["meter"]["phases"][f];
        let line = format!(
            "{:<8} {phase} {house:>6} {sun:>6} {grid:>7} | {:>6} {:>7} | {} | {:<21} | {}",
            first[f],
            number(&meter["power_w"]),
            age(&meter["age_ms"]),
            battery(f, truth, &status["batteries"][f]),
            last_write(&status["batteries"][f]),
            devices(phase, running)
        );
        push(&mut out, &line);
    }
    let total = status["meter"]["power_w"].as_i64();
    let reason = status["site"]["reason"].as_str().unwrap_or_default();
    if !reason.is_empty() {
        push(&mut out, &format!("         why: {}", printable(reason)));
    } else if let Some(total) = total {
        let really: i64 = truth.grid_w.iter().sum();
        push(&mut out, &format!("        sum {:>22} | {total:>6} {:>7} |", really, age(&status["meter"]["age_ms"])));
    }
    for alarm in status["alarms"].as_array().into_iter().flatten() {
        push(&mut out, &format!("         ALARM: {}", printable(alarm["name"].as_str().unwrap_or("?"))));
    }
    out
}

fn push(out: &mut String, line: &str) {
    let cut: String = line.chars().take(WIDTH).collect();
    let _ = writeln!(out, "{}", cut.trim_end());
}

fn battery(f: usize, truth: &Truth, status: &Value) -> String {
    let power = truth.battery_w.get(f).copied().unwrap_or(0);
    let soc = truth.soc_pm.get(f).copied().unwrap_or(0);
    let name = status["name"].as_str().map_or_else(|| "-".to_owned(), printable);
    format!("{name:<3} {power:>9} {:>9} {:>3}.{}", number(&status["setpoint_w"]), soc / 10, soc % 10)
}

fn last_write(status: &Value) -> String {
    match status["last_write"].as_str() {
        Some(what) => format!("{} {:>6}", printable(what), age(&status["last_write_age_ms"])),
        None => String::new(),
    }
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
