//! The real program as a child process on a simulated site with real sockets.
#![allow(dead_code, missing_docs)]

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::serve::LiveSite;
use sax_controller::plant::site::SiteParams;
use sax_controller::units::Phase;
use serde_json::Value;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_sax-controller");

pub fn live(loads: [i64; 3]) -> LiveSite {
    let mut params = SiteParams::new(1, House::Fixed(loads), &Phase::ALL);
    params.meter = MeterParams { period_ms: 100, phase_ms: 0, latency_ms: 100, window_ms: 0, noise_w: 3, ..MeterParams::default() };
    LiveSite::start(params, 1).unwrap_or_else(|e| panic!("{e}"))
}

/// Its own folder, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("sax-{}-{name}", std::process::id()));
        std::fs::create_dir_all(path.join("devices")).unwrap_or_else(|e| panic!("{e}"));
        Folder(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn config(folder: &Folder, live: &LiveSite, poll_ms: u32) -> String {
    let socket = folder.file("s").display().to_string();
    let mut text = format!(
        "[site]\nname = \"Test\"\nstrategy = \"self-consumption\"\nfuse_a = 25\n[meter]\ndevice = \"sax\"\npoll_ms = {poll_ms}\nphase_poll_ms = {}\n[status]\nsocket = \"{socket}\"\n",
        poll_ms * 2
    );
    for (k, port) in live.ports().iter().enumerate() {
        let role = if k == 0 { "master" } else { "slave" };
        text += &format!(
            "[[battery]]\nname = \"{}\"\ndevice = \"sax-basic\"\nrole = \"{role}\"\nphase = \"L{}\"\npoll_ms = {poll_ms}\ncapacity_wh = 7700\nmax_charge_w = 3500\nmax_discharge_w = 4600\nwrite_spacing_ms = 200\nwrite_refill_ms = 500\nlink.tcp = {{ host = \"127.0.0.1\", port = {port}, timeout_ms = 300, retry_count = 0 }}\n",
            ["A", "B", "C"][k],
            k + 1
        );
    }
    text
}

/// A running program and what it says on stderr.
pub struct Running {
    child: Child,
    pub said: Arc<Mutex<String>>,
    pub socket: PathBuf,
}

impl Running {
    pub fn start(folder: &Folder, text: &str) -> Running {
        let path = folder.file("controller.toml");
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("{e}"));
        let mut child = Command::new(PROGRAM)
            .args(["run", "--config"])
            .arg(&path)
            .arg("--devices")
            .arg(folder.file("devices"))
            .arg("--state")
            .arg(&folder.0)
            .env_remove("NOTIFY_SOCKET")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{e}"));
        let said = Arc::new(Mutex::new(String::new()));
        let (mut pipe, into) = (child.stderr.take().unwrap_or_else(|| panic!("no stderr")), Arc::clone(&said));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = pipe.read(&mut bytes) {
                if let Ok(mut said) = into.lock() {
                    said.push_str(&String::from_utf8_lossy(&bytes[..n]));
                }
            }
        });
        Running { child, said, socket: folder.file("s") }
    }

    pub fn said(&self) -> String {
        self.said.lock().map(|s| s.clone()).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(done.is_ok_and(|s| s.success()), "kill -{name}");
    }

    /// The status document, as the socket gives it.
    pub fn status(&self) -> Result<Value, String> {
        let mut stream = UnixStream::connect(&self.socket).map_err(|e| e.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).map_err(|e| e.to_string())?;
        let mut text = String::new();
        stream.read_to_string(&mut text).map_err(|e| e.to_string())?;
        serde_json::from_str(&text).map_err(|e| format!("{e}: {text}"))
    }

    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub fn wait(&mut self, most: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < most {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// Waits until the status is as wished; panics with the status and the log when that takes longer than 30 s.
    pub fn until(&mut self, what: &str, done: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        let mut last = Value::Null;
        while start.elapsed() < Duration::from_secs(30) {
            assert!(self.is_alive(), "{what}: the program has ended:\n{}", self.said());
            if let Ok(status) = self.status() {
                if done(&status) {
                    return status;
                }
                last = status;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{what}: not within 30 s: {last:#}\n{}", self.said());
    }

    pub fn until_said(&mut self, what: &str) {
        let said = Arc::clone(&self.said);
        self.until(what, |_| said.lock().is_ok_and(|s| s.contains(what)));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
