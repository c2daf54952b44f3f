//! What the program costs with 3, 30 and 100 batteries, each polled twice a second over a TCP connection of its own.
//!
//! The simulated site runs in another process (this program once more, `--serve`), so that its processor time does not count. Prints the
//! kernel's share, which is what sending and receiving costs whoever does it.
#![allow(missing_docs)]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddrV4;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{Controller, Verdict};
use sax_controller::plant::house::House;
use sax_controller::plant::serve::LiveSite;
use sax_controller::plant::site::SiteParams;
use sax_controller::units::Phase;

const SIZES: [usize; 3] = [3, 30, 100];
const POLL_MS: u64 = 500;
/// Finding the banks, and the slow start.
const STARTS: Duration = Duration::from_secs(15);
const MEASURED: Duration = Duration::from_secs(20);
/// Threads beside that of each battery: control, meter, watchdog, status, signals and main.
const OTHER_THREADS: u64 = 8;
/// What the program with three batteries may take, as in `footprint.rs`.
const LIMIT_KB: u64 = 8192;
/// What each battery may add: what its thread touches of its stack and its arena, some pages each, and what is known of it.
const BATTERY_KB: u64 = 64;
/// A poll with 100 batteries over one with 30: were its cost a look at all batteries, it would be three times as much.
const GROWTH: f64 = 1.5;
/// 0.5 % of a core for three batteries that are polled once a second, as in `footprint.rs`: for a poll, us.
const POLL_US: f64 = 1667.0;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip_while(|a| a != "--serve").skip(1);
    if let Some(batteries) = arguments.next().and_then(|n| n.parse().ok()) {
        return serve(batteries);
    }
    if !common::is_wanted() {
        return ExitCode::SUCCESS;
    }
    println!("fleet: about {} s; load before: {}", SIZES.len() as u64 * (STARTS + MEASURED).as_secs(), common::machine_load());
    println!("batteries  polls/s   CPU %  of it kernel %  us/poll   RSS/kB   HWM/kB  threads  descriptors");
    let mut verdict = Verdict::default();
    let poll_us = SIZES.map(|batteries| measure(batteries, &mut verdict));
    let growth = poll_us[2] / poll_us[1];
    verdict.demand(growth <= GROWTH, format!("a poll costs {growth:.2} times as much with more batteries"));
    println!("load after: {}", common::machine_load());
    verdict.end()
}

/// The site on loopback addresses of its own, until standard input ends.
fn serve(batteries: usize) -> ExitCode {
    let phases: Vec<Phase> = (0..batteries).map(|k| Phase::ALL[k % 3]).collect();
    let live = LiveSite::start_apart(SiteParams::new(5, House::Demo(5), &phases), 1).expect("the site starts");
    live.addresses().iter().for_each(|address| println!("{address}"));
    println!("ready");
    let _ = std::io::stdin().read(&mut [0]);
    ExitCode::SUCCESS
}

/// The site in another process; it ends with this value.
struct Served {
    child: Child,
    addresses: Vec<SocketAddrV4>,
}

impl Served {
    fn start(batteries: usize) -> Served {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--serve", &batteries.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the site starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let addresses = lines.take_while(|line| line != "ready").filter_map(|line| line.parse().ok()).collect();
        Served { child, addresses }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(addresses: &[SocketAddrV4], socket: &std::path::Path) -> String {
    let mut text = format!(
        "[site]\nstrategy = \"self-consumption\"\nfuse_a = 63\n[status]\nsocket = \"{}\"\n\
         [meter]\ndevice = \"sax\"\nbattery = \"B0\"\npoll_ms = {POLL_MS}\nphase_poll_ms = {POLL_MS}\n",
        socket.display()
    );
    for (k, address) in addresses.iter().enumerate() {
        let role = if k == 0 { "master" } else { "slave" };
        text += &format!(
            "[[battery]]\nname = \"B{k}\"\ndevice = \"sax\"\nrole = \"{role}\"\nphase = \"L{}\"\npoll_ms = {POLL_MS}\n\
             link.tcp = {{ host = \"{}\", port = {} }}\n",
            k % 3 + 1,
            address.ip(),
            address.port()
        );
    }
    text
}

/// Processor time of a poll, us.
fn measure(batteries: usize, verdict: &mut Verdict) -> f64 {
    let served = Served::start(batteries);
    let mut controller = Controller::start_with(&format!("fleet-{batteries}"), |socket| text(&served.addresses, socket));
    thread::sleep(STARTS);
    let (cpu_before, kernel_before) = (controller.cpu_ms(), controller.kernel_ms());
    let (descriptors, since) = (controller.file_descriptors(), Instant::now());
    thread::sleep(MEASURED);
    let seconds = since.elapsed().as_secs_f64();
    let (cpu_ms, kernel_ms) = (controller.cpu_ms() - cpu_before, controller.kernel_ms() - kernel_before);
    // The meter sits behind the first battery: one request brings both.
    let polls = batteries as f64 * 1000.0 / POLL_MS as f64;
    let poll_us = 1000.0 * cpu_ms / seconds / polls;
    let (rss, hwm, threads) = (controller.status_kb("VmRSS"), controller.status_kb("VmHWM"), controller.status_kb("Threads"));
    println!(
        "{batteries:>9} {polls:>8} {:>7.2} {:>15.0} {:>8.0} {rss:>8} {hwm:>8} {threads:>8} {:>12}",
        cpu_ms / seconds / 10.0,
        100.0 * kernel_ms / cpu_ms,
        poll_us,
        controller.file_descriptors(),
    );
    if !controller.is_alive() {
        println!("{}", controller.log());
        verdict.demand(false, format!("{batteries} batteries: the controller has ended by itself"));
    }
    verdict.demand(controller.file_descriptors() <= descriptors, format!("{batteries} batteries: descriptors grow"));
    verdict.demand(threads <= batteries as u64 + OTHER_THREADS, format!("{batteries} batteries: {threads} threads"));
    let limit_kb = LIMIT_KB + BATTERY_KB * batteries as u64;
    verdict.demand(hwm <= limit_kb, format!("{batteries} batteries: {hwm} kB, more than {limit_kb} kB"));
    verdict.demand(poll_us <= POLL_US, format!("{batteries} batteries: {poll_us:.0} us for a poll"));
    poll_us
}
