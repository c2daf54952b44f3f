//! Profiles, decoding and encoding against the vectors of the field (facts/sax.md 5).
#![allow(missing_docs)]

use sax_controller::device::budget::Bucket;
use sax_controller::device::decode::{Registers, code, value};
use sax_controller::device::encode::{Context, setpoint};
use sax_controller::device::library::Library;
use sax_controller::device::parse::parse;
use sax_controller::device::plan::{battery_requests, covers, merge, requests};
use sax_controller::device::profile::{Block, Profile};
use sax_controller::device::quantity::Quantity;
use sax_controller::device::writer::{Command, Job, Outcome, Settings, Writer};
use sax_controller::units::{Span, Time};

fn profile(name: &str) -> Profile {
    let library = Library::built_in().unwrap_or_else(|e| panic!("{e}"));
    library.profile(name).expect("built in").clone()
}

fn registers(address: u16, values: &[u16]) -> Registers {
    let mut registers = Registers::default();
    registers.add(&Block { function: 3, address, count: values.len() as u16 }, values.to_vec());
    registers
}

#[test]
fn unit_64_as_seen_in_the_field() {
    let p = profile("sax-basic");
    // evcc log 2024-03-09: grid -2742 W, battery 2 W, SoC 98 %.
    let r = registers(45, &[3, 98, 16386, 13642]);
    assert_eq!(value(&p, &r, Quantity::Power), Some(2));
    assert_eq!(value(&p, &r, Quantity::GridPower), Some(-2742));
    assert_eq!(value(&p, &r, Quantity::Soc), Some(980));
    assert_eq!(code(&p, &r, Quantity::State).map(|c| c.name.as_str()), Some("connected"));
    for (raw, watts) in [(16384, 0), (0x51F8, 4600), (0x3254, -3500), (0x3FFF, -1)] {
        assert_eq!(value(&p, &registers(45, &[2, 50, raw, 16384]), Quantity::Power), Some(watts));
    }
    assert_eq!(value(&p, &registers(45, &[2, 101, 0, 0]), Quantity::Soc), None, "101 % is not a state of charge");
    assert_eq!(value(&p, &Registers::default(), Quantity::Power), None);
}

#[test]
fn unit_40_as_seen_in_the_field() {
    let p = profile("sax-extended");
    let r = registers(40100, &[0, 0x0109, 0x00ED, 0xFF8D, 0x0038, 0, 0, 2301, 2302, 2303, 0]);
    assert_eq!(value(&p, &r, Quantity::GridCurrentOf(1)), Some(2650));
    assert_eq!(value(&p, &r, Quantity::GridPowerOf(0)), Some(1150), "-115 means 1150 W import");
    assert_eq!(value(&p, &r, Quantity::GridPowerOf(1)), Some(-560));
    assert_eq!(value(&p, &r, Quantity::GridVoltageOf(2)), Some(230_300));
    assert_eq!(value(&p, &registers(40087, &[500]), Quantity::Frequency), Some(50_000));
}

#[test]
fn unit_100_takes_its_scale_factors_from_the_device() {
    let p = profile("sax-sunspec");
    let mut image = vec![0u16; 100];
    let mut set = |address: usize, raw: i32| image[address - 40015] = raw as u16;
    for (address, raw) in [(40029, -1234), (40030, 0), (40052, -2), (40053, 4600), (40072, -150), (40076, 1), (40102, 57), (40112, 0)] {
        set(address, raw);
    }
    let r = registers(40015, &image);
    assert_eq!(value(&p, &r, Quantity::Power), Some(-1234));
    assert_eq!(value(&p, &r, Quantity::GridPower), Some(1500), "positive is export in the registers");
    assert_eq!(value(&p, &r, Quantity::Soc), Some(570));
    let mut context = Context::default();
    let s = p.setpoint.as_ref().expect("has one");
    assert_eq!(setpoint(s, 2300, &context), None, "not before the reference power is known");
    context.learn(&p, &r);
    assert_eq!(setpoint(s, 2300, &context).map(|w| (w.address, w.words.as_slice()[0])), Some((40049, 5000)));
    assert_eq!(setpoint(s, -2300, &context).map(|w| w.words.as_slice()[0] as i16), Some(-5000));
    assert_eq!(setpoint(s, 99_999, &context).map(|w| w.words.as_slice()[0] as i16), Some(10_000));
}

#[test]
fn absurd_scale_factors_and_sentinels_are_unknown() {
    let p = profile("sax-sunspec");
    let mut image = vec![0u16; 100];
    image[40029 - 40015] = 0x8000;
    image[40102 - 40015] = 50;
    image[40112 - 40015] = 77;
    let r = registers(40015, &image);
    assert_eq!(value(&p, &r, Quantity::Power), None);
    assert_eq!(value(&p, &r, Quantity::Soc), None);
}

#[test]
fn both_encodings_of_register_41() {
    let p = profile("sax-basic");
    let s = p.setpoint.as_ref().expect("has one");
    let raw = |w: i64, offset: i64| setpoint(s, w, &Context { offset, ..Default::default() }).expect("always").words.as_slice()[0];
    assert_eq!([-1000, 4600, -3500].map(|w| raw(w, 0)), [0xFC18, 0x11F8, 0xF254]);
    assert_eq!([-1000, 4600, -3500].map(|w| raw(w, 16384)), [0x3C18, 0x51F8, 0x3254]);
    assert_eq!(raw(1 << 40, 0), 0x7FFF, "saturates");
}

#[test]
fn only_what_is_wanted_is_asked_for_and_nothing_twice() {
    let p = profile("sax-basic");
    let slave = battery_requests(&p);
    assert_eq!(slave, [Block { function: 3, address: 45, count: 3 }], "a slave is not asked for the smart meter");
    let total = requests(&p, Quantity::is_total);
    assert_eq!(total, [Block { function: 3, address: 48, count: 1 }]);
    let master = merge(&p, &slave, &total);
    assert_eq!(master, [Block { function: 3, address: 45, count: 4 }], "one request for battery and meter");
    assert!(covers(&master, &slave) && covers(&master, &total) && !covers(&slave, &total));
    let sunspec = profile("sax-sunspec");
    assert_eq!(battery_requests(&sunspec).len(), 1);
    assert!(battery_requests(&sunspec)[0].holds(40052, 2), "with the scale factor of the setpoint");
    assert_eq!(requests(&profile("sax-extended"), Quantity::is_phase), [Block { function: 3, address: 40100, count: 10 }]);
}

#[test]
fn mistakes_in_a_profile_are_all_reported_with_their_place() {
    let text = "name = \"x\"\ntitle = \"X\"\nunit = 300\n[[block]]\naddress = 5\ncount = 2\n[[point]]\nquantity = \"powr_w\"\naddress = 9\ntype = \"u16\"\n";
    let shown = parse(text).expect_err("has mistakes").render("x.toml");
    for part in ["x.toml:3:8", "300 is out of range", "x.toml:8:12", "power_w", "x.toml:9:11", "no [[block]]"] {
        assert!(shown.contains(part), "{part} is missing in:\n{shown}");
    }
}

fn writer(p: &Profile) -> Writer {
    let settings = Settings { deadband_w: 30, rated_charge_w: 3500, rated_discharge_w: 4600, limits: false };
    Writer::new(p, settings, Bucket::new(p.budget), Context { reference_w: Some(4600), scale_factor: Some(-2), offset: 0 })
}

const FOREVER: Time = Time::from_ms(u64::MAX);

fn s(seconds: u64) -> Time {
    Time::from_ms(seconds * 1000)
}

#[test]
fn a_command_is_written_once_and_refreshed_also_at_zero() {
    let p = profile("sax-basic");
    let mut w = writer(&p);
    assert_eq!(w.next(&p, s(20)), None);
    w.want(Command::Setpoint(0), false, FOREVER);
    assert_eq!(w.next(&p, s(20)), Some((s(20), Job::Setpoint(0))));
    w.done(&p, Job::Setpoint(0), Outcome::Acknowledged, s(20));
    assert_eq!(w.next(&p, s(21)), Some((s(80), Job::Setpoint(0))), "refresh");
    w.want(Command::Setpoint(29), false, FOREVER);
    assert_eq!(w.next(&p, s(21)).map(|n| n.0), Some(s(21)), "from zero every change counts");
    w.done(&p, Job::Setpoint(29), Outcome::Acknowledged, s(21));
    w.want(Command::Setpoint(50), false, FOREVER);
    assert_eq!(w.next(&p, s(22)).map(|n| n.0), Some(s(81)), "inside the dead-band");
}

#[test]
fn an_unknown_outcome_is_followed_by_the_newest_command() {
    let p = profile("sax-basic");
    let mut w = writer(&p);
    w.want(Command::Setpoint(1000), false, FOREVER);
    w.done(&p, Job::Setpoint(1000), Outcome::Unknown, s(20));
    w.want(Command::Setpoint(400), false, FOREVER);
    assert_eq!(w.next(&p, s(20)), Some((s(21), Job::Setpoint(400))));
}

#[test]
fn an_expired_command_becomes_the_fallback() {
    let p = profile("sax-basic");
    let mut w = writer(&p);
    w.want(Command::Setpoint(1000), false, s(30));
    w.done(&p, Job::Setpoint(1000), Outcome::Acknowledged, s(20));
    assert!(!w.expire(s(29), Command::Setpoint(0)));
    assert!(w.expire(s(30), Command::Setpoint(0)));
    assert_eq!(w.next(&p, s(30)), Some((s(30), Job::Setpoint(0))));
}

#[test]
fn sunspec_starts_with_its_mode_and_ends_with_its_own_control() {
    let p = profile("sax-sunspec");
    let mut w = writer(&p);
    w.want(Command::Setpoint(2300), false, FOREVER);
    let mut sent = Vec::new();
    let mut now = s(20);
    for _ in 0..3 {
        let (at, job) = w.next(&p, now).expect("something is due");
        now = at.max(now);
        let raw = w.encode(&p, job).expect("encodes");
        sent.push((raw.address, raw.words.as_slice()[0]));
        w.done(&p, job, Outcome::Acknowledged, now);
    }
    assert_eq!(sent, [(40051, 1), (40049, 5000), (40050, 180)]);
    w.want(Command::Release, false, FOREVER);
    let (at, job) = w.next(&p, now).expect("the release");
    assert_eq!(w.encode(&p, job).map(|r| (r.address, r.words.as_slice()[0])), Some((40051, 0)));
    w.done(&p, job, Outcome::Acknowledged, at);
    assert_eq!(w.next(&p, at), None);
    assert!(!w.holds_command(&p));
    w.want(Command::Setpoint(2300), false, FOREVER);
    assert_eq!(w.next(&p, at + Span::from_s(60)).map(|n| n.1), Some(Job::Start(0)), "and starts anew");
}

#[test]
fn after_a_reconnect_every_command_is_asserted_again() {
    let p = profile("sax-basic");
    let mut w = writer(&p);
    w.want(Command::Setpoint(700), false, FOREVER);
    w.done(&p, Job::Setpoint(700), Outcome::Acknowledged, s(20));
    w.forget();
    assert_eq!(w.next(&p, s(25)), Some((s(25), Job::Setpoint(700))));
}

#[test]
fn an_urgent_command_breaks_the_spacing() {
    let p = profile("sax-basic");
    let mut w = writer(&p);
    w.want(Command::Setpoint(700), false, FOREVER);
    w.done(&p, Job::Setpoint(700), Outcome::Acknowledged, s(20));
    w.want(Command::Setpoint(4000), true, FOREVER);
    w.want(Command::Setpoint(4010), false, FOREVER);
    assert_eq!(w.next(&p, s(20)), Some((s(20), Job::Setpoint(4010))), "and stays urgent until it is sent");
}

/// SIGTERM may come while the release is wanted and waits for the write budget.
#[test]
fn a_release_that_was_not_written_yet_leaves_the_command_standing() {
    let p = profile("sax-sunspec");
    let mut w = writer(&p);
    assert!(!w.holds_command(&p));
    w.want(Command::Setpoint(2300), false, FOREVER);
    for _ in 0..3 {
        let (at, job) = w.next(&p, s(20)).expect("something is due");
        w.done(&p, job, Outcome::Acknowledged, at);
    }
    w.want(Command::Release, false, FOREVER);
    assert!(w.holds_command(&p));
    let (at, job) = w.next(&p, s(60)).expect("the release");
    w.done(&p, job, Outcome::Unknown, at);
    assert!(w.holds_command(&p), "it may not have arrived");
    w.done(&p, job, Outcome::Acknowledged, at);
    assert!(!w.holds_command(&p));
}

/// 0 W in the wrong encoding is not 0 W: when that is found out, 0 W is written again, also on the way back to limits.
#[test]
fn after_a_change_of_encoding_the_release_writes_0_w() {
    let p = profile("sax-basic");
    let settings = Settings { deadband_w: 30, rated_charge_w: 3500, rated_discharge_w: 4600, limits: true };
    let mut w = Writer::new(&p, settings, Bucket::new(p.budget), Context { offset: 16384, ..Context::default() });
    let limits = [Job::Charge(3500), Job::Discharge(4600)];
    w.change_offset(16384);
    assert_eq!(w.release_jobs(&p), limits, "no setpoint was ever sent");
    w.want(Command::Setpoint(0), true, FOREVER);
    w.done(&p, Job::Setpoint(0), Outcome::Acknowledged, s(20));
    assert_eq!(w.release_jobs(&p), limits);
    w.change_offset(0);
    assert_eq!(w.release_jobs(&p), [Job::Setpoint(0), limits[0], limits[1]]);
    w.want(Command::Release, true, FOREVER);
    assert_eq!(w.next(&p, s(40)).and_then(|n| w.encode(&p, n.1)).map(|r| (r.address, r.words.as_slice()[0])), Some((41, 0)));
    w.done(&p, Job::Setpoint(0), Outcome::Acknowledged, s(40));
    for job in limits {
        assert_eq!(w.next(&p, s(90)).map(|n| n.1), Some(job));
        w.done(&p, job, Outcome::Acknowledged, s(90));
    }
    assert_eq!((w.next(&p, s(200)), w.holds_command(&p)), (None, false));
}
