//! One client of the metrics, in a thread of its own: one request in, one reply out, and the connection is closed.
//!
//! The times count from its beginning and for all of it, so that a client that sends or takes a byte per second is not kept any longer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::reply::reply;
use super::request::{Asked, What, parse};
use crate::serve::door::Client;

/// After the reply so much of what the client still sends is thrown away, and for so long: to close with unread bytes would make the kernel
/// reset the connection, and the client would lose the reply.
const THROWN_AWAY_MOST: usize = 64 * 1024;
const THROWN_AWAY_WITHIN: Duration = Duration::from_millis(500);

/// How long a client may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// For its whole request.
    pub request: Duration,
    /// To take the whole reply.
    pub reply: Duration,
    /// From then on another client gets its place when there is none left.
    pub stale: Duration,
}

impl Default for Patience {
    /// Prometheus itself gives a scrape 10 s (its `scrape_timeout`). A client on the same network needs milliseconds, so one that takes
    /// longer makes room as soon as others come: so short is this that nobody is refused, and a crowd goes through quickly.
    fn default() -> Patience {
        Patience { request: Duration::from_secs(5), reply: Duration::from_secs(5), stale: Duration::from_millis(50) }
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Visit {
    stream: TcpStream,
    patience: Patience,
    begun: Instant,
}

impl Client for Visit {
    fn idle(&self) -> Duration {
        self.begun.elapsed()
    }

    fn is_stale(&self) -> bool {
        self.idle() > self.patience.stale
    }

    fn close(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Visit {
    pub(super) fn new(stream: TcpStream, patience: Patience) -> io::Result<Visit> {
        stream.set_nodelay(true)?;
        Ok(Visit { stream, patience, begun: Instant::now() })
    }

    /// Answers the one request; what it was. `page` makes the figures.
    pub(super) fn serve(&self, page: impl FnOnce() -> String) -> io::Result<What> {
        let Some(Asked { what, head_only }) = self.request()? else {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "it has left without a request"));
        };
        self.give(&reply(what, head_only, page))?;
        self.stream.shutdown(Shutdown::Write)?;
        self.throw_away_the_rest();
        Ok(what)
    }

    /// `None`: nothing came, or only the beginning of a request. It ends at the latest when parse() has seen `LONGEST` bytes.
    fn request(&self) -> io::Result<Option<Asked>> {
        let (mut bytes, mut chunk) = (Vec::new(), [0; 1024]);
        let end = self.begun + self.patience.request;
        loop {
            match self.read(&mut chunk, end) {
                Ok(0) => return Ok(None),
                Ok(count) => bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) if error.kind() != ErrorKind::TimedOut => return Err(error),
                Err(_) if bytes.is_empty() => return Err(io::Error::new(ErrorKind::TimedOut, "it says nothing")),
                Err(_) => return Ok(Some(Asked { what: What::TimedOut, head_only: false })),
            }
            if let Some(asked) = parse(&bytes) {
                return Ok(Some(asked));
            }
        }
    }

    /// Something before `end`; 0 where nothing will come any more, `TimedOut` where nothing came.
    fn read(&self, chunk: &mut [u8], end: Instant) -> io::Result<usize> {
        loop {
            self.stream.set_read_timeout(Some(left_until(end)?))?;
            match (&self.stream).read(chunk) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                read => return read,
            }
        }
    }

    fn give(&self, bytes: &[u8]) -> io::Result<()> {
        let (mut rest, end) = (bytes, Instant::now() + self.patience.reply);
        while !rest.is_empty() {
            self.stream.set_write_timeout(Some(left_until(end)?))?;
            match (&self.stream).write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn throw_away_the_rest(&self) {
        let (mut chunk, end) = ([0; 1024], Instant::now() + THROWN_AWAY_WITHIN);
        let mut thrown = 0;
        while thrown < THROWN_AWAY_MOST {
            match self.read(&mut chunk, end) {
                Ok(0) | Err(_) => return,
                Ok(count) => thrown += count,
            }
        }
    }
}

/// How long until then; an error when it is over. Zero would be for ever.
fn left_until(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::Error::new(ErrorKind::TimedOut, "it is too slow"));
    }
    Ok(left.max(Duration::from_millis(1)))
}
