//! The P1 port of the simulated meter in real time: a telegram every second, to whoever listens, at the pace of the line.
//!
//! Part of [`serve`](super::serve). Works in short turns; every wait has a limit.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::pty::Pty;
use super::serve::Shared;
use super::telegram::{INTERVAL_MS, sent};

/// Longest wait within a turn.
const TURN: Duration = Duration::from_millis(10);
/// Longest wait for a reader who does not read.
const WRITE: Duration = Duration::from_millis(200);
/// Bytes that are sent at once; they take 5.6 ms at 115200 8N1.
const PIECE: usize = 64;

enum Out {
    Serial { pty: Pty, baud: u32 },
    Server { listener: TcpListener, reader: Option<TcpStream> },
}

/// The port.
pub(super) struct Sender {
    out: Out,
    next: Instant,
}

impl Sender {
    /// A serial port under this path.
    pub(super) fn serial(path: &Path, baud: u32) -> io::Result<Sender> {
        Ok(Sender { out: Out::Serial { pty: Pty::new(path)?, baud: baud.max(300) }, next: Instant::now() })
    }

    /// A serial server, with one reader: a new one takes the place of the old.
    pub(super) fn server(listener: TcpListener) -> io::Result<Sender> {
        listener.set_nonblocking(true)?;
        Ok(Sender { out: Out::Server { listener, reader: None }, next: Instant::now() })
    }

    /// Sends when it is time.
    pub(super) fn turn(&mut self, shared: &Shared) {
        if let Out::Server { listener, reader } = &mut self.out {
            if let Ok((stream, _)) = listener.accept() {
                let ready = stream.set_nonblocking(false).and_then(|()| stream.set_write_timeout(Some(WRITE)));
                *reader = ready.ok().map(|()| stream);
            }
        }
        let now = Instant::now();
        if now < self.next {
            return thread::sleep(TURN.min(self.next - now));
        }
        self.next = now.max(self.next + Duration::from_millis(INTERVAL_MS));
        let sent = sent(&shared.site());
        if let (Err(_), Out::Serial { pty, .. }) = (&sent, &mut self.out) {
            return pty.unplug();
        }
        if let (Err(_), Out::Server { reader, .. }) = (&sent, &mut self.out) {
            *reader = None;
        }
        let Ok(Some(bytes)) = sent else { return };
        match &mut self.out {
            Out::Serial { pty, baud } => {
                if pty.plug().is_err() {
                    return;
                }
                for piece in bytes.chunks(PIECE) {
                    if shared.stopped() {
                        return;
                    }
                    // What nobody reads goes nowhere.
                    pty.say_if_heard(piece);
                    thread::sleep(Duration::from_micros(piece.len() as u64 * 10_000_000 / u64::from(*baud)));
                }
            }
            Out::Server { reader, .. } => {
                if reader.as_mut().is_some_and(|reader| reader.write_all(&bytes).is_err()) {
                    *reader = None;
                }
            }
        }
    }
}
