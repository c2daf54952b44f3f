//! A serial port that does not exist: one end of a pseudo terminal pair, the other behind a symbolic link that stays the same.

use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serialport::{SerialPort, TTYPort};

/// Our end, while it is plugged in.
pub(super) struct Pty {
    link: PathBuf,
    master: Option<TTYPort>,
    /// Somebody had the other end open since it was plugged in.
    used: bool,
}

impl Pty {
    /// Plugged in at once: the other end can be opened as `link`, which must not exist yet.
    pub(super) fn new(link: &Path) -> io::Result<Pty> {
        let mut pty = Pty { link: link.to_owned(), master: None, used: false };
        pty.plug()?;
        Ok(pty)
    }

    /// Plugs it in, if it is not: a new terminal behind the old link.
    pub(super) fn plug(&mut self) -> io::Result<()> {
        if self.master.is_some() {
            return Ok(());
        }
        let (master, mut slave) = TTYPort::pair()?;
        let terminal = slave.name().ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        // Whoever opens it may want it for himself.
        slave.set_exclusive(false)?;
        self.unplug();
        std::os::unix::fs::symlink(terminal, &self.link)?;
        (self.master, self.used) = (Some(master), false);
        Ok(())
    }

    /// Pulls the plug: who has the other end open is told, and finds nothing to open.
    pub(super) fn unplug(&mut self) {
        self.master = None;
        // Only ever a link that we made.
        if self.link.is_symlink() {
            let _ = std::fs::remove_file(&self.link);
        }
    }

    /// What has come within this time; empty when nothing has. When the other end was closed it is plugged in anew, because a terminal that
    /// was opened exclusively once cannot be opened again by everybody.
    pub(super) fn hear(&mut self, bytes: &mut [u8], within: Duration) -> usize {
        let Some(master) = &mut self.master else {
            std::thread::sleep(within);
            return 0;
        };
        let read = master.set_timeout(within).map_err(io::Error::from).and_then(|()| master.read(bytes));
        match read {
            Ok(count) => {
                self.used |= count > 0;
                count
            }
            Err(error) => {
                if !matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted) {
                    // Hung up: nobody has it open.
                    if std::mem::take(&mut self.used) {
                        self.unplug();
                        let _ = self.plug();
                    }
                    std::thread::sleep(within);
                }
                0
            }
        }
    }

    /// Sends; what nobody takes within the timeout of the port is lost, as on a line.
    pub(super) fn say(&mut self, bytes: &[u8]) {
        if let Some(master) = &mut self.master {
            let _ = master.write_all(bytes);
        }
    }
}

impl Pty {
    /// As [`Pty::say`], for a device that sends by itself: while nobody has the other end open nothing piles up for the next one.
    pub(super) fn say_if_heard(&mut self, bytes: &[u8]) {
        let _ = self.hear(&mut [0; 64], Duration::ZERO);
        let waiting = self.master.as_ref().and_then(|master| master.bytes_to_write().ok()).unwrap_or(0);
        // A second's worth of a fast line.
        if waiting < 16_384 {
            self.say(bytes);
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        self.unplug();
    }
}
