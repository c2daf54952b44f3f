//! What the controller costs: memory, processor time, threads, descriptors, size, and the time from its start to its first setpoint.
//!
//! Three simulated batteries at 1 s polls for a minute, for both generations of firmware, with absent units that answer an exception and
//! with such that say nothing. The four run at once.
#![allow(missing_docs)]

mod common;
mod relay;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use common::{Controller, Settings, Verdict};
use relay::{Passed, Relay};
use sax_controller::plant::battery_params::{Absent, Banks};
use sax_controller::plant::house::House;
use sax_controller::plant::serve::LiveSite;

const POLL_MS: u32 = 1000;
const LASTS: Duration = Duration::from_secs(60);
/// The processor time of the rest counts, and descriptors must not grow from here on.
const STARTED: Duration = Duration::from_secs(10);
const MEMORY_KB: u64 = 8192;
/// 0.5 % of a core.
const CPU_PERMILLE: f64 = 5.0;
/// Six meter periods, and a little for loading the program and for the sixth poll itself.
const FIRST_PERIODS: f64 = 6.05;

struct Case {
    name: &'static str,
    banks: Banks,
    absent: Absent,
}

const OLD: Banks = Banks { basic: true, extended: true, sunspec: false };
const NEW: Banks = Banks { basic: true, extended: false, sunspec: true };
const CASES: [Case; 4] = [
    Case { name: "64+40, exception", banks: OLD, absent: Absent::Exception },
    Case { name: "64+40, silence", banks: OLD, absent: Absent::Silence },
    Case { name: "64+100, exception", banks: NEW, absent: Absent::Exception },
    Case { name: "64+100, silence", banks: NEW, absent: Absent::Silence },
];

struct Cost {
    rss_kb: u64,
    hwm_kb: u64,
    cpu_permille: f64,
    threads: [u64; 2],
    descriptors: [usize; 2],
    /// From the start of the process to the first setpoint on the wire, in meter periods.
    first: Option<f64>,
    /// The same for the last of the three batteries.
    all: Option<f64>,
    writes: u64,
    /// Shortest time between two requests to unit 100 of the same battery, in ms.
    gap_ms: Option<u64>,
    log: String,
}

fn shortest_gap_ms(passed: &[Passed]) -> Option<u64> {
    let sunspec: Vec<_> = passed.iter().filter(|p| p.unit == 100).map(|p| p.at).collect();
    sunspec.windows(2).map(|w| (w[1] - w[0]).as_millis() as u64).min()
}

fn run(number: u64, case: &Case) -> Cost {
    let mut params = common::params(11 + number, House::Demo(number), 600);
    for (_, sax) in &mut params.batteries {
        (sax.banks, sax.absent) = (case.banks, case.absent);
    }
    let live = LiveSite::start(params, 1).expect("the site starts");
    let settings = Settings { hosts: relay::HOSTS, device: "sax", poll_ms: POLL_MS, phase_poll_ms: 30_000, control: "", battery: "" };
    let relays = Relay::all(live.ports());
    let ports: Vec<_> = relays.iter().map(|r| r.port).collect();
    let begun = Instant::now();
    let mut controller = Controller::start(&format!("footprint-{number}"), &settings, &ports);
    thread::sleep(STARTED);
    let (before, since) = (controller.cpu_ms(), Instant::now());
    let (threads, descriptors) = (controller.status_kb("Threads"), controller.file_descriptors());
    thread::sleep(LASTS.saturating_sub(begun.elapsed()));
    let used_ms = controller.cpu_ms() - before;
    let cpu_permille = used_ms / since.elapsed().as_secs_f64();
    let passed: Vec<_> = relays.iter().map(Relay::passed).collect();
    let periods = |p: &Passed| (p.at - begun).as_secs_f64() * 1000.0 / f64::from(POLL_MS);
    let firsts: Vec<_> = passed.iter().map(|p| p.iter().find(|p| p.is_setpoint()).map(periods)).collect();
    let mut log = controller.log();
    if !controller.is_alive() {
        log += "The controller has ended by itself.";
    }
    for (name, passed) in ["A", "B", "C"].iter().zip(&passed) {
        let early = passed.iter().take_while(|p| p.at - begun < STARTED);
        let early: Vec<_> = early.map(|p| format!("{:.3} s {}", (p.at - begun).as_secs_f64(), p.words())).collect();
        log += &format!("{name}: {}\n", early.join("; "));
    }
    Cost {
        rss_kb: controller.status_kb("VmRSS"),
        hwm_kb: controller.status_kb("VmHWM"),
        cpu_permille,
        threads: [threads, controller.status_kb("Threads")],
        descriptors: [descriptors, controller.file_descriptors()],
        gap_ms: passed.iter().filter_map(|p| shortest_gap_ms(p)).min(),
        first: firsts.iter().flatten().copied().min_by(f64::total_cmp),
        all: firsts.iter().all(Option::is_some).then(|| firsts.iter().flatten().copied().fold(0.0, f64::max)),
        writes: live.with(|site| (0..3).map(|k| site.writes(k)).sum()),
        log,
    }
}

fn judge(case: &Case, cost: &Cost, verdict: &mut Verdict) {
    let Cost { rss_kb, hwm_kb, cpu_permille, threads, descriptors, first, all, writes, gap_ms, .. } = cost;
    let name = case.name;
    let shown = |p: &Option<f64>| p.map_or("never".to_owned(), |p| format!("{p:.2}"));
    let cpu = cpu_permille / 10.0;
    println!(
        "{name:<18} {rss_kb:>7} {hwm_kb:>7} {cpu:>7.2} {:>4} {:>3} {:>4} {:>3} {:>7} {:>7} {writes:>7} {:>8}",
        threads[0],
        threads[1],
        descriptors[0],
        descriptors[1],
        shown(first),
        shown(all),
        gap_ms.map_or("-".to_owned(), |ms| ms.to_string())
    );
    verdict.demand(hwm_kb.max(rss_kb) <= &MEMORY_KB, format!("{name}: {hwm_kb} kB of memory at most, more than {MEMORY_KB} kB"));
    verdict.demand(*cpu_permille <= CPU_PERMILLE, format!("{name}: {cpu:.2} % of a core"));
    verdict.demand(threads[1] <= threads[0], format!("{name}: threads grow: {threads:?}"));
    verdict.demand(descriptors[1] <= descriptors[0], format!("{name}: file descriptors grow: {descriptors:?}"));
    if case.banks.sunspec {
        // facts/sax.md 2, Rates: access at most every 500 ms. A relay and a scheduler between them may take a little of it away.
        verdict.demand(gap_ms.is_some_and(|ms| ms >= 495), format!("{name}: two requests to unit 100 within {gap_ms:?} ms"));
    }
    let soon = first.is_some_and(|p| p <= FIRST_PERIODS);
    verdict.demand(soon, format!("{name}: the first setpoint took {} meter periods, more than {FIRST_PERIODS}", shown(first)));
}

fn main() -> ExitCode {
    if !common::is_wanted() {
        return ExitCode::SUCCESS;
    }
    println!("footprint: about {} s; load before: {}", LASTS.as_secs(), common::machine_load());
    let threads: Vec<_> = (0..).zip(&CASES).map(|(n, case)| thread::spawn(move || run(n, case))).collect();
    let costs: Vec<_> = threads.into_iter().map(|t| t.join().expect("a run")).collect();
    let size = std::fs::metadata(common::binary()).map_or(u64::MAX, |m| m.len());
    println!("load after: {}\nsize of the program: {size} bytes\n", common::machine_load());
    println!("                       RSS     HWM     CPU   threads  descriptors  setpoint after          shortest");
    println!("firmware                kB      kB       % 10 s end 10 s end   first     all  writes  gap/ms");
    let mut verdict = Verdict::default();
    for (case, cost) in CASES.iter().zip(&costs) {
        judge(case, cost, &mut verdict);
    }
    for (case, cost) in CASES.iter().zip(&costs) {
        println!("\n{}:\n{}", case.name, cost.log);
    }
    verdict.end()
}
