//! The thread that saves: it alone waits for the disk.

use std::io;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::{Memory, MemoryError};
use crate::background;
use crate::control::learned::Learned;
use crate::daemon::slot::{Slot, slot};

/// Flash wears out: not more often than this, but at the stop.
const EVERY: Duration = Duration::from_secs(300);

/// For the control task: what was learned before, and where to put what is learned from now on.
pub struct Kept {
    /// What the file held.
    pub learned: Option<Learned>,
    /// The newest wins; nobody waits.
    pub slot: Slot<Learned>,
}

/// The running thread. It saves what is in the slot last when the last producer has gone, and ends.
pub struct Keeper {
    done: Receiver<()>,
}

impl Keeper {
    /// Reads the file and starts the thread.
    pub fn start(memory: Memory) -> io::Result<(Keeper, Kept)> {
        Keeper::start_every(memory, EVERY)
    }

    /// As [`Keeper::start`], with another time between two saves.
    pub fn start_every(memory: Memory, every: Duration) -> io::Result<(Keeper, Kept)> {
        let learned = memory.load();
        // Said at the start, when somebody looks, and not hours later.
        let complained = memory.check().map_err(|error| complain(&error)).is_err();
        let (slot, newest) = slot();
        let (ended, done) = bounded::<()>(0);
        let work = move || {
            keep(Saver { memory, complained }, &newest, every);
            drop(ended);
        };
        background::start("memory", work)?;
        Ok((Keeper { done }, Kept { learned, slot }))
    }

    /// Waits until the last save is done, which needs the control task to have ended. False when that takes longer than `patience`.
    pub fn stop(self, patience: Duration) -> bool {
        self.done.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }
}

fn keep(mut saver: Saver, newest: &Receiver<Learned>, every: Duration) {
    let (mut pending, mut saved): (Option<Learned>, Option<Instant>) = (None, None);
    loop {
        let wait = saved.map_or(Duration::ZERO, |at| every.saturating_sub(at.elapsed()));
        let next = match &pending {
            Some(_) => newest.recv_timeout(wait),
            None => newest.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(learned) => pending = Some(learned),
            Err(why) => {
                // What could not be saved is tried again.
                if let Some(learned) = pending.take() {
                    pending = (!saver.save(&learned)).then_some(learned);
                    saved = Some(Instant::now());
                }
                if why == RecvTimeoutError::Disconnected {
                    return;
                }
            }
        }
    }
}

struct Saver {
    memory: Memory,
    complained: bool,
}

impl Saver {
    /// One line when it fails first and one when it works again.
    fn save(&mut self, learned: &Learned) -> bool {
        match self.memory.save(learned) {
            Ok(()) => {
                if self.complained {
                    log::info!("memory: {} can be written again", self.memory.path().display());
                }
                self.complained = false;
                log::debug!("memory: saved");
                true
            }
            Err(error) => {
                if !self.complained {
                    complain(&error);
                }
                self.complained = true;
                false
            }
        }
    }
}

fn complain(error: &MemoryError) {
    log::warn!("memory: what is learned is lost with the next restart. {error}");
}
