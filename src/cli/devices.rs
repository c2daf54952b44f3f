//! `sax-controller devices`: which devices are known, and what their profiles say, as tables.

use std::ffi::OsString;

use lexopt::Arg::{Long, Short, Value};

use super::devices_text::{describe, list};
use super::files::Files;
use super::{Failure, print, wrong};
use crate::config::findings::printable;
use crate::config::nearest;
use crate::device::library::Library;

pub(super) const USAGE: &str = "\
Usage: sax-controller devices [NAME] [--devices FOLDER]

Lists the devices that a configuration can name, those in the folder included. With a NAME it prints what the profile of that device
says: registers with their types, scales and units, status bits and what they forbid, writes in their order, and settings.

      --devices FOLDER   device profiles of your own [/etc/sax/devices]
";

pub(super) fn run(arguments: Vec<OsString>) -> Result<(), Failure> {
    let (mut files, mut name) = (Files::default(), None);
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(wrong(USAGE))? {
        match argument {
            Value(value) if name.is_none() => name = Some(value.to_string_lossy().into_owned()),
            Long("devices") => files.devices = parser.value().map_err(wrong(USAGE))?.into(),
            Long("help") | Short('h') => return print(USAGE),
            other => return Err(wrong(USAGE)(other.unexpected())),
        }
    }
    let library = files.library()?;
    let Some(name) = name else { return print(&list(&library)) };
    match library.find(&name) {
        Some(device) => print(&printed(&describe(device))),
        None => Err(unknown(&name, &library)),
    }
}

fn unknown(name: &str, library: &Library) -> Failure {
    let names: Vec<_> = library.iter().map(|d| d.name()).collect();
    let help = match nearest(name, names.iter().copied()) {
        Some(meant) => format!("Did you mean \"{meant}\"?"),
        None => format!("Known devices: {}.", names.join(", ")),
    };
    Failure::Failed(format!("\"{}\" is not a known device. {help}", printable(name)))
}

/// Names in a profile of one's own may hold anything.
fn printed(text: &str) -> String {
    text.lines().map(|line| printable(line) + "\n").collect()
}
