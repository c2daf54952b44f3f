//! The manual pages: the fixed text of `systemd/man/*.in`, and what it takes over from README.md, from the program's own usages, from the
//! list of registers and from the examples, so that nothing is written twice.
//!
//! The fixed text is Markdown. A line that begins with `@` takes something over:
//!
//! * `@title NAME SECTION MANUAL`: the head of the page.
//! * `@synopsis`, `@commands`: how the commands are written; what each does, with its options.
//! * `@section HEADING`, `@part HEADING: WORDS`: a section of README.md; the paragraph, table or code of it that begins with these words.
//! * `@keys HEADING`: the table of keys of that section, parted by the sections of the configuration.
//! * `@registers`: the list of our registers.
//! * `@file PATH`: an example.

use std::fs;
use std::path::Path;

use sax_controller::cli::usages;
use sax_controller::serve::registers::table::markdown;

use super::markdown::{Block, blocks, part, section};
use super::roff;
use super::usage::parsed;

/// The pages, where they are in the repository.
pub const PAGES: [&str; 2] = ["systemd/man/sax-controller.8", "systemd/man/controller.toml.5"];
/// Where the package puts what is in `etc/examples`.
const EXAMPLES: &str = "/usr/share/doc/sax-controller/examples";

/// A file of the repository.
pub fn file(path: &str) -> String {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&full).unwrap_or_else(|error| panic!("{}: {error}", full.display()))
}

/// The examples of whole configurations.
pub fn examples() -> Vec<String> {
    let folder = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/examples")).expect("the examples");
    let names = folder.map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".toml")).map(|name| format!("etc/examples/{name}")).collect()
}

/// What this page must be.
pub fn page(path: &str) -> String {
    let source = format!("{path}.in");
    let readme = blocks(&file("README.md").replace("`etc/examples", &format!("`{EXAMPLES}")));
    let mut out = format!(".\\\" Made of {source} by \"make man\". Change that one, or where it takes its parts from.\n");
    let mut text = String::new();
    for line in file(&source).lines() {
        match line.strip_prefix('@') {
            None => text += &format!("{line}\n"),
            Some(directive) => {
                out += &rendered(&blocks(&text));
                text.clear();
                out += &taken(directive, &readme);
            }
        }
    }
    out += &rendered(&blocks(&text));
    without_empty_paragraphs(&out)
}

/// A heading begins a paragraph by itself.
fn without_empty_paragraphs(roff: &str) -> String {
    let mut out = String::new();
    let mut headed = false;
    for line in roff.lines() {
        if !(headed && line == ".PP") {
            out += &format!("{line}\n");
        }
        headed = line.starts_with(".SH ") || line.starts_with(".SS ");
    }
    out
}

fn rendered(blocks: &[Block]) -> String {
    blocks.iter().map(roff::block).collect()
}

fn taken(directive: &str, readme: &[Block]) -> String {
    let (verb, rest) = directive.split_once(' ').unwrap_or((directive, ""));
    match verb {
        "title" => title(rest),
        "synopsis" => usages().map(|(_, text)| parsed(text).synopsis()).collect(),
        "commands" => usages().map(|(name, text)| parsed(text).section(name)).collect(),
        "section" => rendered(section(readme, rest)),
        "part" => {
            let (heading, begins) = rest.split_once(": ").expect("@part HEADING: WORDS");
            roff::block(part(readme, heading, begins))
        }
        "keys" => keys(part(readme, rest, "key | default")),
        "registers" => registers(),
        "file" => example(&file(rest)),
        _ => panic!("there is no @{verb}"),
    }
}

/// The date is that of the package's last release, so that the same sources make the same page on any day.
fn title(rest: &str) -> String {
    let words: Vec<_> = rest.splitn(3, ' ').collect();
    let [name, number, manual] = words[..] else { panic!("@title NAME SECTION MANUAL") };
    let version = concat!("sax-controller ", env!("CARGO_PKG_VERSION"));
    let version = roff::literal(version);
    format!(
        ".TH {} {number} \"{}\" \"{version}\" \"{manual}\"\n.nh\n.ad l\n",
        name.to_uppercase(),
        released(&file("systemd/debian/changelog"))
    )
}

/// The day of the newest entry of a Debian changelog, as 2026-11-21.
pub fn released(changelog: &str) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let line = changelog.lines().find(|line| line.starts_with(" -- ")).expect("an entry with a date");
    let (_, date) = line.rsplit_once(">  ").expect("a date behind the address");
    let words: Vec<_> = date.split_whitespace().collect();
    let month = MONTHS.iter().position(|month| *month == words[2]).expect("a month") + 1;
    format!("{}-{month:02}-{:02}", words[3], words[1].parse::<u8>().expect("a day"))
}

/// The table of keys, with a heading for each section of the configuration, written as there.
fn keys(table: &Block) -> String {
    let Block::Table(rows) = table else { panic!("the keys are no table") };
    // The examples show which sections there may be several of.
    let several: String = examples().iter().map(|path| file(path)).collect();
    let mut out = String::new();
    let mut parts: Vec<(&str, Vec<Vec<String>>)> = Vec::new();
    for row in &rows[1..] {
        // A row that names keys of several sections stands in each.
        let mut names: Vec<_> = row[0].split(", ").filter_map(|key| key.trim_matches('`').split_once('.')).map(|(name, _)| name).collect();
        names.dedup();
        for name in names {
            match parts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, rows)) => rows.push(row.clone()),
                None => parts.push((name, vec![rows[0].clone(), row.clone()])),
            }
        }
    }
    for (name, rows) in parts {
        let heading = if several.contains(&format!("\n[[{name}]]")) { format!("[[{name}]]") } else { format!("[{name}]") };
        out += &format!(".SS {heading}\n{}", roff::block(&Block::Table(rows)));
    }
    out
}

/// The registers: address, and how it may be used, then the rest.
fn registers() -> String {
    let Some(Block::Table(rows)) = blocks(&markdown()).into_iter().next() else { panic!("the registers are no table") };
    let names = ["register", "", "type", "unit", "what", "values", "default"];
    assert_eq!(rows[0], names, "the columns of the registers");
    let row = |row: &Vec<String>| {
        let [address, access, form, unit, what, values, default] = &row[..] else { panic!("a row of the registers") };
        let unit = if unit.is_empty() { String::new() } else { format!(", {unit}") };
        let mut body = format!("{what}.");
        for (name, cell) in [("Values", values), ("Default", default)] {
            if !cell.is_empty() {
                body += &format!(" {name}: {cell}.");
            }
        }
        roff::entry(&format!("\\fB{}\\fR ({access}, {form}{})", roff::prose(address), roff::prose(&unit)), &roff::prose(&body))
    };
    rows[1..].iter().map(row).collect()
}

/// An example without what its head says about the file.
fn example(text: &str) -> String {
    let lines: Vec<_> = text.lines().skip_while(|line| line.starts_with('#') || line.is_empty()).map(str::to_owned).collect();
    roff::code(&lines)
}
