//! `systemd/sax-controller.bash` offers what the program itself knows, no more and no less, and needs nothing but bash.
//!
//! Where there is no bash these tests say so and do nothing.
#![allow(missing_docs)]

#[path = "common/process.rs"]
mod process;
#[path = "common/session.rs"]
mod session;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use process::{Folder, PROGRAM};
use session::Session;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/sax-controller.bash");
/// Calls the function as bash does when Tab is pressed, with unset variables as errors, and no program to be found but ours.
const CALL: &str = r#"
set -u
. "$0"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) PATH=/nonexistent
_sax_controller "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
for word in ${COMPREPLY[@]+"${COMPREPLY[@]}"}; do printf '%s\n' "$word"; done
"#;

/// What is offered for the last of these words, in this folder.
#[track_caller]
fn offered_in(folder: &Path, words: &[&str]) -> BTreeSet<String> {
    let done =
        Command::new("bash").args(["--norc", "--noprofile", "-c", CALL, SCRIPT, PROGRAM]).args(words).current_dir(folder).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stderr), "", "{words:?}");
    assert!(done.status.success(), "{words:?}");
    String::from_utf8(done.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[track_caller]
fn offered(words: &[&str]) -> BTreeSet<String> {
    offered_in(Path::new(env!("CARGO_MANIFEST_DIR")), words)
}

fn no_bash() -> bool {
    let missing = Command::new("bash").arg("--version").output().is_err();
    if missing {
        eprintln!("Left out: there is no bash here.");
    }
    missing
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn help(command: &str) -> String {
    let done = Command::new(PROGRAM).args([command, "--help"]).output().unwrap();
    assert!(done.status.success(), "{command}");
    String::from_utf8(done.stdout).unwrap()
}

/// The commands of the program's own help.
fn commands() -> Vec<String> {
    let help = help("help");
    let lines = help.lines().filter_map(|line| line.strip_prefix("  "));
    let names: Vec<_> = lines.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help" && *name != "version").collect();
    assert!(names.len() >= 9, "{names:?}");
    names.into_iter().map(str::to_owned).collect()
}

/// The options of a command with what its help says about each: the words from an option to the next one.
fn options(command: &str) -> Vec<(String, Vec<String>)> {
    let mut options: Vec<(String, Vec<String>)> = Vec::new();
    for line in help(command).lines().filter(|line| line.starts_with(' ')) {
        for word in line.split([' ', ',', '(', ')', '[', ']', ';', ':', '|']).filter(|word| !word.is_empty()) {
            let is_option = word.starts_with('-') && word.len() > 1 && word[1..].starts_with(|c: char| c == '-' || c.is_ascii_lowercase());
            match options.last_mut() {
                _ if is_option => options.push((word.to_owned(), Vec::new())),
                Some((_, words)) => words.push(word.to_owned()),
                None => {}
            }
        }
    }
    // What is said about one may mention another.
    let mut seen = BTreeSet::new();
    options.retain(|(name, _)| seen.insert(name.clone()));
    options
}

#[test]
fn commands_are_those_of_the_program() {
    if no_bash() {
        return;
    }
    let commands: BTreeSet<_> = commands().into_iter().collect();
    assert_eq!(offered(&[""]), &commands | &set(&["help", "version", "--help", "--version"]));
    assert_eq!(offered(&["help", ""]), commands);
    assert_eq!(offered(&["s"]), set(&["scan", "simulate", "status"]));
    assert_eq!(offered(&["help", "read", ""]), set(&[]));
    assert_eq!(offered(&["bogus", ""]), set(&[]));
    assert_eq!(offered(&["bogus", "-"]), set(&[]));
}

#[test]
fn options_are_those_of_the_programs_help() {
    if no_bash() {
        return;
    }
    for command in commands() {
        let known: BTreeSet<_> = options(&command).into_iter().map(|(name, _)| name).collect();
        // Every command knows these, and none lists them.
        let known = &known | &set(&["-h", "--help"]);
        assert_eq!(offered(&[&command, "-"]), known, "{command}");
        for option in known.iter().filter(|name| name.starts_with("--")) {
            assert!(offered(&[&command, option]).contains(option), "{command} {option}");
        }
    }
}

/// Arguments with which a command does nothing, but says with 2 when it does not take an option.
fn harmless(command: &str) -> &'static [&'static str] {
    match command {
        "read" => &["read", "/dev/null", "0"],
        "write" => &["write", "/dev/null", "0", "1"],
        "scan" => &["scan", "/dev/null"],
        "simulate" => &["simulate", "--show-config"],
        "commission" => &["commission", "--config", "/nowhere/controller.toml"],
        "run" => &["run", "--config", "/nowhere/controller.toml"],
        "check" => &["check", "/nowhere/controller.toml"],
        "status" => &["status", "--socket", "/nowhere/s"],
        "devices" => &["devices"],
        _ => panic!("{command}"),
    }
}

fn takes(command: &str, option: &str, value: &str) -> bool {
    let arguments = [harmless(command), &[option, value]].concat();
    let done = Command::new(PROGRAM).args(arguments).stdin(Stdio::null()).output().unwrap();
    done.status.code() != Some(2)
}

/// Words that stand in the help of an option: the program takes those that are offered, and of the others none.
#[test]
fn values_are_those_that_the_program_takes() {
    if no_bash() {
        return;
    }
    let empty = Folder::new("completion-values");
    let mut with_words = BTreeSet::new();
    for command in commands() {
        for (option, words) in options(&command) {
            let of_files = words.first().is_some_and(|word| ["FILE", "FOLDER", "PATH"].contains(&word.as_str()));
            if of_files || ["-c", "--config"].contains(&option.as_str()) || offered(&[&command, &option, "-"]).contains("--help") {
                // Files have a test of their own, and what takes no value lets the next option follow.
                continue;
            }
            let offered = offered_in(&empty.0.join("devices"), &[&command, &option, ""]);
            let spoken = words.iter().filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
            let spoken: BTreeSet<_> = spoken.filter(|word| takes(&command, &option, word)).cloned().collect();
            assert!(spoken.is_subset(&offered), "{command} {option}: {spoken:?}, {offered:?}");
            for word in &offered {
                assert!(takes(&command, &option, word), "{command} {option} {word}");
            }
            assert!(!takes(&command, &option, "bogus"), "{command} {option}");
            if ["--function", "--data-bits", "--stop-bits"].contains(&option.as_str()) {
                let taken: BTreeSet<_> =
                    (0..=20).map(|number| number.to_string()).filter(|number| takes(&command, &option, number)).collect();
                assert_eq!(taken, offered, "{command} {option}");
            }
            if !offered.is_empty() {
                with_words.insert(option);
            }
        }
    }
    let expected =
        ["--season", "--sky", "--firmware", "--type", "--word-order", "--parity", "--baud", "--data-bits", "--stop-bits", "--function"];
    assert_eq!(with_words, set(&expected));
}

#[test]
fn values_behind_an_equals_sign_and_behind_commas() {
    if no_bash() {
        return;
    }
    assert_eq!(offered(&["simulate", "--season", "="]), set(&["spring", "summer", "winter"]));
    assert_eq!(offered(&["simulate", "--season", "=", "w"]), set(&["winter"]));
    assert_eq!(offered(&["simulate", "--season", "=", "winter", "--sk"]), set(&["--sky"]));
    assert_eq!(offered(&["scan", "/dev/ttyUSB0", "--parity", "none,e"]), set(&["none,even"]));
    assert_eq!(offered(&["scan", "--baud", "9600,19"]), set(&["9600,19200"]));
    assert_eq!(offered(&["read", "--unit", "64", "--parity", "o"]), set(&["odd"]));
    assert_eq!(offered(&["read", "--unit", ""]), set(&[]));
}

#[test]
fn devices_are_those_of_the_program_and_of_the_folder() {
    if no_bash() {
        return;
    }
    let listed = |more: &[&str]| -> BTreeSet<String> {
        let done = Command::new(PROGRAM).arg("devices").args(more).output().unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        text.lines().skip(1).take_while(|line| !line.is_empty()).map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
    };
    let own = ["--devices", "etc/examples/devices"];
    assert!(listed(&own).contains("my-meter"));
    assert_eq!(offered(&["devices", ""]), listed(&[]));
    assert_eq!(offered(&["devices", own[0], own[1], ""]), listed(&own));
    assert_eq!(offered(&["devices", own[0], own[1], "my"]), set(&["my-meter"]));
    assert_eq!(offered(&["devices", "sax", ""]), set(&[]));
    // A folder with a profile that is wrong offers nothing, and says nothing in the middle of somebody's line.
    let folder = Folder::new("completion-devices");
    fs::write(folder.file("devices/x.toml"), "name = \"$(touch bad)\"\n").unwrap();
    assert_eq!(offered(&["devices", "--devices", folder.file("devices").to_str().unwrap(), ""]), set(&[]));
}

#[test]
fn files_and_folders() {
    if no_bash() {
        return;
    }
    let folder = Folder::new("completion-files");
    for name in ["a.toml", "a b.toml", "notes.txt"] {
        fs::write(folder.file(name), "").unwrap();
    }
    let offered = |words: &[&str]| offered_in(&folder.0, words);
    let toml = set(&["a.toml", "a b.toml", "devices"]);
    for words in [&["check", ""][..], &["run", "--config", ""], &["run", "-c", ""], &["simulate", "--site", ""], &["check", "--quiet", ""]]
    {
        assert_eq!(offered(words), toml, "{words:?}");
    }
    assert_eq!(offered(&["check", "n"]), set(&["notes.txt"]), "any file where none has the ending");
    assert_eq!(offered(&["check", "a.toml", ""]), set(&[]));
    assert_eq!(offered(&["status", "--socket", "n"]), set(&["notes.txt"]));
    for option in ["--state", "--leds", "--devices"] {
        assert_eq!(offered(&["run", option, ""]), set(&["devices"]), "{option}");
    }
    assert_eq!(offered(&["run", ""]), set(&[]));
}

/// Presses Tab in the middle of lines; Ctrl-U empties the line.
#[track_caller]
fn completes(session: &mut Session) {
    session.types("sax-controller sim\t--sea\tw\t", "sax-controller simulate --season winter ");
    session.types("\u{15}sax-controller simulate --season=w\t", "--season=winter ");
    session.types("\u{15}sax-controller devices power\t", "devices powerpack ");
    session.types("\u{15}sax-controller check a\t", "check a\\ b.toml ");
    session.types("\u{15}sax-controller run --state sub\t", "run --state sub/");
    assert!(!session.shown.contains("unbound"), "{}", session.shown);
}

/// A folder with a file whose name has a blank, another folder, and the script as bash-completion looks for it.
fn at_home(name: &str) -> Folder {
    let folder = Folder::new(name);
    fs::write(folder.file("a b.toml"), "").unwrap();
    fs::create_dir_all(folder.file("sub")).unwrap();
    fs::remove_dir(folder.file("devices")).unwrap();
    fs::create_dir_all(folder.file("sub/completions")).unwrap();
    std::os::unix::fs::symlink(SCRIPT, folder.file("sub/completions/sax-controller")).unwrap();
    folder
}

#[test]
fn a_session_without_bash_completion() {
    if no_bash() {
        return;
    }
    let folder = at_home("completion-plain");
    let mut session = Session::start(&folder.file("sub"));
    session.types(&format!("set -u; cd '{}'; . '{SCRIPT}'; type _init_completion; echo lo''aded\n", folder.0.display()), "loaded\r\n");
    assert!(session.shown.contains("not found"), "{}", session.shown);
    completes(&mut session);
}

/// bash-completion loads the script by the name of the program when Tab is pressed for the first time.
#[test]
fn a_session_with_bash_completion() {
    const BASH_COMPLETION: &str = "/usr/share/bash-completion/bash_completion";
    if no_bash() || !Path::new(BASH_COMPLETION).exists() {
        eprintln!("Left out: bash-completion is not installed.");
        return;
    }
    let folder = at_home("completion-loaded");
    let mut session = Session::start(&folder.file("sub"));
    session.types(&format!("cd '{}'; . {BASH_COMPLETION}; type -t _init_completion; echo lo''aded\n", folder.0.display()), "loaded\r\n");
    assert!(session.shown.contains("\nfunction\r"), "{}", session.shown);
    completes(&mut session);
    session.types("\u{15}complete -p sax-controller\n", "complete -F _sax_controller sax-controller");
}
