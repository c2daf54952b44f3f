//! The real controller as a process of its own, and the temporary folder it lives in. Both are gone when these are dropped.

use std::fs::DirBuilder;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::background;

/// Log lines that wait to be shown; more are dropped.
const MOST_LINES: usize = 500;
/// Longest log line in bytes; the rest is shown as another one.
const LONGEST_LINE: u64 = 2000;
/// How often it is looked whether the controller has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A folder of our own under the system's folder for temporary files.
pub(super) struct TempFolder {
    path: PathBuf,
    keep: bool,
}

impl TempFolder {
    /// A new folder that only this user may enter; it is removed at the end unless `keep`.
    pub(super) fn new(keep: bool) -> io::Result<TempFolder> {
        let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
        let path = std::env::temp_dir().join(format!("sax-simulate-{}-{nanos}", std::process::id()));
        // Fails where something of that name exists.
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(TempFolder { path, keep })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// The controller; killed when this is dropped while it runs.
pub(super) struct Controller {
    child: Child,
    log: Receiver<String>,
}

impl Controller {
    /// Starts this very program with `run`.
    pub(super) fn start(config: &Path, devices: &Path) -> io::Result<Controller> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("run")
            .arg("--config")
            .arg(config)
            .arg("--devices")
            .arg(devices)
            // What it learns is about simulated devices, and must not take the place of what is known about real ones.
            .arg("--state")
            .arg(config.parent().unwrap_or(config))
            // The service manager of whoever started us is not told about this one.
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("JOURNAL_STREAM")
            // Ctrl-C reaches us alone; we stop it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take();
        let (lines, log) = bounded(MOST_LINES);
        let controller = Controller { child, log };
        if let Some(stderr) = stderr {
            // Ends with the controller, whose end closes the pipe.
            background::start("log", move || pass_on(stderr, &lines))?;
        }
        Ok(controller)
    }

    /// The next line of its log, if one comes in this time.
    pub(super) fn line(&self, within: Duration) -> Option<String> {
        match self.log.recv_timeout(within) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(within.min(LOOK_EVERY));
                None
            }
        }
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Sends SIGTERM and waits; `None` when it has not ended in this time. With the time it took.
    pub(super) fn stop(&mut self, within: Duration) -> io::Result<(Option<ExitStatus>, Duration)> {
        let begun = Instant::now();
        // Not waited for yet, so that the id still is its own.
        if let Some(status) = self.ended()? {
            return Ok((Some(status), Duration::ZERO));
        }
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).stdin(Stdio::null()).status()?;
        while begun.elapsed() < within {
            if let Some(status) = self.ended()? {
                return Ok((Some(status), begun.elapsed()));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok((None, begun.elapsed()))
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // Does nothing to one that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pass_on(stderr: impl Read, lines: &Sender<String>) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            // When nobody takes them, the controller must not wait.
            Ok(_) => drop(lines.try_send(String::from_utf8_lossy(&line).trim_end().to_owned())),
        }
    }
}
