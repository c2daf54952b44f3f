//! Our Modbus server at work: a thread for its port, and one for its serial line.
//!
//! The threads of port and serial line are watched, see [`super::watchdog`]: they look up every second, whoever asks what. A client can make
//! only its own thread wait, or the one of its serial line while that answers it, which is not judged for as long. So no client, however
//! slow, keeps the watchdog from telling that the controller lives.

use std::io;

use super::clock::Monotonic;
use super::gateway::Gateway;
use super::listening::Listening;
use super::responder::{Responder, SharedFile};
use super::settings_file::SettingsFile;
use super::threads::Threads;
use super::wiring::ServerPlan;
use crate::background;
use crate::config::{self, Config};
use crate::serve::ask::Saved;
use crate::serve::rtu_server;
use crate::serve::socket::Published;
use crate::serve::tcp_server::TcpServer;
use crate::units::Span;

/// The thread that listens looks up every second.
const LISTENING: Span = Span::from_s(10);
/// Opening the port of an adapter that hangs takes most of a minute, and sending a reply to a bus that does not take it some seconds.
const ON_THE_LINE: Span = Span::from_s(60);

/// The server, not answering yet.
pub struct Servers {
    config: config::Server,
    file: Option<SettingsFile>,
}

impl Servers {
    /// Of this plan. Nothing is bound yet.
    pub fn new(plan: &ServerPlan, config: &Config) -> Servers {
        let server = plan.server.clone();
        let file = plan.state.as_ref().map(|directory| SettingsFile::open(directory, config, &server));
        Servers { config: server, file }
    }

    /// What a client saved before, where it still counts.
    pub fn saved(&mut self) -> Option<Saved> {
        let file = self.file.as_mut()?;
        let saved = file.load();
        let writable = self.config.tcp.as_ref().is_some_and(|tcp| tcp.writable) || self.config.rtu.as_ref().is_some_and(|rtu| rtu.writable);
        if writable {
            // Said at the start, when somebody looks, and not when a client saves something.
            if let Err(error) = file.check() {
                log::warn!("server: what clients save with register 1091 will be refused. {error}");
            }
        }
        saved
    }

    /// Starts its threads, which answer as long as the process lives.
    pub fn start(self, threads: &Threads, published: &Published, clock: Monotonic) -> io::Result<()> {
        let gateway = self.config.gateway.as_ref().zip(threads.gateway());
        let gateway = gateway.map(|(gateway, endpoint)| Gateway::new(&gateway.units, endpoint, clock, threads.hurry()));
        let file = self.file.map(SharedFile::new);
        let responder = |writable| Responder {
            published: published.clone(),
            asked: threads.asked(),
            writable,
            file: file.clone(),
            gateway: gateway.clone(),
        };
        if let Some(settings) = self.config.tcp {
            let (answers, alive) = (responder(settings.writable), threads.watch("modbus-tcp", LISTENING));
            let bind = move || {
                let said = || log::info!("server: Modbus TCP on {}{}", settings.listen, read_only(settings.writable));
                TcpServer::bind(&settings).inspect(|_| said())
            };
            let tcp = Listening::start(bind, threads.events());
            background::start("modbus-tcp", move || tcp.bound(&alive).serve(&answers, &alive))?;
        }
        if let Some(rtu) = self.config.rtu {
            log::info!("server: Modbus RTU on {}{}", rtu.serial.port, read_only(rtu.writable));
            let (answers, alive) = (responder(rtu.writable), threads.watch("modbus-rtu", ON_THE_LINE));
            background::start("modbus-rtu", move || rtu_server::serve(&rtu.serial, &answers, &alive))?;
        }
        Ok(())
    }
}

fn read_only(writable: bool) -> &'static str {
    if writable { "" } else { ", read-only" }
}
