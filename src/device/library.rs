//! All device profiles: those compiled in from `etc/devices`, and those a folder adds or replaces.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::parse::{Device, parse};
use super::profile::{Choice, Profile};
use crate::config::reader::Findings;

/// The profiles that ship.
const BUILT_IN: [(&str, &str); 13] = [
    ("abb-terra-ac.toml", include_str!("../../etc/devices/abb-terra-ac.toml")),
    ("p1.toml", include_str!("../../etc/devices/p1.toml")),
    ("sax.toml", include_str!("../../etc/devices/sax.toml")),
    ("sax-basic.toml", include_str!("../../etc/devices/sax-basic.toml")),
    ("sax-extended.toml", include_str!("../../etc/devices/sax-extended.toml")),
    ("sax-sunspec.toml", include_str!("../../etc/devices/sax-sunspec.toml")),
    ("acuvim2.toml", include_str!("../../etc/devices/acuvim2.toml")),
    ("acuvim2-float.toml", include_str!("../../etc/devices/acuvim2-float.toml")),
    ("powerpack.toml", include_str!("../../etc/devices/powerpack.toml")),
    ("tesla.toml", include_str!("../../etc/devices/tesla.toml")),
    ("sbau.toml", include_str!("../../etc/devices/sbau.toml")),
    ("cluster.toml", include_str!("../../etc/devices/cluster.toml")),
    ("sunspec-802.toml", include_str!("../../etc/devices/sunspec-802.toml")),
];

/// Longest profile that is read, bytes.
const LONGEST_FILE: u64 = 1 << 20;
/// Most files that are read from a folder.
const MOST_FILES: usize = 200;

/// Devices by name.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Library {
    devices: BTreeMap<String, Device>,
}

/// A profile file that cannot be used.
#[derive(Debug)]
pub enum LibraryError {
    /// It could not be read.
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The folder is there and cannot be read.
    Folder {
        /// The folder.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// Two files of the folder have the same name in them; which of them holds would depend on how they are called.
    Twice {
        /// The device.
        name: String,
        /// The files.
        paths: [String; 2],
    },
    /// It has mistakes.
    Mistakes {
        /// The file.
        path: String,
        /// What is wrong with it.
        findings: Findings,
    },
    /// It names a bank that no profile has.
    UnknownBank {
        /// The device.
        device: String,
        /// The bank.
        bank: String,
    },
}

impl fmt::Display for LibraryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LibraryError::Unreadable { path, error } => write!(f, "The device profile {path} cannot be read: {error}."),
            LibraryError::Folder { path, error } => write!(f, "The folder of device profiles {path} cannot be read: {error}."),
            LibraryError::Twice { name, paths: [one, other] } => {
                write!(f, "The device profiles {one} and {other} have the same name, \"{name}\". One of them must go or get another name.")
            }
            LibraryError::Mistakes { path, findings } => f.write_str(&findings.render(path)),
            LibraryError::UnknownBank { device, bank } => {
                write!(f, "The device profile \"{device}\" names the bank \"{bank}\", which no profile has.")
            }
        }
    }
}

impl Library {
    /// The profiles that ship.
    pub fn built_in() -> Result<Library, LibraryError> {
        let mut library = Library::default();
        for (path, text) in BUILT_IN {
            library.add(&format!("(built in) {path}"), text)?;
        }
        library.check()?;
        Ok(library)
    }

    /// The profiles that ship and those of `folder`, which may add and replace; a folder that is not there adds none.
    pub fn with_folder(folder: &Path) -> Result<Library, LibraryError> {
        let mut library = Library::built_in()?;
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(library),
            Err(error) => return Err(LibraryError::Folder { path: folder.display().to_string(), error }),
        };
        let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
        paths.sort_unstable();
        let mut own: BTreeMap<String, String> = BTreeMap::new();
        for path in paths.iter().take(MOST_FILES) {
            let shown = path.display().to_string();
            let text = read(path).map_err(|error| LibraryError::Unreadable { path: shown.clone(), error })?;
            let name = library.add(&shown, &text)?;
            if let Some(other) = own.insert(name.clone(), shown.clone()) {
                return Err(LibraryError::Twice { name, paths: [other, shown] });
            }
        }
        library.check()?;
        Ok(library)
    }

    /// A device by its name in configurations.
    pub fn find(&self, name: &str) -> Option<&Device> {
        self.devices.get(name)
    }

    /// All devices.
    pub fn iter(&self) -> impl Iterator<Item = &Device> {
        self.devices.values()
    }

    /// A profile by name.
    pub fn profile(&self, name: &str) -> Option<&Profile> {
        match self.devices.get(name)? {
            Device::Profile(profile) => Some(profile),
            Device::Choice(_) | Device::Telegrams(_) => None,
        }
    }

    /// The profiles of these names.
    pub fn banks<'l>(&'l self, names: &'l [String]) -> impl Iterator<Item = &'l Profile> {
        names.iter().filter_map(|n| self.profile(n))
    }

    /// Returns the device's name.
    fn add(&mut self, path: &str, text: &str) -> Result<String, LibraryError> {
        let device = parse(text).map_err(|findings| LibraryError::Mistakes { path: path.to_owned(), findings })?;
        let name = device.name().to_owned();
        self.devices.insert(name.clone(), device);
        Ok(name)
    }

    fn check(&self) -> Result<(), LibraryError> {
        for device in self.iter() {
            if let Device::Choice(Choice { name, probe, battery, total, phases, .. }) = device {
                let all = probe.iter().chain(battery).chain(total).chain(phases);
                if let Some(bank) = all.into_iter().find(|b| self.profile(b).is_none()) {
                    return Err(LibraryError::UnknownBank { device: name.clone(), bank: bank.clone() });
                }
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(LONGEST_FILE).read_to_string(&mut text)?;
    Ok(text)
}
