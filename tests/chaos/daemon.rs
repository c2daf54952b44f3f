//! The controller as a child process, under a service manager that is played here: always restarted after 2 s, killed when it gives no sign of
//! life for 10 s (systemd/sax-controller.service: Restart=always, RestartSec=2s, WatchdogSec=10s, WatchdogSignal=SIGKILL).

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_sax-controller");
pub const FAKETIME: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"];
const RESTART_AFTER: Duration = Duration::from_secs(2);
const WATCHDOG: Duration = Duration::from_secs(10);

/// The library that lets the wall clock be set, if there is one.
pub fn faketime() -> Option<&'static str> {
    FAKETIME.into_iter().find(|path| Path::new(path).exists())
}

/// A child that is killed with all that belongs to it when this is dropped, and by the kernel when we die.
pub fn guarded(program: &str) -> Command {
    let mut command = if Path::new("/usr/bin/setpriv").exists() {
        let mut command = Command::new("/usr/bin/setpriv");
        command.args(["--pdeathsig", "KILL", program]);
        command
    } else {
        Command::new(program)
    };
    command.process_group(0);
    command
}

pub fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).stderr(Stdio::null()).status();
}

/// A line of the journal, and when it came.
#[derive(Clone, Debug)]
pub struct Line {
    pub at: Instant,
    pub text: String,
}

/// Memory in kB, threads and descriptors of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Size {
    pub kb: u64,
    pub threads: u64,
    pub descriptors: u64,
}

pub struct Daemon {
    folder: PathBuf,
    clock: bool,
    watchdog: bool,
    child: Option<Child>,
    pub started: Instant,
    died: Option<Instant>,
    /// We did it.
    pub killed: bool,
    pub stopped: bool,
    went_on: Instant,
    notices: Option<UnixDatagram>,
    sign_of_life: Instant,
    pub lines: Arc<Mutex<Vec<Line>>>,
    /// What ended without us.
    pub accidents: Vec<String>,
    pub starts: u32,
}

impl Daemon {
    pub fn new(folder: &Path, clock: bool, watchdog: bool) -> Daemon {
        let now = Instant::now();
        let notices = UnixDatagram::bind(folder.join("notify")).ok();
        if let Some(notices) = &notices {
            let _ = notices.set_nonblocking(true);
        }
        Daemon {
            folder: folder.to_owned(),
            clock,
            watchdog,
            child: None,
            started: now,
            died: None,
            killed: false,
            stopped: false,
            went_on: now,
            notices,
            sign_of_life: now,
            lines: Arc::default(),
            accidents: Vec::new(),
            starts: 0,
        }
    }

    pub fn start(&mut self) {
        let file = |name: &str| self.folder.join(name);
        // Another build of the program, to find out whether its faults are found.
        let program = std::env::var("CHAOS_PROGRAM").unwrap_or_else(|_| PROGRAM.to_owned());
        let mut command = guarded(&program);
        command.arg("run").arg("--config").arg(file("controller.toml")).arg("--devices").arg(file("devices"));
        command.arg("--state").arg(file("disk")).arg("--leds").arg(file("devices"));
        command.env_remove("RUST_LOG").env("NOTIFY_SOCKET", file("notify"));
        if self.watchdog {
            command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        }
        if let Some(library) = faketime().filter(|_| self.clock) {
            command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", file("clock"));
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_CACHE_DURATION", "1");
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let Ok(mut child) = child else {
            self.accidents.push("the controller cannot be started".into());
            return;
        };
        if let Some(pipe) = child.stderr.take() {
            let lines = Arc::clone(&self.lines);
            std::thread::spawn(move || {
                for text in BufReader::new(pipe).lines().map_while(Result::ok) {
                    if let Ok(mut lines) = lines.lock() {
                        lines.push(Line { at: Instant::now(), text });
                    }
                }
            });
        }
        let now = Instant::now();
        (self.child, self.started, self.died, self.sign_of_life) = (Some(child), now, None, now);
        (self.killed, self.stopped) = (false, false);
        self.starts += 1;
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Whether it runs, and is not stopped.
    pub fn lives(&self) -> bool {
        self.child.is_some() && !self.stopped
    }

    /// Since when it runs, or goes on.
    pub fn since(&self) -> Instant {
        self.started.max(self.went_on)
    }

    /// What a service manager does now and then.
    pub fn tend(&mut self) {
        let mut notice = [0; 512];
        while let Some(Ok(length)) = self.notices.as_ref().map(|n| n.recv(&mut notice)) {
            if notice[..length].starts_with(b"WATCHDOG=1") || notice[..length].starts_with(b"READY=1") {
                self.sign_of_life = Instant::now();
            }
        }
        let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        if let Some(status) = ended {
            if !self.killed {
                self.accidents.push(format!("the process ended by itself: {status}"));
            }
            (self.child, self.died) = (None, Some(Instant::now()));
        }
        if self.died.is_some_and(|at| at.elapsed() >= RESTART_AFTER) {
            self.start();
        }
        if self.watchdog && self.child.is_some() && self.sign_of_life.elapsed() > WATCHDOG {
            // A process that was stopped for so long is killed, as systemd does it.
            if !self.stopped && self.went_on.elapsed() > WATCHDOG {
                self.accidents.push("no sign of life for 10 s".into());
            }
            self.kill();
        }
    }

    pub fn kill(&mut self) {
        self.killed = true;
        if let Some(child) = &mut self.child {
            let _ = child.kill();
        }
    }

    pub fn stop(&mut self) {
        signal(self.pid(), "STOP");
        self.stopped = true;
    }

    pub fn go_on(&mut self) {
        if self.stopped {
            signal(self.pid(), "CONT");
            (self.stopped, self.went_on) = (false, Instant::now());
        }
    }

    /// Ends it in good order; how long it took, and how it ended.
    pub fn terminate(&mut self) -> Option<(Duration, ExitStatus)> {
        signal(self.pid(), "TERM");
        let begun = Instant::now();
        let child = self.child.as_mut()?;
        while begun.elapsed() < Duration::from_secs(8) {
            if let Ok(Some(status)) = child.try_wait() {
                self.child = None;
                return Some((begun.elapsed(), status));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// The status document, as the socket gives it.
    pub fn status(&self) -> Option<Value> {
        let mut stream = UnixStream::connect(self.folder.join("s")).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    pub fn size(&self) -> Size {
        let place = PathBuf::from(format!("/proc/{}", self.pid()));
        let text = std::fs::read_to_string(place.join("status")).unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find(|l| l.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        let descriptors = std::fs::read_dir(place.join("fd")).map_or(0, |d| d.count() as u64);
        Size { kb: field("VmRSS:").unwrap_or(0), threads: field("Threads:").unwrap_or(0), descriptors }
    }

    /// Lines since then.
    pub fn said_since(&self, from: Instant) -> Vec<String> {
        let lines = self.lines.lock().map(|l| l.clone()).unwrap_or_default();
        lines.into_iter().filter(|l| l.at >= from).map(|l| l.text).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
