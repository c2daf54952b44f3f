//! A small file in the state directory that is either whole or not there, also after `kill -9` or a power cut at any point.
//!
//! It is written beside its place first (temporary file, fsync, rename, fsync of the folder). Never decides what stands in it, and never
//! trusts how long it is.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Longest file that is read, bytes: what is learned about 250 batteries takes a tenth.
const LONGEST: u64 = 1 << 20;

/// One file in one folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateFile {
    directory: PathBuf,
    name: &'static str,
}

/// Why it could not be written.
#[derive(Debug)]
pub enum Unwritable {
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
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unwritable::Directory { path, error } => {
                write!(
                    f,
                    "The folder {} cannot be written: {error}. It must exist and take files; --state names another one.",
                    path.display()
                )
            }
            Unwritable::File { path, error } => write!(f, "The file {} cannot be written: {error}.", path.display()),
        }
    }
}

impl std::error::Error for Unwritable {}

impl StateFile {
    /// Touches nothing yet.
    pub fn new(directory: &Path, name: &'static str) -> StateFile {
        StateFile { directory: directory.to_owned(), name }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.directory.join(self.name)
    }

    /// It is written here first.
    fn unfinished(&self) -> PathBuf {
        self.directory.join(format!("{}.new", self.name))
    }

    /// What stands in it; an error of the kind `NotFound`: there is none.
    pub fn text(&self) -> io::Result<String> {
        let path = self.path();
        // Looked at before it is opened: opening a named pipe would wait for someone to write to it.
        if !fs::metadata(&path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no ordinary file"));
        }
        let mut text = String::new();
        File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
        if text.len() as u64 > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than 1 MiB"));
        }
        Ok(text)
    }

    /// Whether there is a folder to write in: writes the unfinished file and removes it, because only that shows what may be written.
    pub fn check(&self) -> Result<(), Unwritable> {
        let in_folder = |error| Unwritable::Directory { path: self.directory.clone(), error };
        match fs::metadata(&self.directory) {
            Ok(folder) if folder.is_dir() => {}
            Ok(_) => return Err(in_folder(io::Error::new(io::ErrorKind::NotADirectory, "it is no folder"))),
            Err(error) => return Err(in_folder(error)),
        }
        let unfinished = self.unfinished();
        match write(&unfinished, "{}\n").and_then(|()| fs::remove_file(&unfinished)) {
            Ok(()) => Ok(()),
            Err(error) => {
                // A full disk may have left it there empty.
                let _ = fs::remove_file(&unfinished);
                Err(self.failed(error))
            }
        }
    }

    /// Replaces the file, or leaves it as it is.
    pub fn replace(&self, text: &str) -> Result<(), Unwritable> {
        let folder = self.folder()?;
        let unfinished = self.unfinished();
        if let Err(error) = write(&unfinished, text).and_then(|()| fs::rename(&unfinished, self.path())) {
            let _ = fs::remove_file(&unfinished);
            return Err(self.failed(error));
        }
        // The name survives a power cut only with its folder. Where that cannot be synced, it reaches the disk a little later.
        let _ = folder.sync_all();
        Ok(())
    }

    /// Removes the file, if there is one.
    pub fn remove(&self) -> Result<(), Unwritable> {
        let folder = self.folder()?;
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.failed(error)),
            _ => {}
        }
        let _ = folder.sync_all();
        Ok(())
    }

    fn folder(&self) -> Result<File, Unwritable> {
        File::open(&self.directory).map_err(|error| Unwritable::Directory { path: self.directory.clone(), error })
    }

    /// Whether the folder or the file is to blame. A folder that takes no files at all, as in `/proc`, says that they do not exist.
    fn failed(&self, error: io::Error) -> Unwritable {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotFound => {
                Unwritable::Directory { path: self.directory.clone(), error }
            }
            _ => Unwritable::File { path: self.path(), error },
        }
    }
}

/// Reads the JSON of a state file. The version first: a later form may have anything else. `malformed` and `other_version` make errors of
/// what is wrong instead.
pub fn form<T: DeserializeOwned, E>(text: &str, version: u32, malformed: fn(String) -> E, other_version: fn(u64) -> E) -> Result<T, E> {
    let damaged = |error: serde_json::Error| malformed(error.to_string());
    let value: serde_json::Value = serde_json::from_str(text).map_err(damaged)?;
    match value["version"].as_u64() {
        Some(found) if found != u64::from(version) => Err(other_version(found)),
        _ => serde_json::from_value(value).map_err(damaged),
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    // Left behind by a power cut; whatever it is, it must not be followed or appended to.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    // What root learns by `commission` is for the service to read, whatever umask root has. There is nothing secret in it.
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
