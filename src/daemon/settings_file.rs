//! What a client saved with register 1091, on disk, so that it survives a restart: `load_balancer.json` in the state directory.
//!
//! Holds beside it the configuration's own values at the time: where these have changed since, somebody edited the configuration, and it
//! counts again, for good. Trusts nothing in the file. That it is either whole or not there is the part of [`StateFile`].

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::state_file::{StateFile, Unwritable, form};
use crate::balancer::Settings;
use crate::config::{Config, Server};
use crate::serve::ask::Saved;

/// The file in the state directory.
const FILE: &str = "load_balancer.json";
/// Of this form; another one is dropped.
const VERSION: u32 = 1;
/// More than the configuration takes, mA.
const MOST_MA: u32 = 250_000;

/// The saved settings of one controller.
#[derive(Clone, Debug)]
pub struct SettingsFile {
    file: StateFile,
    configured: Saved,
    /// Units of the gateway: ours is none of them.
    others: Vec<u8>,
    held: Option<Saved>,
}

/// Why a file is dropped: the end of a sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// The operating system does not give it.
    Unreadable(String),
    /// It is no JSON, or not ours.
    Malformed(String),
    /// It was written by another release.
    Version(u64),
    /// The configuration was edited since, so it counts.
    Edited,
    /// Our unit id in it is one of the gateway's now.
    Taken(u8),
    /// A value that cannot be, or values that contradict each other.
    Unsound,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Unreadable(error) => write!(f, "it cannot be read: {error}."),
            Unusable::Malformed(error) => write!(f, "it is damaged: {error}."),
            Unusable::Version(found) => write!(f, "its form is version {found}, and this release has version {VERSION}."),
            Unusable::Edited => f.write_str("[load_balancer] or the server's address in the configuration was edited since it was saved."),
            Unusable::Taken(unit) => write!(f, "its unit id {unit} is one of [server] gateway units now."),
            Unusable::Unsound => f.write_str("a value in it is out of range, or they contradict each other."),
        }
    }
}

impl SettingsFile {
    /// The file of this configuration in this folder. Touches nothing yet.
    pub fn open(directory: &Path, config: &Config, server: &Server) -> SettingsFile {
        let settings = config.load_balancer.as_ref().map(|balancer| balancer.settings);
        let others = server.gateway.as_ref().map(|gateway| gateway.units.clone()).unwrap_or_default();
        let configured = Saved { settings, address: server.address };
        SettingsFile { file: StateFile::new(directory, FILE), configured, others, held: None }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.file.path()
    }

    /// What was saved before, where it still counts; the log says why it does not. What an edited configuration has overruled is removed: it
    /// must not come back when the configuration is edited again.
    pub fn load(&mut self) -> Option<Saved> {
        let path = self.file.path();
        match self.read() {
            Ok(None) => {}
            Ok(Some(saved)) => {
                log::info!(
                    "server: settings that a client saved are in force, from {}; register 1092 restores the configuration's",
                    path.display()
                );
                self.held = Some(saved);
            }
            Err(why @ Unusable::Edited) => {
                log::warn!("server: {} is dropped, the configuration counts: {why}", path.display());
                if let Err(error) = self.file.remove() {
                    log::warn!("server: it could not be removed, and comes back where the configuration does: {error}");
                }
            }
            Err(why) => log::error!("server: {} is dropped, the configuration counts: {why}", path.display()),
        }
        self.held
    }

    /// As [`SettingsFile::load`], but says why instead of logging it. `None`: there is no file.
    pub fn read(&self) -> Result<Option<Saved>, Unusable> {
        match self.file.text() {
            Ok(text) => match from_text(&text, &self.configured)? {
                saved if self.others.contains(&saved.address) => Err(Unusable::Taken(saved.address)),
                saved => Ok(Some(saved)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Unusable::Unreadable(error.to_string())),
        }
    }

    /// What it held when it was read or written last.
    pub fn held(&self) -> Option<Saved> {
        self.held
    }

    /// Whether there is a folder to save in.
    pub fn check(&self) -> Result<(), Unwritable> {
        self.file.check()
    }

    /// Replaces the file, or leaves it as it is; `None` removes it.
    pub fn put(&mut self, saved: Option<Saved>) -> Result<(), Unwritable> {
        match &saved {
            Some(saved) => self.file.replace(&to_text(saved, &self.configured))?,
            None => self.file.remove()?,
        }
        self.held = saved;
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u32,
    /// What the configuration said when this was saved.
    configured: Saved,
    saved: Saved,
}

fn to_text(saved: &Saved, configured: &Saved) -> String {
    let form = Form { version: VERSION, configured: *configured, saved: *saved };
    // Integers always become JSON.
    serde_json::to_string_pretty(&form).unwrap_or_default() + "\n"
}

fn from_text(text: &str, configured: &Saved) -> Result<Saved, Unusable> {
    let form: Form = form(text, VERSION, Unusable::Malformed, Unusable::Version)?;
    if form.configured != *configured {
        return Err(Unusable::Edited);
    }
    if is_sound(&form.saved) { Ok(form.saved) } else { Err(Unusable::Unsound) }
}

fn is_sound(saved: &Saved) -> bool {
    let currents = |s: &Settings| {
        let steps = [s.alarm, s.upper, s.lower];
        let own = [s.charger_limit_ma, s.fallback_limit_ma];
        own.into_iter().chain(steps.into_iter().flat_map(|step| [step.limit_ma, step.change_ma])).all(|ma| ma <= MOST_MA)
    };
    saved.is_sound() && saved.settings.as_ref().is_none_or(currents)
}
