//! What was learned survives a restart, and nothing that stands in a file is trusted.
#![allow(missing_docs)]

#[path = "common/house.rs"]
mod house;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use house::{config_text, parse};
use sax_controller::control::learned::{BatteryLearned, Learned};
use sax_controller::control::site::Window;
use sax_controller::daemon::memory::{Keeper, Memory, MemoryError, Unusable, directory};
use sax_controller::daemon::state_file::Unwritable;
use sax_controller::units::Span;

/// Its own folder, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("sax-memory-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("learned.json")
    }

    fn names(&self) -> Vec<String> {
        fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text() -> String {
    config_text(1000, "", "")
}

fn memory(folder: &Path) -> Memory {
    Memory::open(folder, &parse(&text()))
}

fn learned() -> Learned {
    let battery = |scale_pm: i64| BatteryLearned { scale_pm, response: None };
    Learned {
        window: Window { lo: Span::from_ms(200), hi: Span::from_ms(1400) },
        averaging: Span::from_ms(1000),
        movements: 7,
        batteries: vec![battery(1000), BatteryLearned { response: Some(Span::from_ms(900)), ..battery(970) }, battery(1150)],
    }
}

#[test]
fn what_was_saved_is_loaded() {
    let folder = Folder::new("saved");
    let memory = memory(&folder.0);
    assert_eq!((memory.load(), memory.read()), (None, Ok(None)));
    memory.save(&learned()).unwrap();
    assert_eq!(memory.load(), Some(learned()));
    let nothing = Learned::nothing(3);
    memory.save(&nothing).unwrap();
    assert_eq!(memory.load(), Some(nothing));
    assert_eq!(folder.names(), ["learned.json"]);
    let held = fs::read_to_string(folder.file()).unwrap();
    assert!(!held.contains("load"), "never the net load: {held}");
}

#[test]
fn other_devices_drop_what_was_learned_and_other_settings_do_not() {
    let folder = Folder::new("devices");
    memory(&folder.0).save(&learned()).unwrap();
    let read = |from: &str, to: &str| {
        assert!(text().contains(from), "{from}");
        Memory::open(&folder.0, &parse(&text().replacen(from, to, 1))).read()
    };
    for (from, to) in [
        ("poll_ms = 1000", "poll_ms = 2000"),
        ("fuse_a = 25", "fuse_a = 35\nbalance = \"sum\""),
        ("role = \"slave\"", "role = \"slave\"\ncapacity_wh = 5800\nmax_charge_w = 2500\nmin_soc_pct = 15"),
    ] {
        assert_eq!(read(from, to), Ok(Some(learned())), "{to}");
    }
    for (from, to) in [
        ("192.0.2.1", "192.0.2.9"),
        ("192.0.2.0\"", "192.0.2.0\", port = 503"),
        ("\"L2\"", "\"L3\""),
        ("name = \"B\"", "name = \"D\""),
        ("device = \"sax\"\nrole = \"slave\"", "device = \"sax-basic\"\nrole = \"slave\""),
        ("role = \"slave\"", "role = \"slave\"\nunit = 65"),
        ("role = \"slave\"", "role = \"slave\"\nsetpoint_encoding = \"offset\""),
        ("device = \"sax\"\npoll_ms", "device = \"sax\"\nbattery = \"B\"\npoll_ms"),
    ] {
        assert!(matches!(read(from, to), Err(Unusable::Devices(_))), "{to}: {:?}", read(from, to));
    }
    let said = read("192.0.2.1", "192.0.2.9").unwrap_err().to_string();
    let expected = "the configuration's devices have changed: \
                    there is now battery \"B\": sax at 192.0.2.9:502 the profile's unit, phase L2, int16.";
    assert_eq!(said, expected);
}

#[test]
fn nothing_in_the_file_is_trusted() {
    let folder = Folder::new("trust");
    let memory = memory(&folder.0);
    memory.save(&learned()).unwrap();
    let good = fs::read_to_string(folder.file()).unwrap();
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from} in {good}");
        fs::write(folder.file(), good.replacen(from, to, 1)).unwrap();
        let read = memory.read();
        assert_eq!(memory.load(), None);
        read.unwrap_err()
    };
    assert_eq!(with("\"version\": 1", "\"version\": 2"), Unusable::Version(2));
    let out_of_range = [
        ("200,", "1401,", "window_ms"),
        ("1400\n", "16001\n", "window_ms"),
        ("\"movements\": 7", "\"movements\": 0", "movements"),
        ("\"averaging_ms\": 1000", "\"averaging_ms\": 16001", "averaging_ms"),
        ("\"scale_pm\": 970", "\"scale_pm\": 849", "scale_pm"),
        ("\"scale_pm\": 970", "\"scale_pm\": -9223372036854775808", "scale_pm"),
        ("\"scale_pm\": 1150", "\"scale_pm\": 1151", "scale_pm"),
        ("\"response_ms\": 900", "\"response_ms\": 60001", "response_ms"),
    ];
    for (from, to, what) in out_of_range {
        assert_eq!(with(from, to), Unusable::OutOfRange(what), "{to}");
    }
    assert_eq!(Unusable::OutOfRange("scale_pm").to_string(), "its scale_pm is out of range.");
    assert_eq!(with("\"name\": \"C\"", "\"name\": \"D\""), Unusable::Batteries);
    let malformed = [
        ("{", ""),
        ("}", ""),
        ("\"version\": 1", "\"version\": \"1\""),
        ("\"version\": 1", "\"version\": -1"),
        ("\"movements\": 7", "\"movements\": 7.5"),
        ("\"movements\": 7", "\"movements\": 4294967296"),
        ("\"movements\": 7", "\"movements\": 7, \"load_w\": 1"),
        ("200,", "200, 300,"),
        ("970", "1e400"),
    ];
    for (from, to) in malformed {
        assert!(matches!(with(from, to), Unusable::Malformed(_)), "{to}");
    }
    for text in ["", "null", "[]", "7", "\u{0}", &"[".repeat(100_000), &good[..good.len() / 2]] {
        fs::write(folder.file(), text).unwrap();
        assert!(memory.read().is_err(), "{:?}", text.get(..20));
    }
    fs::write(folder.file(), [0xff, 0xfe]).unwrap();
    assert!(matches!(memory.read(), Err(Unusable::Unreadable(_))));
    fs::write(folder.file(), " ".repeat((1 << 20) + 1)).unwrap();
    assert_eq!(memory.read().unwrap_err().to_string(), "it cannot be read: it is longer than 1 MiB.");
    fs::remove_file(folder.file()).unwrap();
    fs::create_dir(folder.file()).unwrap();
    assert_eq!(memory.read().unwrap_err().to_string(), "it cannot be read: it is no ordinary file.");
    // And what could not be read is replaced by what can, where it is a file.
    fs::remove_dir(folder.file()).unwrap();
    memory.save(&learned()).unwrap();
    assert_eq!(memory.load(), Some(learned()));
}

#[test]
fn a_save_that_fails_leaves_what_was_there() {
    let folder = Folder::new("fails");
    let missing = memory(&folder.0.join("missing"));
    let said = missing.save(&learned()).unwrap_err().to_string();
    assert!(said.contains("missing cannot be written") && said.contains("--state"), "{said}");
    assert_eq!(missing.load(), None);
    let memory = memory(&folder.0);
    memory.save(&learned()).unwrap();
    assert!(matches!(memory.save(&Learned::nothing(2)), Err(MemoryError::OtherSite)));
    // Something that is no file stands in the way of the unfinished one.
    fs::create_dir_all(folder.0.join("learned.json.new/x")).unwrap();
    assert!(matches!(memory.save(&Learned::nothing(3)), Err(MemoryError::Unwritable(Unwritable::File { .. }))));
    assert_eq!(memory.load(), Some(learned()));
    // An unfinished one from before a power cut does not.
    fs::remove_dir_all(folder.0.join("learned.json.new")).unwrap();
    fs::write(folder.0.join("learned.json.new"), "half").unwrap();
    memory.save(&Learned::nothing(3)).unwrap();
    assert_eq!(memory.load(), Some(Learned::nothing(3)));
    assert_eq!(folder.names(), ["learned.json"]);
}

#[test]
fn a_folder_that_takes_no_files_is_found_out_at_the_start() {
    let folder = Folder::new("check");
    let there = memory(&folder.0);
    fs::write(folder.0.join("learned.json.new"), "half").unwrap();
    there.save(&learned()).unwrap();
    there.check().unwrap();
    assert_eq!((there.load(), folder.names()), (Some(learned()), vec!["learned.json".to_owned()]));
    // It is a folder, and nobody can write a file there.
    for path in ["/proc", "/proc/self/status", "/no/such/folder"] {
        let said = memory(Path::new(path)).check().unwrap_err();
        assert!(matches!(said, MemoryError::Unwritable(Unwritable::Directory { .. })), "{path}: {said}");
        assert!(said.to_string().contains(path), "{said}");
    }
    fs::create_dir_all(folder.0.join("learned.json.new/x")).unwrap();
    assert!(matches!(there.check(), Err(MemoryError::Unwritable(Unwritable::File { .. }))));
}

#[test]
fn where_it_is_kept() {
    let path = |given: Option<&str>, systemd: Option<&str>| directory(given.map(PathBuf::from), systemd.map(Into::into));
    assert_eq!(path(Some("/a"), Some("/b")), Path::new("/a"));
    assert_eq!(path(None, Some("/b:/c")), Path::new("/b"));
    assert_eq!(path(None, Some("")), Path::new("/var/lib/sax"));
    assert_eq!(path(None, None), Path::new("/var/lib/sax"));
}

/// Waits until something holds; gives up after ten seconds.
fn until(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_first_change_is_saved_at_once_and_the_last_at_the_stop() {
    let folder = Folder::new("keeper");
    let memory = memory(&folder.0);
    let (keeper, kept) = Keeper::start(memory.clone()).unwrap();
    assert_eq!(kept.learned, None);
    kept.slot.put(learned());
    until(|| memory.load().is_some());
    // Within five minutes nothing more is written, but what is newest at the end.
    let movements = |movements: u32| Learned { movements, ..learned() };
    (8..20).for_each(|n| kept.slot.put(movements(n)));
    assert_eq!(memory.load(), Some(learned()));
    drop(kept);
    assert!(keeper.stop(Duration::from_secs(10)));
    assert_eq!(memory.load(), Some(movements(19)));
    let (keeper, kept) = Keeper::start(memory.clone()).unwrap();
    assert_eq!(kept.learned, Some(movements(19)));
    drop(kept);
    assert!(keeper.stop(Duration::from_secs(10)));
}

#[test]
fn what_could_not_be_saved_is_tried_again() {
    let folder = Folder::new("again");
    let place = folder.0.join("later");
    let memory = memory(&place);
    let (keeper, kept) = Keeper::start_every(memory.clone(), Duration::from_millis(5)).unwrap();
    kept.slot.put(learned());
    fs::create_dir(&place).unwrap();
    until(|| memory.load() == Some(learned()));
    drop(kept);
    assert!(keeper.stop(Duration::from_secs(10)));
}

#[test]
fn a_site_starts_from_what_was_learned_and_puts_aside_only_what_is_new() {
    use sax_controller::daemon::control::ControlTask;
    use sax_controller::daemon::memory::Kept;
    use sax_controller::daemon::{slot::slot, wiring::plan};
    use sax_controller::units::Time;

    let config = parse(&text());
    let mut task = ControlTask::new(config.clone(), &plan(&config, &house::library()));
    let (slot, newest) = slot();
    task.keep(Kept { learned: Some(learned()), slot });
    task.step(Time::ZERO, 0, |_, _| {});
    assert_eq!(task.core().learned(), &learned());
    assert!(newest.try_recv().is_err(), "what came from the disk need not go there");
    let document = serde_json::to_value(task.document(Time::ZERO)).unwrap();
    assert_eq!(document["meter"]["learned"], serde_json::json!({ "window_ms": [200, 1400], "averaging_ms": 1000, "movements": 7 }));
    assert_eq!(document["batteries"][1]["learned"], serde_json::json!({ "scale": 0.97, "response_ms": 900 }));
}
