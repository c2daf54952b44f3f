//! What a scan found, for people and for programs.

use serde_json::{Value, json};

use super::status_text::table;
use super::target::parity_word;
use crate::config;
use crate::config::findings::printable;
use crate::device::library::Library;
use crate::link::place::Place;
use crate::scan::found::{First, Found, Unit};
use crate::scan::network::Progress;
use crate::scan::recognise::Match;
use crate::scan::snippet::{comment, snippet};

/// Profiles that are named of one device; the others fit no better.
const MATCHES_SHOWN: usize = 3;

/// A scan that is over.
pub(super) struct Report<'r> {
    pub found: &'r [Found],
    /// How far it came.
    pub asked: Progress,
    pub on_bus: bool,
    pub stopped: bool,
    pub library: &'r Library,
}

impl Report<'_> {
    fn what(&self) -> &'static str {
        if self.on_bus { "units" } else { "hosts" }
    }

    /// The configuration below this head, with what our own reader has to say about it: lines are counted from the head on.
    fn configuration(&self, head: &str) -> Option<String> {
        let mut text = head.to_owned() + &snippet(self.found, self.library)?;
        if let Err(findings) = config::parse(&text, self.library) {
            text.push_str("\n# Not complete yet; sax-controller check says:\n");
            comment(&mut text, &findings.to_string());
        }
        Some(text)
    }
}

/// For people: a table, remarks, and a configuration to begin with. The others are comments in it then, so that the whole is a file to edit.
pub(super) fn report(report: &Report<'_>) -> String {
    let Progress { done, all, .. } = report.asked;
    let early = if report.stopped { format!("Stopped after {done} of {all} {}.\n", report.what()) } else { String::new() };
    if report.found.is_empty() {
        let scanned = if report.stopped { String::new() } else { format!(" ({all} {} asked)", report.what()) };
        return format!("{early}Nobody was found{scanned}.\n");
    }
    let mut rows = vec![["where", "unit", "says", "known as"].map(str::to_owned).to_vec()];
    for found in report.found {
        let mut place = where_(&found.place);
        for unit in &found.units {
            rows.push(vec![std::mem::take(&mut place), ids(&unit.ids), says(unit), known(&unit.matches)]);
        }
        if !found.absent.is_empty() {
            rows.push(vec![std::mem::take(&mut place), ids(&found.absent), "(a gateway says: no such unit)".into(), String::new()]);
        }
        if !place.is_empty() {
            rows.push(vec![place, String::new(), String::new(), String::new()]);
        }
    }
    let mut out = format!("{early}{}", table(&rows));
    for found in report.found {
        for remark in &found.remarks {
            out += &format!("{}: {}\n", where_(&found.place), printable(remark));
        }
    }
    let mut head = String::new();
    comment(&mut head, &out);
    head += "\n# A configuration to begin with: save all of this as controller.toml, and look at every \"fill in\".\n";
    report.configuration(&head).unwrap_or_else(|| out + "\nNo known device is among them, so there is no configuration to propose.\n")
}

/// For programs.
pub(super) fn document(report: &Report<'_>) -> String {
    let found: Vec<Value> = report.found.iter().map(found_json).collect();
    let document = json!({
        "asked": report.asked.done,
        "of": report.asked.all,
        "what": report.what(),
        "stopped": report.stopped,
        "found": found,
        "configuration": report.configuration(""),
    });
    format!("{document}\n")
}

fn found_json(found: &Found) -> Value {
    let place = match &found.place {
        Place::Tcp { host, port } => json!({ "host": host, "port": port }),
        Place::Rtu(serial) => json!({
            "serial": serial.port, "baud": serial.baud, "parity": parity_word(serial.parity),
            "data_bits": serial.data_bits, "stop_bits": serial.stop_bits,
        }),
    };
    let units: Vec<Value> = found.units.iter().map(unit_json).collect();
    json!({ "place": place, "units": units, "absent": found.absent, "remarks": found.remarks })
}

fn unit_json(unit: &Unit) -> Value {
    let identity = &unit.identity;
    let (value, exception) = match unit.first {
        First::Value(value) => (Some(value), None),
        First::Exception(code) => (None, Some(code)),
        First::None => (None, None),
    };
    let profiles: Vec<Value> = unit
        .matches
        .iter()
        .map(|m| json!({ "name": m.profile, "unit": m.unit, "certainty": m.certainty.to_string(), "possible": m.possible.0, "of": m.possible.1 }))
        .collect();
    json!({
        "ids": unit.ids,
        "vendor": identity.vendor,
        "product": identity.product,
        "revision": identity.revision,
        "serial": identity.serial,
        "server_id": identity.server_id,
        "sunspec": identity.sunspec.as_ref().map(|s| json!({ "base": s.base, "models": s.models })),
        "register_0": { "value": value, "exception": exception },
        "profiles": profiles,
    })
}

fn where_(place: &Place) -> String {
    match place {
        Place::Tcp { .. } => place.to_string(),
        Place::Rtu(serial) => {
            let parity = parity_word(serial.parity).chars().next().unwrap_or('n').to_ascii_uppercase();
            format!("{place} {} {}{parity}{}", serial.baud, serial.data_bits, serial.stop_bits)
        }
    }
}

/// What a device says; these are bytes of a stranger, so they are escaped.
fn says(unit: &Unit) -> String {
    if !unit.identity.is_empty() {
        return printable(&unit.identity.to_string());
    }
    match unit.first {
        First::Value(value) => format!("(nothing; register 0 is {value})"),
        First::Exception(code) => format!("(nothing; register 0: exception {code:02x})"),
        First::None => "(nothing)".into(),
    }
}

fn known(matches: &[Match]) -> String {
    let names: Vec<_> = matches.iter().take(MATCHES_SHOWN).map(|found| format!("{} {}", found.certainty, found.profile)).collect();
    names.join(", ")
}

/// `1-9,64`
fn ids(ids: &[u8]) -> String {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    let mut runs: Vec<(u8, u8)> = Vec::new();
    for id in sorted {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(id) => *last = id,
            _ => runs.push((id, id)),
        }
    }
    let run = |(first, last): &(u8, u8)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    runs.iter().map(run).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::identity::Identity;
    use crate::scan::recognise::Certainty;

    #[test]
    fn what_is_missing_is_named_with_its_line_of_the_whole_output() {
        let library = Library::built_in().unwrap();
        let matches = vec![Match { profile: "tesla".into(), unit: 1, certainty: Certainty::Surely, possible: (4, 4) }];
        let units = vec![Unit { ids: vec![1], identity: Identity::default(), first: First::None, matches }];
        let place = Place::Tcp { host: "192.168.1.11".into(), port: 502 };
        let found = [Found { place, units, absent: Vec::new(), remarks: vec!["a remark".into()] }];
        let asked = Progress { done: 1, all: 9, found: 1 };
        let text = report(&Report { found: &found, asked, on_bus: false, stopped: true, library: &library });
        let line_of = |wanted: &str| text.lines().position(|line| line == wanted).map(|at| at + 1);
        assert!(
            text.starts_with("# Stopped after 1 of 9 hosts.\n#   where ") && text.contains("\n# 192.168.1.11:502: a remark\n"),
            "{text}"
        );
        assert!(text.contains(&format!("\n# {}:1: battery \"A\" capacity_wh: ", line_of("[[battery]]").unwrap())), "{text}");
    }

    #[test]
    fn units_in_runs() {
        assert_eq!(ids(&[1, 255, 0, 2, 3, 64]), "0-3,64,255");
        assert_eq!(ids(&[64]), "64");
        assert_eq!(ids(&[]), "");
    }
}
