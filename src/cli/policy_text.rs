//! What the controller aims at, in words for the person who wrote the file: strategy, limits, schedule.

use crate::config::{Balance, Battery, Config, ControlMode, Strategy};
use crate::schedule::{Now, Said, Schedule};

/// So many windows are named with their dates.
const NEXT: usize = 3;

/// A line each; `wall_s` is what the wall clock shows, in unix seconds.
pub fn policy_text(config: &Config, wall_s: i64) -> Vec<String> {
    let mut lines = vec![strategy(config)];
    // Nothing of this holds while nothing is written.
    let observes = config.site.strategy == Strategy::Observe;
    if !observes && !config.batteries.is_empty() {
        lines.extend(by_itself(config));
        limits(config, &mut lines);
        shared(config, &mut lines);
    }
    if observes && config.schedule.is_some() {
        lines.push("schedule: no window has an effect while observing; with another strategy they would be:".to_owned());
    }
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
    let by_themselves =
        "strategy: the batteries balance by themselves, with their own meter, and are given limits: lowered at once, raised slowly";
    match site.strategy {
        _ if nobody_is_commanded(config) => by_themselves.to_owned(),
        Strategy::Observe => "strategy: everything is read, nothing is written".to_owned(),
        _ if config.batteries.is_empty() => {
            "strategy: no battery: the targets and limits of [site] have no effect, and the load balancer alone relieves the phases"
                .to_owned()
        }
        Strategy::SelfConsumption => format!("strategy: the grid connection is kept at {} W; {who}", site.grid_target_w),
        Strategy::PeakShaving { recharge_below_w } => {
            let limit_w = site.import_limit_w.unwrap_or_default();
            format!(
                "strategy: import above {limit_w} W, all phases together, comes out of the batteries; they are recharged while the import is \
                 below {recharge_below_w} W, and never make it higher than that"
            )
        }
        Strategy::Limits => by_themselves.to_owned(),
    }
}

/// Whether every battery balances by itself, inside limits.
fn nobody_is_commanded(config: &Config) -> bool {
    let limited = config.batteries.iter().filter(|b| b.control == ControlMode::Limits).count();
    config.site.strategy != Strategy::Observe && limited > 0 && limited == config.batteries.len()
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
    if nobody_is_commanded(config) {
        return;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::device::library::Library;

    const BATTERY: &str =
        "[meter]\ndevice = \"sax\"\n[[battery]]\nname = \"A\"\ndevice = \"sax\"\nphase = \"L1\"\nlink.tcp = { host = \"h\" }\n";
    const WINDOW: &str = "[[schedule]]\ntimezone = \"Europe/Berlin\"\nfrom = \"01:00\"\nto = \"05:00\"\naction = { hold = true }\n";

    fn said(site: &str, more: &str) -> String {
        let library = Library::built_in().unwrap_or_else(|e| panic!("{e}"));
        let text = format!("[site]\nfuse_a = 25\n{site}\n{BATTERY}{more}");
        let config = parse(&text, &library).unwrap_or_else(|f| panic!("{}", f.render("test.toml")));
        policy_text(&config, 0).join("\n")
    }

    #[test]
    fn batteries_that_are_never_commanded_are_kept_at_nothing() {
        let text = said("strategy = \"self-consumption\"", "control = \"limits\"\n");
        assert!(text.contains("balance by themselves") && text.contains("never commanded") && !text.contains("kept at 0 W"), "{text}");
        assert!(said("strategy = \"self-consumption\"", "").contains("kept at 0 W; each battery works for its own phase"));
    }

    #[test]
    fn observing_limits_nothing() {
        let text = said("strategy = \"observe\"\nexport_limit_w = 100", WINDOW);
        assert!(!text.contains("limit:") && text.contains("no window has an effect while observing"), "{text}");
        assert!(said("strategy = \"self-consumption\"", WINDOW).contains("limit: each phase"));
    }
}
