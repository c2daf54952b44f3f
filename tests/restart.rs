//! A restart: the note of a stop in good order, and how long the batteries are without a command, with the real program on a simulated site
//! over TCP.
#![allow(missing_docs)]

#[path = "common/process.rs"]
mod process;

use std::time::{Duration, Instant};

use process::{Folder, Running, config, live};
use sax_controller::config as configuration;
use sax_controller::daemon::stop_note::StopNote;
use sax_controller::device::library::Library;
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

#[test]
fn at_most_one_period_is_missed_and_after_a_crash_the_meter_is_waited_for() {
    let poll = Duration::from_secs(5);
    let (live, folder) = (live([500, 300, 200]), Folder::new("restart"));
    let text = config(&folder, &live, 5000).replace("device = \"sax-basic\"", "device = \"sax\"");
    let mut program = Running::start(&folder, &text);
    until("the first start", poll * 8, || first_setpoints(&live, 0));
    program.until("control", |status| status["site"]["state"] == "run");

    program.signal("TERM");
    assert!(program.wait(Duration::from_secs(5)).is_some_and(|status| status.success()), "{}", program.said());
    assert!(folder.file("stopped.json").exists(), "{}", program.said());
    let released = live.with(|site| site.events().next_back().map_or(0, |e| e.at_ms));
    let started = now_ms(&live);
    let mut program = Running::start(&folder, &text);
    let again = until("the second start", poll * 8, || first_setpoints(&live, started)).into_iter().max().unwrap_or(0);
    println!("from the last release to the last first setpoint: {} ms", again - released);
    assert!(u128::from(again - released) <= poll.as_millis(), "{} ms\n{}", again - released, program.said());
    assert!(program.said().contains("stopped in good order") && !folder.file("stopped.json").exists(), "{}", program.said());

    program.signal("KILL");
    assert!(program.wait(Duration::from_secs(5)).is_some());
    let killed = now_ms(&live);
    let _program = Running::start(&folder, &text);
    let after = until("after the crash", poll * 8, || first_setpoints(&live, killed)).into_iter().min().unwrap_or(0) - killed;
    assert!(u128::from(after) > 3 * poll.as_millis(), "five good samples, but {after} ms");
}

#[test]
fn a_note_counts_once_for_a_minute_and_for_the_same_devices() {
    let (live, folder) = (live([0; 3]), Folder::new("note"));
    let library = Library::built_in().expect("ships");
    let text = config(&folder, &live, 1000);
    let parsed = |text: &str| configuration::parse(text, &library).unwrap_or_else(|f| panic!("{}", f.render("restart")));
    let note = StopNote::new(&folder.0, &parsed(&text));
    let leave = |at_s: i64| note.clone().leave(at_s, Duration::from_secs(10));
    assert_eq!(note.take(1000), None, "none was left");
    leave(1000);
    assert_eq!((note.take(1003), note.take(1003)), (Some(3), None), "once");
    for (left, now) in [(1000, 1061), (1000, 999), (i64::MIN, i64::MAX), (i64::MAX, i64::MIN)] {
        leave(left);
        assert_eq!((note.take(now), note.take(left)), (None, None), "{left} {now}");
    }
    leave(1000);
    let other = StopNote::new(&folder.0, &parsed(&text.replace("phase = \"L3\"", "phase = \"L2\"")));
    assert_eq!((other.take(1001), note.take(1001)), (None, None), "another site");
    for text in ["", "[]", "{\"version\": 2}", "{\"version\": 1, \"devices\": [], \"at_s\": \"1000\"}"] {
        std::fs::write(folder.file("stopped.json"), text).expect("a file");
        assert_eq!((note.take(1000), folder.file("stopped.json").exists()), (None, false), "{text:?}");
    }
    StopNote::new(&folder.file("missing"), &parsed(&text)).leave(1000, Duration::from_secs(10));
    assert!(!folder.file("missing").exists());
}
