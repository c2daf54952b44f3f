//! The registers of a simulated house under the real controller: they show what the status shows, and a remote command moves batteries.
#![allow(missing_docs)]

#[path = "common/house.rs"]
mod house;

use crossbeam_channel::bounded;
use house::{config_text, library, params, parse, run_s};
use sax_controller::balancer::{Settings, Step};
use sax_controller::plant::faults::Fault;
use sax_controller::plant::house::House;
use sax_controller::serve::ask::{Answer, Ask, Asked, Saved};
use sax_controller::serve::registers::remote::RemoteState;
use sax_controller::simulate::Simulation;

const NONE: [u16; 2] = [0x8000, 0];

/// A house whose load does not change, with three batteries and a server; `more` is put in front of the sections.
fn site(load_w: [i64; 3], change: impl Fn(String) -> String) -> Simulation {
    let server = "[server]\ntcp = { listen = \"127.0.0.1:1502\", writable = true }\n[load_balancer]\n";
    let config = parse(&change(config_text(1000, "", "") + server));
    let mut simulation = Simulation::new(&config, &library(), params(3, House::Fixed(load_w), 300));
    run_s(&mut simulation, 40);
    simulation
}

fn as_it_is(text: String) -> String {
    text
}

fn read(simulation: &Simulation, address: u16, count: u16) -> Vec<u16> {
    simulation.control().image(simulation.now()).expect("there is a server").read(address, count).unwrap()
}

fn signed(words: &[u16]) -> i64 {
    i64::from(((u32::from(words[0]) << 16) | u32::from(words[1])) as i32)
}

/// As the server's threads do it: the answer comes with the registers that show what came of it.
fn ask(simulation: &mut Simulation, ask: Ask) -> Option<Answer> {
    let now = simulation.now();
    let (reply, answer) = bounded(1);
    simulation.director().asked(Asked { ask, reply }, now);
    assert!(answer.is_empty(), "the registers are published first");
    simulation.director().answer();
    answer.try_recv().ok()
}

fn write(simulation: &mut Simulation, address: u16, values: &[u16]) -> Answer {
    ask(simulation, Ask::Write { address, values: values.to_vec() }).expect("an answer")
}

fn battery_sum_w(simulation: &Simulation) -> i64 {
    let site = simulation.site();
    (0..3).map(|k| site.battery_w(k)).sum()
}

#[test]
fn registers_show_what_the_status_shows() {
    let simulation = site([1200, -700, 300], as_it_is);
    let document = simulation.control().document(simulation.now());
    assert_eq!(document.site.state, "run");
    assert_eq!(read(&simulation, 2000, 4), [1, 1, 0, 0]);
    assert_eq!(read(&simulation, 2004, 2), [document.meter.age_ms.unwrap() as u16 / 1000, 0]);
    assert_eq!(Some(signed(&read(&simulation, 2006, 2))), document.meter.power_w);
    let hz = document.meter.frequency_hz.map_or(0xffff, |hz| (hz * 100.0) as u16);
    assert_eq!(read(&simulation, 2034, 2), [3, hz]);
    for (f, phase) in document.meter.phases.iter().enumerate() {
        let words = read(&simulation, 2008 + 2 * f as u16, 2);
        assert_eq!(Some(signed(&words)), phase.power_w, "L{}", f + 1);
        let current = read(&simulation, 2014 + 2 * f as u16, 2);
        assert_eq!(signed(&current), (phase.current_a.unwrap() * 1000.0).round() as i64, "L{}", f + 1);
    }
    let (mut power_w, mut soc, mut charge_w, mut discharge_w) = (0, 0.0, 0, 0);
    for (k, battery) in document.batteries.iter().enumerate() {
        let words = read(&simulation, 2100 + 10 * k as u16, 10);
        assert_eq!(Some(signed(&words)), battery.power_w);
        assert_eq!(words[2..4], [(battery.soc_pct.unwrap() * 10.0).round() as u16, 1]);
        assert_eq!((Some(signed(&words[4..])), Some(signed(&words[6..]))), (battery.charge_limit_w, battery.discharge_limit_w));
        assert_eq!(words[8..], [battery.age_ms.unwrap() as u16 / 1000, 0]);
        power_w += battery.power_w.unwrap();
        soc += battery.soc_pct.unwrap() * 10.0 / 3.0;
        charge_w += signed(&words[4..]);
        discharge_w += signed(&words[6..]);
    }
    let all = read(&simulation, 2020, 14);
    assert!((power_w - 800).abs() < 100, "{power_w} W");
    assert_eq!((signed(&all), f64::from(all[2])), (power_w, soc.round()));
    assert_eq!((signed(&all[3..]), all[9]), (3 * 7700, 3));
    assert_eq!((signed(&all[5..]), signed(&all[7..])), (charge_w, discharge_w), "no fuse is near");
    assert_eq!((signed(&all[10..]), signed(&all[12..])), (3 * 3500, 3 * 4600));
}

#[test]
fn what_the_fuse_leaves_bounds_what_is_allowed() {
    // 16 A of the 23.5 A of each phase are drawn already.
    let simulation = site([3700, 3700, 3700], |text| text.replace("name = \"A\"", "name = \"A\"\nmin_soc_pct = 90"));
    let all = read(&simulation, 2025, 5);
    let free_w = 3 * (23_500 * 230 / 1000 - 3700);
    assert!((signed(&all) - free_w).abs() < 60, "{} of {free_w} W", signed(&all));
    assert_eq!((signed(&all[2..]), all[4]), (2 * 4600, 3), "A is kept");
}

#[test]
fn a_remote_command_moves_the_batteries_while_its_heartbeat_changes() {
    let mut simulation = site([400, 400, 400], as_it_is);
    assert!((battery_sum_w(&simulation) - 1200).abs() < 100);
    let command = [0xffff, (-3000_i16) as u16, 0xffff, 0xffff, 0xffff, 0xffff];
    assert_eq!(write(&mut simulation, 2900, &command), Answer::Done);
    run_s(&mut simulation, 10);
    assert_eq!(read(&simulation, 2005, 1), [2]);
    assert!((battery_sum_w(&simulation) - 1200).abs() < 100, "without a heartbeat nothing happens");
    for beat in 1..=10 {
        assert_eq!(write(&mut simulation, 2906, &[beat]), Answer::Done);
        run_s(&mut simulation, 20);
        assert!((battery_sum_w(&simulation) + 3000).abs() < 100, "{} W", battery_sum_w(&simulation));
        assert_eq!((read(&simulation, 2005, 1), read(&simulation, 2900, 2)), (vec![1], command[..2].to_vec()));
    }
    assert!(matches!(simulation.control().remote_command().unwrap().state(), RemoteState::Active(_)));
    // The last heartbeat was 20 s ago, and comes again unchanged.
    assert_eq!(write(&mut simulation, 2906, &[10]), Answer::Done);
    run_s(&mut simulation, 39);
    assert_eq!(read(&simulation, 2005, 1), [1]);
    assert!((battery_sum_w(&simulation) + 3000).abs() < 100);
    run_s(&mut simulation, 2);
    assert_eq!((read(&simulation, 2005, 1), read(&simulation, 2900, 2)), (vec![3], NONE.to_vec()));
    assert_eq!(read(&simulation, 2002, 2), [1 << 12, 1]);
    run_s(&mut simulation, 10);
    assert!((battery_sum_w(&simulation) - 1200).abs() < 100, "its own strategy again: {} W", battery_sum_w(&simulation));
}

#[test]
fn remote_limits_do_not_lower_what_is_allowed() {
    let mut simulation = site([900, 900, 900], as_it_is);
    let before = read(&simulation, 2025, 5);
    assert_eq!(write(&mut simulation, 2902, &[0, 0, 0, 600, 1]), Answer::Done);
    run_s(&mut simulation, 20);
    assert!((battery_sum_w(&simulation) - 600).abs() < 60, "{} W", battery_sum_w(&simulation));
    assert_eq!(read(&simulation, 2025, 5), before, "else it could never be more again");
}

#[test]
fn who_only_observes_allows_and_takes_nothing() {
    let mut simulation = site([900, 900, 900], |text| text.replace("self-consumption", "observe"));
    assert_eq!(read(&simulation, 2001, 1), [5]);
    assert_eq!(read(&simulation, 2025, 5), [0; 5]);
    assert_eq!(read(&simulation, 2104, 4), [0; 4]);
    assert_eq!(write(&mut simulation, 2906, &[1]), Answer::Refused(1));
    assert_eq!(read(&simulation, 2906, 1), [0]);
}

#[test]
fn a_battery_that_is_lost_is_unknown_and_the_others_count() {
    let mut simulation = site([900, 900, 900], as_it_is);
    simulation.site().faults().set(1, Fault::Silent);
    run_s(&mut simulation, 120);
    let lost = read(&simulation, 2110, 10);
    assert_eq!(lost[..8], [0x8000, 0, 0xffff, 0, 0, 0, 0, 0]);
    assert!((115..=121).contains(&lost[8]) && lost[9] & 1 << 4 != 0, "{lost:?}");
    assert_eq!(read(&simulation, 2002, 1)[0] & 0x3ff, 1 << 4 | (lost[9] & 0x3ff));
    let all = read(&simulation, 2020, 14);
    assert!((signed(&all) - 1800).abs() < 60 && all[2] < 1000, "{all:?}");
    assert_eq!((signed(&all[3..]), signed(&all[12..])), (3 * 7700, 3 * 4600), "what there is does not change");
    assert_eq!(signed(&all[7..]), 2 * 4600);
}

#[test]
fn a_meter_that_is_lost_is_unknown() {
    let mut simulation = site([900, 900, 900], as_it_is);
    simulation.site().faults().set(0, Fault::Silent);
    run_s(&mut simulation, 60);
    assert_eq!(read(&simulation, 2001, 1), [4]);
    assert!((55..=61).contains(&read(&simulation, 2004, 1)[0]));
    assert_eq!(read(&simulation, 2006, 8), [NONE; 4].concat());
    assert_eq!(read(&simulation, 2014, 6), [0xffff; 6]);
    assert_eq!(read(&simulation, 2025, 5), [0; 5], "nobody knows what the fuses leave");
    assert_eq!(read(&simulation, 2002, 1)[0] & 1, 1);
}

#[test]
fn saved_settings_are_restored_and_written_ones_wait_for_the_disk() {
    let mut simulation = site([900, 900, 900], as_it_is);
    let settings = Settings { phases: 1, ..Settings::default() };
    assert!(!simulation.director().restore(Saved { settings: Some(settings), address: 0 }));
    assert!(simulation.director().restore(Saved { settings: Some(settings), address: 44 }));
    assert_eq!(simulation.control().image(simulation.now()).unwrap().unit, 44);
    assert_eq!(read(&simulation, 1010, 2), [16_000, 1]);
    assert_eq!(write(&mut simulation, 1010, &[10_000]), Answer::Done);
    let saved = Saved { settings: Some(Settings { charger_limit_ma: 10_000, ..settings }), address: 44 };
    assert_eq!(write(&mut simulation, 1091, &[1]), Answer::Save(Some(saved)));
    assert_eq!(read(&simulation, 1000, 1), [16_000], "not in force yet");
    assert_eq!(ask(&mut simulation, Ask::Apply(Some(saved))), Some(Answer::Done));
    assert_eq!(read(&simulation, 1000, 1), [10_000]);
    assert_eq!(ask(&mut simulation, Ask::Apply(None)), Some(Answer::Done));
    assert_eq!((read(&simulation, 1000, 1), read(&simulation, 1011, 1)), (vec![16_000], vec![3]));
    assert_eq!(simulation.control().image(simulation.now()).unwrap().unit, 10);
}

#[test]
fn an_alarm_beyond_the_fuse_is_neither_saved_nor_restored() {
    let mut simulation = site([900, 900, 900], as_it_is);
    let with_alarm = |limit_ma: u32| {
        let settings = Settings::default();
        Saved { settings: Some(Settings { alarm: Step { limit_ma, ..settings.alarm }, ..settings }), address: 10 }
    };
    assert!(!simulation.director().restore(with_alarm(25_001)), "fuse_a is 25");
    assert_eq!(write(&mut simulation, 1012, &[25_001]), Answer::Done, "it is staged only");
    assert_eq!(write(&mut simulation, 1091, &[1]), Answer::Refused(3));
    assert_eq!(write(&mut simulation, 1012, &[25_000, 1, 12_500, 22_000, 5, 1_000, 19_000]), Answer::Done);
    assert_eq!(write(&mut simulation, 1091, &[1]), Answer::Save(Some(with_alarm(25_000))));
    assert!(simulation.director().restore(with_alarm(25_000)));
}

#[test]
fn whoever_asks_more_than_can_be_answered_is_not_answered() {
    let mut simulation = site([0, 0, 0], as_it_is);
    let now = simulation.now();
    let (reply, answers) = bounded(1000);
    for beat in 1..=300 {
        let ask = Ask::Write { address: 2906, values: vec![beat] };
        simulation.director().asked(Asked { ask, reply: reply.clone() }, now);
    }
    simulation.director().answer();
    assert_eq!(answers.len(), 256);
    simulation.director().answer();
    assert_eq!(answers.len(), 256, "each once");
}

#[test]
fn without_a_server_there_are_no_registers() {
    let mut simulation = Simulation::new(&parse(&config_text(1000, "", "")), &library(), params(3, House::Fixed([0; 3]), 300));
    run_s(&mut simulation, 5);
    assert!(simulation.control().image(simulation.now()).is_none() && simulation.control().remote_command().is_none());
    assert_eq!(ask(&mut simulation, Ask::Write { address: 2906, values: vec![1] }), None);
    assert!(!simulation.director().restore(Saved { settings: None, address: 1 }));
}
