//! What was learned about meter and batteries, on disk, so that it survives a restart: `learned.json` in the state directory.
//!
//! **Answers for** trusting nothing in the file: another version, other devices than the configuration's, or a value out of range, and all
//! of it is dropped and learned anew. That it is either whole or not there is the part of [`StateFile`].
//!
//! **Never** keeps the net load, and never makes the control thread wait for a disk: a thread of its own takes what is in a slot, at most
//! every five minutes and at the stop. A folder that is missing or full is said once; the controller goes on without.

mod form;
mod keeper;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use form::{Unusable, devices};
pub use keeper::{Keeper, Kept};

use super::state_file::{StateFile, Unwritable};
use crate::config::Config;
use crate::control::learned::Learned;

/// Where it is kept unless somebody says otherwise.
const DIRECTORY: &str = "/var/lib/sax";
/// The file in there.
const FILE: &str = "learned.json";

/// The state directory: the one given, else the first that systemd names (`$STATE_DIRECTORY`, systemd.exec(5)), else `/var/lib/sax`.
pub fn directory(given: Option<PathBuf>, environment: Option<OsString>) -> PathBuf {
    let by_systemd = || std::env::split_paths(&environment?).next().filter(|path| !path.as_os_str().is_empty());
    given.or_else(by_systemd).unwrap_or_else(|| DIRECTORY.into())
}

/// The memory of one site.
#[derive(Clone, Debug)]
pub struct Memory {
    file: StateFile,
    /// What identifies the devices, a line each.
    devices: Vec<String>,
    batteries: Vec<String>,
}

/// Why something could not be saved.
#[derive(Debug)]
pub enum MemoryError {
    /// The folder or the file does not take it.
    Unwritable(Unwritable),
    /// It is about another number of batteries than the configuration.
    OtherSite,
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemoryError::Unwritable(why) => why.fmt(f),
            MemoryError::OtherSite => f.write_str("What was learned is about another number of batteries than the configuration has."),
        }
    }
}

impl std::error::Error for MemoryError {}

impl Memory {
    /// The memory of this configuration's site in this folder. Touches nothing yet.
    pub fn open(directory: &Path, config: &Config) -> Memory {
        let batteries = config.batteries.iter().map(|b| b.name.clone()).collect();
        Memory { file: StateFile::new(directory, FILE), devices: form::devices(config), batteries }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.file.path()
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
        match self.file.text() {
            Ok(text) => form::from_text(&text, &self.devices, &self.batteries).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Unusable::Unreadable(error.to_string())),
        }
    }

    /// Whether there is a folder to save in.
    pub fn check(&self) -> Result<(), MemoryError> {
        self.file.check().map_err(MemoryError::Unwritable)
    }

    /// Replaces the file, or leaves it as it is.
    pub fn save(&self, learned: &Learned) -> Result<(), MemoryError> {
        if learned.batteries.len() != self.batteries.len() {
            return Err(MemoryError::OtherSite);
        }
        self.file.replace(&form::to_text(learned, &self.devices, &self.batteries)).map_err(MemoryError::Unwritable)
    }
}
