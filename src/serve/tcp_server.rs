//! Our Modbus server over TCP: one thread that listens, and one per connection.
//!
//! **Answers for** who may connect and how many. A connection too many takes the place of the one that has asked nothing for longest, if
//! that is more than [`Patience::stale`], because its client may be gone without a word; else it is closed at once.
//!
//! **Never** waits for a client in the thread that listens, and knows nothing of registers: that is the part of [`Answers`].

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::alive::Alive;
use super::answers::Answers;
use super::tcp_connection::Connection;
pub use super::tcp_connection::Patience;
use crate::config;

/// What a connection's thread needs: two buffers, and room for what it asks of others.
const STACK: usize = 256 * 1024;
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
/// An address that is refused is written down once in this time.
const SAID_AGAIN: Duration = Duration::from_secs(60);
/// So many addresses at once; more are refused without a word.
const SAID_MOST: usize = 32;

/// A bound port.
#[derive(Debug)]
pub struct TcpServer {
    listener: TcpListener,
    settings: config::TcpServer,
    patience: Patience,
    connections: Vec<Weak<Connection>>,
    /// When it was looked in vain whether one of them is leaving: the newest times.
    in_vain: VecDeque<Instant>,
    refused: Said,
    full: Said,
    unserved: Said,
}

/// Why the port cannot be bound.
#[derive(Debug)]
pub struct BindError {
    listen: SocketAddr,
    error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindError { listen, error } = self;
        let (address, port) = (listen.ip(), listen.port());
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                write!(f, "The Modbus server cannot listen on {listen}: another program does; [server.tcp] listen names another port.")
            }
            io::ErrorKind::AddrNotAvailable => {
                write!(f, "The Modbus server cannot listen on {listen}: this machine does not have the address {address} (now).")
            }
            io::ErrorKind::PermissionDenied => write!(
                f,
                "The Modbus server cannot listen on {listen}: ports below 1024 need a privilege. Either [server.tcp] listen names a port \
                 above, like 1502, or the service gets AmbientCapabilities=CAP_NET_BIND_SERVICE for port {port}."
            ),
            _ => write!(f, "The Modbus server cannot listen on {listen}: {error}."),
        }
    }
}

impl std::error::Error for BindError {}

impl TcpServer {
    /// Binds the port. Nobody is answered yet.
    pub fn bind(settings: &config::TcpServer) -> Result<TcpServer, BindError> {
        TcpServer::bind_with(settings, Patience::default())
    }

    /// The same with other patience.
    pub fn bind_with(settings: &config::TcpServer, patience: Patience) -> Result<TcpServer, BindError> {
        let listener = TcpListener::bind(settings.listen).and_then(looking_up);
        let listener = listener.map_err(|error| BindError { listen: settings.listen, error })?;
        Ok(TcpServer {
            listener,
            settings: settings.clone(),
            patience,
            connections: Vec::new(),
            in_vain: VecDeque::new(),
            refused: Said::default(),
            full: Said::default(),
            unserved: Said::default(),
        })
    }

    /// Where it listens, with the port that the kernel chose for port 0.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for ever, and shows about every second that it lives.
    pub fn serve(mut self, answers: &impl Answers, alive: &impl Alive) {
        let mut complained = false;
        loop {
            alive.beat();
            match self.listener.accept() {
                Ok((stream, peer)) => {
                    complained = false;
                    self.welcome(stream, peer.ip().to_canonical(), answers);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    if !complained {
                        log::warn!("server: no connection can be accepted: {error}");
                    }
                    complained = true;
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    /// A thread for the new client; dropping its stream closes it.
    fn welcome(&mut self, stream: TcpStream, peer: IpAddr, answers: &impl Answers) {
        if !self.settings.allow.iter().any(|network| network.contains(peer)) {
            if self.refused.is_news(peer, Instant::now()) {
                log::warn!("server: {peer} may not connect: it is not in [server.tcp] allow");
            }
            return;
        }
        if !self.makes_room() {
            if self.full.is_news(peer, Instant::now()) {
                log::warn!("server: {peer} is refused: all {} connections are in use", self.settings.max_connections);
            }
            return;
        }
        if let Err(error) = self.start(stream, peer, answers) {
            if self.unserved.is_news(peer, Instant::now()) {
                log::warn!("server: {peer} cannot be served: {error}");
            }
        }
    }

    fn start(&mut self, stream: TcpStream, peer: IpAddr, answers: &impl Answers) -> io::Result<()> {
        let connection = Arc::new(Connection::new(stream, self.patience)?);
        self.connections.push(Arc::downgrade(&connection));
        let (answers, idle_timeout) = (answers.clone(), Duration::from_secs(self.settings.idle_timeout_s.into()));
        let work = move || {
            let end = connection.serve(&answers, idle_timeout);
            log::debug!("server: {peer}: the connection is closed: {end}");
        };
        thread::Builder::new().name("modbus-client".into()).stack_size(STACK).spawn(work).map(drop)
    }

    /// Whether there is room for one more, if need be in the place of one that has long asked nothing.
    fn makes_room(&mut self) -> bool {
        self.in_vain.retain(|at| at.elapsed() < IN_VAIN_WITHIN);
        let looks = if self.in_vain.len() < IN_VAIN_MOST { LEAVING_LOOKS } else { 0 };
        for look in 0..=looks {
            self.connections.retain(|connection| connection.strong_count() > 0);
            if self.connections.len() < usize::from(self.settings.max_connections) {
                return true;
            }
            let open = self.connections.iter().enumerate().filter_map(|(k, connection)| Some((k, connection.upgrade()?)));
            if let Some((k, longest)) = open.max_by_key(|(_, connection)| connection.idle()).filter(|(_, c)| c.is_stale()) {
                longest.close();
                self.connections.remove(k);
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
struct Said(VecDeque<(IpAddr, Instant)>);

impl Said {
    fn is_news(&mut self, address: IpAddr, now: Instant) -> bool {
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
    fn an_address_is_said_once_a_minute_and_only_so_many_are() {
        let (mut said, begun) = (Said::default(), Instant::now());
        let address = |k: u8| IpAddr::from([10, 0, 0, k]);
        assert!(said.is_news(address(0), begun) && !said.is_news(address(0), begun + Duration::from_secs(59)));
        let news = (1..=255).filter(|k| said.is_news(address(*k), begun + Duration::from_secs(30))).count();
        assert_eq!((news, said.0.len()), (SAID_MOST - 1, SAID_MOST));
        assert!(said.is_news(address(0), begun + SAID_AGAIN) && said.0.len() == SAID_MOST);
        assert!(said.is_news(address(255), begun + Duration::from_secs(119)) && said.0.len() == 2);
    }
}
