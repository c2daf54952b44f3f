//! Any text as `controller.toml`: it is refused with findings that stand in the text and can be shown, or it is a configuration whose effective
//! form means the same, whose numbers are within the ranges of README's table, and of which a plan is made that the core starts with.

use std::sync::LazyLock;

use sax_controller::config::{self, Findings};
use sax_controller::control::core::Core;
use sax_controller::daemon::wiring::plan;
use sax_controller::device::library::Library;
use sax_controller::units::Time;

const README: &str = include_str!("../../../README.md");

static LIBRARY: LazyLock<Library> = LazyLock::new(|| Library::built_in().unwrap_or_else(|error| panic!("{error}")));
static RANGES: LazyLock<Vec<Range>> = LazyLock::new(ranges);

/// The key, the least and the most.
type Range = (String, f64, f64);

pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let config = match config::parse(text, &*LIBRARY) {
        Ok(config) => config,
        Err(findings) => return in_place(text, &findings),
    };
    let effective = config::effective(&config);
    match config::parse(&effective, &*LIBRARY) {
        Ok(again) => assert_eq!(again, config, "{effective}"),
        Err(findings) => panic!("{}\n{effective}", findings.render("effective.toml")),
    }
    assert_eq!(config::effective(&config), effective);
    in_range(&effective);
    let mut core = Core::new(plan(&config, &LIBRARY).site);
    (1..3).for_each(|s| drop(core.step(Time::from_ms(s * 1000)).clone()));
}

/// Every finding has a place in the text, whole sentences, and a form for the screen without control characters.
pub fn in_place(text: &str, findings: &Findings) {
    assert!(!findings.is_empty() && findings.len() <= 200);
    let lines: Vec<usize> = text.split('\n').map(|line| line.chars().count()).collect();
    let mut before = (0, 0);
    for finding in findings {
        let length = lines.get(finding.line.wrapping_sub(1)).unwrap_or_else(|| panic!("{finding:?} is about no line of {text:?}"));
        assert!((1..=length + 1).contains(&finding.column), "{finding:?} is beside its line in {text:?}");
        assert!(finding.length >= 1 && finding.column + finding.length <= (length + 2).max(finding.column + 1), "{finding:?} in {text:?}");
        assert!(finding.message.ends_with(['.', '?', '!']), "no sentence: {finding:?}");
        assert!((finding.line, finding.column) >= before, "out of order");
        before = (finding.line, finding.column);
    }
    let shown = findings.render("x.toml");
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    assert!(shown.lines().filter(|line| line.starts_with("x.toml:")).count() >= findings.len());
    assert!(shown.lines().all(|line| line.len() < 8_000), "{shown}");
}

/// The numbers of a configuration are within the ranges that README gives.
fn in_range(effective: &str) {
    let mut section = "";
    for line in effective.lines() {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_matches(['[', ']']);
        }
        let Some((key, value)) = line.split_once(" = ") else { continue };
        let Ok(value) = value.parse::<f64>() else { continue };
        if let Some((_, least, most)) = RANGES.iter().find(|(name, ..)| *name == format!("{section}.{key}")) {
            assert!((*least..=*most).contains(&value), "{section}.{key} = {value} is not within {least} to {most}");
        }
    }
}

/// Out of the rows `| `site.fuse_a` | – | 6–2000 | ...`. A range that depends on something else has only the end that is a number.
fn ranges() -> Vec<Range> {
    let mut all = Vec::new();
    for row in README.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let keys: Vec<&str> = cells[1].split('`').skip(1).step_by(2).collect();
        let Some((section, _)) = keys[0].rsplit_once('.') else { continue };
        let parts: Vec<&str> = cells[3].split(", ").collect();
        for (n, key) in keys.iter().enumerate() {
            let part = if parts.len() == keys.len() { parts[n] } else { cells[3] };
            let key = if key.contains('.') { key.to_string() } else { format!("{section}.{key}") };
            if let Some((least, most)) = range(part) {
                all.push((key, least, most));
            }
        }
    }
    assert!(all.len() > 45, "README's table gives only {} ranges", all.len());
    all
}

fn range(text: &str) -> Option<(f64, f64)> {
    if let Some(most) = text.strip_prefix('±') {
        let most: f64 = most.parse().ok()?;
        return Some((-most, most));
    }
    let (range, wider) = text.split_once("; ").unwrap_or((text, ""));
    let (least, most) = range.trim_start_matches("above ").split_once('–')?;
    let most = most.parse().unwrap_or(f64::INFINITY);
    let wider = wider.rsplit_once(" to ").and_then(|(_, most)| most.parse().ok()).unwrap_or(most);
    Some((least.parse().unwrap_or(f64::NEG_INFINITY), most.max(wider)))
}
