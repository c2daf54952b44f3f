//! What the simulated battery answers, against the vectors of facts/sax.md section 5, and faults as a link in virtual time sees them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use modbus::{Client, Error, ExceptionCode};
use sax_controller::link::Link;
use sax_controller::modbus::pdu::{Reply, Request};
use sax_controller::plant::battery_params::{Absent, Banks, BatteryParams, Encoding41, SaxParams};
use sax_controller::plant::client::SimLink;
use sax_controller::plant::faults::Fault;
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::sax::{Answer, answer};
use sax_controller::plant::site::{Site, SiteParams};
use sax_controller::units::Phase;

fn site_of(sax: SaxParams, house_w: [i64; 3]) -> Site {
    let meter = MeterParams { noise_w: 0, latency_ms: 0, ..MeterParams::default() };
    let batteries = vec![(BatteryParams::ideal(Phase::L2), sax)];
    Site::new(SiteParams { meter, batteries, ..SiteParams::new(1, House::Fixed(house_w), &[]) })
}

fn read(site: &mut Site, unit: u8, address: u16, count: u16) -> Vec<u16> {
    match answer(site, 0, unit, &Request::ReadHoldingRegisters { address, count }) {
        Answer::Reply(Reply::HoldingRegisters { values }) => values,
        other => panic!("{unit}/{address}: {other:?}"),
    }
}

fn write(site: &mut Site, unit: u8, address: u16, values: &[u16]) -> Answer {
    answer(site, 0, unit, &Request::WriteMultipleRegisters { address, values: values.to_vec() })
}

fn exception(function: u8, code: u8) -> Answer {
    Answer::Reply(Reply::Exception { function, code })
}

/// Two's complement vectors of facts/sax.md 5.4.
#[test]
fn basic_mode_vectors() {
    for (power_w, raw_41, offset_41, raw_47) in
        [(0, 0, 16384, 16384), (4600, 0x11F8, 0x51F8, 20984), (-3500, 0xF254, 0x3254, 12884), (-1000, 0xFC18, 0x3C18, 0x3C18)]
    {
        for (encoding_41, raw) in [(Encoding41::Plain, raw_41), (Encoding41::Offset, offset_41)] {
            let mut site = site_of(SaxParams { encoding_41, ..SaxParams::default() }, [0; 3]);
            assert_eq!(write(&mut site, 64, 41, &[raw]), Answer::Reply(Reply::WrittenMultipleRegisters { address: 41, count: 1 }));
            site.advance_to(1000);
            assert_eq!(site.battery_w(0), power_w);
            assert_eq!(read(&mut site, 64, 47, 1), [raw_47]);
            assert_eq!(read(&mut site, 64, 41, 1), [raw]);
        }
    }
    let mut site = site_of(SaxParams::default(), [-2742, 2, 0]);
    write(&mut site, 64, 41, &[2]);
    site.advance_to(2000);
    assert_eq!(read(&mut site, 64, 45, 4), [2, 40, 16386, 13642], "the log of E#12870");
}

#[test]
fn basic_mode_takes_what_the_real_one_takes() {
    let mut site = site_of(SaxParams::default(), [0; 3]);
    let single = Request::WriteSingleRegister { address: 41, value: 100 };
    assert_eq!(answer(&mut site, 0, 64, &single), Answer::Silence);
    assert_eq!(write(&mut site, 64, 43, &[4600, 0]), Answer::Reply(Reply::WrittenMultipleRegisters { address: 43, count: 2 }));
    assert_eq!(read(&mut site, 64, 43, 2), [4600, 0], "a 32-bit value on 43 blocks charging");
    assert_eq!(write(&mut site, 64, 44, &[1, 2]), exception(16, 3));
    assert_eq!(write(&mut site, 64, 46, &[1]), exception(16, 2));
    assert_eq!(answer(&mut site, 0, 64, &Request::ReadInputRegisters { address: 46, count: 1 }), exception(4, 1));
    assert_eq!(answer(&mut site, 0, 64, &Request::ReadHoldingRegisters { address: 48, count: 2 }), exception(3, 2));
    assert_eq!(answer(&mut site, 0, 64, &Request::ReadHoldingRegisters { address: 40, count: 1 }), exception(3, 2));
    write(&mut site, 64, 45, &[1]);
    assert_eq!(read(&mut site, 64, 45, 1), [1]);
    assert_eq!((site.writes(0), site.requests(0, 64), site.events().count()), (3, 10, 3));

    let mut locked = site_of(SaxParams { limits_unlocked: false, reads_back: false, ..SaxParams::default() }, [0; 3]);
    assert_eq!(write(&mut locked, 64, 43, &[0]), exception(16, 2));
    assert_eq!(answer(&mut locked, 0, 64, &Request::ReadHoldingRegisters { address: 41, count: 6 }), exception(3, 2));
    assert_eq!(read(&mut locked, 64, 46, 1), [40]);
}

#[test]
fn absent_banks_are_silent_or_say_so() {
    let banks = Banks { basic: true, extended: false, sunspec: false };
    for (absent, expected) in [(Absent::Silence, Answer::Silence), (Absent::Exception, exception(3, 0x0B))] {
        let mut site = site_of(SaxParams { banks, absent, ..SaxParams::default() }, [0; 3]);
        for unit in [1, 40, 100] {
            assert_eq!(answer(&mut site, 0, unit, &Request::ReadHoldingRegisters { address: 40073, count: 1 }), expected);
        }
    }
}

/// Scales and signs of facts/sax.md 5.1: 10 W, export positive, currents as magnitudes.
#[test]
fn extended_mode_scales_and_signs() {
    let mut site = site_of(SaxParams::default(), [1150, 0, -560]);
    write(&mut site, 64, 41, &[180]);
    site.advance_to(2000);
    assert_eq!(read(&mut site, 40, 40085, 2), [18, 1]);
    assert_eq!(read(&mut site, 40, 40103, 3), [0xFF8D, 18, 56]);
    assert_eq!(read(&mut site, 40, 40110, 1), [(-41_i16) as u16], "1150 W in, 180 W and 560 W out");
    let amps = read(&mut site, 40, 40100, 3);
    assert!((490..510).contains(&amps[0]) && (235..250).contains(&amps[2]), "{amps:?}");
    let hertz = read(&mut site, 40, 40087, 1)[0];
    assert!((495..=505).contains(&hertz));
    assert_eq!(read(&mut site, 40, 40093, 1), [10]);
    assert_eq!(read(&mut site, 40, 40114, 2)[1], 7700);
    let own = read(&mut site, 40, 40073, 5);
    assert_eq!((own[1], own[3], own[4]), (0, 0, (-2_i16) as u16));
    assert!(own[0] == own[2] && own[0] > 70);
    assert_eq!(read(&mut site, 40, 40071, 47).len(), 47);
    assert_eq!(answer(&mut site, 0, 40, &Request::ReadHoldingRegisters { address: 40117, count: 2 }), exception(3, 2));
}

/// The identification of the trace in facts/sax.md 5.3, and the blocks of 1.3.
#[test]
fn sunspec_mode_image() {
    let mut site = site_of(SaxParams::default(), [1000, 0, -3000]);
    assert_eq!(read(&mut site, 100, 0x9C40, 3), [0x5375, 0x6E53, 1]);
    let trace = [1, 0xF, 0x5341, 0x5850, 0x4F57, 0x4552, 0x484F, 0x4D45, 0x2D20, 0x17, 0x38, 0x3BBF, 0x6920, 0x67, 0x20];
    assert_eq!(read(&mut site, 100, 0x9C42, 15), trace);
    assert_eq!(read(&mut site, 100, 0x9C55, 1), [0xFFFE]);
    site.advance_to(3000);
    let all = read(&mut site, 100, 40000, 115);
    assert_eq!([all[47], all[48], all[54], all[55], all[95], all[96]], [123, 7, 203, 41, 802, 20]);
    assert_eq!(all[72..77], [200, (-100_i16) as u16, 0, 300, 1], "10 W, export positive");
    assert_eq!([all[53], all[97], all[98], all[99], all[102]], [4600, 7700, 3500, 4600, 40]);
    assert_eq!(answer(&mut site, 0, 100, &Request::ReadHoldingRegisters { address: 0xAC28, count: 1 }), exception(3, 2));

    let mut at_zero = site_of(SaxParams { sunspec_base: 0, ..SaxParams::default() }, [0; 3]);
    assert_eq!(read(&mut at_zero, 100, 0, 2), [0x5375, 0x6E53]);
}

#[test]
fn sunspec_mode_setpoint() {
    let mut site = site_of(SaxParams::default(), [0, 1000, 0]);
    let single = |address, value| Request::WriteSingleRegister { address, value };
    answer(&mut site, 0, 100, &single(40049, (-5000_i16) as u16));
    site.advance_to(2000);
    assert_eq!(site.battery_w(0), 1000, "a setpoint does nothing in meter mode");
    answer(&mut site, 0, 100, &single(40050, 10));
    answer(&mut site, 0, 100, &single(40051, 1));
    site.advance_to(4000);
    assert_eq!((site.battery_w(0), read(&mut site, 100, 40049, 3)), (-2300, vec![(-5000_i16) as u16, 10, 1]));
    assert_eq!(read(&mut site, 100, 40029, 1), [(-2300_i16) as u16]);
    site.advance_to(13_000);
    assert_eq!((site.battery_w(0), read(&mut site, 100, 40051, 1)), (1000, vec![0]), "the timeout gives it back");
    assert_eq!(write(&mut site, 100, 40049, &[2500, 300, 1]), Answer::Reply(Reply::WrittenMultipleRegisters { address: 40049, count: 3 }));
    site.advance_to(14_000);
    assert_eq!(site.battery_w(0), 1150);
    for (address, value, code) in [(40049, 10_001, 3), (40050, 301, 3), (40051, 2, 3), (40052, 0, 2), (39_999, 0, 2), (40048, 0, 2)] {
        assert_eq!(answer(&mut site, 0, 100, &single(address, value)), exception(6, code), "{address}");
    }
}

#[test]
fn links_in_virtual_time_report_what_real_ones_report() {
    let site = Arc::new(Mutex::new(site_of(SaxParams::default(), [0; 3])));
    let faults = site.lock().unwrap().faults();
    let mut link = SimLink::new(Arc::clone(&site), 0);
    link.set_timeout(Duration::from_millis(500));
    assert_eq!(link.read_holding_registers(46, 2).unwrap(), [40, 16384]);
    assert_eq!(link.generation(), 1);
    let io = |e: Result<Vec<u16>, Error>| match e {
        Err(Error::Io(e)) => e.kind(),
        other => panic!("{other:?}"),
    };
    use std::io::ErrorKind::*;
    let ending = [
        (Fault::Silent, TimedOut),
        (Fault::Delay(500), TimedOut),
        (Fault::Trickle(100), TimedOut),
        (Fault::HalfFrame, TimedOut),
        (Fault::WrongLength, TimedOut),
        (Fault::LoseReply { permille: 1000 }, TimedOut),
        (Fault::LoseRequest { permille: 1000 }, TimedOut),
        (Fault::Reset, ConnectionReset),
        (Fault::Close, UnexpectedEof),
        (Fault::Refuse, ConnectionRefused),
    ];
    for (fault, kind) in ending {
        faults.set(0, fault);
        assert_eq!(io(link.read_holding_registers(46, 2)), kind, "{fault:?}");
        faults.clear(0, fault);
    }
    let odd = [
        Fault::Garbage,
        Fault::WrongId,
        Fault::WrongUnit,
        Fault::OtherFunction,
        Fault::TrailingBytes,
        Fault::ShortByOne,
        Fault::StaleReplay,
    ];
    for fault in odd {
        faults.set(0, fault);
        assert!(matches!(link.read_holding_registers(46, 2), Err(Error::InvalidResponse)), "{fault:?}");
        faults.clear_all(0);
    }
    faults.set(0, Fault::Exception(6));
    assert!(matches!(link.read_holding_registers(46, 2), Err(Error::Exception(ExceptionCode::SlaveOrServerBusy))));
    faults.clear_all(0);
    let counters = link.counters();
    assert_eq!((counters.timeout, counters.io, counters.invalid, counters.exception, counters.requests), (7, 3, 7, 1, 19));
    for fault in [Fault::Delay(10), Fault::Trickle(1)] {
        faults.set(0, fault);
        assert!(link.read_holding_registers(46, 2).is_ok());
    }
}

#[test]
fn lost_replies_were_carried_out_and_lost_requests_were_not() {
    let site = Arc::new(Mutex::new(site_of(SaxParams::default(), [0; 3])));
    let faults = site.lock().unwrap().faults();
    let mut link = SimLink::new(Arc::clone(&site), 0);
    faults.set(0, Fault::LoseRequest { permille: 1000 });
    assert!(link.write_multiple_registers(41, &[100]).is_err());
    assert_eq!(site.lock().unwrap().writes(0), 0);
    faults.clear_all(0);
    faults.set(0, Fault::LoseReply { permille: 1000 });
    assert!(link.write_multiple_registers(41, &[100]).is_err());
    assert_eq!(site.lock().unwrap().writes(0), 1);
    faults.clear_all(0);
    faults.set(0, Fault::LoseReply { permille: 200 });
    let lost = (0..1000).filter(|_| link.read_holding_registers(46, 1).is_err()).count();
    assert!((150..250).contains(&lost), "{lost} of 1000 lost");
}

#[test]
fn frozen_and_absurd_values_show() {
    let site = Arc::new(Mutex::new(site_of(SaxParams::default(), [500, 0, 0])));
    let faults = site.lock().unwrap().faults();
    let mut link = SimLink::new(Arc::clone(&site), 0);
    site.lock().unwrap().advance_to(2000);
    faults.set(0, Fault::FrozenMeter);
    assert_eq!(link.read_holding_registers(47, 2).unwrap(), [16384, 16884]);
    site.lock().unwrap().set_house(House::Fixed([0, 900, 0]));
    link.write_multiple_registers(41, &[50]).unwrap();
    site.lock().unwrap().advance_to(5000);
    assert_eq!(link.read_holding_registers(47, 2).unwrap(), [16434, 16884], "the battery moves, the meter does not");
    faults.set(0, Fault::FrozenRegisters);
    faults.clear(0, Fault::FrozenMeter);
    link.read_holding_registers(47, 1).unwrap();
    link.write_multiple_registers(41, &[200]).unwrap();
    site.lock().unwrap().advance_to(9000);
    assert_eq!(link.read_holding_registers(47, 2).unwrap(), [16434, 17234]);
    assert_eq!(site.lock().unwrap().battery_w(0), 200);
    faults.set(0, Fault::AbsurdValues);
    assert_eq!(link.read_holding_registers(46, 2).unwrap(), [0x7FFF, 0x7FFF]);
    faults.clear_all(0);
    assert_eq!(link.read_holding_registers(47, 2).unwrap(), [16584, 17084]);
}

#[test]
fn no_connection_survives_a_restart() {
    let site = Arc::new(Mutex::new(site_of(SaxParams::default(), [0; 3])));
    let mut link = SimLink::new(Arc::clone(&site), 0);
    assert!(link.read_holding_registers(46, 1).is_ok());
    site.lock().unwrap().reboot(0, 1000);
    assert!(link.read_holding_registers(46, 1).is_err());
    assert!(link.read_holding_registers(46, 1).is_err(), "no answer while it starts");
    site.lock().unwrap().advance_to(1000);
    assert!(link.read_holding_registers(46, 1).is_ok());
    assert_eq!(link.generation(), 2);
}
