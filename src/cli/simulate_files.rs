//! Files of a simulated day: the recorded load that is read, the table that is written.

use std::fs::{self, File, OpenOptions};
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

/// Writes a file whole, or leaves what was there before: beside it first, and then into its place. What is no ordinary file, or is only
/// another name of an open one, as /dev/stdout, is written to as it is.
pub(super) fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    // A link stays one: what it leads to is replaced.
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let written = if is_ordinary(path) { replaced(&place, write) } else { added(path, write) };
    written.map_err(|error| Failure::failed(format!("{} cannot be written: {error}.", path.display())))
}

fn is_ordinary(path: &Path) -> bool {
    let of_process = |path: &Path| path.starts_with("/proc") || path.starts_with("/dev/fd");
    let leads_to_process = of_process(path) || fs::read_link(path).is_ok_and(|to| of_process(&to));
    !leads_to_process && fs::metadata(path).map_or(true, |about| about.is_file())
}

fn replaced(place: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let beside = beside(place);
    let mut options = OpenOptions::new();
    // Never through what someone else has put there.
    filled(options.write(true).create_new(true).open(&beside)?, write).and_then(|()| fs::rename(&beside, place)).inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

/// Behind what was printed already.
fn added(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    filled(OpenOptions::new().append(true).open(path)?, write)
}

fn filled(file: File, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    write(&mut out)?;
    out.flush()
}

/// Whether both names are those of one place; neither has to be there yet.
pub(super) fn same_place(a: &Path, b: &Path) -> bool {
    let place = |path: &Path| -> io::Result<PathBuf> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::canonicalize(path).or_else(|_| Ok(fs::canonicalize(folder)?.join(path.file_name().unwrap_or_default())))
    };
    a == b || place(a).is_ok_and(|a| place(b).is_ok_and(|b| a == b))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}
