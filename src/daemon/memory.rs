//! What was learned about meter and batteries, on disk, so that it survives a restart: `learned.json` in the state directory.
//!
//! **Answers for** a file that is either whole or not there (temporary file, fsync, rename, fsync of the folder), and for trusting nothing
//! in it: another version, other devices than the configuration's, or a value out of range, and all of it is dropped and learned anew.
//!
//! **Never** keeps the net load, and never makes the control thread wait for a disk: a thread of its own takes what is in a slot, at most
//! every five minutes and at the stop. A folder that is missing or full is said once; the controller goes on without.

mod form;
mod keeper;

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

pub use form::Unusable;
pub use keeper::{Keeper, Kept};

use crate::config::Config;
use crate::control::learned::Learned;

/// Where it is kept unless somebody says otherwise.
const DIRECTORY: &str = "/var/lib/sax";
/// The file in there.
const FILE: &str = "learned.json";
/// It is written here first.
const UNFINISHED: &str = "learned.json.new";
/// Longest file that is read, bytes: 250 batteries take a tenth.
const LONGEST: u64 = 1 << 20;

/// The state directory: the one given, else the first that systemd names (`$STATE_DIRECTORY`, systemd.exec(5)), else `/var/lib/sax`.
pub fn directory(given: Option<PathBuf>, environment: Option<OsString>) -> PathBuf {
    let by_systemd = || std::env::split_paths(&environment?).next().filter(|path| !path.as_os_str().is_empty());
    given.or_else(by_systemd).unwrap_or_else(|| DIRECTORY.into())
}

/// The memory of one site.
#[derive(Clone, Debug)]
pub struct Memory {
    directory: PathBuf,
    /// What identifies the devices, a line each.
    devices: Vec<String>,
    batteries: Vec<String>,
}

/// Why something could not be saved.
#[derive(Debug)]
pub enum MemoryError {
    /// There is no such folder, or it cannot be written.
    Directory {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// The file cannot be written: a full disk.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
    /// It is about another number of batteries than the configuration.
    OtherSite,
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemoryError::Directory { path, error } => {
                write!(f, "The folder {} cannot be written: {error}. It must exist; --state names another one.", path.display())
            }
            MemoryError::File { path, error } => write!(f, "The file {} cannot be written: {error}.", path.display()),
            MemoryError::OtherSite => f.write_str("What was learned is about another number of batteries than the configuration has."),
        }
    }
}

impl std::error::Error for MemoryError {}

impl Memory {
    /// The memory of this configuration's site in this folder. Touches nothing yet.
    pub fn open(directory: &Path, config: &Config) -> Memory {
        let batteries = config.batteries.iter().map(|b| b.name.clone()).collect();
        Memory { directory: directory.to_owned(), devices: form::devices(config), batteries }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    /// What was learned before, where it is still worth something; the log says why it is not.
    pub fn load(&self) -> Option<Learned> {
        let path = self.path();
        match self.read() {
            Ok(Some(learned)) => {
                log::info!("memory: {} movements of the meter are known from {}", learned.movements, path.display());
                Some(learned)
            }
            Ok(None) => None,
            Err(unusable) => {
                log::warn!("memory: {} is dropped, all is learned anew: {unusable}", path.display());
                None
            }
        }
    }

    /// As [`Memory::load`], but says why instead of logging it. `None`: there is no file.
    pub fn read(&self) -> Result<Option<Learned>, Unusable> {
        match text(&self.path()) {
            Ok(text) => form::from_text(&text, &self.devices, &self.batteries).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Unusable::Unreadable(error.to_string())),
        }
    }

    /// Whether there is a folder to save in.
    pub fn check(&self) -> Result<(), MemoryError> {
        let path = || self.directory.clone();
        match fs::metadata(&self.directory) {
            Ok(folder) if folder.is_dir() => Ok(()),
            Ok(_) => Err(MemoryError::Directory { path: path(), error: io::Error::new(io::ErrorKind::NotADirectory, "it is no folder") }),
            Err(error) => Err(MemoryError::Directory { path: path(), error }),
        }
    }

    /// Replaces the file, or leaves it as it is.
    pub fn save(&self, learned: &Learned) -> Result<(), MemoryError> {
        if learned.batteries.len() != self.batteries.len() {
            return Err(MemoryError::OtherSite);
        }
        let folder = File::open(&self.directory).map_err(|error| MemoryError::Directory { path: self.directory.clone(), error })?;
        let (unfinished, path) = (self.directory.join(UNFINISHED), self.path());
        let written =
            write(&unfinished, &form::to_text(learned, &self.devices, &self.batteries)).and_then(|()| fs::rename(&unfinished, &path));
        if let Err(error) = written {
            let _ = fs::remove_file(&unfinished);
            return Err(match error.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    MemoryError::Directory { path: self.directory.clone(), error }
                }
                _ => MemoryError::File { path, error },
            });
        }
        // The name survives a power cut only with its folder. Where that cannot be synced, it reaches the disk a little later.
        let _ = folder.sync_all();
        Ok(())
    }
}

fn text(path: &Path) -> io::Result<String> {
    // Looked at before it is opened: opening a named pipe would wait for someone to write to it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no ordinary file"));
    }
    let mut text = String::new();
    File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than 1 MiB"));
    }
    Ok(text)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    // Left behind by a power cut; whatever it is, it must not be followed or appended to.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
