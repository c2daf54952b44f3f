//! The fail-safe of the whole controller, in virtual time: what happens when the meter or a battery fails, and how it comes back.
#![allow(missing_docs)]

#[path = "common/house.rs"]
mod house;
#[path = "common/truth.rs"]
mod truth;

use sax_controller::control::alarm::Alarm;
use sax_controller::control::ladder::Mode;
use sax_controller::plant::battery_params::{Banks, Encoding41};
use sax_controller::plant::faults::Fault;
use sax_controller::plant::house::House;
use sax_controller::plant::site::SiteParams;
use sax_controller::simulate::Simulation;
use sax_controller::units::Time;
use truth::{battery_w, clear, faults, grid_w, house_that_moves, setpoint_writes};

const LOADS: [i64; 3] = [1500, 2500, 900];
const REST_W: i64 = 20;
const BAND_W: i64 = 50;
/// Dead time and lag of the simulated batteries, plus one request.
const DEVICE_MS: u64 = 4000;

fn sim(poll_ms: u32, more: &str, battery: &str, params: SiteParams) -> Simulation {
    Simulation::new(&house::parse(&house::config_text(poll_ms, more, battery)), &house::library(), params)
}

fn params(number: u64) -> SiteParams {
    house::params(number, House::Fixed(LOADS), 600)
}

fn settled(sim: &Simulation, what: &str) {
    let grid = grid_w(sim);
    assert!(grid.iter().all(|g| g.abs() <= BAND_W), "{what}: grid {grid:?}, mode {:?}", sim.control().decision().mode);
}

fn at_rest(sim: &Simulation) -> bool {
    battery_w(sim).iter().all(|w| w.abs() <= REST_W)
}

/// Runs at most `most_s` until `done`; how long it took, ms.
fn until(sim: &mut Simulation, most_s: u64, done: impl Fn(&Simulation) -> bool) -> Option<u64> {
    let start = sim.now().as_ms();
    while sim.now().as_ms() <= start + most_s * 1000 {
        if done(sim) {
            return Some(sim.now().as_ms() - start);
        }
        let next = sim.now().as_ms() + 100;
        sim.run_until(Time::from_ms(next));
    }
    None
}

/// The fallback age for this poll period (`spec/control.md`, head).
fn fallback_ms(poll_ms: u64) -> u64 {
    let hold = 3000.max(3 * poll_ms);
    let ramp = 10_000.max(hold * 3 / 2);
    30_000.max(ramp + 15_000)
}

#[test]
fn every_loss_of_the_meter_ends_at_zero_and_comes_back() {
    let losses = [
        Fault::Silent,
        Fault::Refuse,
        Fault::Reset,
        Fault::Close,
        Fault::Exception(4),
        Fault::Exception(11),
        Fault::Garbage,
        Fault::HalfFrame,
        Fault::WrongId,
        Fault::WrongUnit,
        Fault::WrongLength,
        Fault::ShortByOne,
        Fault::TrailingBytes,
        Fault::OtherFunction,
        Fault::AbsurdValues,
        Fault::StaleReplay,
        Fault::Delay(5000),
    ];
    for fault in losses {
        let mut sim = sim(1000, "", "", params(1));
        house::run_s(&mut sim, 60);
        settled(&sim, "before");
        faults(&sim).set(0, fault);
        let rest = |sim: &Simulation| battery_w(sim)[1..].iter().all(|w| w.abs() <= REST_W);
        let took = until(&mut sim, 60, rest).unwrap_or_else(|| panic!("{fault:?}: {:?} W after 60 s", battery_w(&sim)));
        assert!(took <= fallback_ms(1000) + DEVICE_MS, "{fault:?}: {took} ms");
        assert!(took >= 10_000, "{fault:?}: outputs left before the ramp, {took} ms");
        assert_eq!(sim.control().decision().mode, Mode::Fallback, "{fault:?}");
        assert!(sim.control().core().alarms().holds(Alarm::MeterLost), "{fault:?}");
        faults(&sim).clear_all(0);
        house::run_s(&mut sim, 60);
        settled(&sim, &format!("after {fault:?}"));
        assert!(!sim.control().core().alarms().holds(Alarm::MeterLost), "{fault:?}");
    }
}

/// In the 16 bits of unit 64 what means "no value" is a power like others; but no battery has 16 kW.
#[test]
fn no_command_follows_from_a_meter_that_gives_no_numbers() {
    for old in [true, false] {
        for fault in [Fault::NotANumber, Fault::AbsurdValues] {
            let mut sim = sim(1000, "", "", firmware(old, params(1)));
            house::run_s(&mut sim, 60);
            settled(&sim, "before");
            let told = [1, 2].map(|k| battery_w(&sim)[k].abs());
            faults(&sim).set(0, fault);
            for second in 0..64 {
                house::run_s(&mut sim, 1);
                let now = [1, 2].map(|k| battery_w(&sim)[k].abs());
                assert!(now[0] <= told[0] + BAND_W && now[1] <= told[1] + BAND_W, "old {old}, {fault:?}: {now:?} W after {second} s");
            }
            assert!(battery_w(&sim)[1..].iter().all(|w| w.abs() <= REST_W), "old {old}, {fault:?}: {:?} W", battery_w(&sim));
            assert_eq!(sim.control().decision().mode, Mode::Fallback, "old {old}, {fault:?}");
        }
    }
}

#[test]
fn battery_a_under_an_unreachable_meter_is_left_to_its_own_timeout_only_if_it_cannot_be_written() {
    let mut sim = sim(1000, "", "", params(1));
    house::run_s(&mut sim, 60);
    faults(&sim).set(0, Fault::Exception(4));
    house::run_s(&mut sim, 400);
    // Nothing can be written to A, and its setpoint expires after 300 s.
    assert!(battery_w(&sim)[1].abs() <= REST_W && battery_w(&sim)[2].abs() <= REST_W, "{:?}", battery_w(&sim));
    faults(&sim).clear_all(0);
    house::run_s(&mut sim, 90);
    settled(&sim, "after");
}

#[test]
fn outages_of_any_length_at_any_poll_period() {
    for poll_ms in [200, 1000, 5000] {
        for outage_s in [2, 5, 12, 25, 600] {
            let mut sim = sim(poll_ms, "", "", params(2));
            house::run_s(&mut sim, 120);
            settled(&sim, &format!("poll {poll_ms}"));
            let before = setpoint_writes(&sim);
            // Reads of the meter are lost; writes to the same battery get through as well as they can.
            faults(&sim).set(0, Fault::Silent);
            let start = sim.now().as_ms();
            let limit = fallback_ms(u64::from(poll_ms)) + DEVICE_MS;
            while sim.now().as_ms() < start + outage_s * 1000 {
                let next = sim.now().as_ms() + 100;
                sim.run_until(Time::from_ms(next));
                let since = sim.now().as_ms() - start;
                if since > limit.min(60_000) {
                    let w = battery_w(&sim);
                    assert!(w[1].abs() <= REST_W && w[2].abs() <= REST_W, "poll {poll_ms}: {w:?} W {since} ms after the loss");
                }
            }
            faults(&sim).clear_all(0);
            if outage_s <= 2 {
                assert!(setpoint_writes(&sim) <= before + 6, "a short outage made {} writes", setpoint_writes(&sim) - before);
            }
            house::run_s(&mut sim, 30.max(u64::from(poll_ms) * 8 / 1000) + 40);
            settled(&sim, &format!("poll {poll_ms}, after {outage_s} s"));
        }
    }
}

#[test]
fn a_frozen_meter_is_found_and_a_calm_one_is_not() {
    for registers in [false, true] {
        let moving = house_that_moves(5);
        let mut sim = sim(1000, "", "", house::params(3, moving, 600));
        house::run_s(&mut sim, 120);
        let fault = if registers { Fault::FrozenRegisters } else { Fault::FrozenMeter };
        faults(&sim).set(0, fault);
        let took = until(&mut sim, 90, |sim| battery_w(sim)[1..].iter().all(|w| w.abs() <= REST_W));
        assert!(took.is_some_and(|ms| ms <= 60_000 + DEVICE_MS), "{fault:?}: {took:?} {:?}", battery_w(&sim));
        assert!(sim.control().core().alarms().holds(Alarm::MeterFrozen), "{fault:?}");
        clear(&sim);
        sim.site().set_house(House::Fixed(LOADS));
        house::run_s(&mut sim, 90);
        settled(&sim, &format!("after {fault:?}"));
    }
}

/// Unit 64 for the total with unit 40 for the phases, or unit 100 for both.
fn firmware(old: bool, params: SiteParams) -> SiteParams {
    house::with_sax(params, |_, sax| sax.banks = Banks { basic: true, extended: old, sunspec: !old })
}

/// Never later than 60 s, whatever the poll periods are, wherever the phases are read, and although nothing moves.
#[test]
fn a_meter_frozen_over_constant_loads_ends_in_the_fallback_too() {
    for old in [true, false] {
        for (poll_ms, phase_poll_ms) in [(200, 30_000), (1000, 1000), (1000, 30_000), (1000, 60_000), (5000, 30_000), (5000, 60_000)] {
            for into_the_period_ms in [0, 13_000, 29_500] {
                let text =
                    house::config_text(poll_ms, "", "").replace("phase_poll_ms = 30000", &format!("phase_poll_ms = {phase_poll_ms}"));
                let mut sim = Simulation::new(&house::parse(&text), &house::library(), firmware(old, params(4)));
                sim.run_until(Time::from_ms(180_000 + into_the_period_ms));
                faults(&sim).set(0, Fault::FrozenMeter);
                let took = until(&mut sim, 120, at_rest);
                let case = format!("old {old}, polls {poll_ms} and {phase_poll_ms} ms, {into_the_period_ms} ms in");
                assert!(took.is_some_and(|ms| ms <= 60_000), "{case}: {took:?} {:?} {:?}", battery_w(&sim), sim.control().decision().mode);
            }
        }
    }
}

#[test]
fn a_calm_night_trips_nothing() {
    for old in [true, false] {
        let night = house::params(4, House::Fixed([120, 90, 60]), 600);
        let mut sim = sim(1000, "", "", firmware(old, night));
        house::run_s(&mut sim, 60);
        for _ in 0..600 {
            house::run_s(&mut sim, 6);
            assert!(matches!(sim.control().decision().mode, Mode::Run { .. }), "{:?} at {:?}", sim.control().decision().mode, sim.now());
            assert_eq!(sim.control().core().alarms().active().count(), 0);
        }
    }
}

#[test]
fn without_battery_a_there_is_no_meter() {
    let mut sim = sim(1000, "", "", params(5));
    house::run_s(&mut sim, 60);
    sim.site().reboot(0, 300_000);
    let took = until(&mut sim, 60, at_rest);
    assert!(took.is_some_and(|ms| ms <= fallback_ms(1000) + DEVICE_MS), "{took:?}");
    house::run_s(&mut sim, 300);
    settled(&sim, "after battery A came back");
}

#[test]
fn without_battery_c_the_others_go_on() {
    let mut sim = sim(1000, "", "", params(6));
    house::run_s(&mut sim, 60);
    sim.site().reboot(2, 120_000);
    for _ in 0..110 {
        house::run_s(&mut sim, 1);
        let grid = grid_w(&sim);
        assert!(grid[0].abs() <= BAND_W && grid[1].abs() <= BAND_W, "{grid:?}");
    }
    assert!(sim.control().core().alarms().holds(Alarm::BatteryLost(2)));
    assert!((grid_w(&sim)[2] - LOADS[2]).abs() <= BAND_W, "{:?}", grid_w(&sim));
    let before = sim.site().writes(2);
    house::run_s(&mut sim, 60);
    settled(&sim, "after battery C came back");
    assert!(sim.site().writes(2) > before, "its setpoint was not written again");
    assert!(!sim.control().core().alarms().holds(Alarm::BatteryLost(2)));
}

#[test]
fn a_restarted_battery_is_told_again() {
    for k in [1, 2] {
        let mut sim = sim(1000, "", "", params(7));
        house::run_s(&mut sim, 60);
        let before = sim.site().writes(k);
        sim.site().reboot(k, 1500);
        house::run_s(&mut sim, 30);
        settled(&sim, &format!("battery {k}"));
        assert!(sim.site().writes(k) > before, "battery {k}: its setpoint was not written again");
    }
}

#[test]
fn fallback_release_hands_the_batteries_back() {
    let mut sim = sim(1000, "fallback = \"release\"", "", params(8));
    house::run_s(&mut sim, 60);
    faults(&sim).set(0, Fault::Exception(4));
    house::run_s(&mut sim, 60);
    faults(&sim).clear_all(0);
    assert!(matches!(sim.control().decision().mode, Mode::Fallback));
    for k in 1..3 {
        let control = sim.site().battery(k).map(|b| b.control(sim.now().as_ms()));
        assert!(
            !matches!(control, Some(sax_controller::plant::battery::Control::Commanded { power_w, .. }) if power_w != 0),
            "battery {k}: {control:?}"
        );
    }
    house::run_s(&mut sim, 90);
    settled(&sim, "after");
}

#[test]
fn observe_never_writes() {
    let text = house::config_text(1000, "", "").replace("self-consumption", "observe");
    let mut sim = Simulation::new(&house::parse(&text), &house::library(), house::params(9, house_that_moves(9), 600));
    house::run_s(&mut sim, 120);
    faults(&sim).set(0, Fault::Silent);
    house::run_s(&mut sim, 90);
    faults(&sim).clear_all(0);
    sim.site().reboot(1, 5000);
    house::run_s(&mut sim, 120);
    sim.stop();
    assert_eq!(sim.site().events().count(), 0);
}

#[test]
fn limits_mode_balances_by_itself_and_ends_in_the_fallback_limits() {
    let more = "fallback_charge_w = 300\nfallback_discharge_w = 500";
    let mut sim = sim(1000, more, "control = \"limits\"", params(10));
    house::run_s(&mut sim, 90);
    settled(&sim, "limits");
    faults(&sim).set(0, Fault::Exception(4));
    house::run_s(&mut sim, 60);
    for k in 1..3 {
        let limits = sim.site().battery(k).map(|b| b.limits_w(60_000));
        assert_eq!(limits, Some((500, 300)), "battery {k}");
        assert!(battery_w(&sim)[k] <= 510, "battery {k}: {} W", battery_w(&sim)[k]);
    }
    faults(&sim).clear_all(0);
    house::run_s(&mut sim, 90);
    settled(&sim, "limits, after");
}

#[test]
fn a_wrong_setpoint_encoding_is_noticed() {
    for (expects, config) in [(Encoding41::Offset, "int16"), (Encoding41::Plain, "offset")] {
        let p = house::with_sax(params(11), |_, sax| sax.encoding_41 = expects);
        let p = house::with_sax(p, |_, sax| sax.banks.sunspec = false);
        let mut sim = sim(1000, "", &format!("setpoint_encoding = \"{config}\""), p);
        let took = until(&mut sim, 90, |sim| (0..3).any(|k| sim.control().core().alarms().holds(Alarm::NotFollowed(k))));
        println!("{expects:?} told as {config}: {took:?}, {:?}", battery_w(&sim));
        assert!(took.is_some_and(|ms| ms <= 75_000), "{expects:?} told as {config}: {took:?}, {:?}", battery_w(&sim));
    }
}

/// Silence at the start says nothing about a bank: once something answers, the silent ones are asked again.
#[test]
fn a_device_that_is_silent_at_the_start_is_used_later() {
    for silent_ms in (0..200).step_by(10) {
        let mut sim = sim(1000, "", "", firmware(true, params(8)));
        (0..3).for_each(|k| faults(&sim).set(k, Fault::Silent));
        sim.run_until(Time::from_ms(silent_ms));
        clear(&sim);
        house::run_s(&mut sim, 60);
        settled(&sim, &format!("{silent_ms} ms of silence"));
    }
}

/// Nor does nonsense in the moment in which the banks are looked for: the phases are looked for again.
#[test]
fn a_device_that_talks_nonsense_at_the_start_is_used_later() {
    for (balance, nonsense) in [("sum", Fault::AbsurdValues), ("per-phase", Fault::AbsurdValues), ("per-phase", Fault::NotANumber)] {
        for until_ms in [100, 1000, 8000, 40_000] {
            let text = house::config_text(1000, "", "").replace("[site]", &format!("[site]\nbalance = \"{balance}\""));
            let mut sim = Simulation::new(&house::parse(&text), &house::library(), firmware(false, params(8)));
            faults(&sim).set(0, nonsense);
            sim.run_until(Time::from_ms(until_ms));
            clear(&sim);
            house::run_s(&mut sim, 90);
            let grid_w = grid_w(&sim);
            assert!(grid_w.iter().sum::<i64>().abs() <= 2 * BAND_W, "{balance}, {nonsense:?} until {until_ms} ms: {grid_w:?}");
            assert!(!sim.control().core().phases_are_apportioned(), "{balance}, {nonsense:?} until {until_ms} ms: no phases");
        }
    }
}

/// A battery that cannot be used is asked again now and then, not all the time.
#[test]
fn a_battery_without_a_usable_bank_is_left_alone_for_a_while() {
    let only_sunspec = house::with_sax(params(9), |k, sax| {
        sax.banks = if k == 1 { Banks { basic: false, extended: false, sunspec: true } } else { sax.banks };
    });
    let text = house::config_text(1000, "", "control = \"limits\"");
    let mut sim = Simulation::new(&house::parse(&text), &house::library(), only_sunspec);
    house::run_s(&mut sim, 300);
    let asked: u64 = [64, 40, 100].map(|unit| sim.site().requests(1, unit)).iter().sum();
    assert!((3..=80).contains(&asked), "{asked} requests in five minutes");
    assert!(sim.control().core().alarms().holds(Alarm::BatteryLost(1)));
}

/// A single unit stays one, whatever the installer allows it to discharge.
#[test]
fn a_low_rating_does_not_make_a_cluster() {
    let mut sim = sim(1000, "", "max_discharge_w = 1500", firmware(false, house::params(9, House::Fixed([800, 700, 600]), 600)));
    house::run_s(&mut sim, 60);
    settled(&sim, "max_discharge_w = 1500");
    assert!(sim.site().events().any(|e| e.address == 40049), "the SunSpec bank is not used");
}

/// Two batteries on a phase: when one is lost, the other goes on, whatever the lost one had been told before.
#[test]
fn a_lost_battery_does_not_blind_its_neighbour() {
    let loads = House::Trace(vec![(0, [0, -1500, 0]), (60_000, [0, 3800, 0]), (120_000, [0, 500, 0]), (200_000, [0, 2500, 0])]);
    let text = house::config_text(1000, "", "").replace("phase = \"L3\"", "phase = \"L2\"");
    let mut site = house::params(10, loads, 600);
    site.batteries[2].0.phase = sax_controller::units::Phase::L2.into();
    let mut sim = Simulation::new(&house::parse(&text), &house::library(), site);
    house::run_s(&mut sim, 150);
    settled(&sim, "both");
    sim.site().reboot(2, 600_000);
    house::run_s(&mut sim, 40);
    settled(&sim, "after the loss");
    house::run_s(&mut sim, 40);
    settled(&sim, "after a step");
}
