//! Where bytes come from that nobody asked for: a serial port, or a serial server over TCP. Opened when read, and again after a failure.

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serialport::TTYPort;

use crate::config::TelegramLink;
use crate::link::connect::{Backoff, connect_any};
use crate::link::deadline::Deadline;
use crate::link::place::{Place, Serial};
use crate::link::resolve::Resolver;
use crate::link::serial;
use crate::units::Time;

/// Connecting takes no longer than this.
const CONNECT: Duration = Duration::from_secs(2);
/// A link from which nothing came for this long, or for five intervals, is opened anew: connections break without a word, adapters hang.
const QUIET: Duration = Duration::from_secs(30);

/// A stream of bytes that one can only listen to.
pub trait ByteSource: Send {
    /// What to call it in logs and status.
    fn name(&self) -> &str;

    /// When there may be something to read. One that waits in [`ByteSource::read`] says `now`.
    fn ready_at(&self, now: Time) -> Time {
        now
    }

    /// Counts up with every new connection.
    fn generation(&self) -> u64;

    /// Waits for bytes for as long as `patience`; 0: none came. After an error it connects anew by itself, not at once.
    fn read(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize>;
}

/// The source of a link; `interval`: how often something is expected to come.
pub fn open(link: &TelegramLink, interval: Duration) -> Box<dyn ByteSource> {
    let quiet = QUIET.max(interval.saturating_mul(5));
    match link {
        TelegramLink::Serial(serial) => Box::new(Reopened::new(serial.port.clone(), Port(serial.clone()), quiet)),
        TelegramLink::Tcp { host, port } => {
            let name = Place::Tcp { host: host.clone(), port: *port }.to_string();
            Box::new(Reopened::new(name, Server(Resolver::new(host, *port)), quiet))
        }
    }
}

/// How to get a connection.
trait Opener: Send {
    type Connection: Connection;

    fn open(&mut self) -> io::Result<Self::Connection>;
}

trait Connection: Send {
    /// As [`ByteSource::read`].
    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize>;
}

/// A connection, or when to try for the next one.
struct Reopened<O: Opener> {
    name: String,
    opener: O,
    open: Option<(O::Connection, Instant)>,
    backoff: Backoff,
    generation: u64,
    quiet: Duration,
}

impl<O: Opener> Reopened<O> {
    fn new(name: String, opener: O, quiet: Duration) -> Reopened<O> {
        Reopened { name, opener, open: None, backoff: Backoff::default(), generation: 0, quiet }
    }

    fn connect(&mut self) -> io::Result<(O::Connection, Instant)> {
        match self.opener.open() {
            Ok(connection) => {
                self.generation = self.generation.saturating_add(1);
                log::debug!("{}: open", self.name);
                Ok((connection, Instant::now()))
            }
            Err(error) => {
                self.backoff.failed(Instant::now());
                Err(error)
            }
        }
    }
}

impl<O: Opener> ByteSource for Reopened<O> {
    fn name(&self) -> &str {
        &self.name
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn read(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        let (mut connection, heard) = match self.open.take() {
            Some(open) => open,
            None => {
                if let Some(left) = self.backoff.left(Instant::now()) {
                    thread::sleep(left.min(patience));
                    return Ok(0);
                }
                self.connect()?
            }
        };
        match connection.receive(buffer, patience) {
            Ok(0) => {
                if heard.elapsed() < self.quiet {
                    self.open = Some((connection, heard));
                } else {
                    log::debug!("{}: nothing came for {} s, opened anew", self.name, self.quiet.as_secs());
                }
                Ok(0)
            }
            Ok(length) => {
                // Only what delivers is sound: a server that accepts and closes at once is waited for longer and longer.
                self.backoff.succeeded();
                self.open = Some((connection, Instant::now()));
                Ok(length)
            }
            Err(error) => {
                self.backoff.failed(Instant::now());
                Err(error)
            }
        }
    }
}

/// A serial port.
struct Port(Serial);

struct OpenPort {
    port: TTYPort,
    mask: u8,
}

impl Opener for Port {
    type Connection = OpenPort;

    fn open(&mut self) -> io::Result<OpenPort> {
        let seven = self.0.data_bits == 7;
        let port = serial::open(&self.0)?;
        // Some adapters hand on the parity bit as an eighth one.
        Ok(OpenPort { port, mask: if seven { 0x7f } else { 0xff } })
    }
}

impl Connection for OpenPort {
    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        serialport::SerialPort::set_timeout(&mut self.port, patience)?;
        let length = none_yet(self.port.read(buffer), "the port has gone")?;
        buffer.iter_mut().take(length).for_each(|byte| *byte &= self.mask);
        Ok(length)
    }
}

/// A serial server.
struct Server(Resolver);

impl Opener for Server {
    type Connection = TcpStream;

    fn open(&mut self) -> io::Result<TcpStream> {
        let deadline = Deadline::after(CONNECT);
        let addresses = self.0.resolve(deadline)?;
        connect_any(&addresses, deadline)
    }
}

impl Connection for TcpStream {
    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        // Zero would be for ever.
        self.set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
        none_yet(self.read(buffer), "the serial server closed the connection")
    }
}

/// Tells "nothing yet" (0) from the end of the stream, which is an error.
fn none_yet(read: io::Result<usize>, end: &str) -> io::Result<usize> {
    match read {
        Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, end)),
        Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
        Err(error) => Err(io::Error::new(error.kind(), format!("{end} ({error})"))),
        read => read,
    }
}
