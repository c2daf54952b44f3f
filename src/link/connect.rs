//! Getting a TCP connection: which addresses to try, and when to try again.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::deadline::Deadline;

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Connects to the first of `addresses` that accepts. All of them share the deadline, each getting an equal part of what is left, so that
/// one that swallows packets does not keep the others from being tried.
pub fn connect_any(addresses: &[SocketAddr], deadline: Deadline) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "no address to connect to");
    for (tried, address) in addresses.iter().enumerate() {
        let Some(left) = deadline.left() else { return Err(deadline.passed()) };
        let untried = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let part = (left / untried).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(address, part) {
            Ok(stream) => {
                // Requests are small and wait for their reply: never hold one back to fill a segment.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// When the next connection may be tried: 0.5 s after a failure, doubling up to 5 s.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    waiting: Option<Waiting>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    until: Instant,
    wait: Duration,
}

impl Backoff {
    /// How long not to try yet; `None` when a connection may be tried.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.waiting.and_then(|waiting| waiting.until.checked_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// A connection was tried and failed.
    pub fn failed(&mut self, now: Instant) {
        let wait = self.waiting.map_or(FIRST_WAIT, |waiting| (waiting.wait * 2).min(LONGEST_WAIT));
        self.waiting = Some(Waiting { until: now + wait, wait });
    }

    /// A connection was made.
    pub fn succeeded(&mut self) {
        self.waiting = None;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    /// An address of this computer at which nobody listens. Nothing else uses this loopback address, so it stays free.
    fn deaf() -> SocketAddr {
        TcpListener::bind((Ipv4Addr::new(127, 0, 0, 99), 0)).unwrap().local_addr().unwrap()
    }

    #[test]
    fn the_one_address_that_listens_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        for addresses in [vec![deaf(), deaf(), good], vec![good, deaf()], vec![deaf(), good, deaf()]] {
            let stream = connect_any(&addresses, Deadline::after(Duration::from_secs(2))).unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good);
            assert!(stream.nodelay().unwrap());
        }
    }

    #[test]
    fn nobody_listens_anywhere() {
        let deadline = Deadline::after(Duration::from_secs(2));
        assert_eq!(connect_any(&[deaf(), deaf()], deadline).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(connect_any(&[], deadline).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn waits_double_up_to_five_seconds() {
        let start = Instant::now();
        let mut backoff = Backoff::default();
        assert_eq!(backoff.left(start), None);
        for wait_ms in [500, 1000, 2000, 4000, 5000, 5000] {
            backoff.failed(start);
            assert_eq!(backoff.left(start), Some(Duration::from_millis(wait_ms)));
            assert_eq!(backoff.left(start + Duration::from_millis(wait_ms)), None);
        }
        backoff.succeeded();
        backoff.failed(start);
        assert_eq!(backoff.left(start), Some(Duration::from_millis(500)));
    }
}
