//! The simulated site over Modbus TCP on loopback and over pseudo terminals, in real time.
//!
//! One listener and one thread per host or bus. A SAX battery has one connection at a time (facts/sax.md 2, Connection quirks), devices by
//! a profile have up to four: a client too many is accepted and closed at once. One more thread lets the time pass. Everything ends when [`LiveSite`] is dropped.
//! No wait is longer than a few milliseconds, so that it ends soon. Never listens on anything but loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::bus::Bus;
use super::faults::Faults;
use super::line::Line;
use super::port::Port;
use super::sender::Sender;
use super::site::{Site, SiteParams, Truth};
use crate::background;

/// How often the pacer lets the time pass.
const PACE_EVERY: Duration = Duration::from_millis(20);
/// As many clients a device by a profile takes at once; meters and gateways have few sockets, but more than one.
const MOST_CLIENTS: usize = 4;

/// Where a host of the site is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reached {
    /// At this loopback address, on a port that the kernel chooses.
    Tcp(Ipv4Addr),
    /// As a serial port under this path, which must not exist yet.
    Bus(PathBuf, Line),
    /// The P1 port of the meter, as a serial port under this path, which must not exist yet, at this many baud.
    Telegrams(PathBuf, u32),
    /// The P1 port of the meter, behind a serial server at this loopback address.
    TelegramsTcp(Ipv4Addr),
    /// Not at all.
    Never,
}

/// A site that runs.
pub struct LiveSite {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddrV4>,
    ports: Vec<u16>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads share.
pub(super) struct Shared {
    site: Mutex<Site>,
    stop: AtomicBool,
    start: Instant,
    pace: u32,
}

impl LiveSite {
    /// Starts the site: time passes `pace` times as fast as real time (at least once). Fails when there is no port or thread to be had.
    pub fn start(params: SiteParams, pace: u32) -> io::Result<LiveSite> {
        let hosts = vec![Reached::Tcp(Ipv4Addr::LOCALHOST); params.batteries.len()];
        LiveSite::start_hosts(params, pace, &hosts)
    }

    /// As [`LiveSite::start`], but every battery has a loopback address of its own, as a configuration demands: 127.0.0.1 and following.
    pub fn start_apart(params: SiteParams, pace: u32) -> io::Result<LiveSite> {
        let hosts: Vec<_> = (0..params.batteries.len()).map(|k| Reached::Tcp(loopback(k))).collect();
        LiveSite::start_hosts(params, pace, &hosts)
    }

    /// As [`LiveSite::start`], with every host of the site where this list says.
    pub fn start_hosts(params: SiteParams, pace: u32, hosts: &[Reached]) -> io::Result<LiveSite> {
        let shared = Arc::new(Shared {
            site: Mutex::new(Site::new(params)),
            stop: AtomicBool::new(false),
            start: Instant::now(),
            pace: pace.max(1),
        });
        let mut live = LiveSite { shared, addresses: Vec::new(), ports: Vec::new(), threads: Vec::new() };
        for (host, reached) in hosts.iter().enumerate() {
            live.serve(host, reached)?;
        }
        live.spawn("sim-pacer".to_owned(), |shared| {
            while !shared.stopped() {
                drop(shared.site());
                thread::sleep(PACE_EVERY);
            }
        })?;
        Ok(live)
    }

    fn serve(&mut self, host: usize, reached: &Reached) -> io::Result<()> {
        let mut address = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        match reached {
            Reached::Tcp(ip) => {
                let listener = TcpListener::bind((*ip, 0))?;
                address = SocketAddrV4::new(*ip, listener.local_addr()?.port());
                let most = self.with(|site| if site.is_sax(host) { 1 } else { MOST_CLIENTS });
                let mut port = Port::new(host, listener, most, self.faults())?;
                self.spawn(format!("sim-{host}"), move |shared| {
                    while !shared.stopped() {
                        port.turn(shared);
                    }
                })?;
            }
            Reached::Bus(path, line) => {
                let mut bus = Bus::new(host, path, *line, self.faults())?;
                self.spawn(format!("sim-bus-{host}"), move |shared| {
                    while !shared.stopped() {
                        bus.turn(shared);
                    }
                })?;
            }
            Reached::Telegrams(path, baud) => {
                let mut sender = Sender::serial(path, *baud)?;
                self.spawn("sim-p1".to_owned(), move |shared| {
                    while !shared.stopped() {
                        sender.turn(shared);
                    }
                })?;
            }
            Reached::TelegramsTcp(ip) => {
                let listener = TcpListener::bind((*ip, 0))?;
                address = SocketAddrV4::new(*ip, listener.local_addr()?.port());
                let mut sender = Sender::server(listener)?;
                self.spawn("sim-p1".to_owned(), move |shared| {
                    while !shared.stopped() {
                        sender.turn(shared);
                    }
                })?;
            }
            Reached::Never => {}
        }
        self.addresses.push(address);
        self.ports.push(address.port());
        Ok(())
    }

    /// Where each battery, or each host, listens; 0.0.0.0:0 where it is not reached over TCP.
    pub fn addresses(&self) -> &[SocketAddrV4] {
        &self.addresses
    }

    /// The TCP port of each battery.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// The switches for faults.
    pub fn faults(&self) -> Faults {
        self.with(|site| site.faults())
    }

    /// The truth now.
    pub fn truth(&self) -> Truth {
        self.with(|site| site.truth())
    }

    /// Does something with the site, advanced to now. Nothing else happens in the meantime: be quick.
    pub fn with<T>(&self, work: impl FnOnce(&mut Site) -> T) -> T {
        work(&mut self.shared.site())
    }

    fn spawn(&mut self, name: String, work: impl FnOnce(&Shared) + Send + 'static) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        self.threads.push(background::start_small(&name, move || work(&shared))?);
        Ok(())
    }
}

/// The loopback address of a host: all of 127.0.0.0/8 is loopback; only the last byte is used.
pub fn loopback(battery: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, u8::try_from(battery).unwrap_or(u8::MAX).min(253) + 1)
}

impl Drop for LiveSite {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}

impl Shared {
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The site, advanced to now.
    pub(super) fn site(&self) -> MutexGuard<'_, Site> {
        let mut site = self.site.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        site.advance_to(elapsed_ms.saturating_mul(u64::from(self.pace)));
        site
    }
}
