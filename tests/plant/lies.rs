//! What devices say that is not so, and connections that another client keeps.

use std::io::Read;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use modbus::{Client, Error};
use sax_controller::device::decode::{self, Registers};
use sax_controller::device::library::Library;
use sax_controller::device::quantity::Quantity;
use sax_controller::p1::{Checksum, Found, Reader, Telegram};
use sax_controller::plant::battery_params::{BatteryParams, SaxParams};
use sax_controller::plant::client::SimLink;
use sax_controller::plant::device::{DeviceParams, Serves};
use sax_controller::plant::faults::Fault;
use sax_controller::plant::house::House;
use sax_controller::plant::serve::LiveSite;
use sax_controller::plant::site::{Site, SiteParams};
use sax_controller::plant::telegram::sent;
use sax_controller::units::Phase;

/// A SAX battery as host 0 and a meter by this profile as host 1, in a house of 3, 2 and 1 kW.
fn site(meter: &str) -> (Arc<Mutex<Site>>, SimLink, SimLink, sax_controller::device::profile::Profile) {
    let profile = Library::built_in().unwrap().profile(meter).unwrap().with_settings(&Vec::new());
    let mut params = SiteParams::new(1, House::Fixed([3000, 2000, 1000]), &[]);
    params.meter.noise_w = 0;
    params.batteries = vec![(BatteryParams { own_meter: false, ..BatteryParams::ideal(Phase::L1) }, SaxParams::default())];
    let unit = profile.unit;
    let device = DeviceParams { host: 1, unit, profile: Arc::new(profile.clone()), serves: Serves::Meter, offset: 0, patience_ms: 0 };
    params.devices = vec![device];
    let mut site = Site::new(params);
    site.advance_to(5000);
    let site = Arc::new(Mutex::new(site));
    let mut meter = SimLink::new(Arc::clone(&site), 1);
    meter.set_uid(unit);
    (Arc::clone(&site), SimLink::new(site, 0), meter, profile)
}

fn total_w(link: &mut SimLink, profile: &sax_controller::device::profile::Profile) -> Option<i64> {
    let mut registers = Registers::default();
    for block in &profile.blocks {
        let values = if block.function == 4 {
            link.read_input_registers(block.address, block.count)
        } else {
            link.read_holding_registers(block.address, block.count)
        };
        registers.add(block, values.unwrap());
    }
    decode::value(profile, &registers, Quantity::GridPower)
}

/// The meter at the site's present time, over unit 64 of the battery and by its own profile.
fn said(sax: &mut SimLink, meter: &mut SimLink, profile: &sax_controller::device::profile::Profile) -> (i64, Option<i64>) {
    (i64::from(sax.read_holding_registers(48, 1).unwrap()[0]) - 16384, total_w(meter, profile))
}

#[test]
fn powers_get_the_other_sign() {
    for name in ["acuvim2", "acuvim2-float"] {
        let (site, mut sax, mut meter, profile) = site(name);
        let faults = site.lock().unwrap().faults();
        assert_eq!(said(&mut sax, &mut meter, &profile), (6000, Some(6000)), "{name}");
        (0..2).for_each(|host| faults.set(host, Fault::SignFlip));
        assert_eq!(said(&mut sax, &mut meter, &profile), (-6000, Some(-6000)), "{name}");
        (0..2).for_each(|host| faults.clear_all(host));
        assert_eq!(said(&mut sax, &mut meter, &profile), (6000, Some(6000)), "{name}");
    }
}

#[test]
fn what_is_not_a_number_is_none() {
    for name in ["acuvim2", "acuvim2-float"] {
        let (site, mut sax, mut meter, profile) = site(name);
        let faults = site.lock().unwrap().faults();
        (0..2).for_each(|host| faults.set(host, Fault::NotANumber));
        if name == "acuvim2-float" {
            assert_eq!(total_w(&mut meter, &profile), None, "{name}");
        }
        let mut patterns = Vec::new();
        for second in 8..12 {
            site.lock().unwrap().advance_to(second * 1000);
            patterns.push(sax.read_holding_registers(47, 2).unwrap());
        }
        assert_eq!(patterns, [[0x8000, 0x8000], [0xFFFF, 0xFFFF], [0x8000, 0], [0x7FC0, 0]]);
    }
}

#[test]
fn values_jump_inside_and_outside_of_what_can_be_and_sometimes_tell_the_truth() {
    let (site, _, mut meter, profile) = site("acuvim2-float");
    site.lock().unwrap().faults().set(1, Fault::Jumps);
    let (mut true_ones, mut possible, mut beyond) = (0, 0, 0);
    for n in 0..300 {
        site.lock().unwrap().advance_to(6000 + n * 400);
        // The decoder takes no such number from this device at all.
        let total_w = total_w(&mut meter, &profile).map_or(i64::MAX, i64::abs);
        true_ones += usize::from(total_w == 6000);
        possible += usize::from(total_w <= 60_000);
        beyond += usize::from(total_w > 200_000);
    }
    assert!(true_ones > 3 && possible > 60 && beyond > 150, "{true_ones} {possible} {beyond} of 300");
}

#[test]
fn a_stolen_connection_ends_and_every_new_one_too() {
    let (site, mut sax, _, _) = site("acuvim2");
    let faults = site.lock().unwrap().faults();
    assert!(sax.read_holding_registers(46, 1).is_ok());
    faults.set(0, Fault::Stolen);
    for _ in 0..3 {
        let error = sax.read_holding_registers(46, 1).unwrap_err();
        assert!(matches!(&error, Error::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof), "{error:?}");
    }
    faults.clear_all(0);
    assert!(sax.read_holding_registers(46, 1).is_ok());
}

#[test]
fn a_second_client_takes_the_one_connection_and_keeps_it() {
    let live = LiveSite::start(SiteParams::new(1, House::Fixed([0; 3]), &[Phase::L1]), 1).unwrap();
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", live.ports()[0])).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    };
    // Whoever is turned away reads the end of the connection, or a reset where it has said something.
    let is_over = |stream: &mut TcpStream| !matches!(stream.read(&mut [0]), Ok(1));
    let mut first = connect();
    live.faults().set(0, Fault::Stolen);
    assert!(is_over(&mut first), "the connection there was ends");
    for _ in 0..3 {
        assert!(is_over(&mut connect()), "there is no other one");
    }
    live.faults().clear_all(0);
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let mut stream = connect();
        let asked = std::io::Write::write_all(&mut stream, &[0x12, 0x34, 0, 0, 0, 6, 64, 3, 0, 46, 0, 1]);
        if asked.is_ok() && matches!(stream.read(&mut [0]), Ok(1)) {
            return;
        }
        assert!(Instant::now() < until, "it never comes back");
    }
}

fn read(bytes: &[u8]) -> Vec<Telegram> {
    let mut read = Vec::new();
    Reader::new(Checksum::Arc).feed(bytes, &mut |found| {
        if let Found::Telegram(telegram, _) = found {
            read.push(*telegram);
        }
    });
    read
}

#[test]
fn faults_of_the_p1_port() {
    let (site, ..) = site("acuvim2");
    let faults = site.lock().unwrap().faults();
    let host = site.lock().unwrap().p1_host();
    let now = || sent(&site.lock().unwrap());
    assert_eq!(read(&now().unwrap().unwrap())[0].power_w(), Some(6000));
    let with = |fault: Fault| {
        faults.set(host, fault);
        let outcome = now();
        faults.clear_all(host);
        outcome
    };
    assert!(with(Fault::Refuse).is_err());
    assert_eq!(with(Fault::Silent).unwrap(), None);
    assert_eq!(read(&with(Fault::SignFlip).unwrap().unwrap())[0].power_w(), Some(-6000));
    assert!(read(&with(Fault::NotANumber).unwrap().unwrap()).first().is_none_or(|telegram| telegram.power_w().is_none()));
    for damage in [Fault::HalfFrame, Fault::Garbage, Fault::BitError { permille: 1000 }] {
        assert!(read(&with(damage).unwrap().unwrap()).is_empty(), "{damage:?}");
    }
    assert_eq!(read(&now().unwrap().unwrap())[0].power_w(), Some(6000));
}
