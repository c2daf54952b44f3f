//! Our link beside libmodbus (C), tokio-modbus (Rust) and pymodbus (Python): the same reads from the same server, in the same run.
//!
//! 40 holding registers, as a poll of a SAX battery or of a SunSpec model has, over one connection that is kept, decoded to words; the
//! server is libmodbus' own, in another process. Rounds in alternating order; ratios are medians of the rounds' ratios. At the end sizes:
//! the whole controller with three batteries beside a Python process that does nothing but such reads.
#![allow(missing_docs)]

mod common;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use common::{Controller, ONE_HOST, Settings, Verdict, median};
use sax_controller::plant::house::House;
use sax_controller::plant::serve::LiveSite;

const REGISTERS: &str = "40";
const POLLS: u32 = 20_000;
const ROUNDS: usize = 7;
/// The registers of libmodbus' server are 1000 + address.
const SUM: u64 = 40 * 1000 + 39 * 40 / 2;
/// Our processor time per poll over libmodbus': sending and receiving are the kernel's and cost both the same, so that what we do more
/// (deadlines, looking for the reply behind a late one) must stay small beside it.
const LIMIT: f64 = 1.25;
/// Processor time of a client beside its polls: start, warm-up and end, us.
const BESIDE_US: f64 = 60_000.0;
const PYTHON_BESIDE_US: f64 = 1_500_000.0;

const CLIENTS: [(&str, &[&str], u32); 4] = [
    ("sax-controller", &["target/release/examples/poll"], POLLS),
    ("libmodbus", &["target/rivals/libmodbus_client"], POLLS),
    ("tokio-modbus", &["target/rivals/release/tokio-modbus-client"], POLLS),
    // It takes its time: fewer polls say as much.
    ("pymodbus", &["target/rivals/venv/bin/python3", "tests/bench/rivals/pymodbus_client.py"], POLLS / 10),
];

/// A process that is killed when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> ExitCode {
    if !common::is_wanted() {
        return ExitCode::SUCCESS;
    }
    let built = Command::new("tests/bench/rivals/build").status().is_ok_and(|s| s.success());
    assert!(built, "tests/bench/rivals/build");
    println!("rivals: {ROUNDS} rounds of {POLLS} reads of {REGISTERS} registers; load before: {}", common::machine_load());
    let (_server, port) = server();
    // Per client and round: time and processor time per poll, us.
    let mut all = vec![Vec::new(); CLIENTS.len()];
    for round in 0..ROUNDS {
        let order: Vec<usize> = if round % 2 == 0 { (0..CLIENTS.len()).collect() } else { (0..CLIENTS.len()).rev().collect() };
        for k in order {
            all[k].push(run(k, port));
        }
    }
    let mut verdict = Verdict::default();
    println!("client            polls/s   CPU us/poll   polls/s to ours   CPU to ours: median  (least - most)");
    for (k, (name, ..)) in CLIENTS.iter().enumerate() {
        let of = |f: &dyn Fn(usize) -> f64| median(&mut (0..ROUNDS).map(f).collect::<Vec<_>>());
        let mut cpu: Vec<f64> = (0..ROUNDS).map(|r| all[k][r].1 / all[0][r].1).collect();
        let speed = of(&|r| all[0][r].0 / all[k][r].0);
        let middle = median(&mut cpu);
        println!(
            "{name:<15} {:>9.0} {:>13.1} {speed:>17.2} {middle:>21.2}  ({:.2} - {:.2})",
            1e6 / of(&|r| all[k][r].0),
            of(&|r| all[k][r].1),
            cpu[0],
            cpu[ROUNDS - 1],
        );
        if *name == "libmodbus" {
            verdict.demand(1.0 / middle <= LIMIT, format!("a poll costs {:.2} times what it costs with libmodbus", 1.0 / middle));
        }
    }
    sizes(port, &mut verdict);
    println!("load after: {}", common::machine_load());
    verdict.end()
}

fn server() -> (Killed, u16) {
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr()).expect("a port").port();
    let mut command = Command::new("target/rivals/libmodbus_server");
    let mut child = command.args(["tcp", &port.to_string()]).stdout(Stdio::piped()).spawn().expect("libmodbus' server");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("ready");
    (Killed(child), port)
}

fn client(k: usize, port: u16, more: &[&str]) -> Command {
    let (_, program, polls) = CLIENTS[k];
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).args([&port.to_string(), REGISTERS, &polls.to_string()]).args(more);
    command
}

/// Time and processor time per poll, us, as the client says it: every reply was decoded, and the kernel has counted the same for it.
fn run(k: usize, port: u16) -> (f64, f64) {
    let (name, program, polls) = CLIENTS[k];
    let before_us = children_us();
    let output = client(k, port, &[]).output().expect("the client starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [time_ns, cpu_ns, sum] = figures[..] else { panic!("{name}: {text}{}", String::from_utf8_lossy(&output.stderr)) };
    assert_eq!(sum, SUM * u64::from(polls), "{name}: the registers of all polls");
    let (said_us, counted_us) = (cpu_ns as f64 / 1000.0, children_us() - before_us);
    let beside_us = if program.len() > 1 { PYTHON_BESIDE_US } else { BESIDE_US };
    let agrees = (said_us * 0.95 - 20_000.0..said_us * 1.05 + beside_us).contains(&counted_us);
    assert!(agrees, "{name}: it says {said_us:.0} us of processor time, and the kernel has counted {counted_us:.0} us");
    (time_ns as f64 / f64::from(polls) / 1000.0, said_us / f64::from(polls))
}

/// Processor time of all children that have ended, in ticks of 10 ms, us: `cutime` and `cstime` of `/proc/self/stat`.
fn children_us() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = text.rsplit_once(')').map_or("", |t| t.1);
    after_name.split_whitespace().skip(13).take(2).filter_map(|n| n.parse::<f64>().ok()).sum::<f64>() * 10_000.0
}

fn sizes(port: u16, verdict: &mut Verdict) {
    let mut python = client(CLIENTS.len() - 1, port, &["stay"]);
    let mut python = Killed(python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("pymodbus"));
    let mut line = String::new();
    BufReader::new(python.0.stdout.take().expect("its output")).read_line(&mut line).expect("its figures");
    let python_kb = resident_kb(&format!("/proc/{}/status", python.0.id()));
    let live = LiveSite::start(common::params(3, House::Demo(3), 600), 1).expect("the site starts");
    let settings = Settings { hosts: ONE_HOST, device: "sax", poll_ms: 500, phase_poll_ms: 30_000, control: "", battery: "" };
    let controller = Controller::start("rivals", &settings, live.ports());
    thread::sleep(Duration::from_secs(20));
    let own_kb = controller.status_kb("VmRSS");
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |m| m.len());
    println!(
        "\nresident: controller with 3 batteries {own_kb} kB, Python with pymodbus {python_kb} kB: {:.1} times",
        python_kb as f64 / own_kb as f64
    );
    println!("program: {} kB", size(&common::binary()) / 1000);
    let packages = std::fs::read_dir("target/debian").into_iter().flatten().flatten().map(|e| e.path());
    packages.filter(|p| p.extension().is_some_and(|e| e == "deb")).for_each(|p| println!("{}: {} kB", p.display(), size(&p) / 1000));
    verdict.demand(own_kb * 2 <= python_kb, format!("resident: {own_kb} kB"));
}

fn resident_kb(path: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
