//! The course of a day as a table: CSV, a line per second. [`trace`](super::trace) reads it again.

use std::io::{self, Write};

use super::course::{Course, Moment};

/// Writes it, with a header that names the units.
pub fn write(course: &Course, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", header(course).join(","))?;
    for (second, moment) in (0u32..).zip(&course.moments) {
        write_moment(course, second, moment, out)?;
    }
    Ok(())
}

/// The load and the sun come first, under the names that a trace has.
fn header(course: &Course) -> Vec<String> {
    let mut names: Vec<String> = ["time_s", "l1_w", "l2_w", "l3_w", "pv_w"].map(str::to_owned).into();
    for what in ["grid", "car"] {
        names.extend((1..=3).map(|phase| format!("{what}_l{phase}_w")));
    }
    for battery in &course.batteries {
        names.extend(["w", "setpoint_w", "soc_percent"].map(|what| format!("battery {battery} {what}")));
    }
    names.extend(course.chargers.iter().map(|charger| format!("charger {charger} limit_a")));
    names.extend(["mode", "overlays"].map(str::to_owned));
    names.iter().map(|name| quoted(name)).collect()
}

fn write_moment(course: &Course, second: u32, moment: &Moment, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{second}")?;
    let powers = [&moment.load_w[..], &[moment.pv_w], &moment.grid_w, &moment.car_w];
    for watts in powers.into_iter().flatten() {
        write!(out, ",{watts}")?;
    }
    for ((watts, setpoint), soc_pm) in moment.battery_w.iter().zip(&moment.setpoint_w).zip(&moment.soc_pm) {
        write!(out, ",{watts},")?;
        if let Some(setpoint) = setpoint {
            write!(out, "{setpoint}")?;
        }
        write!(out, ",{}.{}", soc_pm / 10, soc_pm % 10)?;
    }
    for limit_ma in &moment.limit_ma {
        match limit_ma {
            Some(ma) => write!(out, ",{}.{:03}", ma / 1000, ma % 1000)?,
            None => write!(out, ",")?,
        }
    }
    let overlays: Vec<_> = course.overlays_at(second).collect();
    writeln!(out, ",{},{}", format!("{:?}", moment.mode).to_uppercase(), quoted(&overlays.join("; ")))
}

/// A name that holds what separates.
fn quoted(name: &str) -> String {
    if name.contains(['"', ',', ';', '\n', '\r']) {
        format!("\"{}\"", name.replace('"', "\"\"").replace(['\n', '\r'], " "))
    } else {
        name.to_owned()
    }
}
