//! The manual pages are what their sources make of them, complete, and in order for groff and mandoc.
//!
//! `make man` runs the first test with `SAX_MAN=write`, and the pages are written instead of compared.
#![allow(missing_docs)]

mod man;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use man::page::{PAGES, examples, file, page, released};
use man::roff;
use sax_controller::config::{effective, parse};
use sax_controller::device::library::Library;

const PROGRAM_PAGE: &str = PAGES[0];
const FILE_PAGE: &str = PAGES[1];

#[test]
fn the_pages_are_what_their_sources_make() {
    for path in PAGES {
        let made = page(path);
        if std::env::var_os("SAX_MAN").is_some_and(|word| word == "write") {
            std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(path), &made).unwrap();
        }
        assert!(file(path) == made, "{path} is not what its sources make of it; please run: make man");
    }
}

fn help(command: &str) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_sax-controller")).args([command, "--help"]).output().unwrap();
    assert!(done.status.success(), "{command} --help");
    String::from_utf8(done.stdout).unwrap()
}

/// Options with two dashes, in any text.
fn long_options(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '-'));
    words.filter(|word| word.starts_with("--") && word.len() > 2).map(str::to_owned).collect()
}

/// Options with one dash, which stand before the long form, as in `-c, --config`.
fn short_options(text: &str) -> BTreeSet<String> {
    let words: Vec<_> = text.split_whitespace().collect();
    let pairs = words.windows(2).filter(|pair| pair[0].len() == 3 && pair[0].starts_with('-') && pair[1].starts_with("--"));
    pairs.map(|pair| pair[0].trim_end_matches(',').to_owned()).collect()
}

/// What a reader sees, but for the fill.
fn seen(roff: &str) -> String {
    let mut text = roff.replace("\\fB", "").replace("\\fI", "").replace("\\fR", "").replace("\\&", "");
    for (escape, character) in [("\\-", "-"), ("\\(aq", "'"), ("\\(dq", "\""), ("\\(ha", "^"), ("\\(ti", "~"), ("\\~", " "), ("\\e", "\\")]
    {
        text = text.replace(escape, character);
    }
    text
}

/// The parts of a page that stand below headings of this kind (`.SH` or `.SS`): heading and text.
fn parts<'p>(page: &'p str, kind: &str) -> Vec<(&'p str, &'p str)> {
    page.split(&format!("\n{kind} ")).skip(1).filter_map(|part| part.split_once('\n')).collect()
}

/// What is defined in a part.
fn tags(part: &str) -> String {
    let lines: Vec<_> = part.lines().collect();
    lines.windows(2).filter(|pair| pair[0] == ".TP").map(|pair| format!("{}\n", seen(pair[1]))).collect()
}

#[test]
fn every_command_and_option_of_the_program_is_in_its_page_and_no_other() {
    let page = file(PROGRAM_PAGE);
    let all = parts(&page, ".SH");
    let (_, commands) = *all.iter().find(|(name, _)| *name == "COMMANDS").unwrap();
    let described = parts(commands, ".SS");
    let listed = help("help");
    let listed: BTreeSet<_> =
        listed.lines().filter(|line| line.starts_with("  ")).filter_map(|line| line.split_whitespace().next()).collect();
    let own: BTreeSet<_> = ["help", "version"].into();
    assert_eq!(described.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>(), &listed - &own);
    for (name, part) in described {
        let help = help(name);
        assert_eq!(long_options(&seen(part)), long_options(&help), "{name}");
        assert_eq!(short_options(&tags(part)), short_options(&help), "{name}");
        for line in help.lines().filter(|line| line.contains("Usage: ")) {
            let form = line.trim_start_matches("Usage: ");
            let synopsis = seen(all[1].1).split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(synopsis.contains(form), "{form}");
        }
    }
    // Elsewhere in the page, and in the other one, options are named that there are; one is of journalctl(1).
    let known: BTreeSet<_> = listed.iter().filter(|name| !own.contains(*name)).flat_map(|name| long_options(&help(name))).collect();
    for path in PAGES {
        let named = long_options(&seen(&file(path)));
        let others: Vec<_> =
            named.iter().filter(|name| !known.contains(*name) && !["--help", "--version", "--since"].contains(&name.as_str())).collect();
        assert!(others.is_empty(), "{path}: {others:?}");
    }
}

#[test]
fn every_key_of_the_examples_with_its_defaults_is_in_the_page_of_the_file() {
    let page = file(FILE_PAGE);
    let (_, keys) = *parts(&page, ".SH").iter().find(|(name, _)| *name == "KEYS").unwrap();
    let described: BTreeSet<(String, String)> = parts(keys, ".SS")
        .iter()
        .flat_map(|(name, part)| {
            let section = name.trim_matches(['[', ']']).to_owned();
            tags(part).split(['.', ',', ' ', '\n']).map(|word| (section.clone(), word.to_owned())).collect::<Vec<_>>()
        })
        .collect();
    let mut count = 0;
    for path in examples() {
        let library = Library::with_folder(Path::new("/nowhere")).unwrap();
        // Keys that no example has.
        let text = format!("{}\n[status]\nmetrics = \"127.0.0.1:9464\"\n", file(&path));
        let text = effective(&parse(&text, &library).unwrap_or_else(|findings| panic!("{path}: {}", findings.render(&path))));
        let mut section = String::new();
        for line in text.lines() {
            if line.starts_with('[') {
                section = line.trim_matches(['[', ']']).split('.').next().unwrap().to_owned();
            } else if let Some((key, _)) = line.split_once(" = ") {
                let key = key.split('.').next().unwrap();
                assert!(described.contains(&(section.clone(), key.to_owned())), "{path}: {section}.{key}");
                count += 1;
            }
        }
    }
    assert!(count > 300, "{count}");
}

#[test]
fn the_examples_of_the_page_pass_check() {
    let page = file(FILE_PAGE);
    let (_, part) = *parts(&page, ".SH").iter().find(|(name, _)| *name == "EXAMPLES").unwrap();
    let codes: Vec<_> = part.split(".EX\n").skip(1).filter_map(|code| code.split_once("\n.EE")).map(|(code, _)| seen(code)).collect();
    assert_eq!(codes.len(), 4);
    for code in codes {
        let library = Library::with_folder(Path::new("/nowhere")).unwrap();
        assert!(code.lines().all(|line| line.chars().count() <= 72 || line.contains(" = { ")), "{code}");
        if let Err(findings) = parse(&code, &library) {
            panic!("{}\n{code}", findings.render("example"));
        }
    }
}

#[test]
fn text_becomes_roff() {
    for (text, made) in [
        ("a-b -500 W, x=-1", "a-b \\-500 W, x=\\-1"),
        ("the meter's 'x -r 5'", "the meter's \\(aqx \\-r 5\\(aq"),
        ("C:\\dir ~ ^ 5 – ± °", "C:\\edir \\(ti \\(ha 5 \\(en \\(+- \\(de"),
        ("`--a 'b'` and **c-d** *e*", "\\fB\\-\\-a\\~\\(aqb\\(aq\\fR and \\fBc-d\\fR \\fIe\\fR"),
        ("2 * 3 * 4 [x] [a](b)", "2 * 3 * 4 [x] a"),
    ] {
        assert_eq!(roff::inline(text), made);
    }
    assert_eq!(roff::filled("One. Two (2.) Three"), "One.\nTwo (2.)\nThree\n");
    assert_eq!(roff::filled(".x 'y'"), "\\&.x 'y'\n");
    assert_eq!(roff::code(&["'a".into(), ".b \"c\"".into()]), ".PP\n.RS 2\n.EX\n\\(aqa\n\\&.b \\(dqc\\(dq\n.EE\n.RE\n");
    assert_eq!(released("x (1) unstable; urgency=low\n\n  * A.\n\n -- A <a@b>  Sat,  3 Jan 2026 12:00:00 +0000\n"), "2026-01-03");
}

/// Both readers of manual pages find nothing to say. One that is not installed is left out, and this says so.
#[test]
fn groff_and_mandoc_have_no_complaints() {
    let pages: Vec<_> = PAGES.iter().map(|path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).collect();
    for (program, options) in [
        ("mandoc", &["-T", "lint", "-W", "warning"][..]),
        ("groff", &["-man", "-ww", "-rLL=78n", "-Tascii"]),
        ("groff", &["-man", "-ww", "-Tutf8"]),
    ] {
        for page in &pages {
            match Command::new(program).args(options).arg(page).stdin(Stdio::null()).output() {
                Err(error) => eprintln!("Left out: {program}: {error}"),
                Ok(done) => {
                    let lint = if program == "mandoc" { String::from_utf8_lossy(&done.stdout) } else { "".into() };
                    let said = format!("{lint}{}", String::from_utf8_lossy(&done.stderr));
                    assert!(done.status.success() && said.is_empty(), "{program} {options:?}: {said}");
                }
            }
        }
    }
}
