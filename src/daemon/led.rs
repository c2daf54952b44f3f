//! The LED that shows the state of the load balancer: the blink patterns of reference 2 on `/sys/class/leds/NAME`.
//!
//! A LED that is not there, or goes away, is said once and looked for again now and then. It shows what is published, and the pattern of
//! fallback and error while nobody publishes anything; at the end it is off. It never holds anyone up.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::background;
use crate::balancer::State;
use crate::serve::socket::{Published, STALLED};
use crate::units::Span;

/// A second has so many slots.
pub const SLOTS: usize = 8;
/// One of them.
pub const SLOT: Span = Span::from_ms(125);
/// Per state, what is shown in each slot: `_` is off (reference 2, "LED Indication").
const PATTERNS: [&[u8; SLOTS]; 5] = [b"._______", b"._._____", b"._._.___", b"._._._._", b"----____"];
/// A LED that is missing is looked for again after so many slots: 10 s.
const LOOK_AGAIN: u32 = 80;
/// Longest number in a file of a LED.
const LONGEST: u64 = 20;

/// Whether the LED is on in this slot; what is no state is shown as an error.
pub fn is_on(state: u16, slot: usize) -> bool {
    let pattern = PATTERNS.get(usize::from(state)).unwrap_or(&PATTERNS[State::Fallback as usize]);
    pattern[slot % SLOTS] != b'_'
}

/// The state that is published; that of an error where nothing is, or where it is stale.
pub fn state_of(published: &Published) -> u16 {
    let document = published.newest();
    let balancer = document.load_balancer.as_ref().filter(|_| document.site.state != STALLED);
    balancer.map_or(State::Fallback.code(), |b| b.state)
}

/// One LED.
#[derive(Debug)]
pub struct Led {
    folder: PathBuf,
    /// What turns it on: its largest brightness.
    on: String,
    /// What it shows; `None`: nobody knows.
    shown: Option<bool>,
    /// It is not there: slots since it was looked for.
    missing: Option<u32>,
}

impl Led {
    /// The LED in this folder, which is not looked at yet.
    pub fn new(folder: PathBuf) -> Led {
        Led { folder, on: "1".into(), shown: None, missing: None }
    }

    /// Blinks as `state` says, asked once a second, until `wait` says that it is over.
    pub fn blink(mut self, state: &dyn Fn() -> u16, wait: &mut dyn FnMut(Span) -> bool) {
        loop {
            let state = state();
            for slot in 0..SLOTS {
                self.show(is_on(state, slot));
                if !wait(SLOT) {
                    self.show(false);
                    return;
                }
            }
        }
    }

    fn show(&mut self, on: bool) {
        if let Some(slots) = self.missing.filter(|slots| *slots + 1 < LOOK_AGAIN) {
            self.missing = Some(slots + 1);
            return;
        }
        if self.shown == Some(on) {
            return;
        }
        match self.put(on) {
            Ok(()) => {
                self.shown = Some(on);
                if self.missing.take().is_some() {
                    log::info!("LED {}: it is there now", self.folder.display());
                }
            }
            Err(error) => {
                if self.missing.is_none() {
                    log::warn!("LED {} cannot be used: {error}; it is looked for again every 10 s", self.folder.display());
                }
                (self.shown, self.missing) = (None, Some(0));
            }
        }
    }

    /// A LED that was not written before is taken from whatever makes it blink.
    fn put(&mut self, on: bool) -> io::Result<()> {
        if self.shown.is_none() {
            match self.write("trigger", "none") {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => self.on = self.max_brightness().unwrap_or_else(|| "1".into()),
            }
        }
        let on = if on { self.on.clone() } else { "0".into() };
        self.write("brightness", &on)
    }

    fn max_brightness(&self) -> Option<String> {
        let mut text = String::new();
        File::open(self.folder.join("max_brightness")).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
        let most: u32 = text.trim().parse().ok()?;
        (most > 0).then(|| most.to_string())
    }

    /// Never makes a file: what is not there is missing.
    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        OpenOptions::new().write(true).truncate(true).open(self.folder.join(file))?.write_all(text.as_bytes())
    }
}

/// The thread of the LED.
pub struct LedThread {
    stop: Sender<()>,
    done: Receiver<()>,
}

impl LedThread {
    /// Starts it for the LED in this folder.
    pub fn start(folder: PathBuf, published: Published) -> io::Result<LedThread> {
        let ((stop, stopped), (ended, done)) = (bounded::<()>(0), bounded::<()>(0));
        background::start("led", move || {
            let mut wait = |span: Span| stopped.recv_timeout(span.to_duration()) == Err(RecvTimeoutError::Timeout);
            Led::new(folder).blink(&|| state_of(&published), &mut wait);
            drop(ended);
        })?;
        Ok(LedThread { stop, done })
    }

    /// Turns the LED off, and waits for that no longer than this.
    pub fn stop(self, patience: Duration) {
        drop(self.stop);
        let _ = self.done.recv_timeout(patience);
    }
}
