//! The README holds what it promises: messages that it explains are printed, commands and files that it names are there.
#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use sax_controller::cli::usages;
use sax_controller::link::fault::Fault;

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// A section of the README, without its heading.
fn section(name: &str) -> String {
    let readme = file("README.md");
    let parts: Vec<&str> = readme.split("\n## ").collect();
    let found = parts.iter().find_map(|part| part.strip_prefix(name)).unwrap_or_else(|| panic!("no section {name}"));
    found.to_owned()
}

/// What stands between backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// All lines of the sources that are not tests, where a string that is broken with a backslash counts as one, and what faults say.
fn said() -> Vec<String> {
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut lines = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]").next().unwrap_or_default();
                lines.extend(text.lines().filter(|line| !line.trim_start().starts_with("//")).map(str::to_owned));
            }
        }
    }
    let faults = [Fault::Timeout, Fault::Crc, Fault::Short { bytes: 3 }, Fault::WrongUnit(2)];
    lines.extend(faults.iter().chain(&(1..=11).map(Fault::Exception).collect::<Vec<_>>()).map(ToString::to_string));
    // Of profiles: what devices say of themselves.
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/devices")).unwrap() {
        lines.extend(fs::read_to_string(entry.unwrap().path()).unwrap().lines().map(str::to_owned));
    }
    lines
}

/// Whether a line has the parts of `message` that "…" separates, in this order, with something between them.
fn says(line: &str, message: &str) -> bool {
    let mut rest = line;
    message.split('…').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

#[test]
fn every_message_of_the_troubleshooting_table_is_printed_somewhere() {
    let (section, said) = (section("Troubleshooting"), said());
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 35, "{}", rows.len());
    let mut messages = 0;
    for row in rows {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 4, "{row}");
        for message in quoted(row.split('|').nth(1).unwrap_or_default()) {
            messages += 1;
            assert!(said.iter().any(|line| says(line, message)), "nothing prints \"{message}\"");
        }
    }
    assert!(messages > 40, "{messages}");
    assert!(!said.iter().any(|line| says(line, "no … program says this")), "the comparison itself");
}

#[test]
fn what_it_is_and_the_two_commands_come_first() {
    let readme = file("README.md");
    let lines: Vec<&str> = readme.lines().collect();
    assert!(lines[0].starts_with("# ") && lines[2..10].iter().all(|line| !line.is_empty() && !line.starts_with('#')), "{lines:?}");
    let headings: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("## ")).collect();
    let (first, rest) = headings.split_first().unwrap();
    assert_eq!(*first, "Two commands");
    assert!(section(first).contains("make demo") && section(first).contains("make test"));
    assert_eq!(rest[..3], ["Install", "From the gateway to self-consumption in five minutes", "Troubleshooting"]);
    assert!(section("Configuration").contains("| key | default | range | meaning |"));
}

#[test]
fn commands_and_files_that_it_names_are_there() {
    let readme = file("README.md");
    let commands: Vec<String> = usages().map(|(name, _)| name.to_owned()).collect();
    let starts = |line: &str| line.trim_start_matches("$ ").strip_prefix("sax-controller ").map(str::to_owned);
    let mut named: Vec<String> = readme.lines().filter_map(starts).collect();
    named.extend(quoted(&readme).into_iter().filter_map(|text| text.strip_prefix("sax-controller ").map(str::to_owned)));
    let words: Vec<&str> = named.iter().filter_map(|text| text.split_whitespace().next()).collect();
    assert!(words.len() > 30);
    for word in words {
        assert!(commands.iter().any(|command| command == word), "sax-controller {word}");
    }
    // What the package brings is told in Cargo.toml.
    let cargo = file("Cargo.toml");
    for text in quoted(&readme).into_iter().filter_map(|text| text.strip_prefix("/usr/share/doc/sax-controller/")) {
        assert!(text.is_empty() || cargo.contains(&format!("{text}\"")), "the package has no {text}");
    }
    for target in readme.split("`make ").skip(1).filter_map(|text| text.split(['`', ' ']).next()) {
        assert!(file("Makefile").lines().any(|line| line.starts_with(&format!("{target}:"))), "make {target}");
    }
}
