//! `etc/controller.toml`, which the package puts into `/etc/sax`: valid and harmless as it is, and every setting that it offers is one.
//!
//! The rule of that file: a line that begins with `#` and no space is a setting, to be switched on by removing the `#`; `# ` begins prose.
#![allow(missing_docs)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

const SHIPPED: &str = include_str!("../etc/controller.toml");

/// What `check` says about this text, and whether it is right.
fn check(name: &str, text: &str) -> (bool, String) {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sax-controller")).args(["check", "--devices", "/nowhere"]).arg(&file).output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
}

#[track_caller]
fn right(name: &str, text: &str) -> String {
    let (right, said) = check(name, text);
    assert!(right, "{said}");
    said
}

/// Every setting switched on.
fn all() -> String {
    let switch_on = |line: &str| if is_setting(line) { line[1..].to_string() } else { line.to_string() };
    SHIPPED.lines().map(|line| switch_on(line) + "\n").collect()
}

fn is_setting(line: &str) -> bool {
    line.strip_prefix('#').is_some_and(|rest| !rest.is_empty() && !rest.starts_with(' '))
}

#[test]
fn as_delivered_it_is_right_and_harmless() {
    let said = right("delivered.toml", SHIPPED);
    assert!(said.contains("writes: none"), "it writes nothing: {said}");
    for line in ["# link", "# poll", "# server", "# metrics"] {
        assert!(!said.contains(line), "it connects to nothing, and nobody to it: {said}");
    }
    for section in ["[meter]", "[[battery]]", "[[charger]]", "[server]", "metrics"] {
        assert!(!said.contains(section), "{section} in force: {said}");
    }
}

#[test]
fn every_setting_that_it_offers_is_one() {
    let said = right("all.toml", &all());
    for section in ["[meter]", "[[battery]]", "[load_balancer]", "[[charger]]", "[server]", "[[schedule]]", "metrics", "comm_log", "# link"]
    {
        assert!(said.contains(section), "{section} is not in force: {said}");
    }
    assert!(said.contains("writes: none"), "strategy observe writes nothing, whatever is connected: {said}");
}

#[test]
fn so_it_is_with_each_strategy_that_it_names() {
    let strategies: Vec<_> = SHIPPED.lines().find(|line| line.starts_with("strategy")).unwrap().split('"').skip(1).step_by(2).collect();
    assert_eq!(strategies, ["observe", "self-consumption", "peak-shaving", "limits"]);
    for strategy in strategies {
        let limit = if strategy == "peak-shaving" { "import_limit_w = 5000\n" } else { "" };
        let text = all().replace("strategy = \"observe\"", &format!("{limit}strategy = \"{strategy}\""));
        right(&format!("{strategy}.toml"), &text);
    }
}

#[test]
fn a_line_with_a_mark_is_a_setting_and_prose_is_none() {
    for line in SHIPPED.lines().filter(|line| line.contains("<<<") && !line.contains("marked with")) {
        assert!(is_setting(line), "to be changed, but no setting: {line}");
    }
    for line in SHIPPED.lines().filter(|line| line.starts_with("# ")) {
        assert!(toml_like(&line[2..]).is_none(), "looks like a setting, but begins with \"# \": {line}");
    }
}

/// The key, where a line of prose looks like `key = value` or `[section]`.
fn toml_like(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let key = text.split('=').next().filter(|key| key.len() < text.len())?;
    let is_key = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "._".contains(c));
    is_key(key.trim_end()).then_some(key)
}
