//! The status document for people. Shows what is there and leaves out what is not.

use serde_json::Value;

use super::status_charging::{charging, remote};
use crate::config::findings::printable;

/// A line of what a BMS says is not made longer than this.
const WIDTH: usize = 110;

/// The document for people.
pub(super) fn describe(d: &Value) -> String {
    let mut out = String::new();
    let site = &d["site"];
    let reason = text(&site["reason"]);
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    out += &format!(
        "{}  {}{reason}   ({}, up {} s)\n",
        text(&site["name"]),
        text(&site["state"]).to_uppercase(),
        text(&site["strategy"]),
        number(&site["uptime_s"], 0)
    );
    let meter = &d["meter"];
    out += &format!(
        "\nGrid {} W, {} Hz, {} old ({})\n",
        number(&meter["power_w"], 0),
        number(&meter["frequency_hz"], 2),
        age(&meter["age_ms"]),
        text(&meter["device"])
    );
    if !meter["import_wh"].is_null() || !meter["export_wh"].is_null() {
        out += &format!("Counted {} Wh imported, {} Wh exported\n", number(&meter["import_wh"], 0), number(&meter["export_wh"], 0));
    }
    let mut rows = vec![row(&["", "power W", "current A", "headroom A", "voltage V", "net load W", "age"])];
    for p in list(&meter["phases"]) {
        let columns = [
            text(&p["phase"]),
            number(&p["power_w"], 0),
            number(&p["current_a"], 1),
            number(&p["fuse_headroom_a"], 1),
            number(&p["voltage_v"], 1),
            number(&p["load_w"], 0),
            age(&p["age_ms"]),
        ];
        rows.push(columns.to_vec());
    }
    out += &table(&rows);
    out += &policy(d);
    out += &batteries(list(&d["batteries"]));
    out += &charging(d);
    let alarms = list(&d["alarms"]);
    out += if alarms.is_empty() { "\nNo alarms.\n" } else { "\nAlarms\n" };
    for a in alarms {
        out += &format!("  {} (since {} s)\n", text(&a["name"]), number(&a["since_s"], 0));
    }
    out += "\nErrors\n";
    let mut rows = vec![row(&["", "requests", "timeout", "CRC", "short", "wrong unit", "exception", "invalid", "I/O"])];
    for (name, e) in d["errors"].as_object().into_iter().flatten() {
        let mut columns = vec![printable(name)];
        columns.extend(["requests", "timeout", "crc", "short", "wrong_unit", "exception", "invalid", "io"].map(|k| number(&e[k], 0)));
        rows.push(columns);
    }
    out + &table(&rows)
}

/// The batteries in a table, and what a BMS says below it; nothing where there are none.
fn batteries(batteries: &[Value]) -> String {
    if batteries.is_empty() {
        return String::new();
    }
    let mut rows =
        vec![row(&["", "phase", "SoC %", "power W", "setpoint W", "may charge W", "may discharge W", "state", "age", "writes", "why"])];
    for b in batteries {
        let columns = [
            text(&b["name"]),
            text(&b["phase"]),
            number(&b["soc_pct"], 1),
            number(&b["power_w"], 0),
            number(&b["setpoint_w"], 0),
            number(&b["charge_limit_w"], 0),
            number(&b["discharge_limit_w"], 0),
            text(&b["state"]),
            age(&b["age_ms"]),
            number(&b["writes"], 0),
            text(&b["reason"]),
        ];
        rows.push(columns.to_vec());
    }
    let mut out = "\nBatteries (discharge +, charge -)\n".to_owned() + &table(&rows);
    for b in batteries.iter().filter(|b| b["bms"].is_object()) {
        out += &bms(&text(&b["name"]), &b["bms"]);
    }
    out
}

/// A line for a BMS, and one for what it has to say.
fn bms(battery: &str, bms: &Value) -> String {
    let allowed = |key: &str| match bms[key].as_bool() {
        Some(true) => "",
        Some(false) => " (forbidden)",
        None => " (unknown)",
    };
    let fault = text(&bms["fault"]);
    let out = format!(
        "BMS of {battery} ({}): {}, {} old, {} %, {} V, {} A; charge {} A{}, discharge {} A{}; cells {} to {} V, {} to {} C{}\n",
        text(&bms["device"]),
        text(&bms["state"]),
        age(&bms["age_ms"]),
        number(&bms["soc_pct"], 1),
        number(&bms["voltage_v"], 1),
        number(&bms["current_a"], 1),
        number(&bms["charge_limit_a"], 1),
        allowed("charge_allowed"),
        number(&bms["discharge_limit_a"], 1),
        allowed("discharge_allowed"),
        number(&bms["cell_voltage_min_v"], 3),
        number(&bms["cell_voltage_max_v"], 3),
        number(&bms["cell_temperature_min_c"], 0),
        number(&bms["cell_temperature_max_c"], 0),
        if fault.is_empty() { String::new() } else { format!("; {fault}") }
    );
    out + &remarkable(bms["status"].as_object().into_iter().flatten().map(|(name, says)| (printable(name), text(says))))
}

/// What status registers say, some to a line; those that say nothing (none, 0, no fault) are counted. `--json` has them all.
fn remarkable(says: impl Iterator<Item = (String, String)>) -> String {
    let is_nothing = |says: &str| matches!(says.split(' ').next().unwrap_or_default(), "none" | "0" | "") || says == "no fault";
    let (quiet, speaking): (Vec<_>, Vec<_>) = says.partition(|(_, says)| is_nothing(says));
    let mut lines = vec![String::new()];
    let mut quiet_ones = (!quiet.is_empty()).then(|| format!("{} more: none or 0", quiet.len())).into_iter();
    let items = speaking.into_iter().map(|(name, says)| format!("{name}: {says}")).chain(&mut quiet_ones);
    for item in items {
        let line = lines.last_mut().filter(|line| line.is_empty() || line.len() + item.len() <= WIDTH);
        match line {
            Some(line) if line.is_empty() => *line = item,
            Some(line) => *line += &format!("; {item}"),
            None => lines.push(item),
        }
    }
    lines.into_iter().filter(|line| !line.is_empty()).map(|line| format!("  {line}\n")).collect()
}

/// What is aimed at and what was learned, a line each; nothing about what there is not.
fn policy(d: &Value) -> String {
    let (site, learned) = (&d["site"], &d["meter"]["learned"]);
    let mut out = String::new();
    if site["balance"].is_string() {
        // Peak shaving aims at no grid power, but where a window of the schedule does.
        let aims = site["strategy"] != "peak-shaving" || site["grid_target_w"].as_i64() != Some(0);
        let target = if aims { format!(", target {} W", number(&site["grid_target_w"], 0)) } else { String::new() };
        out += &format!("Balance: {}{target}\n", text(&site["balance"]));
    }
    let limits: Vec<_> = [
        ("import", "import_w", "W"),
        ("recharge below", "recharge_below_w", "W"),
        ("export", "export_w", "W"),
        ("unbalance", "unbalance_va", "VA"),
    ]
    .iter()
    .filter_map(|(word, key, unit)| site["limits"][*key].as_i64().map(|limit| format!("{word} {limit} {unit}")))
    .collect();
    if !limits.is_empty() {
        out += &format!("Limits: {}\n", limits.join(", "));
    }
    if let Some(schedule) = d["schedule"].as_object() {
        let said = match (text(&schedule["active"]), text(&schedule["reason"])) {
            (window, _) if !window.is_empty() => format!("{window}: {}", text(&schedule["action"])),
            (_, reason) if !reason.is_empty() => reason,
            _ => "no window is active".to_owned(),
        };
        out += &format!("Schedule ({}): {said}\n", text(&schedule["timezone"]));
    }
    out += &remote(&site["remote"]);
    let movements = learned["movements"].as_u64().unwrap_or(0);
    if movements > 0 {
        let (window, averaging) = (&learned["window_ms"], learned["averaging_ms"].as_u64().unwrap_or(0));
        let averaging = if averaging > 0 { format!(", averages over {}", age(&learned["averaging_ms"])) } else { String::new() };
        out += &format!("Learned from {movements} movements: the meter is {} to {} late{averaging}", age(&window[0]), age(&window[1]));
        for b in list(&d["batteries"]) {
            let response =
                b["learned"]["response_ms"].as_u64().map_or_else(String::new, |_| format!(" after {}", age(&b["learned"]["response_ms"])));
            out += &format!("; {} x{}{response}", text(&b["name"]), number(&b["learned"]["scale"], 3));
        }
        out.push('\n');
    }
    out
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn text(value: &Value) -> String {
    printable(value.as_str().unwrap_or(""))
}

/// A number with so many decimals; a dash where it is unknown.
pub(super) fn number(value: &Value, decimals: usize) -> String {
    match (value.as_i64(), value.as_f64()) {
        (Some(whole), _) if decimals == 0 => whole.to_string(),
        (_, Some(number)) => format!("{number:.decimals$}"),
        _ => "-".into(),
    }
}

pub(super) fn age(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".into(), |ms| crate::units::Span::from_ms(ms).to_string())
}

pub(super) fn row(columns: &[&str]) -> Vec<String> {
    columns.iter().map(|c| (*c).to_owned()).collect()
}

/// Columns under each other: names and words to the left, numbers to the right.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width: Vec<usize> = (0..columns).map(|c| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0)).collect();
    let is_number = |c: usize| rows.iter().skip(1).all(|r| r[c] == "-" || r[c].parse::<f64>().is_ok());
    let mut out = String::new();
    for r in rows {
        let cells: Vec<_> = (0..columns)
            .map(|c| if is_number(c) { format!("{:>w$}", r[c], w = width[c]) } else { format!("{:<w$}", r[c], w = width[c]) })
            .collect();
        out += "  ";
        out += cells.join("  ").trim_end();
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_counted_and_lines_stay_short() {
        let says = |pairs: &[(&str, &str)]| remarkable(pairs.iter().map(|(name, says)| ((*name).to_owned(), (*says).to_owned())));
        assert_eq!(says(&[]), "");
        assert_eq!(says(&[("Faults", "0"), ("Alarm", "none"), ("Insulation", "0 kΩ")]), "  3 more: none or 0\n");
        assert_eq!(says(&[("Relay", "open"), ("Alarm", "none")]), "  Relay: open; 1 more: none or 0\n");
        let long = "x".repeat(70);
        assert_eq!(says(&[("A", &long), ("B", &long)]), format!("  A: {long}\n  B: {long}\n"));
    }
}
