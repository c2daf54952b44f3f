//! The simulated charger and its car: limits, pauses, the contactor, silence, and a restart.

use std::sync::{Arc, Mutex};

use modbus::Client;
use sax_controller::device::library::Library;
use sax_controller::plant::car::CarParams;
use sax_controller::plant::charger::{ChargerParams, ChargerState, Told, Written};
use sax_controller::plant::client::SimLink;
use sax_controller::plant::device::{DeviceParams, Serves};
use sax_controller::plant::house::House;
use sax_controller::plant::site::{Integrals, Site, SiteParams};

const CAR: CarParams =
    CarParams { phases: [true; 3], most_ma: 16_000, plug_ms: 10_000, need_wh: 60_000, again_ms: None, follow_ms: 3_000, resume_ms: 15_000 };

fn params(car: CarParams) -> SiteParams {
    let profile = Library::built_in().unwrap().profile("abb-terra-ac").unwrap().with_settings(&Vec::new());
    let mut params = SiteParams::new(1, House::Fixed([500, 500, 500]), &[]);
    params.chargers = vec![ChargerParams { car, ..ChargerParams::default() }];
    let serves = Serves::Charger(0);
    params.devices = vec![DeviceParams { host: 0, unit: 1, profile: Arc::new(profile), serves, offset: 0, patience_ms: 0 }];
    params
}

/// A charger that is asked often enough, and this car.
fn site_with(car: CarParams) -> Site {
    let mut site = Site::new(params(car));
    tell(&mut site, Written::TimeoutS(u16::MAX));
    site
}

fn tell(site: &mut Site, what: Written) {
    let at_ms = site.now_ms();
    site.charger_mut(0).unwrap().tell(Told { at_ms, what });
}

fn state(site: &Site) -> ChargerState {
    site.charger(0).unwrap().state(site.now_ms())
}

#[test]
fn a_car_follows_the_limit_late_and_with_a_ramp() {
    let mut site = site_with(CAR);
    tell(&mut site, Written::LimitMa(10_000));
    site.advance_to(9_990);
    assert_eq!(state(&site), ChargerState::Free);
    site.advance_to(24_990);
    assert_eq!((state(&site), site.cars_ma()), (ChargerState::Paused, [0; 3]));
    // 15 s after it was plugged in; then 4 A/s.
    site.advance_to(26_000);
    assert_eq!((state(&site), site.cars_ma()), (ChargerState::Charging, [4_000; 3]));
    site.advance_to(30_000);
    assert_eq!(site.cars_ma(), [10_000; 3]);
    assert_eq!(site.grid_w(), [2_800; 3], "230 V, on top of the house");

    // Lowered: nothing for 3 s, then 8 A/s. More than the car can take: its own limit.
    tell(&mut site, Written::LimitMa(6_000));
    site.advance_to(33_000);
    assert_eq!(site.cars_ma(), [10_000; 3]);
    site.advance_to(33_250);
    assert_eq!(site.cars_ma(), [8_000; 3]);
    site.advance_to(34_000);
    assert_eq!(site.cars_ma(), [6_000; 3]);
    tell(&mut site, Written::LimitMa(32_000));
    site.advance_to(45_000);
    assert_eq!(site.cars_ma(), [16_000; 3]);
}

#[test]
fn below_six_amperes_it_pauses_and_the_contactor_counts() {
    let mut site = site_with(CarParams { phases: [false, true, false], plug_ms: 0, ..CAR });
    site.advance_to(30_000);
    assert_eq!((site.cars_ma(), site.charger(0).unwrap().switches()), ([0, 16_000, 0], 1));
    tell(&mut site, Written::LimitMa(5_999));
    site.advance_to(36_000);
    assert_eq!((site.cars_ma(), site.charger(0).unwrap().switches()), ([0; 3], 2));
    tell(&mut site, Written::LimitMa(6_000));
    site.advance_to(50_900);
    assert_eq!(site.cars_ma(), [0; 3], "10 to 30 s from pause to charge");
    site.advance_to(60_000);
    assert_eq!((site.cars_ma(), site.charger(0).unwrap().switches()), ([0, 6_000, 0], 3));
}

#[test]
fn it_ends_when_the_car_has_what_it_needs() {
    let mut site = site_with(CarParams { need_wh: 300, plug_ms: 0, again_ms: Some(600_000), ..CAR });
    site.advance_to(590_000);
    let charger = site.charger(0).unwrap();
    assert!((300..=305).contains(&charger.car().charged_wh()), "{} Wh", charger.car().charged_wh());
    assert_eq!((state(&site), charger.switches()), (ChargerState::Connected, 2));
    let load: i64 = site.integrals().load.iter().sum();
    assert!((load / 360_000_000 - 1500 * 590 / 3600 - 300).abs() <= 6, "the car is part of the load");
    site.advance_to(660_000);
    assert_eq!(state(&site), ChargerState::Charging, "it wants more the next time");
}

#[test]
fn left_alone_it_falls_to_its_fallback_until_it_is_told_a_limit() {
    let mut site = Site::new(params(CarParams { plug_ms: 0, ..CAR }));
    tell(&mut site, Written::FallbackA(7));
    tell(&mut site, Written::LimitMa(12_000));
    site.advance_to(59_990);
    assert_eq!(site.charger(0).unwrap().in_force_ma(), 12_000);
    site.advance_to(70_000);
    assert_eq!((site.charger(0).unwrap().in_force_ma(), site.cars_ma()), (7_000, [7_000; 3]));
    site.charger_mut(0).unwrap().ask(70_000);
    site.advance_to(71_000);
    assert_eq!(site.charger(0).unwrap().in_force_ma(), 7_000);
    tell(&mut site, Written::LimitMa(12_000));
    site.advance_to(80_000);
    assert_eq!(site.cars_ma(), [12_000; 3]);
}

#[test]
fn without_a_fallback_it_is_an_error() {
    let mut site = Site::new(params(CarParams { plug_ms: 0, ..CAR }));
    site.advance_to(70_000);
    assert_eq!((state(&site), site.cars_ma()), (ChargerState::Error, [0; 3]));
    let site = Arc::new(Mutex::new(site));
    let mut link = SimLink::new(Arc::clone(&site), 0);
    link.set_uid(1);
    // Whoever asks ends it.
    link.read_holding_registers(0x4008, 2).unwrap();
    assert_eq!(state(&site.lock().unwrap()), ChargerState::Paused);
}

#[test]
fn a_restart_forgets_everything() {
    let mut site = site_with(CarParams { plug_ms: 0, ..CAR });
    tell(&mut site, Written::FallbackA(0));
    tell(&mut site, Written::LimitMa(8_000));
    site.advance_to(30_000);
    assert_eq!(site.cars_ma(), [8_000; 3]);
    site.reboot_charger(0, 20_000);
    site.advance_to(49_000);
    assert_eq!((site.cars_ma(), site.charger(0).unwrap().is_up(site.now_ms())), ([0; 3], false));
    site.advance_to(80_000);
    let charger = site.charger(0).unwrap();
    assert_eq!((charger.limit_ma(), charger.fallback_a(), charger.timeout_s()), (32_000, 256, 60));
    assert_eq!((site.cars_ma(), charger.switches()), ([16_000; 3], 3));
}

#[test]
fn all_writes_count_although_only_the_newest_are_remembered() {
    let mut site = Site::new(params(CAR));
    (0..10_005).for_each(|ma| tell(&mut site, Written::LimitMa(ma)));
    let charger = site.charger(0).unwrap();
    assert_eq!((charger.writes(), charger.told().len(), charger.limit_ma()), (10_005, 10_000, 10_004));
}

#[test]
fn it_takes_what_its_profile_says_and_nothing_else() {
    let site = Arc::new(Mutex::new(Site::new(SiteParams {
        chargers: vec![ChargerParams { missing: vec![0x4024, 0x4109], ..ChargerParams::default() }],
        ..params(CAR)
    })));
    let mut link = SimLink::new(Arc::clone(&site), 0);
    link.set_uid(1);
    link.write_multiple_registers(0x4100, &[0, 15_000]).unwrap();
    link.write_single_register(0x4106, 90).unwrap();
    assert_eq!(link.read_holding_registers(0x4020, 4).unwrap(), [90, 0, 0, 15_000]);
    for refused in [
        link.write_single_register(0x4100, 6_000).is_err(),
        link.write_multiple_registers(0x4100, &[6_000]).is_err(),
        link.write_single_register(0x4105, 1).is_err(),
        link.write_single_register(0x4109, 6).is_err(),
        link.read_holding_registers(0x4024, 1).is_err(),
        link.read_holding_registers(0x4100, 2).is_err(),
    ] {
        assert!(refused);
    }
    assert_eq!(site.lock().unwrap().charger(0).unwrap().limit_ma(), 15_000);
}

#[test]
fn the_same_however_the_time_is_cut() {
    let run = |steps_ms: &[u64]| -> (Integrals, u64, i64) {
        let mut site = site_with(CarParams { need_wh: 200, again_ms: Some(97_000), resume_ms: 12_345, follow_ms: 2_505, ..CAR });
        let changes = [(20_000, 9_000), (40_010, 5_000), (61_000, 14_000), (90_000, 6_500), (120_000, 0), (150_000, 16_000)];
        let mut steps = steps_ms.iter().cycle();
        for (until_ms, limit_ma) in changes.into_iter().chain([(240_000, 0)]) {
            while site.now_ms() < until_ms {
                let step_ms = steps.next().unwrap();
                site.advance_to((site.now_ms() + step_ms).min(until_ms));
            }
            tell(&mut site, Written::LimitMa(limit_ma));
        }
        let charger = site.charger(0).unwrap();
        (site.integrals().clone(), charger.switches(), charger.car().charged_wh())
    };
    let one = run(&[300_000]);
    assert!(one.1 >= 4 && one.2 > 100, "{one:?}");
    for steps in [&[10][..], &[7, 1, 333], &[1000], &[20, 5000]] {
        assert_eq!(run(steps), one, "{steps:?}");
    }
}
