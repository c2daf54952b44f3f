//! Devices of one's own: a folder of profiles, the settings of a configuration, and what is said about mistakes in either.
#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sax_controller::config;
use sax_controller::daemon::wiring::plan;
use sax_controller::device::decode::{Registers, value};
use sax_controller::device::library::Library;
use sax_controller::device::parse::parse;
use sax_controller::device::profile::{Block, Profile};
use sax_controller::device::quantity::Quantity;
use sax_controller::device::setting::{Chosen, Settings};

const OWN: &str = include_str!("../etc/examples/devices/my-meter.toml");
const CONFIGURATION: &str = "[site]\nstrategy = \"self-consumption\"\nfuse_a = 63\n[meter]\ndevice = \"my-meter\"\n\
    link.tcp = { host = \"192.168.1.50\" }\nsettings = { ct_ratio = 40, direction = \"reversed\" }\n\
    [[battery]]\nname = \"A\"\ndevice = \"powerpack\"\nphase = \"all\"\nlink.tcp = { host = \"192.168.1.100\" }\n\
    settings = { ready_value = 3, block_kw = 12.5 }\ncapacity_wh = 200000\nmax_charge_w = 40000\nmax_discharge_w = 40000\n";

/// A folder of its own, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Folder {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("device-own-{name}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder for tests");
        for (name, text) in files {
            std::fs::write(path.join(name), text).expect("a file for tests");
        }
        Folder(path)
    }

    fn library(&self) -> Library {
        Library::with_folder(&self.0).unwrap_or_else(|e| panic!("{e}"))
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_sax-controller")).args(arguments).arg("--devices").arg(&self.0).output().expect("it runs")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn profile(text: &str) -> Profile {
    match parse(text).unwrap_or_else(|e| panic!("{}", e.render("x.toml"))) {
        sax_controller::device::parse::Device::Profile(p) => *p,
        _ => panic!("is a profile"),
    }
}

fn registers(address: u16, values: &[u16]) -> Registers {
    let mut registers = Registers::default();
    registers.add(&Block { function: 4, address, count: values.len() as u16 }, values.to_vec());
    registers
}

#[test]
fn a_profile_in_a_folder_works_like_a_built_in_one() {
    let folder = Folder::new("works", &[("my-meter.toml", OWN)]);
    let library = folder.library();
    let config = config::parse(CONFIGURATION, &library).unwrap_or_else(|e| panic!("{e}"));
    let plan = plan(&config, &library);
    let meter = plan.meter.expect("there is one");
    let bank = &meter.spec.bank.choice.candidates[0];
    // 50 W and 230.1 V on L1, through reversed transformers of 40 to 1.
    let r = registers(0, &[0, 100, 0, 50, 0xffff, 0xffff, 0, 51, 2301, 65_535, 2302, 1000, 0, 0, 4998]);
    assert_eq!(value(bank, &r, Quantity::GridPower), Some(-4000));
    assert_eq!(value(bank, &r, Quantity::GridPowerOf(1)), Some(40));
    assert_eq!(value(bank, &r, Quantity::GridCurrentOf(0)), Some(40_000));
    assert_eq!(value(bank, &r, Quantity::GridVoltageOf(0)), Some(230_100));
    assert_eq!(value(bank, &r, Quantity::GridVoltageOf(1)), None, "not implemented");
    assert_eq!(value(bank, &r, Quantity::Frequency), Some(49_980));
    let battery = &plan.batteries[0].spec.bank.choice.candidates[0];
    assert_eq!(value(battery, &registers(2028, &[3]), Quantity::ChargeAvailable), Some(37_500), "the settings of the battery");
}

#[test]
fn settings_come_back_from_the_effective_configuration() {
    let folder = Folder::new("effective", &[("my-meter.toml", OWN)]);
    let library = folder.library();
    let config = config::parse(CONFIGURATION, &library).unwrap_or_else(|e| panic!("{e}"));
    let written = config::effective(&config);
    assert!(written.contains("settings = { ct_ratio = 40, direction = \"reversed\" }"), "{written}");
    assert!(written.contains("settings = { ready_value = 3, block_kw = 12.5 }"), "{written}");
    assert_eq!(config::parse(&written, &library).unwrap_or_else(|e| panic!("{e}")), config);
}

#[test]
fn a_profile_in_a_folder_may_replace_one() {
    let own = OWN.replace("name = \"my-meter\"", "name = \"acuvim2\"");
    let folder = Folder::new("replaces", &[("anything.toml", &own), ("notes.txt", "not a profile")]);
    let library = folder.library();
    assert_eq!(library.find("acuvim2").map(|d| d.title()), Some("My three-phase meter"));
    assert!(library.find("acuvim2-float").is_some(), "the others stay");
}

#[test]
fn two_files_of_a_folder_do_not_describe_one_device() {
    let folder = Folder::new("twice", &[("a.toml", OWN), ("b.toml", OWN)]);
    let said = Library::with_folder(&folder.0).expect_err("one of them is too much").to_string();
    assert!(said.contains("a.toml and ") && said.contains("b.toml have the same name, \"my-meter\""), "{said}");
    let no_folder = Library::with_folder(&folder.0.join("a.toml")).expect_err("a file is no folder").to_string();
    assert!(no_folder.contains("cannot be read"), "{no_folder}");
    assert!(Library::with_folder(&folder.0.join("missing")).is_ok());
}

#[test]
fn check_reports_mistakes_in_a_profile_with_their_place() {
    let wrong =
        OWN.replace("factors = [\"ct_ratio\"]", "factors = [\"ct_ration\"]").replacen("address = 8\n", "address = 16\nscal = 1\n", 1);
    let folder = Folder::new("mistakes", &[("my-meter.toml", &wrong), ("controller.toml.txt", CONFIGURATION)]);
    let out = folder.run(&["check", &folder.0.join("controller.toml.txt").display().to_string()]);
    assert_eq!(out.status.code(), Some(78));
    let said = String::from_utf8_lossy(&out.stderr);
    let line = |text: &str| wrong.lines().position(|l| l == text).expect("is there") + 1;
    let expected = [
        format!("my-meter.toml:{}:11: point 5 address: these registers lie in no [[block]] of this profile.", line("address = 16")),
        format!("my-meter.toml:{}:1: point 5 scal: this key is not known here. Did you mean scale?", line("scal = 1")),
        "\"ct_ration\" is not a [[setting]] of this profile. Did you mean \"ct_ratio\"?".to_owned(),
    ];
    assert!(expected.iter().all(|e| said.contains(e)), "{said}");
    let right = Folder::new("right", &[("my-meter.toml", OWN), ("controller.toml.txt", CONFIGURATION)]);
    let out = right.run(&["check", &right.0.join("controller.toml.txt").display().to_string()]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn devices_prints_them_as_tables_of_a_hundred_columns() {
    let folder = Folder::new("devices", &[("my-meter.toml", OWN)]);
    let shown = |arguments: &[&str]| String::from_utf8_lossy(&folder.run(arguments).stdout).into_owned();
    let list = shown(&["devices"]);
    assert!(list.contains("my-meter") && list.contains("My three-phase meter") && list.contains("powerpack"), "{list}");
    let library = folder.library();
    for name in library.iter().map(|d| d.name()) {
        let text = shown(&["devices", name]);
        assert!(text.starts_with(&format!("{name}: ")), "{text}");
        let longest = text.lines().skip(1).map(|l| l.chars().count()).max().unwrap_or(0);
        assert!(longest <= 100, "{name}: a line of {longest}");
    }
    let sbau = shown(&["devices", "sbau"]);
    for part in
        ["initialising; no charging, no discharging", "at least every 5.0 s", "cluster_base", "16 bits, one of 1, 2, 3, 4 must be set"]
    {
        assert!(sbau.contains(part), "{part} is missing in {sbau}");
    }
    let unknown = folder.run(&["devices", "my-metre"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("Did you mean \"my-meter\"?"));
}

#[test]
fn settings_that_the_profile_does_not_have_or_allow() {
    let folder = Folder::new("settings", &[("my-meter.toml", OWN)]);
    let library = folder.library();
    let findings = |from: &str, to: &str| {
        assert!(CONFIGURATION.contains(from));
        let found = config::parse(&CONFIGURATION.replacen(from, to, 1), &library).expect_err("has a mistake");
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        findings("ct_ratio = 40", "ct_ration = 40"),
        ["7:14: meter settings.ct_ration: this key is not known here. Did you mean ct_ratio?"]
    );
    assert_eq!(findings("ct_ratio = 40", "ct_ratio = 0.5"), ["7:25: meter settings.ct_ratio: 0.5 is out of range, it must be 1 to 5000."]);
    assert_eq!(findings("ct_ratio = 40", "ct_ratio = nan").len(), 1);
    assert_eq!(
        findings("\"reversed\"", "\"reverse\""),
        ["7:41: meter settings.direction: \"reverse\" is not one of \"normal\", \"reversed\". Did you mean \"reversed\"?"]
    );
    assert_eq!(
        findings("ready_value = 3,", "ready_value = 3.5,"),
        ["13:28: battery \"A\" settings.ready_value: 3.5 must be a whole number."]
    );
    assert_eq!(
        findings("settings = { ready_value = 3, block_kw = 12.5 }", "settings = 3"),
        ["13:12: battery \"A\" settings: must be a section, this is an integer. It is written as in settings = { ct_ratio = 40 }."]
    );
    let none = findings("device = \"powerpack\"\nphase = \"all\"", "device = \"sax-basic\"\nphase = \"L1\"");
    assert_eq!(none, ["13:12: battery \"A\" settings: this device has no settings."]);
}

/// A profile with these lines must have exactly these findings, without their places.
#[track_caller]
fn mistakes(lines: &str, expected: &[&str]) {
    let head = "name = \"x\"\ntitle = \"X\"\nunit = 1\n";
    let settings = "[[block]]\naddress = 10\ncount = 10\n[[setting]]\nname = \"a\"\ntitle = \"A\"\nmin = 0\nmax = 10\n\
        [[setting]]\nname = \"b\"\ntitle = \"B\"\nchoices = [{ name = \"x\" }, { name = \"y\", value = 2 }]\ndefault = \"x\"\n\
        [[setting]]\nname = \"c\"\ntitle = \"C\"\nmin = 1\nmax = 1000000000\ndefault = 1\n";
    let found = parse(&format!("{head}{settings}{lines}")).expect_err("has mistakes");
    let said: Vec<_> = found.iter().map(|f| format!("{}: {}", f.key, f.message)).collect();
    assert_eq!(said, expected);
}

#[test]
fn mistakes_in_settings_and_references() {
    let point = "[[point]]\nquantity = \"soc_pct\"\naddress = 10\ntype = \"u16\"\n";
    mistakes(&format!("{point}factors = [\"a\"]"), &["point 1 factors: \"a\" has no default, so this can exist only where it is given."]);
    mistakes(&format!("{point}needs = \"d\""), &["point 1 needs: \"d\" is not one of \"a\", \"b\", \"c\"."]);
    mistakes(&format!("{point}when = {{ b = \"z\" }}"), &["point 1 when.b: \"z\" is not one of \"x\", \"y\"."]);
    mistakes(&format!("{point}when = {{ a = \"z\" }}"), &["point 1 when.a: this key is not known here."]);
    mistakes(
        &format!("{point}scale = 1000000\nfactors = [\"c\", \"c\"]"),
        &["point 1 factors: with the largest settings the scale becomes too large."],
    );
    mistakes(&format!("{point}scale = 0"), &["point 1 scale: with a scale of 0 the value would always be 0."]);
    mistakes("[[block]]\naddress = 30\ncount = 200\n", &["block 2 count: 200 is out of range, it must be 1 to 125."]);
    mistakes(&format!("{point}{point}"), &["point: \"soc_pct\" is given twice."]);
    mistakes(
        "[[setting]]\nname = \"B-\"\ntitle = \"\"\nmin = 1\nmax = 0\n",
        &[
            "setting \"B-\" name: must be of the letters a to z, digits and \"_\", at most 40.",
            "setting \"B-\" min: the least value is above the largest one.",
        ],
    );
    mistakes(
        "[[setting]]\nname = \"a\"\ntitle = \"\"\nmin = 0\nmax = 1\ndefault = 7\n",
        &["setting: \"a\" is there twice.", "setting \"a\" default: 7 is out of range, it must be 0 to 1."],
    );
}

#[test]
fn mistakes_in_statuses_writes_and_parts_of_a_bms() {
    let status = "[[status]]\nname = \"S\"\naddress = 10\n";
    mistakes(
        &format!("{status}bits = [{{ value = 16, name = \"n\" }}]"),
        &["status \"S\" bits \"n\".value: 16 is out of range, it must be 0 to 15."],
    );
    mistakes(
        "[[status]]\nname = \"S\"\naddress = 19\ntype = \"u32\"\nbits = []",
        &["status \"S\" address: these registers lie in no [[block]] of this profile."],
    );
    mistakes(&format!("{status}type = \"f32\""), &["status \"S\" type: \"f32\" is not one of \"u16\", \"i16\", \"u32\", \"i32\"."]);
    mistakes(
        &format!("{status}codes = [{{ value = 1, name = \"n\" }}, {{ value = 1, name = \"m\" }}]"),
        &["status \"S\" codes: the value 1 is there twice."],
    );
    let setpoint = "[setpoint]\naddress = 1\nrefresh_ms = 1000\n";
    mistakes(
        &format!("{setpoint}function = 6\ntype = \"i32\""),
        &["setpoint function: function 6 writes one register, this value has two; it must be 16."],
    );
    mistakes(&format!("{setpoint}function = 6\nscale = 0"), &["setpoint scale: 0 W per unit means that nothing can be commanded."]);
    mistakes(
        &format!("{setpoint}function = 6\nfactors = [\"b\"]"),
        &["setpoint factors: with the smallest settings the scale becomes 0, and nothing can be commanded."],
    );
    mistakes(
        "[heartbeat]\naddress = 1\nfunction = 6\nvalues = [1, 1]\n[setpoint]\naddress = 1\nrefresh_ms = 1000\nfunction = 6",
        &["heartbeat values: must be two different values, which are written in turn."],
    );
    let start = "[[start]]\naddress = 1\nfunction = 6\n";
    mistakes(start, &["start 1 value: this key is missing."]);
    mistakes(&format!("{start}value = 1\nverify = true"), &["start 1 verify: only what lies in a [[block]] can be compared."]);
    mistakes(&format!("{start}value_from = \"c\""), &["start 1 value_from: \"c\" can be a number that does not fit the type \"u16\"."]);
    mistakes(
        "[bms]\nclock_at = 15\nalive_at = 20",
        &[
            "bms clock_at: these registers lie in no [[block]] of this profile.",
            "bms alive_at: these registers lie in no [[block]] of this profile.",
        ],
    );
    mistakes(
        "[bms.group]\nbase_from = \"c\"\nstride = 1\ncount = 1\nrunning_at = 10\ncharge_limit = 0\ndischarge_limit = 1",
        &["bms group.base_from: \"c\" can be a number outside 0 to 65535."],
    );
}

#[test]
fn low_words_first_and_factors_at_their_limits() {
    let text = "name = \"x\"\ntitle = \"X\"\nunit = 1\nword_order = \"low-first\"\n[[setting]]\nname = \"big\"\ntitle = \"\"\nmin = 0\n\
        max = 1000000\ndefault = 1\n[[block]]\naddress = 0\ncount = 2\n[[point]]\nquantity = \"grid_power_w\"\naddress = 0\ntype = \"i32\"\n\
        factors = [\"big\"]\n";
    let p = profile(text);
    let at = |raw: [u16; 2], big: i64| {
        let chosen: Settings = vec![("big".into(), Chosen::Number(big))];
        value(&p.with_settings(&chosen), &registers(0, &raw), Quantity::GridPower)
    };
    assert_eq!(at([0x86a0, 0x0001], 1_000_000), Some(100_000));
    assert_eq!(at([0xfffe, 0xffff], 1_000_000), Some(-2));
    assert_eq!(at([0xffff, 0x7fff], 1_000_000_000_000), None, "no site has so much");
    assert_eq!(at([0x86a0, 0x0001], 1), Some(0));
    assert_eq!(at([5, 0], i64::MAX), None, "a setting that no configuration allows");
    assert_eq!(at([5, 0], i64::MIN), None);
}
