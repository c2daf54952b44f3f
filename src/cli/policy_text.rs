//! What the controller aims at, in words for the person who wrote the file: strategy, limits, schedule.

use crate::config::{Balance, Battery, Config, ControlMode, Strategy};
use crate::schedule::{Now, Said, Schedule};

/// So many windows are named with their dates.
const NEXT: usize = 3;

/// A line each; `wall_s` is what the wall clock shows, in unix seconds.
pub fn policy_text(config: &Config, wall_s: i64) -> Vec<String> {
    let mut lines = vec![strategy(config)];
    if !matches!(config.site.strategy, Strategy::Observe) {
        lines.extend(by_itself(config));
    }
    limits(config, &mut lines);
    shared(config, &mut lines);
    if let Some(schedule) = &config.schedule {
        windows(schedule, wall_s, &mut lines);
    }
    lines
}

fn strategy(config: &Config) -> String {
    let site = &config.site;
    let who = match site.balance {
        Balance::PerPhase => "each battery works for its own phase",
        Balance::Sum => "the phases are netted, each battery works for all of them, and none charges while another discharges",
    };
    match site.strategy {
        Strategy::Observe => "strategy: everything is read, nothing is written".to_owned(),
        Strategy::SelfConsumption => format!("strategy: the grid connection is kept at {} W; {who}", site.grid_target_w),
        Strategy::PeakShaving { recharge_below_w } => {
            let limit_w = site.import_limit_w.unwrap_or_default();
            format!(
                "strategy: import above {limit_w} W, all phases together, comes out of the batteries; they are recharged while the import is \
                 below {recharge_below_w} W, and never make it higher than that"
            )
        }
        Strategy::Limits => {
            "strategy: the batteries balance by themselves, with their own meter, and are given limits: lowered at once, raised slowly"
                .to_owned()
        }
    }
}

/// Batteries that are not commanded, or not always.
fn by_itself(config: &Config) -> Vec<String> {
    let names = |mode: ControlMode| -> Vec<&str> {
        config.batteries.iter().filter(|b| b.control == mode).map(|b: &Battery| b.name.as_str()).collect()
    };
    let mut lines = Vec::new();
    if let names @ [_, ..] = names(ControlMode::Limits).as_slice() {
        lines.push(format!("battery {}: never commanded, only limited", names.join(", ")));
    }
    if let names @ [_, ..] = names(ControlMode::Hybrid).as_slice() {
        lines.push(format!("battery {}: commanded only while more is wanted of it than a balanced grid", names.join(", ")));
    }
    lines
}

fn limits(config: &Config, lines: &mut Vec<String>) {
    let site = &config.site;
    let amperes = f64::from(site.fuse_ma) / 1000.0;
    lines.push(format!("limit: each phase stays below the fuse of {amperes} A, in both directions, as far as the batteries can"));
    let peak = matches!(site.strategy, Strategy::PeakShaving { .. });
    if let Some(limit_w) = site.import_limit_w.filter(|_| !peak) {
        lines.push(format!("limit: import is kept at or below {limit_w} W, as far as the batteries can"));
    }
    match site.export_limit_w {
        Some(0) => lines.push("limit: nothing is exported, as far as the batteries can".to_owned()),
        Some(limit_w) => lines.push(format!("limit: export is kept at or below {limit_w} W, as far as the batteries can")),
        None => {}
    }
    if let Some(limit_va) = site.unbalance_limit_va {
        lines.push(format!("limit: the batteries of one phase never give or take more than {limit_va} VA more than those of another"));
    }
}

/// Batteries that can stand in for each other.
fn shared(config: &Config, lines: &mut Vec<String>) {
    let together =
        |b: &Battery| config.site.balance == Balance::Sum || config.batteries.iter().filter(|other| other.phase == b.phase).count() > 1;
    let sharing: Vec<_> = config.batteries.iter().filter(|b| together(b)).collect();
    if sharing.len() > 1 {
        let least: Vec<_> = sharing.iter().map(|b| format!("{} {} W", b.name, b.min_power_w)).collect();
        lines.push(format!(
            "shared work: one battery does it alone before another works below its least useful power: {}",
            least.join(", ")
        ));
    }
}

fn windows(schedule: &Schedule, wall_s: i64, lines: &mut Vec<String>) {
    for window in &schedule.windows {
        lines.push(format!("schedule: {window} ({}): {}", schedule.zone.name(), Said(window.action)));
    }
    if schedule.now(wall_s) == Now::ClockNotSet {
        lines.push("  the wall clock of this machine was never set: no window would be active".to_owned());
        return;
    }
    let next = schedule.next(wall_s, NEXT);
    if next.is_empty() {
        lines.push("  no window is active in the next two weeks".to_owned());
    }
    for occurrence in next {
        let action = schedule.windows.get(occurrence.window).map_or_else(String::new, |w| Said(w.action).to_string());
        let until = occurrence.to.map_or_else(|| "all the next two weeks".to_owned(), |to| format!("until {to}"));
        lines.push(match occurrence.from {
            Some(from) => format!("  next: {from}, {until}: {action}"),
            None => format!("  now, {until}: {action}"),
        });
    }
}
