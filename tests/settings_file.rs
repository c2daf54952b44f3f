//! What a client saves with register 1091: on the disk before it counts, whole at any moment, and nothing in the file is trusted.
#![allow(missing_docs)]

#[path = "common/own_server.rs"]
mod own_server;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Barrier, Mutex};

use own_server::{Client, Control, exception, serve, settings};
use sax_controller::balancer::Settings;
use sax_controller::config::{self, Config};
use sax_controller::daemon::settings_file::{SettingsFile, Unusable};
use sax_controller::daemon::state_file::Unwritable;
use sax_controller::device::library::Library;
use sax_controller::modbus::pdu::Reply;
use sax_controller::serve::ask::{Answer, Ask, Saved};
use sax_controller::serve::tcp_server::Patience;

/// Its own folder, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("sax-settings-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self) -> PathBuf {
        self.0.join("load_balancer.json")
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

const CONFIG: &str = "[site]\nstrategy = \"observe\"\nfuse_a = 25\n[meter]\ndevice = \"p1\"\nlink.serial = { port = \"/dev/ttyNONE\" }\n\
    [load_balancer]\nphases = 3\ncharger_limit_a = 16\n[server]\naddress = 10\ntcp = { listen = \"127.0.0.1:1502\", writable = true }\n";

fn config(text: &str) -> Config {
    let library = Library::with_folder(Path::new("/nowhere")).unwrap_or_else(|e| panic!("{e}"));
    config::parse(text, &library).unwrap_or_else(|f| panic!("{}", f.render("test.toml")))
}

/// The file in this folder, of [`CONFIG`] with a change.
fn file_of(folder: &Path, from: &str, to: &str) -> SettingsFile {
    assert!(CONFIG.contains(from), "{from}");
    let config = config(&CONFIG.replacen(from, to, 1));
    SettingsFile::open(folder, &config, config.server.as_ref().unwrap())
}

fn file(folder: &Path) -> SettingsFile {
    file_of(folder, "", "")
}

/// One of two that differ in every way.
fn saved(first: bool) -> Saved {
    let usual = Settings::default();
    let other = Settings { phases: 1, charger_limit_ma: 32_000, fallback_limit_ma: 6_000, fallback_time_s: 60, ..usual };
    Saved { settings: Some(if first { usual } else { other }), address: if first { 10 } else { 247 } }
}

#[test]
fn what_was_saved_is_loaded_and_what_was_restored_is_gone() {
    let folder = Folder::new("saved");
    let mut ours = file(&folder.0);
    assert_eq!((ours.load(), ours.read()), (None, Ok(None)));
    for first in [true, false] {
        ours.put(Some(saved(first))).unwrap();
        assert_eq!((file(&folder.0).load(), ours.held()), (Some(saved(first)), Some(saved(first))));
    }
    assert_eq!(folder.names(), ["load_balancer.json"]);
    for _ in 0..2 {
        ours.put(None).unwrap();
        assert_eq!((file(&folder.0).read(), ours.held()), (Ok(None), None));
    }
    assert!(folder.names().is_empty());
}

#[test]
fn an_edited_configuration_counts_again() {
    let folder = Folder::new("edited");
    let save = || file(&folder.0).put(Some(saved(false))).unwrap();
    let read = |from: &str, to: &str| file_of(&folder.0, from, to).read();
    save();
    assert_eq!(read("fuse_a = 25", "fuse_a = 35"), Ok(Some(saved(false))), "of another section");
    assert_eq!(read("writable = true", "max_connections = 3"), Ok(Some(saved(false))));
    for (from, to) in [
        ("charger_limit_a = 16", "charger_limit_a = 16.001"),
        ("phases = 3", "phases = 2"),
        ("phases = 3", "alarm_limit_a = 24.5"),
        ("phases = 3", "lower_wait_s = 5"),
        ("address = 10", "address = 11"),
        ("[load_balancer]\nphases = 3\ncharger_limit_a = 16\n", ""),
    ] {
        assert_eq!(read(from, to), Err(Unusable::Edited), "{to}");
        assert_eq!(file_of(&folder.0, from, to).load(), None);
        // For good: it does not come back with the old words.
        assert_eq!(file(&folder.0).load(), None);
        save();
    }
    // Said in other words it is the same.
    assert_eq!(read("phases = 3\n", ""), Ok(Some(saved(false))));
}

#[test]
fn a_unit_that_the_gateway_has_since_is_not_ours() {
    let folder = Folder::new("taken");
    file(&folder.0).put(Some(saved(false))).unwrap();
    let gateway = "address = 10\ngateway = { units = [UNIT], link.rtu = { port = \"/dev/ttyNONE2\", baud = 9600 } }";
    let read = |unit: &str| file_of(&folder.0, "address = 10", &gateway.replace("UNIT", unit)).read();
    assert_eq!(read("246"), Ok(Some(saved(false))));
    assert_eq!(read("247"), Err(Unusable::Taken(247)));
}

#[test]
fn nothing_in_the_file_is_trusted() {
    let folder = Folder::new("trust");
    file(&folder.0).put(Some(saved(false))).unwrap();
    let good = fs::read_to_string(folder.path()).unwrap();
    let (head, of_client) = good.split_at(good.find("\"saved\"").unwrap());
    let with = |from: &str, to: &str| {
        assert!(of_client.contains(from), "{from} in {of_client}");
        fs::write(folder.path(), [head, &of_client.replacen(from, to, 1)].concat()).unwrap();
        assert_eq!(file(&folder.0).load(), None);
        file(&folder.0).read().unwrap_err()
    };
    for (from, to) in [
        ("247", "0"),
        ("247", "248"),
        ("\"phases\": 1", "\"phases\": 0"),
        ("\"phases\": 1", "\"phases\": 4"),
        ("\"charger_limit_ma\": 32000", "\"charger_limit_ma\": 0"),
        ("\"charger_limit_ma\": 32000", "\"charger_limit_ma\": 250001"),
        ("\"charger_limit_ma\": 32000", "\"charger_limit_ma\": 4294967295"),
        ("\"limit_ma\": 24000", "\"limit_ma\": 22000"),
        ("\"limit_ma\": 19000", "\"limit_ma\": 22000"),
        ("\"change_ma\": 12500", "\"change_ma\": 250001"),
        ("\"wait_s\": 5", "\"wait_s\": 255"),
        ("\"fallback_time_s\": 60", "\"fallback_time_s\": 0"),
    ] {
        assert_eq!(with(from, to), Unusable::Unsound, "{to}");
    }
    for (from, to) in [("247", "256"), ("247", "-1"), ("247", "1.5"), ("\"phases\"", "\"phase\""), ("}", ""), ("{", "{ \"led\": 1,")] {
        assert!(matches!(with(from, to), Unusable::Malformed(_)), "{to}");
    }
    fs::write(folder.path(), good.replacen("\"version\": 1", "\"version\": 2", 1)).unwrap();
    assert_eq!(file(&folder.0).read(), Err(Unusable::Version(2)));
    for text in ["", "null", "[]", &"[".repeat(100_000), &good[..good.len() / 2]] {
        fs::write(folder.path(), text).unwrap();
        assert!(matches!(file(&folder.0).read(), Err(Unusable::Malformed(_))), "{:?}", text.get(..20));
    }
    fs::write(folder.path(), " ".repeat((1 << 20) + 1)).unwrap();
    assert_eq!(file(&folder.0).read().unwrap_err().to_string(), "it cannot be read: it is longer than 1 MiB.");
}

/// The form of the file is a promise to those who update: this text was written by the first release that had it.
#[test]
fn a_file_of_the_first_release_is_read() {
    let folder = Folder::new("form");
    let step = |limit: u32, wait: u8, change: u32| format!("{{ \"limit_ma\": {limit}, \"wait_s\": {wait}, \"change_ma\": {change} }}");
    let settings = |charger: u32| {
        format!(
            "{{ \"phases\": 3, \"charger_limit_ma\": {charger}, \"alarm\": {}, \"upper\": {}, \"lower\": {}, \
             \"fallback_limit_ma\": 0, \"fallback_time_s\": 30 }}",
            step(24_000, 1, 12_500),
            step(22_000, 5, 1_000),
            step(19_000, 1, 1_000)
        )
    };
    let (before, after) = (settings(16_000), settings(10_000));
    let text = format!(
        "{{ \"version\": 1, \"configured\": {{ \"settings\": {before}, \"address\": 10 }}, \"saved\": {{ \"settings\": {after}, \"address\": 12 }} }}"
    );
    fs::write(folder.path(), text).unwrap();
    let expected = Saved { settings: Some(Settings { charger_limit_ma: 10_000, ..Settings::default() }), address: 12 };
    assert_eq!(file(&folder.0).read(), Ok(Some(expected)));
}

/// Asks the control thread of the test, which wants the second of two settings saved, for register 1091.
fn save(file: SettingsFile) -> (Reply, Vec<Ask>) {
    let control =
        Control::start(|ask| Some(if matches!(ask, Ask::Write { .. }) { Answer::Save(Some(saved(false))) } else { Answer::Done }));
    let mut client = Client::connect(serve(&settings(), Patience::default(), control.with_file(file)));
    let reply = client.write(1091, 1);
    (reply, control.record())
}

#[test]
fn it_is_on_the_disk_before_it_is_in_force_and_before_the_answer() {
    let folder = Folder::new("order");
    let (read, seen) = (folder.0.clone(), Arc::new(Mutex::new(None)));
    let seen_by_control = Arc::clone(&seen);
    let control = Control::start(move |ask| {
        if matches!(ask, Ask::Write { .. }) {
            return Some(Answer::Save(Some(saved(false))));
        }
        *seen_by_control.lock().unwrap() = Some(file(&read).read());
        Some(Answer::Done)
    });
    let mut client = Client::connect(serve(&settings(), Patience::default(), control.with_file(file(&folder.0))));
    assert_eq!(client.write(1091, 1), Reply::WrittenSingleRegister { address: 1091, value: 1 });
    assert_eq!(seen.lock().unwrap().take(), Some(Ok(Some(saved(false)))), "when they are put in force, they are on the disk");
    assert_eq!(control.record(), [Ask::Write { address: 1091, values: vec![1] }, Ask::Apply(Some(saved(false)))]);
}

#[test]
fn what_is_refused_after_it_was_saved_is_taken_back() {
    let folder = Folder::new("back");
    for before in [None, Some(saved(true))] {
        let mut ours = file(&folder.0);
        ours.put(before).unwrap();
        let control = Control::start(|ask| {
            Some(if matches!(ask, Ask::Write { .. }) { Answer::Save(Some(saved(false))) } else { Answer::Refused(3) })
        });
        let mut client = Client::connect(serve(&settings(), Patience::default(), control.with_file(ours)));
        assert_eq!(client.write(1091, 1), exception(6, 3));
        assert_eq!(file(&folder.0).read(), Ok(before));
    }
}

#[test]
fn what_cannot_be_saved_is_not_put_in_force() {
    let folder = Folder::new("cannot");
    let nothing_applied = |(reply, asked): (Reply, Vec<Ask>)| {
        assert_eq!(reply, exception(6, 4));
        assert_eq!(asked, [Ask::Write { address: 1091, values: vec![1] }]);
    };
    // A folder that has gone, one that takes no files, and one in which something stands in the way.
    nothing_applied(save(file(&folder.0.join("gone"))));
    nothing_applied(save(file(Path::new("/proc/self"))));
    let mut ours = file(&folder.0);
    ours.put(Some(saved(true))).unwrap();
    fs::create_dir_all(folder.0.join("load_balancer.json.new/x")).unwrap();
    assert!(matches!(ours.put(Some(saved(false))), Err(Unwritable::File { .. })));
    nothing_applied(save(ours));
    assert_eq!(file(&folder.0).read(), Ok(Some(saved(true))));
}

#[test]
fn of_several_who_save_at_once_one_is_decided_about_after_the_other() {
    let folder = Folder::new("several");
    let control =
        Control::start(|ask| Some(if matches!(ask, Ask::Write { .. }) { Answer::Save(Some(saved(false))) } else { Answer::Done }));
    let address = serve(&settings(), Patience::default(), control.with_file(file(&folder.0)));
    let together = Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                assert!(client.is_served());
                together.wait();
                assert_eq!(client.write(1091, 1), Reply::WrittenSingleRegister { address: 1091, value: 1 });
            });
        }
    });
    let one = [Ask::Write { address: 1091, values: vec![1] }, Ask::Apply(Some(saved(false)))];
    assert_eq!(control.record(), [&one[..]; 4].concat());
}

/// This test program again as a child with this part to play, whose folder is in its environment.
fn child(part: &str, folder: &Folder, before: &str) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{before} exec \"$0\" --exact {part} --nocapture")).arg(program);
    command.env("SAX_SETTINGS_CHILD", &folder.0).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn is_child() -> Option<PathBuf> {
    std::env::var_os("SAX_SETTINGS_CHILD").map(PathBuf::from)
}

#[test]
fn killed_at_any_point_the_file_is_whole_and_one_of_the_two() {
    let folder = Folder::new("kill");
    file(&folder.0).put(Some(saved(true))).unwrap();
    let mut found = [0; 2];
    for round in 0..40 {
        let mut child = child("child_that_saves_in_a_loop", &folder, "").stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        // It has begun, and each time it is somewhere else.
        let mut line = String::new();
        for _ in 0..=round % 7 {
            while !line.ends_with("saves\n") {
                line.clear();
                assert!(said.read_line(&mut line).unwrap() > 0, "it has ended");
            }
            line.clear();
        }
        (0..round * 400).for_each(|_| std::hint::spin_loop());
        child.kill().unwrap();
        child.wait().unwrap();
        let read = file(&folder.0).read().unwrap_or_else(|why| panic!("round {round}: {why}")).unwrap();
        let which = [saved(true), saved(false)].iter().position(|saved| *saved == read);
        found[which.unwrap_or_else(|| panic!("round {round}: {read:?}"))] += 1;
    }
    assert!(found[0] > 0 && found[1] > 0, "always in the same place: {found:?}");
    // What it left unfinished does not stand in the way.
    file(&folder.0).put(Some(saved(true))).unwrap();
    assert_eq!(folder.names(), ["load_balancer.json"]);
}

#[test]
fn child_that_saves_in_a_loop() {
    let Some(folder) = is_child() else { return };
    let mut file = file(&folder);
    for k in 0u64.. {
        println!("saves");
        file.put(Some(saved(k % 2 == 0))).unwrap();
    }
}

/// A full disk, as far as one process can have one: no file may grow beyond nothing.
#[test]
fn on_a_full_disk_it_is_refused_and_what_was_there_stays() {
    let folder = Folder::new("full");
    file(&folder.0).put(Some(saved(true))).unwrap();
    let output = child("child_on_a_full_disk", &folder, "trap '' XFSZ; ulimit -f 0;").output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("refused"), "{output:?}");
    assert_eq!(file(&folder.0).read(), Ok(Some(saved(true))));
    assert_eq!(folder.names(), ["load_balancer.json"]);
}

#[test]
fn child_on_a_full_disk() {
    let Some(folder) = is_child() else { return };
    let mut ours = file(&folder);
    let why = ours.put(Some(saved(false))).unwrap_err();
    assert!(matches!(why, Unwritable::File { .. }), "{why}");
    let (reply, asked) = save(file(&folder));
    assert_eq!((reply, asked.len()), (exception(6, 4), 1));
    println!("refused: {why}");
}
