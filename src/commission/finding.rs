//! What was found out: per battery, about the meter, and what of it is worth keeping.

use super::leg::Clean;
use super::machine::Commission;
use super::response::{Response, fit};
use super::subject::{CleanLeg, Subject};
use super::timing::{Averaging, LEGS, Times, averaging, window};
use crate::config::Encoding;
use crate::control::learned::Learned;
use crate::control::site::{BatterySite, Connection, ControlKind, Window};
use crate::daemon::battery::left_at;
use crate::device::writer::Command;
use crate::units::{Span, Time};

/// Clean legs that a finding needs.
const ENOUGH: usize = 2;
/// A leg whose scale is this far from that of most, per mille, had the house in it.
const ODD_PM: i64 = 80;
/// Scales that can be (`control::learned`).
const SCALES_PM: std::ops::RangeInclusive<i64> = 850..=1150;
/// The longest window that makes sense, beginning to end (`spec/control.md` 2.2: 15 s).
const WINDOW_MOST: Span = Span::from_s(16);
/// Scales of the legs that differ by no more than this say the same, per mille.
const SAME_SCALE_PM: i64 = 45;

/// Whether a battery does what it is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Follows {
    /// In all directions that were tried.
    Yes,
    /// It does not discharge.
    OnlyCharging,
    /// It does not charge.
    OnlyDischarging,
    /// Not at all.
    No,
    /// It was not moved, or nothing is clear.
    Unknown,
}

/// Something that does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Issue {
    /// It is connected elsewhere.
    Phase,
    /// Its setpoints are encoded in another way.
    Encoding,
    /// Setpoints act the other way round.
    SetpointSign,
    /// Its reading has the wrong sign.
    ReadingSign,
    /// The grid moves the wrong way: the sign of the meter, or both signs of the battery.
    GridSign,
    /// Its reading is further off than can be corrected.
    Scale,
    /// It does not follow, or in one direction only.
    NotFollowing,
    /// Nothing is known for certain.
    NotClear,
    /// It could not be moved.
    NotMoved,
}

/// What was found out about a battery.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// Its name.
    pub name: String,
    /// Does it follow.
    pub follows: Follows,
    /// Where it is connected, and where the configuration says.
    pub connection: (Option<Connection>, Connection),
    /// The encoding that it speaks, where there is a choice, and what the configuration says.
    pub encoding: (Option<Encoding>, Encoding),
    /// Dead time and lag.
    pub response: Option<Response>,
    /// What its reading is to be multiplied by, per mille.
    pub scale_pm: Option<i64>,
    /// Clean legs.
    pub legs: usize,
    /// It balances by itself inside limits, so that it cannot be moved.
    pub untested: bool,
    /// What does not fit.
    pub issues: Vec<Issue>,
    /// What a person should read.
    pub notes: Vec<String>,
}

/// What came out of a commissioning.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// Per battery.
    pub findings: Vec<Finding>,
    /// The ages of the meter's values; `None`: not clear.
    pub window: Option<Window>,
    /// The longest period at which the meter measures.
    pub refresh: Option<Span>,
    /// Whether it averages.
    pub averaging: Averaging,
    /// What is worth keeping.
    pub learned: Learned,
    /// From the beginning to the last leg.
    pub took: Span,
    /// Why it ended early.
    pub stopped: Option<String>,
    /// Batteries that did not acknowledge their release.
    pub unreleased: Vec<String>,
    /// Batteries that were not handed back, but left at 0 W, and why, in words.
    pub left: Vec<String>,
}

impl Outcome {
    /// Everything that could be tested is as the configuration says.
    pub fn fits(&self) -> bool {
        let window = self.window.is_some() || self.findings.iter().all(|f| f.untested);
        self.stopped.is_none() && self.unreleased.is_empty() && window && self.findings.iter().all(|f| f.issues.is_empty())
    }

    /// Something could not be tested, because it balances by itself.
    pub fn leaves_open(&self) -> bool {
        self.findings.iter().any(|f| f.untested)
    }
}

/// Sums up; the legs ended at `end`.
pub(super) fn conclude(c: &Commission, end: Time) -> Outcome {
    let findings: Vec<Finding> = c.subjects.iter().enumerate().map(|(k, s)| finding(s, &c.setup.site.batteries[k])).collect();
    let legs: Vec<(&Times, Option<Response>)> =
        c.subjects.iter().zip(&findings).flat_map(|(s, f)| s.clean.iter().map(|l| (&l.times, f.response))).collect();
    let refresh = c.record.refresh();
    let known: Vec<_> = legs.iter().filter_map(|(t, r)| Some((*t, (*r)?))).collect();
    let spacing = c.record.spacing();
    let averages = refresh.zip(spacing).map_or(Averaging::Unknown, |(refresh, spacing)| averaging(&known, refresh, spacing));
    let window = refresh.and_then(|refresh| window(&legs, refresh, averages)).filter(|w| w.hi <= WINDOW_MOST);
    let mut learned = Learned::nothing(findings.len());
    if let Some(window) = window {
        learned.window = window;
        learned.movements = u32::try_from(legs.len()).unwrap_or(u32::MAX);
        learned.averaging = if averages == Averaging::Yes { refresh.unwrap_or_default() } else { Span::ZERO };
    }
    for ((kept, found), subject) in learned.batteries.iter_mut().zip(&findings).zip(&c.subjects) {
        kept.scale_pm = found.scale_pm.filter(|s| SCALES_PM.contains(s) && agree_on_scale(&subject.clean)).unwrap_or(1000);
        let responses = subject.clean.iter().filter_map(|l| l.times.response());
        kept.response = responses.max().filter(|_| subject.clean.len() >= LEGS);
    }
    Outcome {
        window,
        refresh,
        averaging: averages,
        learned,
        took: end.since(c.begun.unwrap_or(end)),
        stopped: c.stopped.clone(),
        unreleased: c.subjects.iter().filter(|s| s.is_told() && !s.released).map(|s| s.setup.name.clone()).collect(),
        left: c.subjects.iter().zip(&c.setup.site.batteries).filter(|(s, _)| s.is_told()).filter_map(|(s, site)| left(s, site)).collect(),
        findings,
    }
}

fn left(s: &Subject, site: &BatterySite) -> Option<String> {
    let objection = s.objection?;
    let end = match site.control {
        ControlKind::Setpoint => Command::Setpoint(0),
        ControlKind::Limits | ControlKind::Hybrid => {
            Command::Limits { charge_w: objection.allows_charging().into(), discharge_w: objection.allows_discharging().into() }
        }
    };
    Some(format!("battery {}: {}", s.setup.name, left_at(end, objection)))
}

fn finding(s: &Subject, site: &BatterySite) -> Finding {
    let (configured, control) = (site.connection, site.control);
    let enough = s.clean.len() >= ENOUGH;
    let same = |what: fn(&Clean) -> i64| s.clean.windows(2).all(|l| what(&l[0].clean) == what(&l[1].clean));
    let agree = same(|c| c.connection.slot() as i64) && same(|c| c.with_command.into()) && same(|c| c.against_battery.into());
    let clear = s.clean.first().filter(|_| enough && agree).map(|l| l.clean);
    let rises: Vec<(i64, i64)> = s.clean.iter().flat_map(|l| l.times.rise.iter().copied()).collect();
    let mut found = Finding {
        name: s.setup.name.clone(),
        follows: follows(s),
        connection: (clear.map(|c| c.connection), configured),
        encoding: (Some(s.encoding).filter(|_| s.is_choosable() && s.followed), s.setup.encoding),
        response: clear.and_then(|_| fit(&rises)),
        scale_pm: clear.and_then(|_| scale_pm(&s.clean)),
        legs: s.clean.len(),
        untested: control != ControlKind::Setpoint && !s.ignores,
        issues: Vec::new(),
        notes: s.notes.clone(),
    };
    found.issues = issues(s, &found, clear);
    found
}

fn issues(s: &Subject, found: &Finding, clear: Option<Clean>) -> Vec<Issue> {
    let signs = clear.map(|c| (c.with_command, c.against_battery));
    let moved = !s.clean.is_empty() || s.unclear > 0;
    [
        (matches!(found.follows, Follows::No | Follows::OnlyCharging | Follows::OnlyDischarging), Issue::NotFollowing),
        (found.follows == Follows::Unknown && !moved && !found.untested, Issue::NotMoved),
        (moved && clear.is_none() && found.follows != Follows::No, Issue::NotClear),
        (found.connection.0.is_some_and(|c| c != found.connection.1), Issue::Phase),
        (found.encoding.0.is_some_and(|e| e != found.encoding.1), Issue::Encoding),
        (signs == Some((false, true)), Issue::SetpointSign),
        (signs == Some((false, false)), Issue::ReadingSign),
        (signs == Some((true, false)), Issue::GridSign),
        (found.scale_pm.is_some_and(|s| !SCALES_PM.contains(&s)), Issue::Scale),
    ]
    .into_iter()
    .filter_map(|(holds, issue)| holds.then_some(issue))
    .collect()
}

fn follows(s: &Subject) -> Follows {
    let followed = |up: bool| s.clean.iter().any(|l| l.leg.to_w != 0 && (l.leg.to_w > 0) == up);
    let refused = |up: bool| s.not_followed.iter().any(|w| (*w > 0) == up);
    match (s.ignores, refused(true), refused(false)) {
        (true, ..) | (_, true, true) => Follows::No,
        (_, true, false) if followed(false) => Follows::OnlyCharging,
        (_, false, true) if followed(true) => Follows::OnlyDischarging,
        (_, false, false) if !s.clean.is_empty() => Follows::Yes,
        (_, false, false) => Follows::Unknown,
        _ => Follows::No,
    }
}

/// The legs say the same about the scale, so closely that the house cannot have said it. Else it is left to be learned from larger
/// movements while running: a wrong scale costs more than none.
fn agree_on_scale(legs: &[CleanLeg]) -> bool {
    let (lowest, highest) = (legs.iter().map(leg_scale_pm).min(), legs.iter().map(leg_scale_pm).max());
    legs.len() >= LEGS && highest.unwrap_or(0) - lowest.unwrap_or(0) <= SAME_SCALE_PM
}

fn leg_scale_pm(leg: &CleanLeg) -> i64 {
    leg.clean.grid_w.abs() * 1000 / leg.movement.battery_w.abs().max(1)
}

/// Movement of the grid by movement of the reading, over all legs but odd ones, per mille.
fn scale_pm(legs: &[CleanLeg]) -> Option<i64> {
    let scale = leg_scale_pm;
    let mut scales: Vec<i64> = legs.iter().map(scale).collect();
    scales.sort_unstable();
    let middle = *scales.get(scales.len() / 2)?;
    let normal = legs.iter().filter(|l| (scale(l) - middle).abs() <= ODD_PM);
    let (grid, battery) = normal.fold((0, 0), |(grid, battery), l| {
        let w = l.movement.battery_w;
        (grid + l.clean.grid_w.abs() * w.abs(), battery + w * w)
    });
    (battery > 0).then(|| (1000 * grid + battery / 2) / battery)
}
