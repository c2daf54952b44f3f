//! The communication log: one line per communication fault, in a file of its own, for people and for grep.
//!
//! ```text
//! 2026-11-21T10:03:09.123Z /dev/ttyUSB0 unit=64 fc=3 reg=1000-1001 CRC Error
//! ```
//! **Answers for** lines of one form, whole and in order, in a file of bounded size: at 1 MiB it becomes `.1`, in place of an older one.
//! The words are those of [`Fault`], with "Timeout" and "CRC Error" as reference 1 looks for them.
//!
//! **Never** makes a thread that talks to devices wait: they put lines into a bounded queue, and what does not fit is left out and counted.
//! A thread of its own waits for the disk and tells the time. A folder that is missing or full is said once; the controller goes on.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::clock::Clock;
use crate::background;
use crate::config::findings::printable;
use crate::device::profile::Block;
use crate::link::fault::Fault;
use crate::schedule::utc;

/// Lines on their way to the disk.
const WAITING_MOST: usize = 256;
/// Longer lines are cut, characters.
const LINE_MOST: usize = 500;
/// The file is renamed before it becomes longer than this, bytes.
const LONGEST: u64 = 1 << 20;

/// Where faults are handed in; every thread has its own.
#[derive(Clone, Debug)]
pub struct CommLog {
    lines: Sender<String>,
    left_out: Arc<AtomicU64>,
}

impl CommLog {
    /// Starts the thread that writes to `path`; it ends when the last `CommLog` is gone.
    pub fn start(path: &Path, clock: impl Clock + Send + 'static) -> io::Result<CommLog> {
        let (lines, waiting) = bounded(WAITING_MOST);
        let left_out = Arc::new(AtomicU64::new(0));
        let mut writer = Writer { path: path.to_owned(), file: None, complained: false, torn: false };
        let counter = Arc::clone(&left_out);
        // Said at the start, when somebody looks, and not with the first fault.
        writer.report(|writer| writer.open(0));
        background::start("comm-log", move || write_all(writer, &waiting, &counter, &clock))?;
        Ok(CommLog { lines, left_out })
    }

    /// A request to `unit` that asked for, or wrote to, these registers has failed.
    pub fn request(&self, link: &str, unit: u8, block: &Block, fault: &Fault) {
        let (first, last) = (block.address, u32::from(block.address) + u32::from(block.count.max(1)) - 1);
        let registers = if u32::from(first) == last { format!("{first}") } else { format!("{first}-{last}") };
        self.note(link, &format!("unit={unit} fc={} reg={registers}", block.function), fault);
    }

    /// Something else has failed on `link`: `what` in the form `key=value`.
    pub fn note(&self, link: &str, what: &str, fault: &dyn Display) {
        let line: String = printable(&format!("{link} {what} {fault}")).chars().take(LINE_MOST).collect();
        if self.lines.try_send(line).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write_all(mut writer: Writer, waiting: &Receiver<String>, left_out: &AtomicU64, clock: &impl Clock) {
    let mut said = false;
    for line in waiting {
        let now = utc(clock.wall_ms());
        writer.line(&format!("{now} {line}\n"));
        let count = left_out.swap(0, Ordering::Relaxed);
        if count > 0 {
            writer.line(&format!("{now} {count} faults were left out here: they came faster than the disk takes them\n"));
            if !said {
                log::warn!("communication log: faults come faster than {} takes them; some are left out", writer.path.display());
            }
            said = true;
        }
    }
}

struct Writer {
    path: PathBuf,
    file: Option<File>,
    /// The log has said that it cannot be written.
    complained: bool,
    /// The last line may have been written in part.
    torn: bool,
}

impl Writer {
    fn line(&mut self, line: &str) {
        self.report(|writer| writer.append(line));
    }

    /// Does it, and says when it fails first and when it works again.
    fn report(&mut self, work: impl FnOnce(&mut Writer) -> io::Result<()>) {
        match work(self) {
            Ok(()) => {
                if self.complained {
                    log::info!("communication log: {} can be written again", self.path.display());
                }
                self.complained = false;
            }
            Err(error) => {
                if !self.complained {
                    log::warn!(
                        "communication log: {} cannot be written: {error}. Its folder must exist and take files; [log] comm_log names it. \
                         Faults are still counted in the status.",
                        self.path.display()
                    );
                }
                self.complained = true;
            }
        }
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        self.open(line.len() as u64)?;
        let torn = if self.torn { "\n" } else { "" };
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let written = file.write_all(format!("{torn}{line}").as_bytes());
        self.torn = written.is_err();
        written
    }

    /// The file that stands at the path now, with room for so many bytes: somebody may have moved the old one away.
    fn open(&mut self, room: u64) -> io::Result<()> {
        let open = self.file.take().and_then(|file| file.metadata().ok().map(|metadata| (file, metadata)));
        match (fs::metadata(&self.path), open) {
            // Opening a named pipe would wait for someone who reads it.
            (Ok(there), _) if !there.is_file() => return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no ordinary file")),
            (Ok(there), _) if there.len() + room > LONGEST => fs::rename(&self.path, rotated(&self.path))?,
            (Ok(there), Some((file, open))) if (there.dev(), there.ino()) == (open.dev(), open.ino()) => {
                self.file = Some(file);
                return Ok(());
            }
            _ => {}
        }
        self.file = Some(OpenOptions::new().append(true).create(true).open(&self.path)?);
        Ok(())
    }
}

/// `comm.log` becomes `comm.log.1`.
fn rotated(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}
