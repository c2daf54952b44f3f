//! `sax-controller simulate` through the real binary: the day in virtual time, and the live site.
#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_sax-controller");

fn simulate(arguments: &[&str]) -> Output {
    Command::new(BINARY).arg("simulate").args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// All but the line that says how long the computer took.
fn figures(arguments: &[&str]) -> String {
    stdout(&simulate(arguments)).lines().filter(|l| !l.starts_with("CPU time")).map(|l| format!("{l}\n")).collect()
}

/// The numbers of a line of the table.
fn numbers(table: &str, name: &str) -> Vec<f64> {
    let line = table.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {table}"));
    line[name.len()..].split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn the_same_number_gives_the_same_hour() {
    let first = figures(&["--hours", "1", "--number", "5"]);
    assert_eq!(first, figures(&["--hours", "1", "--number", "5"]));
    assert_ne!(first, figures(&["--hours", "1", "--number", "6"]));
}

#[test]
fn a_night_hour_is_plausible() {
    let table = figures(&["--hours", "1", "--season", "winter", "--sky", "overcast", "--loss-permille", "0", "--no-car"]);
    let import = numbers(&table, "import, netted");
    assert!(import[0] < 0.1 && import[1] > 0.3, "{table}");
    assert_eq!(numbers(&table, "time in FALLBACK"), [0.0]);
    assert!(numbers(&table, "time in RUN")[0] >= 3590.0, "{table}");
    let writes = numbers(&table, "writes per hour and battery")[0];
    assert!((1.0..700.0).contains(&writes), "{table}");
    assert!(table.contains("no car"), "{table}");
}

#[test]
fn a_configuration_of_ones_own_is_simulated() {
    let folder = Folder::new("own");
    let file = folder.0.join("own.toml");
    std::fs::write(
        &file,
        "[site]\nstrategy = \"self-consumption\"\nfuse_a = 35\n[meter]\ndevice = \"sax\"\npoll_ms = 2000\n\
         [[battery]]\nname = \"Cellar\"\ndevice = \"sax\"\nphase = \"L2\"\ncapacity_wh = 5800\nmax_charge_w = 2600\n\
         setpoint_encoding = \"offset\"\nlink.tcp = { host = \"192.0.2.7\" }\npoll_ms = 2000\n",
    )
    .unwrap();
    let table = figures(&["--hours", "2", "--config", file.to_str().unwrap()]);
    assert!(table.contains("Cellar on L2: 5800 Wh, charges with 2600 W, discharges with 4600 W"), "{table}");
    assert!(table.contains("Fuse 35 A") && table.contains("above 35 A") && table.contains("polled every 2000 ms"), "{table}");
    let import = numbers(&table, "import, L1 / L2 / L3");
    assert!(import[1] < import[4] / 2.0, "L2 is looked after: {table}");
    assert!((import[0] - import[3]).abs() < 0.02, "L1 is not: {table}");
}

#[test]
fn the_built_in_configuration_is_right() {
    let folder = Folder::new("shown");
    let file = folder.0.join("shown.toml");
    std::fs::write(&file, stdout(&simulate(&["--show-config"]))).unwrap();
    let checked = Command::new(BINARY).arg("check").arg(&file).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn the_table_of_an_hour_is_a_trace_that_gives_the_same_hour() {
    let folder = Folder::new("csv");
    let (first, second) = (folder.0.join("first.csv"), folder.0.join("second.csv"));
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    figures(&["--hours", "1", "--number", "3", "--csv", &path(&first)]);
    figures(&["--number", "3", "--trace", &path(&first), "--csv", &path(&second)]);
    let text = std::fs::read_to_string(&first).unwrap();
    assert!(text == std::fs::read_to_string(&second).unwrap(), "the day that was recorded is the day that was played");
    let (header, line) = (text.lines().next().unwrap(), text.lines().nth(1800).unwrap());
    assert!(header.starts_with("time_s,l1_w,l2_w,l3_w,pv_w,grid_l1_w,"), "{header}");
    assert!(header.ends_with(",battery C w,battery C setpoint_w,battery C soc_percent,charger wallbox limit_a,mode,overlays"), "{header}");
    assert_eq!((header.split(',').count(), line.split(',').count()), (23, 23), "{line}");
    assert!(line.starts_with("1799,") && line.ends_with(",RUN,"), "{line}");
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 2, "nothing else is left");
}

#[test]
fn what_goes_wrong_is_told_and_survived() {
    let folder = Folder::new("faults");
    let file = folder.0.join("faults.csv");
    let table = figures(&["--faults", "--csv", file.to_str().unwrap()]);
    assert!(table.contains("visible after 500 ms, from noon on 3000 ms, polled every 1000 ms; 50 of 1000 replies get lost."), "{table}");
    assert!(table.contains("What went wrong, beside 50 of 1000 replies that got lost:"), "{table}");
    for what in ["meter silent", "meter frozen", "meter 3 s late", "battery silent: ", "battery at half power: ", "dimmed"] {
        assert!(table.lines().any(|l| l.starts_with("  ") && l.contains(what)), "{what}: {table}");
    }
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.lines().any(|l| l.contains("meter silent")) && text.contains("meter 3 s late; dimmed") && text.contains("battery silent: C")
    );
    assert!(numbers(&table, "time in FALLBACK")[0] > 60.0, "five minutes without a meter: {table}");
    let longest = numbers(&table, "longest from last data to FALLBACK")[0];
    assert!((30.0..=61.5).contains(&longest), "{table}");
    assert!(numbers(&table, "time in RUN")[0] > 85_000.0, "{table}");
    assert!(text.lines().last().unwrap().contains(",RUN,"));
}

#[test]
fn files_that_cannot_be_read_or_written_are_told() {
    let folder = Folder::new("files");
    let bad = folder.0.join("bad.csv");
    std::fs::write(&bad, "time_s,total_w\n0,1\n1,\"a\"\n").unwrap();
    let missing = folder.0.join("missing").join("day.csv");
    let (bad, missing, here) = (bad.to_str().unwrap(), missing.to_str().unwrap(), folder.0.to_str().unwrap());
    for (arguments, said) in [
        (["--trace", bad], format!("{bad}:3:3: total_w must be a number of watts, not \"a\".\nThe trace {bad} has one mistake.")),
        (["--trace", here], format!("The trace {here} cannot be read: it is a folder.")),
        (["--trace", missing], format!("The trace {missing} cannot be read: No such file or directory")),
        (["--csv", missing], format!("{missing} cannot be written: No such file or directory")),
        (["--csv", "/dev/full"], "/dev/full cannot be written: No space left on device".to_owned()),
    ] {
        let mut all = arguments.to_vec();
        if arguments[0] == "--csv" {
            all.extend(["--hours", "1"]);
        }
        let output = simulate(&all);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with(&said), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_file_behind_a_link_is_replaced_and_standard_output_is_added_to() {
    let folder = Folder::new("links");
    let (link, day, out) = (folder.0.join("link.csv"), folder.0.join("day.csv"), folder.0.join("out.txt"));
    std::fs::write(&day, "old").unwrap();
    std::os::unix::fs::symlink("day.csv", &link).unwrap();
    figures(&["--hours", "1", "--csv", link.to_str().unwrap()]);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    let table = std::fs::read_to_string(&day).unwrap();
    assert!(table.starts_with("time_s,"), "{table}");
    let file = std::fs::File::create(&out).unwrap();
    let status = Command::new(BINARY).args(["simulate", "--hours", "1", "--csv", "/dev/stdout"]).stdout(file).status().unwrap();
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(status.success() && text.starts_with("1 h of a spring day") && text.ends_with(&table), "{text}");
    assert!(std::fs::symlink_metadata("/dev/stdout").unwrap().is_symlink());
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 3, "nothing else is left");
}

#[test]
fn wrong_arguments_end_with_2_and_say_why() {
    for (arguments, said) in [
        (&["--hours", "0"][..], "--hours must be a whole number from 1 to 168, not \"0\"."),
        (&["--hours"], "Missing argument for option '--hours'."),
        (&["--season", "autumn"], "--season must be one of spring, summer, winter, not \"autumn\"."),
        (&["--seconds", "3"], "--seconds needs --live."),
        (&["--live", "--hours", "3"], "--hours does not go together with --live."),
        (&["--config", "x", "--poll-ms", "500"], "--poll-ms is not needed with --site: the file says it."),
        (&["--config", "x", "--no-car"], "--no-car is not needed with --site: the file says it."),
        (&["--live", "--csv", "x"], "--csv does not go together with --live."),
        (&["--live", "--plot", "x"], "--plot does not go together with --live."),
        (&["--live", "--trace", "x"], "--trace does not go together with --live."),
        (&["--compare", "--live"], "--compare does not go together with --live."),
        (&["--faults", "--live"], "--faults does not go together with --live."),
        (&["--trace", "x", "--season", "winter"], "--season does not go together with --trace: the file says it."),
        (&["--hours", "3", "--trace", "x"], "--hours does not go together with --trace: the file says it."),
        (&["--show-config", "--csv", "x"], "--csv does not go together with --show-config."),
        (&["--csv", "x", "--plot", "x"], "--csv and --plot name the same file."),
        (&["--csv", "x", "--trace", "x"], "--csv and --trace name the same file."),
        (&["--csv", "x", "--plot", "./x"], "--csv and --plot name the same file."),
        (&["--csv", "Cargo.toml", "--trace", "src/../Cargo.toml"], "--csv and --trace name the same file."),
        (&["--site", "x", "--plot", "x"], "--plot and --site name the same file."),
        (&["--csv"], "Missing argument for option '--csv'."),
        (&["--frobnicate"], "Invalid option '--frobnicate'."),
    ] {
        let output = simulate(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(
            stderr.starts_with(said) && stderr.ends_with("\nSee 'sax-controller simulate --help'.\n") && stderr.lines().count() == 2,
            "{arguments:?}: {stderr}"
        );
    }
}

#[test]
fn the_live_site_is_controlled_shown_and_left_clean() {
    for (firmware, car) in [("old", &["--no-car"][..]), ("new", &[])] {
        let folder = Folder::new(firmware);
        let output = live(&folder.0, &["--seconds", "8", "--firmware", firmware]).args(car).output().unwrap();
        let text = stdout(&output);
        assert!(text.contains("meter: total from"), "the controller's log is shown: {text}");
        // Time, state or nothing; phase; house; sun; grid; | read; age; | name; power; setpoint.
        let commanded = text.lines().filter(|l| l.contains("  L1 ") || l.contains("  L2 ")).filter(|l| has_setpoint(l)).count();
        assert!(commanded >= 2, "{text}");
        assert!(text.lines().all(|l| l.chars().count() <= 120 || l.starts_with("   log | ") || l.contains("/controller.toml")), "{text}");
        assert!(text.contains("The batteries were released"), "{text}");
        assert!(text.contains("ms after SIGTERM, exit status: 0."), "{text}");
        assert!(text.contains("first setpoint after"), "{text}");
        assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0, "no file is left");
        assert!(!is_anyone_at(&folder.0), "no process is left");
    }
}

#[test]
fn a_signal_ends_the_live_site_as_the_end_of_its_time_does() {
    let folder = Folder::new("signal");
    let mut child = live(&folder.0, &["--keep"]).stdout(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while !is_anyone_at(&folder.0) && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
    let status = child.wait().unwrap();
    assert!(!is_anyone_at(&folder.0), "no process is left");
    // The controller may not have got as far as to have its signal handlers.
    assert!(matches!(status.code(), Some(0 | 1)), "{status}");
    let kept: Vec<_> = std::fs::read_dir(&folder.0).unwrap().flatten().collect();
    assert!(kept.len() == 1 && kept[0].path().join("controller.toml").exists(), "the configuration is kept");
}

fn live(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(["simulate", "--live"]).args(arguments).env("TMPDIR", folder).env_remove("RUST_LOG");
    command
}

fn has_setpoint(line: &str) -> bool {
    let battery = line.split('|').nth(2).unwrap_or("");
    let words: Vec<_> = battery.split_whitespace().collect();
    words.len() == 4 && words[2].parse::<i64>().is_ok()
}

/// Whether a controller runs with a configuration in this folder.
fn is_anyone_at(folder: &Path) -> bool {
    let folder = folder.to_str().unwrap().as_bytes();
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        arguments.windows(folder.len()).any(|part| part == folder)
    })
}

/// A folder of one test, gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("sax-test-simulate-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
