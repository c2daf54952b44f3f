//! Simulated devices that answer by their profiles, asked through the real decoder.

use std::sync::{Arc, Mutex};

use modbus::Client;
use sax_controller::device::library::Library;
use sax_controller::device::quantity::Quantity;
use sax_controller::device::{bms, decode, plan, status};
use sax_controller::plant::battery::Control;
use sax_controller::plant::battery_params::{BatteryParams, SaxParams, Wiring};
use sax_controller::plant::client::SimLink;
use sax_controller::plant::device::{DeviceParams, Serves};
use sax_controller::plant::house::House;
use sax_controller::plant::site::{Site, SiteParams};

const HOST: usize = 1;

/// A three-phase battery of 50 kW behind this profile, in a house of 3, 2 and 1 kW.
fn site_with(name: &str, serves: Serves) -> (Arc<Mutex<Site>>, SimLink, sax_controller::device::profile::Profile) {
    let library = Library::built_in().unwrap();
    let profile = library.profile(name).unwrap().with_settings(&Vec::new());
    let battery = BatteryParams {
        capacity_wh: 100_000,
        max_charge_w: 50_000,
        max_discharge_w: 50_000,
        own_meter: false,
        reading_noise_w: 0,
        setpoint_timeout_s: 10,
        ..BatteryParams::on(Wiring::All)
    };
    let mut params = SiteParams::new(1, House::Fixed([3000, 2000, 1000]), &[]);
    params.meter.noise_w = 0;
    params.batteries = vec![(battery, SaxParams::default())];
    let unit = profile.unit;
    params.devices = vec![DeviceParams { host: HOST, unit, profile: Arc::new(profile.clone()), serves, offset: 0, patience_ms: 10_000 }];
    let site = Arc::new(Mutex::new(Site::new(params)));
    let mut link = SimLink::new(Arc::clone(&site), HOST);
    link.set_uid(unit);
    (site, link, profile)
}

fn read(link: &mut SimLink, profile: &sax_controller::device::profile::Profile) -> decode::Registers {
    let mut registers = decode::Registers::default();
    for block in plan::requests(profile, |_| true).iter().chain(&profile.blocks) {
        let values = match block.function {
            4 => link.read_input_registers(block.address, block.count),
            _ => link.read_holding_registers(block.address, block.count),
        };
        registers.add(block, values.unwrap_or_else(|e| panic!("{}: {block:?}: {e}", profile.name)));
    }
    registers
}

fn advance(site: &Arc<Mutex<Site>>, ms: u64) {
    site.lock().unwrap().advance_to(ms);
}

#[test]
fn meters_say_what_is_true() {
    for name in ["acuvim2", "acuvim2-float"] {
        let (site, mut link, profile) = site_with(name, Serves::Meter);
        advance(&site, 5000);
        let registers = read(&mut link, &profile);
        let value = |q| decode::value(&profile, &registers, q);
        assert_eq!(value(Quantity::GridPower), Some(6000), "{name}");
        let volts = site.lock().unwrap().meter_reading().voltage_mv[1];
        let said = value(Quantity::GridVoltageOf(1)).unwrap();
        assert!((said - volts).abs() <= 100, "{name}: {said} mV, {volts} mV");
        assert!(link.write_single_register(profile.blocks[0].address, 1).is_err(), "{name}: a meter takes no writes");
    }
}

#[test]
fn registers_that_the_profile_does_not_know_are_refused() {
    let (site, mut link, _) = site_with("powerpack", Serves::Battery(0));
    advance(&site, 1000);
    assert!(link.read_holding_registers(2000, 10).is_ok());
    assert!(link.read_holding_registers(2005, 10).is_err(), "beyond what is there");
    assert!(link.read_input_registers(2000, 1).is_err(), "with another function");
    assert!(link.write_single_register(2001, 1).is_err());
    assert!(link.write_multiple_registers(2008, &[5]).is_err(), "one that is written with function 6");
    link.set_uid(77);
    assert!(link.read_holding_registers(2000, 1).is_err(), "nobody has this unit");
}

#[test]
fn a_powerpack_is_ready_and_takes_whole_kilowatts() {
    let (site, mut link, profile) = site_with("powerpack", Serves::Battery(0));
    advance(&site, 1000);
    let registers = read(&mut link, &profile);
    let judged = status::judge(&profile, &registers);
    assert!(judged.may_charge && judged.may_discharge && judged.notices.is_empty(), "{judged:?}");
    assert_eq!(decode::value(&profile, &registers, Quantity::Soc), Some(400));
    link.write_single_register(2008, 5).unwrap();
    advance(&site, 6000);
    assert_eq!(site.lock().unwrap().battery_w(0), 5000);
    let registers = read(&mut link, &profile);
    assert_eq!(decode::value(&profile, &registers, Quantity::Power), Some(5000));
    link.write_single_register(2008, (-3_i16) as u16).unwrap();
    advance(&site, 11_000);
    assert_eq!(site.lock().unwrap().battery_w(0), -3000);
}

#[test]
fn a_tesla_wants_its_mode_and_its_heartbeat() {
    let (site, mut link, _) = site_with("tesla", Serves::Battery(0));
    let control = |site: &Arc<Mutex<Site>>| {
        let site = site.lock().unwrap();
        site.battery(0).unwrap().control(site.now_ms())
    };
    let power = |watts: i32| [(watts as u32 >> 16) as u16, watts as u16];
    advance(&site, 1000);
    link.write_multiple_registers(1001, &[1]).unwrap();
    link.write_multiple_registers(1022, &[0xAA55]).unwrap();
    link.write_multiple_registers(1020, &power(7000)).unwrap();
    link.write_multiple_registers(1023, &[10]).unwrap();
    assert_eq!(control(&site), Control::OwnMeter, "not in direct mode yet");
    link.write_multiple_registers(1000, &[1]).unwrap();
    assert!(matches!(control(&site), Control::Commanded { power_w: 7000, .. }), "the mode makes the power count");
    advance(&site, 8000);
    assert_eq!(site.lock().unwrap().battery_w(0), 7000);
    // The same heartbeat again is none, so a setpoint after the timeout does not count.
    advance(&site, 12_000);
    link.write_multiple_registers(1022, &[0xAA55]).unwrap();
    link.write_multiple_registers(1020, &power(8000)).unwrap();
    advance(&site, 15_000);
    assert_eq!((control(&site), site.lock().unwrap().battery_w(0)), (Control::OwnMeter, 0), "it stopped by itself");
    link.write_multiple_registers(1022, &[0x55AA]).unwrap();
    link.write_multiple_registers(1020, &power(-8000)).unwrap();
    advance(&site, 20_000);
    assert_eq!(site.lock().unwrap().battery_w(0), -8000);
    assert!(link.write_multiple_registers(1022, &[1]).is_err(), "no heartbeat that it knows");
}

#[test]
fn an_array_that_is_well_allows_both_and_says_so() {
    let (site, mut link, profile) = site_with("sbau", Serves::Bms(0));
    site.lock().unwrap().set_wall_s(1_767_571_200); // 2026-01-05 00:00 UTC
    advance(&site, 61_000);
    let said = bms::read(&profile, &read(&mut link, &profile));
    assert!(said.may_charge && said.may_discharge && said.notices.is_empty(), "{said:?}");
    assert_eq!((said.soc_pm, said.clock_s), (Some(399), Some(1_767_571_200 + 61)), "{said:?}");
    assert!(said.voltage_mv.is_some_and(|mv| (300_000..350_000).contains(&mv)) && said.current_ma == Some(0), "{said:?}");
    // Discharging: 1101 and 1131 agree.
    site.lock().unwrap().battery_mut(0).unwrap().command(61_000, 10_000);
    advance(&site, 66_000);
    let said = bms::read(&profile, &read(&mut link, &profile));
    assert!(said.notices.is_empty() && said.current_ma.is_some_and(|ma| (29_000..33_000).contains(&ma)), "{said:?}");
}

#[test]
fn a_sunspec_battery_has_its_chain_and_wants_a_heartbeat() {
    let (site, mut link, profile) = site_with_chain();
    advance(&site, 20_000);
    assert_eq!(link.read_holding_registers(40_000, 2).unwrap(), [0x5375, 0x6E53]);
    assert_eq!(link.read_holding_registers(40_002, 2).unwrap(), [1, 66]);
    assert_eq!(link.read_holding_registers(40_070, 2).unwrap(), [802, 62]);
    assert_eq!(link.read_holding_registers(40_134, 1).unwrap(), [0xFFFF]);
    let here = profile.shifted(40_070);
    let said = bms::read(&here, &read(&mut link, &here));
    assert_eq!((said.soc_pm, said.alive, said.charge_limit_ma), (Some(399), Some(20), Some(0)), "nobody is there: {said:?}");
    link.write_multiple_registers(40_089, &[1]).unwrap();
    let said = bms::read(&here, &read(&mut link, &here));
    // 50 kW at 96 x 3.28 V, and a fifth more.
    assert!(said.charge_limit_ma.is_some_and(|ma| (180_000..200_000).contains(&ma)), "{said:?}");
    assert!(said.may_charge && said.may_discharge && said.notices.is_empty(), "{said:?}");
    advance(&site, 31_000);
    assert_eq!(bms::read(&here, &read(&mut link, &here)).discharge_limit_ma, Some(0), "the heartbeat has stopped");
}

fn site_with_chain() -> (Arc<Mutex<Site>>, SimLink, sax_controller::device::profile::Profile) {
    site_with("sunspec-802", Serves::Bms(0))
}
