//! What was found out, for people: a table, what it says about the meter, and the lines to change.

use super::finding::{Finding, Follows, Issue, Outcome};
use super::timing::Averaging;
use crate::control::capability::Cause;
use crate::control::site::Connection;
use crate::units::{Phase, Span};

/// Everything that a person should read at the end.
pub fn report(outcome: &Outcome) -> String {
    let mut out = table(outcome);
    out += &meter(outcome);
    let lines = changes(outcome);
    if !lines.is_empty() {
        out += "\nTo change in the configuration:\n";
        out += &lines.iter().map(|l| format!("  {l}\n")).collect::<String>();
    }
    let remarks = remarks(outcome);
    if !remarks.is_empty() {
        out += "\nTo look at:\n";
        out += &remarks.iter().map(|l| format!("  {l}\n")).collect::<String>();
    }
    out
}

/// The phase, as the configuration writes it.
pub fn connection(connection: Connection) -> &'static str {
    match connection {
        Connection::Phase(0) => "L1",
        Connection::Phase(1) => "L2",
        Connection::Phase(_) => "L3",
        Connection::AllPhases => "all",
    }
}

/// Why a battery may not be moved in a direction.
pub fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Rating => "it is more than its rated power",
        Cause::Device => "the battery says that it cannot do so much now",
        Cause::DeviceState => "the state of the battery does not allow it",
        Cause::Temperature => "the cells are too cold or too warm",
        Cause::StateOfCharge | Cause::SocPolicy => "the state of charge does not allow it",
        _ => "the battery cannot do it now",
    }
}

fn table(outcome: &Outcome) -> String {
    let mut rows =
        vec![["battery", "follows", "sign", "phase", "dead time", "lag", "scale", "encoding", "verdict"].map(str::to_owned).to_vec()];
    for f in &outcome.findings {
        let phase = match f.connection {
            (Some(found), said) if found != said => format!("{}, not {}", connection(found), connection(said)),
            (found, _) => found.map_or("-", connection).to_owned(),
        };
        let encoding = match f.encoding {
            (Some(found), said) if found != said => format!("{}, not {}", found.name(), said.name()),
            (found, _) => found.map_or("-", |e| e.name()).to_owned(),
        };
        let sign = match () {
            () if f.connection.0.is_none() => "-",
            () if f.issues.iter().any(|i| matches!(i, Issue::SetpointSign | Issue::ReadingSign | Issue::GridSign)) => "wrong",
            () => "right",
        };
        let scale = f.scale_pm.map_or_else(|| "-".into(), |s| format!("{}.{:03}", s / 1000, s % 1000));
        let seconds = |s: Option<Span>| s.map_or_else(|| "-".into(), tenths);
        rows.push(vec![
            f.name.clone(),
            follows(f.follows).into(),
            sign.into(),
            phase,
            seconds(f.response.map(|r| r.dead)),
            seconds(f.response.map(|r| r.lag)),
            scale,
            encoding,
            verdict(f),
        ]);
    }
    let width = |c: usize| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |r: &Vec<String>| {
        let cells: Vec<_> = r.iter().zip(&widths).map(|(cell, w)| format!("{cell:<w$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn meter(outcome: &Outcome) -> String {
    let age = match outcome.window {
        Some(w) => format!("its values are {} to {} old when they arrive", tenths(w.lo), tenths(w.hi)),
        None => "how old its values are is not clear".into(),
    };
    let refresh = outcome.refresh.map_or_else(String::new, |r| format!(", it measures at least every {}", tenths(r)));
    let averages = match outcome.averaging {
        Averaging::No => ", momentary values",
        Averaging::Yes => ", means over that time",
        Averaging::Unknown => ", momentary values or means",
    };
    let legs = outcome.findings.iter().map(|f| f.legs).sum::<usize>();
    format!("\nMeter: {age} ({legs} movements){refresh}{averages}.\n")
}

/// The lines to change, each with the section that it belongs to.
pub fn changes(outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    for f in &outcome.findings {
        let mut line = |key: &str, found: &str, said: &str| {
            lines.push(format!("[[battery]] name = \"{}\": {key} = \"{found}\"  # says \"{said}\"", f.name));
        };
        if let (Some(found), said) = f.connection {
            if found != said {
                line("phase", connection(found), connection(said));
            }
        }
        if let (Some(found), said) = f.encoding {
            if found != said {
                line("setpoint_encoding", found.name(), said.name());
            }
        }
    }
    lines
}

/// What no line of the configuration mends, and what was left out.
fn remarks(outcome: &Outcome) -> Vec<String> {
    let mut remarks = Vec::new();
    let has = |f: &Finding, issue: Issue| f.issues.contains(&issue);
    let moved: Vec<&Finding> = outcome.findings.iter().filter(|f| f.connection.0.is_some()).collect();
    let all_against = moved.len() > 1 && moved.iter().all(|f| has(f, Issue::GridSign));
    if all_against {
        remarks.push(
            "Meter: the grid moves with every battery instead of against it: the sign of the meter's phases is wrong in its profile."
                .into(),
        );
    }
    for (i, f) in moved.iter().enumerate() {
        let swapped = |g: &&&Finding| f.connection.0 == Some(g.connection.1) && g.connection.0 == Some(f.connection.1);
        if let Some(g) = moved[i + 1..].iter().find(|g| has(f, Issue::Phase) && swapped(g)) {
            remarks.push(format!(
                "{} and {} are exchanged: exchange their addresses instead of their phases if the names are right.",
                f.name, g.name
            ));
        }
    }
    for f in &outcome.findings {
        for said in f.issues.iter().filter_map(|i| remark(*i, all_against)) {
            remarks.push(format!("{}: {said}", f.name));
        }
        remarks.extend(f.notes.iter().map(|note| format!("{}: {note}.", f.name)));
    }
    remarks
}

fn remark(issue: Issue, all_against: bool) -> Option<&'static str> {
    Some(match issue {
        Issue::SetpointSign => "setpoints act the other way round: the sign of the setpoint is wrong in its profile.",
        Issue::ReadingSign => {
            "its reading moves against its setpoints, the grid does not: the sign of \"power_w\" is wrong in its profile."
        }
        Issue::GridSign if !all_against => "the grid moves with it instead of against it: both of its signs are wrong in its profile.",
        Issue::Scale => "its reading is too far off to be corrected: is the scale in its profile right?",
        Issue::NotFollowing => {
            "it does not do what it is told: is its device mode \"P-Sollwert (TCP)\", and does its firmware allow it in both directions?"
        }
        Issue::NotClear => "too much else happened in the house: do it again when the house is quiet.",
        Issue::NotMoved => "nothing was found out about it.",
        Issue::GridSign | Issue::Phase | Issue::Encoding => return None,
    })
}

fn verdict(f: &Finding) -> String {
    let said = |issue: &Issue| match issue {
        Issue::Phase => "wrong phase",
        Issue::Encoding => "wrong encoding",
        Issue::SetpointSign | Issue::ReadingSign | Issue::GridSign => "wrong sign",
        Issue::Scale => "wrong scale",
        Issue::NotFollowing if f.follows == Follows::No => "does not follow",
        Issue::NotFollowing => "does not follow in one direction",
        Issue::NotClear => "not clear",
        Issue::NotMoved => "not moved",
    };
    if f.issues.is_empty() { "fits".into() } else { f.issues.iter().map(said).collect::<Vec<_>>().join(", ") }
}

fn follows(follows: Follows) -> &'static str {
    match follows {
        Follows::Yes => "yes",
        Follows::OnlyCharging => "only charging",
        Follows::OnlyDischarging => "only discharging",
        Follows::No => "no",
        Follows::Unknown => "-",
    }
}

fn tenths(span: Span) -> String {
    let tenths = (span.as_ms() + 50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// All phases in words, for a list of powers.
pub fn phases(power_w: [i64; 3]) -> String {
    power_w.iter().zip(Phase::ALL).map(|(w, f)| format!("{w} W on {f}")).collect::<Vec<_>>().join(", ")
}
