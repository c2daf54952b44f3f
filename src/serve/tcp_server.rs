//! Our Modbus server over TCP: one thread that listens, and one per connection.
//!
//! **Answers for** who may connect. How many, and who makes room, is the part of [`Door`]; a connection is stale that has asked nothing for
//! [`Patience::stale`].
//!
//! **Never** knows of registers: that is the part of [`Answers`].

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::alive::Alive;
use super::answers::Answers;
pub use super::door::BindError;
use super::door::{Called, Door, Said};
use super::tcp_connection::Connection;
pub use super::tcp_connection::Patience;
use crate::config;

static CALLED: Called =
    Called { who: "The Modbus server", key: "[server.tcp] listen", example: 1502, log: "server", thread: "modbus-client" };

/// A bound port.
#[derive(Debug)]
pub struct TcpServer {
    door: Door<Connection>,
    settings: config::TcpServer,
    patience: Patience,
}

impl TcpServer {
    /// Binds the port. Nobody is answered yet.
    pub fn bind(settings: &config::TcpServer) -> Result<TcpServer, BindError> {
        TcpServer::bind_with(settings, Patience::default())
    }

    /// The same with other patience.
    pub fn bind_with(settings: &config::TcpServer, patience: Patience) -> Result<TcpServer, BindError> {
        let door = Door::bind(&CALLED, settings.listen, settings.max_connections.into())?;
        Ok(TcpServer { door, settings: settings.clone(), patience })
    }

    /// Where it listens, with the port that the kernel chose for port 0.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.door.address()
    }

    /// Serves for ever, and shows about every second that it lives.
    pub fn serve(self, answers: &impl Answers, alive: &impl Alive) {
        let TcpServer { door, settings, patience } = self;
        let idle_timeout = Duration::from_secs(settings.idle_timeout_s.into());
        let mut refused = Said::default();
        let admits = |peer| {
            let allowed = settings.allow.iter().any(|network| network.contains(peer));
            if !allowed && refused.is_news(peer, Instant::now()) {
                log::warn!("server: {peer} may not connect: it is not in [server.tcp] allow");
            }
            allowed
        };
        let talk = |peer| {
            let answers = answers.clone();
            move |connection: &Connection| {
                let end = connection.serve(&answers, idle_timeout);
                log::debug!("server: {peer}: the connection is closed: {end}");
            }
        };
        door.serve(alive, admits, |stream| Connection::new(stream, patience), talk);
    }
}
