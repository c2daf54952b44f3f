//! The real program under a service manager that is played here: when it says READY, that its pings come while all is well and while no
//! device answers, and that they stop with every thread that matters.
#![allow(missing_docs)]

#[path = "common/freeze.rs"]
mod freeze;
#[path = "common/master.rs"]
mod master;
#[path = "common/process.rs"]
mod process;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use freeze::freeze;
use process::{Folder, PROGRAM, config, live};
use sax_controller::plant::serve::LiveSite;

/// The program is to ping three times in this time, µs.
const WATCHDOG_US: u32 = 900_000;
/// Three pings that do not come are a silence.
const SILENCE: Duration = Duration::from_millis(1500);

/// The program, and what it tells the service manager.
struct Service {
    child: Child,
    notices: UnixDatagram,
    folder: Folder,
}

impl Service {
    fn start(folder: Folder, text: &str) -> Service {
        let notify = folder.file("notify");
        let notices = UnixDatagram::bind(&notify).expect("a socket");
        std::fs::write(folder.file("controller.toml"), text).expect("a file");
        let mut program = Command::new(PROGRAM);
        program.arg("run").arg("--config").arg(folder.file("controller.toml")).arg("--devices").arg(folder.file("devices"));
        program.arg("--state").arg(&folder.0).arg("--leds").arg(&folder.0);
        program.env("NOTIFY_SOCKET", &notify).env("WATCHDOG_USEC", WATCHDOG_US.to_string());
        let said = std::fs::File::create(folder.file("said")).expect("a file");
        let child = program.stdout(Stdio::null()).stderr(said).spawn().expect("it starts");
        Service { child, notices, folder }
    }

    /// The next thing it says.
    fn hears(&self, within: Duration) -> Option<String> {
        let mut notice = [0; 512];
        self.notices.set_read_timeout(Some(within)).expect("a timeout");
        loop {
            let length = self.notices.recv(&mut notice).ok()?;
            let said = String::from_utf8_lossy(&notice[..length]).trim_end().to_owned();
            // What `systemctl status` shows.
            if !said.starts_with("STATUS=") {
                return Some(said);
            }
        }
    }

    fn when_ready(self) -> Service {
        assert_eq!(self.hears(Duration::from_secs(20)).as_deref(), Some("READY=1"), "the first word");
        self
    }

    /// Pings, and nothing else, without a gap.
    fn pings_for(&self, time: Duration, meanwhile: &str) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            let heard = self.hears(SILENCE);
            assert_eq!(heard.as_deref(), Some("WATCHDOG=1"), "{meanwhile}, after {:?}", begun.elapsed());
        }
    }

    /// When the pings end.
    fn falls_silent_within(&self, most: Duration, why: &str) {
        let begun = Instant::now();
        while self.hears(SILENCE).is_some() {
            assert!(begun.elapsed() < most, "{why}: pings still come after {:?}", begun.elapsed());
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody uses at this moment.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address")
}

/// A site with everything that has a thread.
fn with_everything(name: &str) -> (Service, LiveSite, master::Master, SocketAddr) {
    let (folder, live, line, listen) = (Folder::new(name), live([500, 300, 200]), master::Master::new(), free_port());
    let log = folder.file("comm.log").display().to_string();
    let site = config(&folder, &live, 500).replace("[status]\n", &format!("[status]\nmetrics = \"{}\"\n", free_port()));
    let text = format!(
        "{site}[load_balancer]\nled = \"green\"\n[log]\ncomm_log = \"{log}\"\n[server]\naddress = 10\n\
         tcp = {{ listen = \"{listen}\" }}\nrtu = {{ port = \"{}\", baud = 115200 }}\n",
        line.path.display()
    );
    (Service::start(folder, &text).when_ready(), live, line, listen)
}

#[test]
fn it_pings_from_ready_to_stopping() {
    let (service, _live, _line, _listen) = with_everything("pings");
    service.pings_for(Duration::from_secs(3), "all is well");
    assert!(Command::new("kill").arg(service.child.id().to_string()).status().expect("kill").success());
    while !service.hears(Duration::from_secs(5)).expect("STOPPING").starts_with("STOPPING=1") {}
}

/// Stops one thread of a program of its own: the pings end, and come again when it goes on.
fn stops_with(name: &'static str, patience_s: u64) -> thread::JoinHandle<()> {
    let work = move || {
        let (service, _live, _line, _listen) = with_everything(&format!("stops-{}", name.replace(' ', "-")));
        let frozen = freeze(service.child.id(), name);
        // Half of the patience, at least, is still normal.
        service.pings_for(Duration::from_secs(patience_s / 2), name);
        service.falls_silent_within(Duration::from_secs(patience_s + 3), name);
        assert!(service.hears(SILENCE * 2).is_none(), "{name}");
        drop(frozen);
        assert!(service.hears(Duration::from_secs(5)).is_some(), "{name} goes on");
        service.pings_for(Duration::from_secs(1), name);
    };
    thread::Builder::new().name(name.into()).spawn(work).expect("a thread")
}

#[test]
fn the_pings_end_with_every_thread_that_matters() {
    // Battery A and the meter share their host, with requests of at most 0.3 s: 10 s and six of them; B has four.
    let threads = [
        ("main", 10),
        ("control", 5),
        ("battery A", 12),
        ("battery B", 12),
        ("meter", 12),
        ("status", 10),
        ("modbus-tcp", 10),
        ("metrics", 10),
    ];
    for watched in threads.map(|(name, patience_s)| stops_with(name, patience_s)) {
        let name = watched.thread().name().unwrap_or_default().to_owned();
        assert!(watched.join().is_ok(), "{name}");
    }
}

#[test]
fn the_pings_end_with_the_watchdog_itself() {
    let (service, _live, _line, _listen) = with_everything("watchdog");
    let _frozen = freeze(service.child.id(), "watchdog");
    while service.hears(Duration::from_millis(100)).is_some() {}
    assert!(service.hears(SILENCE).is_none());
}

#[test]
fn what_waits_for_disks_and_single_clients_is_not_waited_for() {
    let (service, _live, _line, listen) = with_everything("disks");
    let client = TcpStream::connect(listen).expect("a connection");
    let names = ["led", "memory", "comm-log", "modbus-client"];
    let frozen = names.map(|name| freeze(service.child.id(), name));
    service.pings_for(Duration::from_secs(16), "they stand still");
    drop((frozen, client));
}

#[test]
fn nobody_who_trickles_or_does_not_read_holds_it_up() {
    let (service, _live, mut line, listen) = with_everything("trickle");
    let mut tcp: Vec<_> = (0..12).map(|_| TcpStream::connect(listen).expect("a connection")).collect();
    let mut readers = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(13) {
        // The beginning of a request, byte by byte; a request on the serial line that does not end; readers that do not read.
        for (k, client) in tcp.iter_mut().enumerate() {
            let _ = client.write(&[[0, 1, 0, 0, 0, 6][k % 6]]);
        }
        line.say(&[10]);
        readers.push(UnixStream::connect(service.folder.file("s")).expect("the status socket"));
        service.pings_for(Duration::from_millis(400), "they trickle");
    }
    let mut text = String::new();
    let mut last = UnixStream::connect(service.folder.file("s")).expect("the status socket");
    assert!(last.read_to_string(&mut text).is_ok_and(|length| length > 100), "status still answers: {text}");
}

#[test]
fn a_process_that_stood_still_is_judged_by_what_it_does_when_it_goes_on() {
    let (service, _live, _line, _listen) = with_everything("stood-still");
    service.pings_for(Duration::from_secs(1), "all is well");
    let signal = |name: &str| {
        let done = Command::new("kill").arg(format!("-{name}")).arg(service.child.id().to_string()).status();
        assert!(done.is_ok_and(|status| status.success()), "kill -{name}");
    };
    for round in 0..3 {
        signal("STOP");
        while service.hears(SILENCE).is_some() {}
        // Longer than control and its batteries may be silent.
        thread::sleep(Duration::from_secs(11));
        signal("CONT");
        let begun = Instant::now();
        assert_eq!(service.hears(SILENCE).as_deref(), Some("WATCHDOG=1"), "round {round}");
        assert!(begun.elapsed() < Duration::from_millis(400), "round {round}: {:?}", begun.elapsed());
        service.pings_for(Duration::from_secs(2), "it goes on");
    }
    let said = std::fs::read_to_string(service.folder.file("said")).expect("a file");
    assert!(!said.contains("no sign of life") && !said.contains("is back"), "{said}");
}

/// A site of which no device can be reached: batteries and meter at these hosts, a bus on which nobody answers, a P1 adapter that is not there.
fn dead(folder: &Folder, hosts: [&str; 2]) -> String {
    let socket = folder.file("s").display().to_string();
    let [a, b] = hosts;
    format!(
        "[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n[status]\nsocket = \"{socket}\"\n\
         [meter]\ndevice = \"sax\"\npoll_ms = 1000\n\
         [[battery]]\nname = \"A\"\ndevice = \"sax\"\nrole = \"master\"\nphase = \"L1\"\npoll_ms = 1000\nlink.tcp = {{ {a} }}\n\
         [[battery]]\nname = \"B\"\ndevice = \"sax\"\nphase = \"L2\"\npoll_ms = 200\nlink.tcp = {{ {b} }}\n"
    )
}

#[test]
fn it_pings_although_no_device_answers() {
    // One accepts and says nothing; the other has a name that nobody knows.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let host = |listener: &TcpListener| format!("host = \"127.0.0.1\", port = {}", listener.local_addr().expect("an address").port());
    let folder = Folder::new("silent");
    let text = dead(&folder, [&host(&silent), "host = \"no-such-host.invalid\""]);
    let service = Service::start(folder, &text).when_ready();
    service.pings_for(Duration::from_secs(22), "nobody answers");
}
