//! The LED of the load balancer: its patterns, and the files of a LED in a folder, in driven time.
#![allow(missing_docs)]

#[path = "common/process.rs"]
mod process;

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sax_controller::daemon::led::{Led, LedThread, SLOT, SLOTS, is_on, state_of};
use sax_controller::serve::document::{Document, LoadBalancer};
use sax_controller::serve::socket::Published;

/// Reference 2, "LED Indication".
const REFERENCE: [&str; 5] = ["._______", "._._____", "._._.___", "._._._._", "----____"];

fn shown(state: u16) -> String {
    (0..SLOTS).map(|slot| if is_on(state, slot) { '1' } else { '0' }).collect()
}

fn bits(pattern: &str) -> String {
    pattern.chars().map(|c| if c == '_' { '0' } else { '1' }).collect()
}

#[test]
fn patterns_are_those_of_the_reference() {
    for (state, pattern) in REFERENCE.iter().enumerate() {
        assert_eq!(shown(state as u16), bits(pattern), "state {state}");
    }
    assert_eq!(shown(5), bits(REFERENCE[4]), "no state is an error");
    assert_eq!(SLOT.as_ms() * SLOTS as u64, 1000);
    assert_eq!(is_on(3, SLOTS), is_on(3, 0), "again every second");
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("sax-led-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn led(&self) -> PathBuf {
        self.0.join("green")
    }

    fn make(&self, max: &str) {
        fs::create_dir_all(self.led()).expect("a folder");
        for (file, text) in [("brightness", "0"), ("trigger", "heartbeat"), ("max_brightness", max)] {
            fs::write(self.led().join(file), text).expect("a file");
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn read(led: &Path, file: &str) -> String {
    fs::read_to_string(led.join(file)).unwrap_or_else(|_| "-".into())
}

/// Blinks for so many slots; what `brightness` held in each of them. `before`: called ahead of each wait, with the number of the slot.
fn blink(folder: &Folder, slots: usize, state: &Cell<u16>, before: &dyn Fn(usize)) -> Vec<String> {
    let seen = RefCell::new(Vec::new());
    let mut wait = |span| {
        assert_eq!(span, SLOT);
        seen.borrow_mut().push(read(&folder.led(), "brightness"));
        before(seen.borrow().len());
        seen.borrow().len() < slots
    };
    Led::new(folder.led()).blink(&|| state.get(), &mut wait);
    seen.into_inner()
}

#[test]
fn it_takes_the_led_over_blinks_and_is_off_at_the_end() {
    let folder = Folder::new("blinks");
    folder.make("255\n");
    let state = Cell::new(2);
    let seen = blink(&folder, 20, &state, &|slot| {
        if slot == 5 {
            state.set(4);
        }
    });
    let expected: String = bits(REFERENCE[2]) + &bits(REFERENCE[4]) + &bits(REFERENCE[4])[..4];
    let expected: Vec<_> = expected.chars().map(|c| if c == '1' { "255" } else { "0" }).collect();
    assert_eq!(seen, expected, "a second is shown to its end");
    assert_eq!((read(&folder.led(), "brightness"), read(&folder.led(), "trigger")), ("0".into(), "none".into()));
}

#[test]
fn without_a_largest_brightness_it_is_one() {
    let folder = Folder::new("plain");
    folder.make("0");
    fs::remove_file(folder.led().join("trigger")).expect("there was one");
    assert_eq!(blink(&folder, 2, &Cell::new(4), &|_| {}), ["1", "1"]);
    assert!(!folder.led().join("trigger").exists(), "no file is made");
}

#[test]
fn one_that_is_missing_is_looked_for_again_every_ten_seconds() {
    let folder = Folder::new("missing");
    let state = Cell::new(4);
    let seen = blink(&folder, 200, &state, &|slot| match slot {
        3 => folder.make("1"),
        100 => fs::remove_dir_all(folder.led()).expect("it was there"),
        120 => folder.make("1"),
        _ => {}
    });
    let first = seen.iter().position(|s| s == "1").expect("it came back");
    assert!((80..=88).contains(&first), "after {first} slots");
    let second = 120 + seen[120..].iter().position(|s| s == "1").expect("it came back again");
    assert!((180..=190).contains(&second), "after {second} slots");
    assert_eq!(read(&folder.led(), "trigger"), "none");
}

#[test]
fn it_shows_what_is_published() {
    let published = Published::default();
    assert_eq!(state_of(&published), 4, "nothing yet");
    let document = |state: &'static str| Document {
        site: sax_controller::serve::document::Site { state, ..Default::default() },
        load_balancer: Some(LoadBalancer { state: 1, ..LoadBalancer::default() }),
        ..Document::default()
    };
    published.publish(document("run"), None);
    assert_eq!(state_of(&published), 1);
    published.publish(document("stalled"), None);
    assert_eq!(state_of(&published), 4, "of then");
}

#[test]
fn the_thread_turns_it_off_when_it_stops() {
    let folder = Folder::new("thread");
    folder.make("1");
    let thread = LedThread::start(folder.led(), Published::default()).expect("a thread");
    thread.stop(Duration::from_secs(10));
    assert_eq!((read(&folder.led(), "brightness"), read(&folder.led(), "trigger")), ("0".into(), "none".into()));
}

#[test]
fn the_program_finds_it_in_the_folder_that_it_is_told() {
    let (leds, folder, live) = (Folder::new("program"), process::Folder::new("led"), process::live([100; 3]));
    leds.make("1");
    let config = folder.file("controller.toml");
    let text = format!("{}[load_balancer]\nled = \"green\"\n", process::config(&folder, &live, 1000));
    fs::write(&config, text).expect("a file");
    let mut program = Command::new(process::PROGRAM);
    program.arg("run").arg("--config").arg(&config).arg("--state").arg(&folder.0).arg("--leds").arg(&leds.0);
    let mut child = program.env_remove("NOTIFY_SOCKET").stderr(Stdio::null()).spawn().expect("it starts");
    let begun = Instant::now();
    // Without a current yet: half a second on, half a second off.
    while !(read(&leds.led(), "trigger") == "none" && read(&leds.led(), "brightness") == "1") {
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", read(&leds.led(), "trigger"));
        std::thread::sleep(Duration::from_millis(5));
    }
    let killed = Command::new("kill").arg(child.id().to_string()).status();
    assert!(killed.is_ok_and(|k| k.success()) && child.wait().expect("it ends").success());
    assert_eq!(read(&leds.led(), "brightness"), "0");
}
