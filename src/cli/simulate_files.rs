//! Files of a simulated day: the recorded load that is read, the table that is written.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::Failure;
use crate::plant::house::Recorded;
use crate::simulated_day::trace::{LONGEST, parse};

/// The recorded load in a file.
pub(super) fn recorded(path: &Path) -> Result<Recorded, Failure> {
    let shown = path.display();
    let text = read(path).map_err(|error| Failure::failed(format!("The trace {shown} cannot be read: {error}.")))?;
    parse(&text).map_err(|mistakes| {
        let told: String = mistakes.iter().map(|mistake| format!("{shown}:{mistake}\n")).collect();
        let count = if mistakes.len() == 1 { "one mistake".to_owned() } else { format!("{} mistakes or more", mistakes.len()) };
        Failure::failed(format!("{told}The trace {shown} has {count}."))
    })
}

fn read(path: &Path) -> io::Result<String> {
    // Looked at before it is opened: opening a named pipe would wait for someone to write to it.
    let about = fs::metadata(path)?;
    let objection = match about.file_type() {
        kind if kind.is_dir() => Some("it is a folder"),
        kind if !kind.is_file() => Some("it is no ordinary file"),
        _ if about.len() > LONGEST => Some("it is longer than 256 MiB"),
        _ => None,
    };
    if let Some(objection) = objection {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, objection));
    }
    let mut text = String::new();
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// Writes a file whole, or leaves what was there before: beside it first, and then into its place. What is no ordinary file is written to
/// as it is.
pub(super) fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let ordinary = fs::metadata(path).map_or(true, |about| about.is_file());
    let beside = if ordinary { beside(path) } else { path.to_owned() };
    let written = filled(&beside, write).and_then(|()| if ordinary { fs::rename(&beside, path) } else { Ok(()) });
    written.map_err(|error| {
        if ordinary {
            // It may never have come to be.
            let _ = fs::remove_file(&beside);
        }
        Failure::failed(format!("{} cannot be written: {error}.", path.display()))
    })
}

fn filled(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    write(&mut out)?;
    out.flush()
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}
