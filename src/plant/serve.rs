//! The simulated site over Modbus TCP on loopback, in real time.
//!
//! One listener and one thread per battery, one connection at a time as a SAX battery has it (facts/sax.md 2, Connection quirks): a
//! second client is accepted and closed at once. One more thread lets the time pass. Everything ends when [`LiveSite`] is dropped.
//! No wait is longer than a few milliseconds, so that it ends soon. Never listens on anything but loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::faults::Faults;
use super::port::Port;
use super::site::{Site, SiteParams, Truth};

/// How often the pacer lets the time pass.
const PACE_EVERY: Duration = Duration::from_millis(20);
/// Stack of a thread of the simulator.
const STACK: usize = 256 * 1024;

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
        LiveSite::start_at(params, pace, |_| Ipv4Addr::LOCALHOST)
    }

    /// As [`LiveSite::start`], but every battery has a loopback address of its own, as a configuration demands: 127.0.0.1 and following.
    pub fn start_apart(params: SiteParams, pace: u32) -> io::Result<LiveSite> {
        LiveSite::start_at(params, pace, loopback)
    }

    fn start_at(params: SiteParams, pace: u32, address: impl Fn(usize) -> Ipv4Addr) -> io::Result<LiveSite> {
        let batteries = params.batteries.len();
        let shared = Arc::new(Shared {
            site: Mutex::new(Site::new(params)),
            stop: AtomicBool::new(false),
            start: Instant::now(),
            pace: pace.max(1),
        });
        let mut live = LiveSite { shared, addresses: Vec::new(), ports: Vec::new(), threads: Vec::new() };
        for battery in 0..batteries {
            let listener = TcpListener::bind((address(battery), 0))?;
            let port = listener.local_addr()?.port();
            live.ports.push(port);
            live.addresses.push(SocketAddrV4::new(address(battery), port));
            let mut port = Port::new(battery, listener, live.faults())?;
            live.spawn(format!("sim-{battery}"), move |shared| {
                while !shared.stopped() {
                    port.turn(shared);
                }
            })?;
        }
        live.spawn("sim-pacer".to_owned(), |shared| {
            while !shared.stopped() {
                drop(shared.site());
                thread::sleep(PACE_EVERY);
            }
        })?;
        Ok(live)
    }

    /// Where each battery listens.
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
        self.threads.push(thread::Builder::new().name(name).stack_size(STACK).spawn(move || work(&shared))?);
        Ok(())
    }
}

/// All of 127.0.0.0/8 is loopback; only the last byte is used.
fn loopback(battery: usize) -> Ipv4Addr {
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
