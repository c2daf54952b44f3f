//! A port and those who come in through it: what the Modbus server and the page of figures have in common.
//!
//! **Answers for** how many clients there are at a time, each with a thread of its own. One too many takes the place of the one that has
//! given no reason to stay for longest, if that [`Client::is_stale`], because it may be gone without a word; else it is closed at once.
//!
//! **Never** waits for a client in the thread that listens, and knows nothing of what is talked about.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::alive::Alive;
use crate::background;

/// So long it waits for a client before it shows that it lives.
const LOOK: Duration = Duration::from_secs(1);
/// After the operating system has refused a connection, because there are too many files open.
const PAUSE: Duration = Duration::from_millis(200);
/// A client that connects anew comes before its old connection has been seen to close: so often, and after so long, is looked again.
const LEAVING_LOOKS: u32 = 20;
const LEAVING_LOOK: Duration = Duration::from_millis(5);
/// And only for so many in this time in vain, so that a crowd that is refused does not keep everybody else waiting.
const IN_VAIN_MOST: usize = 3;
const IN_VAIN_WITHIN: Duration = Duration::from_secs(1);
/// An address that is refused is written down once in this time: one that tries all day long is a line an hour.
const SAID_AGAIN: Duration = Duration::from_secs(3600);
/// So many addresses at once; more are refused without a word.
const SAID_MOST: usize = 32;

/// A connection, as the thread that listens sees it.
pub(super) trait Client: Send + Sync + 'static {
    /// How long it has given no reason to stay.
    fn idle(&self) -> Duration;
    /// Whether another client may have its place.
    fn is_stale(&self) -> bool;
    /// Its thread ends soon.
    fn close(&self);
}

/// What a port is called in messages.
#[derive(Debug)]
pub(super) struct Called {
    /// Who listens, at the beginning of a sentence.
    pub(super) who: &'static str,
    /// The key of the configuration that says where.
    pub(super) key: &'static str,
    /// A port that needs no privilege.
    pub(super) example: u16,
    /// In the log.
    pub(super) log: &'static str,
    /// Of the threads of the clients; at most 15 characters.
    pub(super) thread: &'static str,
}

/// Why a port cannot be bound.
#[derive(Clone, Debug)]
pub struct BindError {
    called: &'static Called,
    listen: SocketAddr,
    kind: io::ErrorKind,
    said: String,
}

impl BindError {
    /// The same in short, as an alarm.
    pub fn alarm(&self) -> String {
        let BindError { called: Called { log, .. }, listen, kind, said } = self;
        let why = match kind {
            io::ErrorKind::AddrInUse => "another program does",
            io::ErrorKind::AddrNotAvailable => "not an address of this machine",
            io::ErrorKind::PermissionDenied => "no privilege",
            _ => said,
        };
        format!("{log}: nobody can connect to {listen} ({why})")
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindError { called: Called { who, key, example, .. }, listen, kind, said } = self;
        let (address, port) = (listen.ip(), listen.port());
        match kind {
            io::ErrorKind::AddrInUse => write!(f, "{who} cannot listen on {listen}: another program does; {key} names another port."),
            io::ErrorKind::AddrNotAvailable => {
                write!(f, "{who} cannot listen on {listen}: this machine does not have the address {address} (now).")
            }
            io::ErrorKind::PermissionDenied => write!(
                f,
                "{who} cannot listen on {listen}: ports below 1024 need a privilege. Either {key} names a port above, like {example}, or \
                 the service gets AmbientCapabilities=CAP_NET_BIND_SERVICE for port {port}."
            ),
            _ => write!(f, "{who} cannot listen on {listen}: {said}."),
        }
    }
}

impl std::error::Error for BindError {}

/// A bound port, and who is inside.
#[derive(Debug)]
pub(super) struct Door<C> {
    listener: TcpListener,
    called: &'static Called,
    most: usize,
    inside: Vec<Weak<C>>,
    /// When it was looked in vain whether one of them is leaving: the newest times.
    in_vain: VecDeque<Instant>,
    full: Said,
    unserved: Said,
}

impl<C: Client> Door<C> {
    /// Binds the port for `most` clients at a time. Nobody is answered yet.
    pub(super) fn bind(called: &'static Called, listen: SocketAddr, most: usize) -> Result<Door<C>, BindError> {
        let listener = TcpListener::bind(listen).and_then(looking_up).map_err(|error| BindError {
            called,
            listen,
            kind: error.kind(),
            said: error.to_string(),
        })?;
        let (full, unserved) = (Said::default(), Said::default());
        Ok(Door { listener, called, most, inside: Vec::new(), in_vain: VecDeque::new(), full, unserved })
    }

    /// Where it listens, with the port that the kernel chose for port 0.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Lets clients in for ever, and shows about every second that it lives. `admits` may send one away before it costs anything; `talk`
    /// is the work of a client's thread.
    pub(super) fn serve<T>(
        mut self,
        mut admits: impl FnMut(IpAddr) -> bool,
        open: impl Fn(TcpStream) -> io::Result<C>,
        talk: impl Fn(IpAddr) -> T,
        alive: &impl Alive,
    ) where
        T: FnOnce(&C) + Send + 'static,
    {
        let mut complained = false;
        loop {
            alive.beat();
            match self.listener.accept() {
                Ok((stream, peer)) => {
                    complained = false;
                    let peer = peer.ip().to_canonical();
                    // Dropping its stream closes it.
                    if admits(peer) {
                        self.welcome(stream, peer, &open, talk(peer));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    if !complained {
                        log::warn!("{}: no connection can be accepted: {error}", self.called.log);
                    }
                    complained = true;
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    /// A thread for the new client.
    fn welcome(
        &mut self,
        stream: TcpStream,
        peer: IpAddr,
        open: impl Fn(TcpStream) -> io::Result<C>,
        talk: impl FnOnce(&C) + Send + 'static,
    ) {
        if !self.makes_room() {
            if self.full.is_news(peer, Instant::now()) {
                log::warn!("{}: {peer} is refused: all {} connections are in use", self.called.log, self.most);
            }
            return;
        }
        let begun = open(stream).and_then(|client| {
            let client = Arc::new(client);
            self.inside.push(Arc::downgrade(&client));
            background::start_small(self.called.thread, move || talk(&client)).map(drop)
        });
        if let Err(error) = begun {
            if self.unserved.is_news(peer, Instant::now()) {
                log::warn!("{}: {peer} cannot be served: {error}", self.called.log);
            }
        }
    }

    /// Whether there is room for one more, if need be in the place of one that is stale.
    fn makes_room(&mut self) -> bool {
        self.in_vain.retain(|at| at.elapsed() < IN_VAIN_WITHIN);
        let looks = if self.in_vain.len() < IN_VAIN_MOST { LEAVING_LOOKS } else { 0 };
        for look in 0..=looks {
            self.inside.retain(|client| client.strong_count() > 0);
            if self.inside.len() < self.most {
                return true;
            }
            let open = self.inside.iter().enumerate().filter_map(|(k, client)| Some((k, client.upgrade()?)));
            if let Some((k, longest)) = open.max_by_key(|(_, client)| client.idle()).filter(|(_, client)| client.is_stale()) {
                longest.close();
                self.inside.remove(k);
                return true;
            }
            if look < looks {
                thread::sleep(LEAVING_LOOK);
            }
        }
        if looks > 0 {
            self.in_vain.push_back(Instant::now());
        }
        false
    }
}

/// Its `accept` ends after [`LOOK`]: on Linux the receive timeout holds for that too (socket(7)), but only streams let one set it.
fn looking_up(listener: TcpListener) -> io::Result<TcpListener> {
    let stream = TcpStream::from(OwnedFd::from(listener));
    stream.set_read_timeout(Some(LOOK))?;
    Ok(TcpListener::from(OwnedFd::from(stream)))
}

/// Which addresses have been written down lately.
#[derive(Debug, Default)]
pub(super) struct Said(VecDeque<(IpAddr, Instant)>);

impl Said {
    pub(super) fn is_news(&mut self, address: IpAddr, now: Instant) -> bool {
        while self.0.front().is_some_and(|(_, at)| now.duration_since(*at) >= SAID_AGAIN) {
            self.0.pop_front();
        }
        let news = self.0.len() < SAID_MOST && self.0.iter().all(|(said, _)| *said != address);
        if news {
            self.0.push_back((address, now));
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_said_once_an_hour_and_only_so_many_are() {
        let (mut said, begun) = (Said::default(), Instant::now());
        let address = |k: u8| IpAddr::from([10, 0, 0, k]);
        assert!(said.is_news(address(0), begun) && !said.is_news(address(0), begun + SAID_AGAIN - Duration::from_secs(1)));
        let news = (1..=255).filter(|k| said.is_news(address(*k), begun + Duration::from_secs(30))).count();
        assert_eq!((news, said.0.len()), (SAID_MOST - 1, SAID_MOST));
        assert!(said.is_news(address(0), begun + SAID_AGAIN) && said.0.len() == SAID_MOST);
        assert!(said.is_news(address(255), begun + SAID_AGAIN + Duration::from_secs(59)) && said.0.len() == 2);
    }
}
