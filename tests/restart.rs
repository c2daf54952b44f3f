//! A restart with the real program on a simulated site over TCP: how long the batteries are without a command.
#![allow(missing_docs)]

#[path = "common/process.rs"]
mod process;

use std::time::{Duration, Instant};

use process::{Folder, Running, config, live};
use sax_controller::plant::serve::LiveSite;

/// Wire addresses of setpoints of a SAX battery: unit 64 and unit 100 (facts/sax.md 1.1, 1.3).
const SETPOINTS: [u16; 3] = [41, 40049, 49];

/// When each battery was first written a setpoint after `since_ms`, in ms of the site.
fn first_setpoints(live: &LiveSite, since_ms: u64) -> Option<Vec<u64>> {
    let first = |battery: usize| {
        live.with(|site| {
            let mut events = site.events().filter(|e| e.at_ms > since_ms && e.battery == battery && SETPOINTS.contains(&e.address));
            events.next().map(|e| e.at_ms)
        })
    };
    (0..3).map(first).collect()
}

fn now_ms(live: &LiveSite) -> u64 {
    live.with(|site| site.now_ms())
}

fn until<T>(what: &str, most: Duration, done: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(done) = done() {
            return done;
        }
        assert!(begun.elapsed() < most, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Stops a running controller and starts it again: from the last release to the first setpoint of the last battery, ms.
fn gap_ms(name: &str, poll_ms: u32, device: &str) -> u64 {
    let (live, folder) = (live([500, 300, 200]), Folder::new(name));
    let text = config(&folder, &live, poll_ms).replace("device = \"sax-basic\"", &format!("device = \"{device}\""));
    let text = text.replace("capacity_wh = 7700\nmax_charge_w = 3500\nmax_discharge_w = 4600\n", "");
    let mut program = Running::start(&folder, &text);
    let patience = Duration::from_secs(20) + Duration::from_millis(u64::from(poll_ms) * 10);
    let begun = now_ms(&live);
    let first = until("the first start", patience, || first_setpoints(&live, begun)).into_iter().max().unwrap_or(0);
    let settled = Instant::now();
    while settled.elapsed() < Duration::from_millis(u64::from(poll_ms) * 2) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let stop = now_ms(&live);
    program.signal("TERM");
    assert!(program.wait(Duration::from_secs(5)).is_some_and(|status| status.success()), "{}", program.said());
    let released = live.with(|site| site.events().next_back().map_or(0, |e| e.at_ms));
    let start = now_ms(&live);
    let mut program = Running::start(&folder, &text);
    let again = until("the second start", patience, || first_setpoints(&live, start));
    println!(
        "{name}: first start to setpoint {} ms; stop to release {} ms; start to setpoints {:?} ms",
        first - begun,
        released - stop,
        again.iter().map(|at| at - start).collect::<Vec<_>>()
    );
    assert!(program.is_alive());
    again.into_iter().max().unwrap_or(0) - released
}

#[test]
fn gap() {
    let runs = [("r1-basic", 1000, "sax-basic"), ("r1", 1000, "sax"), ("r5", 5000, "sax")];
    let threads = runs.map(|(name, poll_ms, device)| std::thread::spawn(move || gap_ms(name, poll_ms, device)));
    for (thread, run) in threads.into_iter().zip(runs) {
        println!("{run:?}: gap {} ms", thread.join().expect("no panic"));
    }
}
