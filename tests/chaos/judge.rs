//! The invariants, judged from outside: from what the devices were told and did, the status, and the journal.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::devices::Sample;
use crate::kinds::Kind;
use crate::layout::Layout;
use crate::plan::Injection;

/// Invariant 2: so long after the loss at most.
const FALLBACK: Duration = Duration::from_secs(60);
/// What a command may grow by while the meter is lost: what was on its way, and noise.
const GROWTH_W: i64 = 150;

/// A battery at rest reads so much.
const NOISE_W: i64 = 30;

/// One fault, and what was seen of it.
#[derive(Clone, Debug)]
pub struct Case {
    pub injection: Injection,
    pub began: Option<(Instant, u64)>,
    pub ended: Option<Instant>,
    pub errors_before: u64,
    pub seen: bool,
    /// Commands when they had to stop growing.
    told: Option<Vec<i64>>,
    pub was_commanded: bool,
    pub fallback_ms: Option<u64>,
    /// Lines of the journal that name the thing.
    pub lines: usize,
    said: bool,
}

impl Case {
    pub fn new(injection: Injection) -> Case {
        Case {
            injection,
            began: None,
            ended: None,
            errors_before: 0,
            seen: false,
            told: None,
            was_commanded: false,
            fallback_ms: None,
            lines: 0,
            said: false,
        }
    }

    pub fn is_active(&self) -> bool {
        self.began.is_some() && self.ended.is_none()
    }

    pub fn loses(&self) -> bool {
        self.injection.kind.duty().loses && !self.lies()
    }

    /// What comes are numbers as good as others.
    pub fn lies(&self) -> bool {
        matches!(self.injection.kind, Kind::Jumps | Kind::SignFlip)
    }

    pub fn is_meter(&self) -> bool {
        self.injection.thing.as_ref().is_some_and(|t| t.is_meter)
    }

    pub fn name(&self) -> String {
        let key = self.injection.thing.as_ref().map_or("", |t| t.key);
        format!("{} {key} for {} s", self.injection.kind.duty().name, self.injection.for_ms / 1000).replace("  ", " ")
    }

    /// Whether this battery's own host is touched.
    fn touches(&self, battery: usize, now: Instant) -> bool {
        let lately = self.ended.is_none_or(|at| now.duration_since(at) < Duration::from_secs(15));
        self.began.is_some()
            && lately
            && self.injection.thing.as_ref().is_none_or(|t| t.battery == Some(battery) && !t.is_bms)
            && !matches!(self.injection.kind, Kind::FullDisk | Kind::ClockBack | Kind::ClockForth)
    }
}

/// What the controller's process was doing.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    pub lives: bool,
    /// Since when it runs, or goes on.
    pub since: Instant,
    /// When it was started, in ms of the site.
    pub started_t: u64,
}

/// Invariants 1, 2 and 3 on a sample.
pub fn sample(layout: &Layout, sample: &Sample, cases: &mut [Case], overload: bool, life: Life) -> Vec<String> {
    let mut found = limits(layout, sample, overload);
    let others = cases.to_vec();
    for case in cases.iter_mut().filter(|c| c.is_active() && c.loses()) {
        let Some((began, began_t)) = case.began else { continue };
        let untouched = |k: &usize| !others.iter().any(|c| c.touches(*k, sample.at));
        let told: Vec<i64> = sample.told.iter().map(|t| t.map_or(0, |(w, _)| w)).collect();
        let concerned: Vec<usize> = match &case.injection.thing {
            Some(thing) if thing.is_meter => (0..told.len()).filter(untouched).collect(),
            Some(thing) if thing.is_bms => thing.battery.into_iter().filter(untouched).collect(),
            _ => continue,
        };
        let commanded = concerned.iter().any(|k| told[*k] != 0);
        if !commanded && case.was_commanded && case.fallback_ms.is_none() {
            case.fallback_ms = Some(sample.at.duration_since(began).as_millis() as u64);
        }
        case.was_commanded |= commanded;
        let since = began.max(life.since);
        if life.lives && sample.at.duration_since(since) > FALLBACK && commanded && !case.said {
            case.said = true;
            found.push(format!("2: {}: told {told:?} W more than 60 s after the loss", case.name()));
        }
        if case.is_meter()
            && life.lives
            && sample.at.duration_since(since) > FALLBACK
            && sample.charger_ma.is_some_and(|c| c[0] > 6000)
            && !case.said
        {
            case.said = true;
            found.push(format!("2: {}: the charger may draw {:?} mA 60 s after the loss", case.name(), sample.charger_ma));
        }
        if !case.is_meter() {
            continue;
        }
        // Alone, it begins where all stands still: then no command may grow at all.
        let alone = others.iter().filter(|c| c.began.is_some()).count() == 1;
        let grace_t = began_t + if alone { 0 } else { 4000 + 4 * layout.poll_ms.max(1000) };
        if sample.t > grace_t {
            let reference = case.told.get_or_insert_with(|| told.clone()).clone();
            for k in concerned {
                let grew = told[k].abs() > reference[k].abs() + GROWTH_W || told[k].signum() * reference[k].signum() < 0;
                if grew && !case.said && sample.told[k].is_some_and(|(_, at)| at > grace_t) {
                    case.said = true;
                    found.push(format!("3: {}: battery {k} is told {} W without a meter, before {} W", case.name(), told[k], reference[k]));
                }
            }
        }
    }
    found.extend(unknown(layout, sample, &others, life));
    found
}

/// Invariant 1.
fn limits(layout: &Layout, sample: &Sample, overload: bool) -> Vec<String> {
    let mut found = Vec::new();
    for (k, told) in sample.told.iter().enumerate() {
        let Some((watts, _)) = told else { continue };
        let soc_pm = sample.soc_pm.get(k).copied().unwrap_or(0);
        // For a fuse, energy below the reserve may be used.
        let (charge, discharge) = if overload { layout.ratings() } else { layout.allowed(soc_pm) };
        let bms = layout.allowed(500);
        // The first command after a pause is what the battery is measured to do; at rest that is noise.
        let at_most = |w: i64| w.max(NOISE_W);
        if *watts > at_most(discharge.min(bms.1)) || -watts > at_most(charge.min(bms.0)) {
            found.push(format!("1: battery {k} at {} % is told {watts} W, allowed are -{charge} to {discharge}", soc_pm / 10));
        }
    }
    if let Some([in_force, told]) = sample.charger_ma {
        if in_force.max(told) > 32_000 {
            found.push(format!("1: the charger may draw {in_force} mA"));
        }
    }
    found
}

/// Invariant 3 after a start: nothing is written before everything was heard.
fn unknown(layout: &Layout, sample: &Sample, cases: &[Case], life: Life) -> Vec<String> {
    let mut found = Vec::new();
    for (k, told) in sample.told.iter().enumerate() {
        let Some((watts, at)) = told else { continue };
        if *at <= life.started_t || !life.lives {
            continue;
        }
        if *at < life.started_t + layout.poll_ms {
            found.push(format!("3: battery {k} is told {watts} W {} ms after the start", at - life.started_t));
        }
        let never_heard = |c: &&Case| {
            // Who works without a battery that never answers begins after a while; nobody works without a meter.
            let matters = c.injection.thing.as_ref().is_some_and(|t| t.is_meter || t.battery == Some(k));
            c.is_active() && c.loses() && matters && c.began.is_some_and(|(_, t)| t < life.started_t)
        };
        if let Some(case) = cases.iter().find(never_heard).filter(|_| *watts != 0) {
            found.push(format!("3: battery {k} is told {watts} W after a start, but {} holds", case.name()));
        }
    }
    found
}

/// Errors of communication so far: all of them, or those of one link.
pub fn errors(status: &Value, link: &str) -> u64 {
    let of = |e: &Value| {
        ["timeout", "crc", "short", "wrong_unit", "exception", "invalid", "io"].iter().filter_map(|k| e[*k].as_u64()).sum::<u64>()
    };
    let links = status["errors"].as_object();
    links.into_iter().flatten().filter(|(name, _)| name.contains(link)).map(|(_, e)| of(e)).sum()
}

/// Invariant 6: whether the status shows this.
pub fn shows(status: &Value, case: &Case, link: &str, poll_ms: u64) -> bool {
    let Some(thing) = &case.injection.thing else { return status["site"]["state"] != "run" };
    let old = |age: &Value, poll_ms: u64| age.as_u64().is_none_or(|ms| ms > 3 * poll_ms + 2000);
    let battery = thing.battery.map(|k| &status["batteries"][k]);
    let has_alarm = |a: &Value| a["name"].as_str().is_some_and(|n| thing.names.iter().any(|name| n.contains(name)));
    errors(status, link) > case.errors_before
        || status["alarms"].as_array().is_some_and(|a| a.iter().any(has_alarm))
        || thing.is_meter && (status["site"]["state"] != "run" || old(&status["meter"]["age_ms"], poll_ms))
        || battery.is_some_and(|b| !thing.is_bms && old(&b["age_ms"], poll_ms) || thing.is_bms && old(&b["bms"]["age_ms"], 1000))
        || thing.is_charger && old(&status["chargers"][0]["age_ms"], 3000)
}
