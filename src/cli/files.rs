//! Reads the configuration and the device profiles from disk.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::config::{self, Config};
use crate::daemon::bus_load::overload;
use crate::daemon::wiring::plan;
use crate::device::library::Library;

/// Where the configuration is looked for.
pub const CONFIG: &str = "/etc/sax/controller.toml";
/// Where device profiles of one's own are looked for.
pub const DEVICES: &str = "/etc/sax/devices";

/// Longest configuration that is read, bytes.
const LONGEST: u64 = 1 << 20;

/// Where to look.
#[derive(Clone, Debug)]
pub struct Files {
    /// The configuration.
    pub config: PathBuf,
    /// The folder of device profiles.
    pub devices: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Files { config: CONFIG.into(), devices: DEVICES.into() }
    }
}

impl Files {
    /// The device profiles.
    pub fn library(&self) -> Result<Library, Failure> {
        Library::with_folder(&self.devices)
            .map_err(|e| Failure::Configuration(format!("{}\n{}", e.to_string().trim_end(), again(&self.config))))
    }

    /// The text of the configuration.
    pub fn text(&self) -> Result<String, Failure> {
        let shown = self.config.display();
        read(&self.config).map_err(|error| Failure::Configuration(format!("The configuration {shown} cannot be read: {error}.\n")))
    }

    /// The configuration; a mistake says where it is and how to check again.
    pub fn config(&self, library: &Library) -> Result<Config, Failure> {
        let (shown, again) = (self.config.display().to_string(), again(&self.config));
        let text = read(&self.config).map_err(|error| {
            Failure::Configuration(format!(
                "The configuration {shown} cannot be read: {error}.\nPlease ensure that the file exists, that it is text, and that this user may read it. --config FILE names another one.\n{again}"
            ))
        })?;
        let config = config::parse(&text, library).map_err(|findings| {
            let count = findings.len();
            let mistakes = if count == 1 { "one mistake".to_owned() } else { format!("{count} mistakes") };
            Failure::Configuration(format!("{}\n{shown} has {mistakes}. {again}", findings.render(&shown)))
        })?;
        match overload(&plan(&config, library)) {
            Some(overload) => Err(Failure::Configuration(format!("{shown}: {overload}\n{again}"))),
            None => Ok(config),
        }
    }
}

/// How to look again once it is put right.
fn again(config: &Path) -> String {
    format!("Check again with: sax-controller check {}\n", config.display())
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    // Looked at before it is opened: opening a named pipe would wait for someone to write to it.
    let kind = std::fs::metadata(path)?.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() { "it is a folder" } else { "it is no ordinary file" };
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, what));
    }
    let mut file = std::fs::File::open(path)?.take(LONGEST + 1);
    file.read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "it is longer than 1 MiB"));
    }
    Ok(text)
}
