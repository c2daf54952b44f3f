//! The life of the daemon: start, signals, stop. It returns to `main`, which alone ends the process.

use std::fmt;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use super::clock::{Clock, Monotonic};
use super::control::ControlTask;
use super::led::LedThread;
use super::listening::Listening;
use super::memory::{Keeper, Memory};
use super::servers::Servers;
use super::stop_note::StopNote;
use super::supervisor;
use super::threads::Threads;
use super::wiring::plan;
use crate::background;
use crate::config::{Config, effective};
use crate::device::library::Library;
use crate::serve::alive::Alive;
use crate::serve::metrics::MetricsServer;
use crate::serve::socket::{Published, StatusSocket};
use crate::units::Span;

/// The batteries are handed back within this time after SIGTERM, or left to their own timeout.
const STOP_WITHIN: Duration = Duration::from_millis(2900);

/// Why the daemon could not start.
#[derive(Debug)]
pub enum RunError {
    /// The status socket.
    Socket {
        /// Where it was to be.
        path: PathBuf,
        /// What is in the way.
        error: io::Error,
    },
    /// Signal handlers.
    Signals(io::Error),
    /// Threads.
    Threads(io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Socket { path, error } if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "Another sax-controller is running: it serves {}. Two controllers on one site fight each other.", path.display())
            }
            RunError::Socket { path, error } => {
                write!(
                    f,
                    "The status socket {} cannot be made: {error}. Its folder must exist and be writable; [status] socket names it.",
                    path.display()
                )
            }
            RunError::Signals(error) => write!(f, "The signal handlers cannot be installed: {error}."),
            RunError::Threads(error) => write!(f, "The threads cannot be started: {error}."),
        }
    }
}

/// At the stop the disk gets this long to take what was learned, as far as the batteries leave it.
const SAVE_WITHIN: Duration = Duration::from_millis(500);

/// The state of the site in normal operation.
const RUN: &str = "run";

/// At the stop the LED gets this long to go out.
const LED_WITHIN: Duration = Duration::from_millis(100);

/// Under a service manager the status socket gets this long to become free; TimeoutStartSec= is longer.
const SOCKET_WITHIN: Duration = Duration::from_secs(20);

/// Main waits for signals for so long before it shows that it lives.
const LOOK: Duration = Duration::from_secs(1);

/// Silence of main and of the status socket that is still normal: both look up every second.
const LOOKING_UP: Span = Span::from_s(10);

/// Folders that the daemon works in.
#[derive(Clone, Copy, Debug)]
pub struct Folders<'a> {
    /// Where is kept what is learned.
    pub state: &'a Path,
    /// Where LEDs are.
    pub leds: &'a Path,
}

/// Runs until SIGTERM or SIGINT, then hands the batteries back. `reload` reads the configuration again, for SIGHUP.
pub fn run(config: &Config, library: &Library, folders: Folders<'_>, reload: &dyn Fn() -> Result<Config, String>) -> Result<(), RunError> {
    let path = Path::new(&config.status.socket);
    let socket_error = |error| RunError::Socket { path: path.to_owned(), error };
    let socket = status_socket(path, &socket_error)?;
    let mut signals = signals().map_err(RunError::Signals)?;
    let clock = Monotonic::start();
    let published = Published::default();
    log::info!(
        "sax-controller {} starts: site \"{}\", strategy \"{}\"",
        env!("CARGO_PKG_VERSION"),
        config.site.name,
        config.site.strategy.name()
    );
    let mut plan = plan(config, library);
    if let Some(server) = &mut plan.server {
        server.state = Some(folders.state.to_owned());
    }
    let mut servers = plan.server.as_ref().map(|server| Servers::new(server, config));
    let (keeper, kept) = Keeper::start(Memory::open(folders.state, config)).map_err(RunError::Threads)?;
    let mut control = ControlTask::new(config.clone(), &plan);
    control.keep(kept);
    let note = StopNote::new(folders.state, config);
    if let Some(ago_s) = note.take(clock.wall_s()) {
        log::info!("stopped in good order {ago_s} s ago: control begins with the second good sample of the meter");
        control.resume();
        if let Some(meter) = &mut plan.meter {
            meter.spec.resumes = true;
        }
    }
    if let Some(saved) = servers.as_mut().and_then(Servers::saved) {
        if !control.restore(saved) {
            log::error!("server: what a client saved cannot be put in force; the settings of the configuration are");
        }
    }
    let threads = Threads::start(plan, Box::new(control), published.clone(), clock).map_err(RunError::Threads)?;
    if let Some(servers) = servers {
        servers.start(&threads, &published, clock).map_err(RunError::Threads)?;
    }
    let led = start_led(config, folders.leds, &published).map_err(RunError::Threads)?;
    if let Some(listen) = config.status.metrics {
        start_metrics(listen, &threads, published.clone()).map_err(RunError::Threads)?;
    }
    let serving = socket.try_clone().map_err(socket_error)?;
    let (served, alive) = (published.clone(), threads.watch("status", LOOKING_UP));
    background::start("status", move || serving.serve(&served, &alive)).map_err(RunError::Threads)?;
    let alive = threads.watch("main", LOOKING_UP);
    supervisor::tell(&[sd_notify::NotifyState::Ready]);
    let supervisor = supervisor::start(published.clone()).map_err(RunError::Threads)?;
    until_stopped(&mut signals, &alive, &|| say_what_a_restart_would_change(config, reload()));
    log::info!(
        "stopping: batteries are handed back, as far as their BMS has nothing against it; chargers are left at their fallback limit"
    );
    drop(supervisor);
    supervisor::tell(&[sd_notify::NotifyState::Stopping, sd_notify::NotifyState::Status("stopping: batteries are handed back")]);
    let begun = Instant::now();
    let ran = published.newest().site.state == RUN;
    let handed_back = threads.stop(STOP_WITHIN);
    let save_within = || STOP_WITHIN.saturating_sub(begun.elapsed()).min(SAVE_WITHIN);
    if ran && handed_back {
        note.leave(clock.wall_s(), save_within());
    }
    if !keeper.stop(save_within()) {
        log::warn!("what was learned last may be lost: the disk takes too long");
    }
    if let Some(led) = led {
        led.stop(LED_WITHIN);
    }
    if handed_back {
        log::info!("stopped after {} ms", begun.elapsed().as_millis());
    } else {
        log::error!("stopped, but not every battery and charger has acknowledged its release in time; its own timeout will do it");
    }
    Ok(())
}

/// Under a service manager, which would start the program again and again with several lines in the journal each time, what is in the way
/// gets some time to go: another controller, like a commissioning by hand. Until then SIGTERM ends the program at once.
fn status_socket(path: &Path, error: &dyn Fn(io::Error) -> RunError) -> Result<StatusSocket, RunError> {
    let begun = Instant::now();
    let patience = if std::env::var_os("NOTIFY_SOCKET").is_some() { SOCKET_WITHIN } else { Duration::ZERO };
    loop {
        let hindered = match StatusSocket::bind(path) {
            Ok(socket) => return Ok(socket),
            Err(hindered) => error(hindered),
        };
        if begun.elapsed() >= patience {
            return Err(hindered);
        }
        supervisor::tell(&[sd_notify::NotifyState::Status(&hindered.to_string())]);
        thread::sleep(LOOK);
    }
}

/// Signals that have come are told by a byte on a stream, for which one can wait with a timeout.
type Signals = SignalDelivery<UnixStream, SignalOnly>;

fn signals() -> io::Result<Signals> {
    let (read, write) = UnixStream::pair()?;
    read.set_read_timeout(Some(LOOK))?;
    SignalDelivery::with_pipe(read, write, SignalOnly, [SIGTERM, SIGINT, SIGHUP])
}

/// Waits for SIGTERM or SIGINT, and shows about every second that it does.
fn until_stopped(signals: &mut Signals, alive: &impl Alive, on_hangup: &dyn Fn()) {
    loop {
        alive.beat();
        // Whether a byte came, or none for a while: looking costs nothing.
        let _ = signals.get_read_mut().read(&mut [0]);
        for signal in signals.pending() {
            if signal != SIGHUP {
                return;
            }
            on_hangup();
        }
    }
}

fn start_led(config: &Config, leds: &Path, published: &Published) -> io::Result<Option<LedThread>> {
    let led = config.load_balancer.as_ref().and_then(|b| b.led.as_ref());
    led.map(|name| LedThread::start(leds.join(name), published.clone())).transpose()
}

fn start_metrics(listen: SocketAddr, threads: &Threads, published: Published) -> io::Result<()> {
    let bind = move || MetricsServer::bind(listen).inspect(|_| log::info!("metrics: http://{listen}/metrics"));
    let (metrics, alive) = (Listening::start(bind, threads.events()), threads.watch("metrics", LOOKING_UP));
    background::start("metrics", move || metrics.bound(&alive).serve(&published, &alive)).map(drop)
}

/// SIGHUP: nothing is changed while running, but one learns what a restart would do.
fn say_what_a_restart_would_change(running: &Config, reloaded: Result<Config, String>) {
    let new = match reloaded {
        Ok(new) => new,
        Err(findings) => {
            for line in findings.lines() {
                log::error!("{line}");
            }
            log::error!("the configuration on disk has mistakes: a restart would fail; the running one stays in force");
            return;
        }
    };
    let (before, after) = (effective(running), effective(&new));
    let changes = differences(&before, &after);
    if changes.is_empty() {
        log::info!("the configuration on disk is the running one: a restart would change nothing");
    }
    for change in changes {
        log::info!("a restart would change: {change}");
    }
}

/// Lines that only one of two effective configurations has, with the section they stand in.
pub fn differences(before: &str, after: &str) -> Vec<String> {
    let (before, after) = (placed(before), placed(after));
    let gone = before.iter().filter(|l| !after.contains(l)).map(|l| format!("- {l}"));
    let come = after.iter().filter(|l| !before.contains(l)).map(|l| format!("+ {l}"));
    gone.chain(come).collect()
}

fn placed(text: &str) -> Vec<String> {
    let mut section = String::new();
    let (mut names, mut windows) = (Vec::new(), 0);
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        if line == "[[schedule]]" {
            // They have no names of their own.
            windows += 1;
            section = format!("{line} {windows}:");
            names.push(section.clone());
        } else if line.starts_with('[') {
            section = line.to_owned();
        } else if line.starts_with("name =") && section.starts_with("[[") {
            section = format!("{section} {line}:");
            names.push(section.clone());
        } else {
            names.push(format!("{section} {line}"));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::differences;

    #[test]
    fn a_changed_line_is_named_with_its_section() {
        let before = "[site]\nfuse_a = 25\n[[battery]]\nname = \"A\"\npoll_ms = 1\n";
        let after = before.replace("poll_ms = 1", "poll_ms = 2");
        let battery = "[[battery]] name = \"A\":";
        assert_eq!(differences(before, &after), [format!("- {battery} poll_ms = 1"), format!("+ {battery} poll_ms = 2")]);
        assert!(differences(before, before).is_empty());
        let window = "[[schedule]]\nfrom = \"01:00\"\n";
        let (before, after) = (window.repeat(2), format!("{window}{}", window.replace("01", "02")));
        assert_eq!(differences(&before, &after), ["- [[schedule]] 2: from = \"01:00\"", "+ [[schedule]] 2: from = \"02:00\""]);
        assert_eq!(differences(window, &before), ["+ [[schedule]] 2:", "+ [[schedule]] 2: from = \"01:00\""]);
    }
}
