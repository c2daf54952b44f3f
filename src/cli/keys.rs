//! Waits for any key at the terminal. Without `stty`, or where it fails, for Enter.

use std::io::{IsTerminal, Read};
use std::process::{Command, Stdio};

/// The terminal gives every key at once, until this is dropped.
pub(super) struct Keys {
    before: Option<String>,
}

impl Keys {
    /// `None` where standard input is no terminal.
    pub(super) fn listen() -> Option<Keys> {
        if !std::io::stdin().is_terminal() {
            return None;
        }
        let before = stty(&["-g"]).map(|said| said.trim().to_owned()).filter(|said| !said.is_empty());
        let at_once = before.is_some() && stty(&["-icanon", "-echo", "min", "1"]).is_some();
        Some(Keys { before: before.filter(|_| at_once) })
    }

    /// What ends it, for people.
    pub(super) fn name(&self) -> &'static str {
        if self.before.is_some() { "Any key" } else { "Enter" }
    }

    /// Returns when a key was pressed, or when nobody can press one any more.
    pub(super) fn wait() -> bool {
        let mut key = [0];
        std::io::stdin().lock().read(&mut key).is_ok_and(|n| n > 0)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = stty(&[before]);
        }
    }
}

/// Settings of the terminal are ioctls; coreutils' `stty` does them without `unsafe` or another dependency.
fn stty(arguments: &[&str]) -> Option<String> {
    let output = Command::new("stty").args(arguments).stdin(Stdio::inherit()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
