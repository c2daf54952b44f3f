//! Reads Prometheus' text format 0.0.4 as its specification has it, and fails at everything that Prometheus would refuse.
#![allow(dead_code, missing_docs)]

use std::collections::BTreeMap;

/// A page that was read.
#[derive(Debug)]
pub struct Page {
    samples: BTreeMap<String, f64>,
}

impl Page {
    /// Every family has one HELP and one TYPE line before its samples, which stand together, and no series is there twice.
    pub fn read(text: &str) -> Page {
        assert!(text.is_empty() || text.ends_with('\n'));
        let (mut samples, mut seen, mut family) = (BTreeMap::new(), Vec::new(), (String::new(), String::new()));
        let mut lines = text.split_terminator('\n');
        while let Some(line) = lines.next() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').expect("a text");
                let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' '));
                assert!(matches!(kind, Some("gauge" | "counter")) && !words.is_empty(), "{line}");
                assert!(!seen.contains(&name), "{name} comes twice");
                seen.push(name);
                family = (name.to_owned(), kind.unwrap_or_default().to_owned());
                continue;
            }
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            let name = series.split('{').next().unwrap_or(series);
            assert!(name == family.0 && value.is_finite() && (family.1 != "counter" || value >= 0.0), "{line}");
            labels_of(series);
            assert_eq!(samples.insert(series.to_owned(), value), None, "{series} is there twice");
        }
        Page { samples }
    }

    pub fn get(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }

    pub fn series(&self) -> impl Iterator<Item = &str> {
        self.samples.keys().map(String::as_str)
    }

    /// The names of all metrics, each once, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names: std::collections::BTreeSet<&str> = self.series().map(|series| series.split('{').next().unwrap_or(series)).collect();
        names.into_iter()
    }

    /// The labels of every series of this metric.
    pub fn labels(&self, name: &str) -> Vec<Vec<(String, String)>> {
        self.series().filter(|series| series.split('{').next() == Some(name)).map(labels_of).collect()
    }
}

/// Names and values, with `\\`, `\"` and `\n` in a value taken as what they stand for.
fn labels_of(series: &str) -> Vec<(String, String)> {
    let Some((_, labels)) = series.split_once('{') else { return Vec::new() };
    let mut rest = labels.strip_suffix('}').expect("a closing brace");
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (name, behind) = rest.split_once("=\"").expect("a label");
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{series}");
        let (mut value, mut chars) = (String::new(), behind.chars());
        loop {
            match chars.next().expect("a closing quote") {
                '"' => break,
                '\\' => value.push(match chars.next() {
                    Some('n') => '\n',
                    Some(c @ ('\\' | '"')) => c,
                    other => panic!("{other:?} behind a backslash: {series}"),
                }),
                c => value.push(c),
            }
        }
        found.push((name.to_owned(), value));
        rest = chars.as_str();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    found
}

/// The metrics of this program in an expression of PromQL or in a file of them, each with the labels that are selected.
pub fn names_in(text: &str) -> Vec<(&str, Vec<&str>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(is_word) {
        let (_, begun) = rest.split_at(at);
        let (word, behind) = begun.split_at(begun.find(|c| !is_word(c)).unwrap_or(begun.len()));
        rest = behind;
        if word.starts_with("sax_") || word.starts_with("process_") {
            let selector = behind.strip_prefix('{').and_then(|s| s.split_once('}')).map_or("", |(selector, _)| selector);
            let label = |part: &'_ str| part.find(['=', '!']).map(|end| part.len().min(end));
            // What stands between quotes holds no label, but may hold a comma.
            let outside = selector.split('"').step_by(2);
            let labels = outside.filter_map(|part| label(part).map(|end| part[..end].trim_matches([',', ' ', '\n'])));
            found.push((word, labels.filter(|label| !label.is_empty()).collect()));
        }
    }
    found
}
