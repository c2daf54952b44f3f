//! What is written to a PowerPack and a Tesla controller, in order and to the byte; heartbeats, modes that fall back, and silence.
#![allow(missing_docs)]

use sax_controller::device::budget::Bucket;
use sax_controller::device::decode::Registers;
use sax_controller::device::encode::{Context, setpoint, step_w};
use sax_controller::device::library::Library;
use sax_controller::device::parse::{Device, parse};
use sax_controller::device::profile::{Block, Profile, RawWrite};
use sax_controller::device::setting::{Chosen, Settings};
use sax_controller::device::writer::{self, Command, Job, Outcome, Writer};
use sax_controller::modbus::pdu::Request;
use sax_controller::units::{Span, Time};

const FOREVER: Time = Time::from_ms(u64::MAX);

fn with(name: &str, settings: &[(&str, Chosen)]) -> Profile {
    let library = Library::built_in().unwrap_or_else(|e| panic!("{e}"));
    let settings: Settings = settings.iter().map(|(name, chosen)| ((*name).to_owned(), chosen.clone())).collect();
    library.profile(name).expect("built in").with_settings(&settings)
}

fn number(whole: i64) -> Chosen {
    Chosen::Number(whole * 1_000_000)
}

fn writer(p: &Profile) -> Writer {
    let settings = writer::Settings { deadband_w: 30, rated_charge_w: 100_000, rated_discharge_w: 100_000, limits: false };
    Writer::new(p, settings, Bucket::new(p.budget), Context::default())
}

/// The request as it goes over the wire, without unit.
fn bytes(write: &RawWrite) -> Vec<u8> {
    match (write.function, write.words.as_slice()) {
        (6, [word]) => Request::WriteSingleRegister { address: write.address, value: *word }.encode(),
        (_, words) => Request::WriteMultipleRegisters { address: write.address, values: words.to_vec() }.encode(),
    }
}

/// Everything that is written until `until`, all acknowledged at once: time in ms, and the bytes.
fn run(w: &mut Writer, p: &Profile, now: &mut Time, until: Time) -> Vec<(u64, Vec<u8>)> {
    let mut sent = Vec::new();
    while let Some((at, job)) = w.next(p, *now) {
        if at.max(*now) > until {
            break;
        }
        *now = at.max(*now);
        sent.push((now.as_ms(), bytes(&w.encode(p, job).expect("can be encoded"))));
        w.done(p, job, Outcome::Acknowledged, *now);
        assert!(sent.len() < 1000, "bounded");
    }
    *now = until;
    sent
}

fn poll(address: u16, values: &[u16]) -> Registers {
    let mut registers = Registers::default();
    registers.add(&Block { function: 3, address, count: values.len() as u16 }, values.to_vec());
    registers
}

#[test]
fn powerpack_is_written_as_the_reference_prints_it() {
    let p = with("powerpack", &[]);
    let mut w = writer(&p);
    let mut now = Time::from_ms(1000);
    w.want(Command::Setpoint(100_999), false, FOREVER);
    assert_eq!(w.next(&p, now), None, "nothing is known about its state");
    w.learn(&p, &Registers::default(), Some(false), now);
    assert_eq!(w.next(&p, now), None, "not ready");
    w.learn(&p, &Registers::default(), Some(true), now);
    assert_eq!(run(&mut w, &p, &mut now, Time::from_ms(1500)), [(1000, vec![0x06, 0x07, 0xd8, 0x00, 0x64])], "100 kW, towards zero");
    w.want(Command::Setpoint(-1_999), false, FOREVER);
    assert_eq!(run(&mut w, &p, &mut now, Time::from_ms(3000)), [(2000, vec![0x06, 0x07, 0xd8, 0xff, 0xff])], "-1 kW");
    w.learn(&p, &Registers::default(), Some(false), now);
    let sent = run(&mut w, &p, &mut now, Time::from_ms(120_000));
    assert_eq!(sent.iter().map(|s| s.1.clone()).collect::<Vec<_>>(), [[0x06, 0x07, 0xd8, 0, 0]], "ended once, and then silent");
    w.forget();
    w.want(Command::Setpoint(5000), true, FOREVER);
    assert_eq!(w.next(&p, now), None, "after a reconnect its state is not known");
}

#[test]
fn a_command_that_stands_is_ended_even_if_nothing_is_known() {
    let p = with("powerpack", &[]);
    let mut w = writer(&p);
    let mut now = Time::from_ms(1000);
    w.learn(&p, &Registers::default(), Some(true), now);
    w.want(Command::Setpoint(20_000), false, FOREVER);
    run(&mut w, &p, &mut now, Time::from_ms(1500));
    w.forget();
    assert_eq!(w.next(&p, now), None, "a standing command is not changed blindly");
    w.want(Command::Setpoint(0), true, FOREVER);
    let (_, job) = w.next(&p, now).expect("the end");
    w.done(&p, job, Outcome::Unknown, now);
    assert_eq!(w.next(&p, now).map(|n| n.1), Some(Job::Setpoint(0)), "until it is acknowledged");
    w.done(&p, job, Outcome::Acknowledged, now);
    assert_eq!(w.next(&p, now), None);
    assert_eq!(w.release_jobs(&p), [Job::Setpoint(0)]);
}

#[test]
fn powerpack_with_the_other_sign_and_base() {
    let p = with("powerpack", &[("setpoint_sign", Chosen::Word("charge".into())), ("register_base", number(1))]);
    let s = p.setpoint.as_ref().expect("has one");
    let raw = |w: i64| bytes(&setpoint(s, w, &Context::default()).expect("always"));
    assert_eq!(raw(50_000), [0x06, 0x07, 0xd7, 0xff, 0xce]);
    assert_eq!(raw(-50_000), [0x06, 0x07, 0xd7, 0x00, 0x32]);
    assert_eq!(raw(i64::MAX), [0x06, 0x07, 0xd7, 0x80, 0x00], "saturates");
    assert_eq!((step_w(s), raw(999), raw(-999)), (1000, vec![6, 7, 0xd7, 0, 0], vec![6, 7, 0xd7, 0, 0]));
}

#[test]
fn tesla_takes_over_in_the_order_of_the_sources() {
    let p = with("tesla", &[("ramp_up_w_s", number(100_000)), ("ramp_down_w_s", number(200_000))]);
    let mut w = writer(&p);
    let mut now = Time::from_ms(1000);
    w.want(Command::Setpoint(-50_000), false, FOREVER);
    let sent = run(&mut w, &p, &mut now, Time::from_ms(3000));
    let expected: [&[u8]; 7] = [
        &[0x10, 0x04, 0x00, 0, 2, 4, 0x00, 0x01, 0x86, 0xa0],
        &[0x10, 0x04, 0x02, 0, 2, 4, 0x00, 0x03, 0x0d, 0x40],
        &[0x10, 0x03, 0xe9, 0, 1, 2, 0, 1],
        &[0x10, 0x03, 0xfe, 0, 1, 2, 0xaa, 0x55],
        &[0x10, 0x03, 0xfc, 0, 2, 4, 0xff, 0xff, 0x3c, 0xb0],
        &[0x10, 0x03, 0xff, 0, 1, 2, 0, 10],
        &[0x10, 0x03, 0xe8, 0, 1, 2, 0, 1],
    ];
    assert_eq!(sent.iter().map(|s| s.1.as_slice()).collect::<Vec<_>>(), expected);
    assert_eq!(sent[3].0, sent[4].0, "the power follows its heartbeat at once");
    assert!(sent[6].0 < 3000, "{sent:?}");
    // Then both again, within a third of the timeout, with the other value.
    let again = run(&mut w, &p, &mut now, Time::from_ms(20_000));
    let beats: Vec<_> = again.iter().filter(|s| s.1[2] == 0xfe).map(|s| (s.0, s.1[6])).collect();
    assert!(beats.windows(2).all(|b| b[1].0 - b[0].0 <= 3333 && b[0].1 != b[1].1), "{beats:?}");
    assert_eq!(beats[0].1, 0x55);
    assert_eq!(again.len(), 2 * beats.len(), "and nothing else");
}

#[test]
fn without_settings_there_are_no_ramps_and_it_ends_with_0_w() {
    let p = with("tesla", &[]);
    let mut w = writer(&p);
    let mut now = Time::from_ms(1000);
    w.want(Command::Setpoint(70_000), false, FOREVER);
    let addresses: Vec<_> = run(&mut w, &p, &mut now, Time::from_ms(4000)).iter().map(|s| u16::from_be_bytes([s.1[1], s.1[2]])).collect();
    assert_eq!(addresses[..5], [1001, 1022, 1020, 1023, 1000]);
    w.want(Command::Release, true, FOREVER);
    assert_eq!(w.release_jobs(&p), [Job::Heartbeat, Job::Setpoint(0)]);
    let sent = run(&mut w, &p, &mut now, Time::from_ms(9000));
    assert_eq!(sent.iter().map(|s| s.1[2]).collect::<Vec<_>>(), [0xfe, 0xfc]);
    assert!(!w.holds_command(&p));
    let named = with("tesla", &[("release_mode", Chosen::Word("site control".into()))]);
    let writes: Vec<_> = writer(&named).release_jobs(&named).iter().map(|j| writer(&named).encode(&named, *j).expect("fixed")).collect();
    assert_eq!(bytes(&writes[0]), [0x10, 0x03, 0xfc, 0, 2, 4, 0, 0, 0, 0]);
    assert_eq!(bytes(&writes[1]), [0x10, 0x03, 0xe8, 0, 1, 2, 0, 2]);
}

/// At the end nothing can be written later: what puts 0 W into force goes with it, where the device may have lost it.
#[test]
fn the_end_at_0_w_brings_what_puts_it_into_force() {
    let p = with("tesla", &[("release_mode", Chosen::Word("site control".into()))]);
    let mut w = writer(&p);
    let mut now = Time::from_ms(1000);
    w.want(Command::Setpoint(70_000), false, FOREVER);
    run(&mut w, &p, &mut now, Time::from_ms(4000));
    let rest = w.rest(true, false);
    assert_eq!((rest, w.end_jobs(&p, rest)), (Command::Setpoint(0), vec![Job::Heartbeat, Job::Setpoint(0)]));
    assert_eq!(w.end_jobs(&p, Command::Release), w.release_jobs(&p));
    w.forget();
    assert_eq!(w.end_jobs(&p, rest), [Job::Start(0), Job::Heartbeat, Job::Setpoint(0), Job::Start(1), Job::Start(2)]);
}

#[test]
fn a_mode_that_fell_back_is_written_again_within_the_budget() {
    let p = with("tesla", &[]);
    let mut w = writer(&p);
    let mut now = Time::from_ms(1000);
    w.want(Command::Setpoint(70_000), false, FOREVER);
    run(&mut w, &p, &mut now, Time::from_ms(4000));
    w.learn(&p, &poll(1000, &[1]), Some(true), now);
    assert_ne!(w.next(&p, now).map(|n| n.1), Some(Job::Start(2)), "it holds");
    w.learn(&p, &Registers::default(), Some(true), now);
    assert_ne!(w.next(&p, now).map(|n| n.1), Some(Job::Start(2)), "not read is not different");
    // A device that never keeps it: what is written stays within one write per refill.
    let (mut writes, mut commands) = (0, 0);
    for _ in 0..600 {
        w.learn(&p, &poll(1000, &[0]), Some(true), now);
        while let Some((at, job)) = w.next(&p, now) {
            if at > now {
                break;
            }
            writes += u32::from(job == Job::Start(2));
            commands += u32::from(matches!(job, Job::Setpoint(_)));
            w.done(&p, job, Outcome::Acknowledged, now);
        }
        now += Span::from_ms(100);
    }
    assert!((25..=31).contains(&writes), "{writes} in a minute");
    assert!(commands >= 18, "commands go on: {commands}");
}

/// Behind a gateway the connection outlives the device: a mode that fell back is all that shows it has restarted.
#[test]
fn direct_mode_comes_back_only_behind_its_timeout() {
    let p = with("tesla", &[]);
    let mut w = writer(&p);
    let mut now = Time::from_ms(1000);
    w.want(Command::Setpoint(70_000), false, FOREVER);
    run(&mut w, &p, &mut now, Time::from_ms(4000));
    w.learn(&p, &poll(1000, &[0]), Some(true), now);
    let sent = run(&mut w, &p, &mut now, Time::from_ms(5500));
    let fixed: Vec<_> = sent.iter().map(|s| u16::from_be_bytes([s.1[1], s.1[2]])).filter(|a| ![1020, 1022].contains(a)).collect();
    assert_eq!(fixed, [1023, 1000]);
}

#[test]
fn a_required_write_that_is_refused_is_a_failure_and_what_follows_waits() {
    let p = with("tesla", &[]);
    assert_eq!(p.start.iter().map(|s| s.write.address).collect::<Vec<_>>(), [1001, 1023, 1000]);
    assert!(!writer(&p).is_optional(&p, Job::Start(1)), "counts as a failure");
    let mut w = writer(&p);
    w.want(Command::Setpoint(70_000), false, FOREVER);
    let (mut tries, mut beats, mut now) = (0, 0, Time::from_ms(1000));
    while now < Time::from_ms(16_000) {
        let (at, job) = w.next(&p, now).expect("goes on");
        now = now.max(at);
        assert_ne!(job, Job::Start(2), "no direct mode without a timeout");
        tries += u32::from(job == Job::Start(1));
        beats += u32::from(job == Job::Heartbeat);
        w.done(&p, job, if job == Job::Start(1) { Outcome::Refused } else { Outcome::Acknowledged }, now);
    }
    assert!((2..=5).contains(&tries), "{tries}");
    assert!(w.lacks_required(&p), "an acknowledged setpoint is not in force");
    assert!(beats >= 5, "{beats}");
}

#[test]
fn a_heartbeat_that_is_not_acknowledged_is_repeated_with_the_other_value_within_the_budget() {
    let p = with("tesla", &[]);
    let mut w = writer(&p);
    w.want(Command::Setpoint(70_000), true, FOREVER);
    let mut now = Time::from_ms(1000);
    let (mut values, mut setpoints) = (Vec::new(), 0);
    while now < Time::from_ms(61_000) {
        let (at, job) = w.next(&p, now).expect("goes on");
        now = now.max(at);
        let acknowledged = !matches!(job, Job::Heartbeat);
        if job == Job::Heartbeat {
            values.push(w.encode(&p, job).expect("fixed").words.as_slice()[0]);
        }
        setpoints += u32::from(matches!(job, Job::Setpoint(_)));
        w.done(&p, job, if acknowledged { Outcome::Acknowledged } else { Outcome::Unknown }, now);
    }
    assert_eq!(setpoints, 0, "no setpoint without its heartbeat");
    assert!(values.windows(2).all(|v| v[0] == !v[1]));
    assert!((100..=130).contains(&values.len()), "two a second at most: {}", values.len());
}

/// A battery whose setpoint has these lines.
fn battery(top: &str, lines: &str) -> Profile {
    let text = format!(
        "name = \"x\"\ntitle = \"X\"\nunit = 1\n{top}\n[[block]]\naddress = 0\ncount = 10\n[setpoint]\naddress = 5\nrefresh_ms = 10000\n{lines}\n"
    );
    match parse(&text).unwrap_or_else(|e| panic!("{}", e.render("x.toml"))) {
        Device::Profile(p) => p.with_settings(&Settings::new()),
        _ => panic!("is a profile"),
    }
}

#[test]
fn every_type_of_a_setpoint() {
    let raw = |top: &str, lines: &str, w: i64| {
        let p = battery(top, lines);
        bytes(&setpoint(p.setpoint.as_ref().expect("has one"), w, &Context::default()).expect("always"))
    };
    let sixteen = "function = 16\n";
    assert_eq!(raw("", "function = 6\ntype = \"u16\"", 4600), [6, 0, 5, 0x11, 0xf8]);
    assert_eq!(raw("", "function = 6\ntype = \"u16\"", -1), [6, 0, 5, 0, 0], "cannot be told");
    assert_eq!(raw("", &format!("{sixteen}type = \"i32\""), -2), [16, 0, 5, 0, 2, 4, 0xff, 0xff, 0xff, 0xfe]);
    assert_eq!(raw("word_order = \"low-first\"", &format!("{sixteen}type = \"i32\""), -2), [16, 0, 5, 0, 2, 4, 0xff, 0xfe, 0xff, 0xff]);
    assert_eq!(raw("", &format!("{sixteen}type = \"u32\"\nscale = 0.1"), 7000), [16, 0, 5, 0, 2, 4, 0, 1, 0x11, 0x70]);
    // 1.5 kW and -1.5 kW as floats.
    let float = format!("{sixteen}type = \"f32\"\nscale = 1000");
    assert_eq!(raw("", &float, 1500), [16, 0, 5, 0, 2, 4, 0x3f, 0xc0, 0, 0]);
    assert_eq!(raw("word_order = \"low-first\"", &float, -1500), [16, 0, 5, 0, 2, 4, 0, 0, 0xbf, 0xc0]);
    for w in [1, 333, 1001, 4599, 99_999, -1, -333, -4599, -99_999] {
        let sent = raw("", &float, w);
        let kw = f32::from_bits(u32::from_be_bytes([sent[6], sent[7], sent[8], sent[9]]));
        assert!(f64::from(kw).abs() * 1000.0 <= w.abs() as f64, "{w} W: never more than commanded, {kw}");
        assert!((f64::from(kw) * 1000.0 - w as f64).abs() < 0.01, "{w} W: {kw}");
    }
}

const NONE: [u16; 2] = [0x8000, 0];
const NO_LIMIT: [u16; 2] = [0xFFFF, 0xFFFF];

/// What a cluster is written, without times.
fn cluster(limits: bool, wanted: &[(Command, u64)]) -> (Profile, Writer, Vec<(u16, Vec<u16>)>) {
    let p = with("cluster", &[]);
    let settings = writer::Settings { deadband_w: 30, rated_charge_w: 10_000, rated_discharge_w: 10_000, limits };
    let mut w = Writer::new(&p, settings, Bucket::new(p.budget), Context::default());
    let (mut now, mut sent) = (Time::from_ms(1000), Vec::new());
    for (command, seconds) in wanted {
        w.want(*command, false, FOREVER);
        let until = now + Span::from_s(*seconds);
        while let Some((at, job)) = w.next(&p, now).filter(|next| next.0 < until) {
            now = now.max(at);
            let write = w.encode(&p, job).expect("can be encoded");
            assert_eq!(write.function, 16);
            sent.push((write.address, write.words.as_slice().to_vec()));
            w.done(&p, job, Outcome::Acknowledged, now);
            assert!(sent.len() < 1000, "bounded");
        }
        now = until;
    }
    (p, w, sent)
}

#[test]
fn a_cluster_hears_another_heartbeat_before_every_setpoint_and_is_handed_back_completely() {
    let (p, w, sent) = cluster(false, &[(Command::Setpoint(-70_000), 15), (Command::Setpoint(0), 4), (Command::Release, 1)]);
    let beat = |value: u16| (2906, vec![value]);
    let power = |high: u16, low: u16| (2900, vec![high, low]);
    let expected = vec![
        beat(1),
        power(0xFFFE, 0xEE90),
        beat(2),
        power(0xFFFE, 0xEE90),
        beat(1),
        power(0, 0),
        (2900, NONE.to_vec()),
        (2902, NO_LIMIT.to_vec()),
        (2904, NO_LIMIT.to_vec()),
    ];
    assert_eq!(sent, expected);
    assert!(!w.holds_command(&p));
}

#[test]
fn a_cluster_hears_the_heartbeat_before_limits_too_and_loses_its_setpoint_first() {
    let limits = Command::Limits { charge_w: 2000, discharge_w: 70_000 };
    let (p, w, sent) = cluster(true, &[(Command::Setpoint(500), 1), (limits, 11)]);
    let beats: Vec<_> = sent.iter().filter(|s| s.0 == 2906).map(|s| s.1[0]).collect();
    assert_eq!(beats, [1, 2, 1, 2, 1], "one before every write, each other than the last");
    let rest: Vec<_> = sent.into_iter().filter(|s| s.0 != 2906).collect();
    let (charge, discharge) = ((2902, vec![0, 2000]), (2904, vec![1, 4464]));
    let expected = [(2900, vec![0, 500]), (2900, NONE.to_vec()), charge.clone(), discharge.clone(), charge, discharge];
    assert_eq!(rest, expected);
    assert_eq!(w.release_jobs(&p), [Job::Release(0), Job::Release(1), Job::Release(2)]);
}

#[test]
fn after_standing_still_for_longer_than_the_timeout_the_mode_comes_before_the_setpoint() {
    let sunspec = with("sax-sunspec", &[]);
    let mut w = writer(&sunspec);
    w.context = Context { reference_w: Some(4600), scale_factor: Some(-2), ..Context::default() };
    let mut now = Time::from_ms(0);
    w.want(Command::Setpoint(0), false, FOREVER);
    let began = run(&mut w, &sunspec, &mut now, Time::from_ms(70_000));
    let address = |write: &(u64, Vec<u8>)| u16::from_be_bytes([write.1[1], write.1[2]]);
    let modes = |writes: &[(u64, Vec<u8>)]| writes.iter().filter(|write| address(write) == 40051).count();
    assert_eq!((address(&began[0]), modes(&began)), (40051, 1), "refreshed at 60 s without the mode: {began:?}");
    // Nothing runs until the device, whose timeout is 180 s, has gone back to its own control.
    now = Time::from_ms(250_000);
    let resumed = run(&mut w, &sunspec, &mut now, Time::from_ms(255_000));
    assert_eq!(resumed.iter().map(address).collect::<Vec<_>>(), [40051, 40049], "{resumed:?}");
    let after = run(&mut w, &sunspec, &mut now, Time::from_ms(320_000));
    assert_eq!(modes(&after), 0, "{after:?}");
}
