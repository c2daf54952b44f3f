//! The note of a stop in good order: `stopped.json` in the state directory. Whoever starts within a minute has nothing to fear from the
//! meter, which was good a moment ago, and takes control with its second good sample instead of the fifth.
//!
//! **Answers for** counting once, for the same devices, and only after a stop out of normal operation in which everything was handed back.
//! After a crash there is none.
//!
//! **Never** holds anything that was measured or commanded: every input is seen anew before the first command.

use std::io;
use std::path::Path;
use std::time::Duration;

use crossbeam_channel::bounded;
use serde::{Deserialize, Serialize};

use super::memory::devices;
use super::state_file::{self, StateFile};
use crate::background;
use crate::config::Config;

const FILE: &str = "stopped.json";
/// Of this form; another one does not count.
const VERSION: u32 = 1;
/// It counts for so long, seconds of the wall clock: longer than an upgrade takes. Whoever sets that clock meanwhile wins or loses three
/// samples of the meter, and nothing else.
const COUNTS_S: i64 = 60;

/// Where the note is, and which devices it is about.
#[derive(Clone, Debug)]
pub struct StopNote {
    file: StateFile,
    devices: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u32,
    /// What identifies the devices.
    devices: Vec<String>,
    /// Unix time of the stop.
    at_s: i64,
}

impl StopNote {
    /// The note about this configuration's devices in this folder. Touches nothing yet.
    pub fn new(directory: &Path, config: &Config) -> StopNote {
        StopNote { file: StateFile::new(directory, FILE), devices: devices(config) }
    }

    /// Takes the note away. How many seconds ago the stop was, if the note counts at this time.
    pub fn take(&self, wall_s: i64) -> Option<i64> {
        let text = match self.file.text() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            text => text,
        };
        // What cannot be taken away would count again after a crash.
        self.file.remove().ok()?;
        let form: Form = state_file::form(&text.ok()?, VERSION, drop, drop).ok()?;
        let ago_s = wall_s.checked_sub(form.at_s)?;
        ((0..=COUNTS_S).contains(&ago_s) && form.devices == self.devices).then_some(ago_s)
    }

    /// Leaves it, and waits for the disk no longer than this. Without it the next start takes a little longer.
    pub fn leave(self, wall_s: i64, patience: Duration) {
        let (ended, done) = bounded::<()>(0);
        let write = move || {
            let form = Form { version: VERSION, devices: self.devices, at_s: wall_s };
            // Strings and integers always become JSON.
            let written = self.file.replace(&(serde_json::to_string_pretty(&form).unwrap_or_default() + "\n"));
            if let Err(error) = written {
                log::debug!("no note of the stop: {error}");
            }
            drop(ended);
        };
        if background::start("stop-note", write).is_ok() {
            let _ = done.recv_timeout(patience);
        }
    }
}
