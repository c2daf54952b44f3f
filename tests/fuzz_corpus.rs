//! Every input that fuzzing has found worth keeping, once more: those of `tests/fuzz/corpus`, among them whatever broke something once.
//! `make fuzz` looks for new ones.
#![allow(missing_docs)]

#[path = "fuzz/targets/mod.rs"]
mod targets;

use std::fs;
use std::path::Path;

/// Gives a target each file of its corpus, in the order of their names.
fn replay(name: &str, least: usize, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= least, "only {} files in {}", files.len(), folder.display());
    for file in files {
        // Only what failed is shown: the name of the file stands before the panic.
        println!("{}", file.display());
        target(&fs::read(&file).unwrap());
    }
}

#[test]
fn codec() {
    replay("codec", 10, targets::codec::run);
}

#[test]
fn config() {
    replay("config", 10, targets::config::run);
}

#[test]
fn control() {
    replay("control", 10, targets::control::run);
}

#[test]
fn doors() {
    replay("doors", 10, targets::doors::run);
}

#[test]
fn p1() {
    replay("p1", 10, targets::p1::run);
}

#[test]
fn profile() {
    replay("profile", 10, targets::profile::run);
}

#[test]
fn rtu() {
    replay("rtu", 10, targets::rtu::run);
}

#[test]
fn server() {
    replay("server", 10, targets::server::run);
}

#[test]
fn state() {
    replay("state", 10, targets::state::run);
}

#[test]
fn tcp() {
    replay("tcp", 10, targets::tcp::run);
}
