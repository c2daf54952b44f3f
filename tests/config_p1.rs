//! `[meter]` for meters that send telegrams by themselves, and for such as give only a total.

#[path = "common/texts.rs"]
mod texts;

use sax_controller::config::*;
use sax_controller::link::place::{Parity, Serial};
use sax_controller::units::Span;
use texts::{SMALL, findings, good};

/// [`SMALL`] with this meter, from line 7 on.
fn with(meter: &str) -> String {
    SMALL.replacen("device = \"sax\"\n[[", &format!("device = \"p1\"\n{meter}\n[["), 1)
}

#[track_caller]
fn refused(meter: &str, expected: &[&str]) {
    assert_eq!(findings(&with(meter)), expected);
}

const SERIAL: &str = "link.serial = { port = \"/dev/ttyUSB0\" }";

#[test]
fn a_serial_port_and_its_defaults() {
    let meter = good(&with(SERIAL)).meter.unwrap();
    let port = Serial { port: "/dev/ttyUSB0".into(), baud: 115_200, parity: Parity::None, data_bits: 8, stop_bits: 1, rs485: None };
    assert_eq!(meter.source, MeterSource::Telegrams { link: TelegramLink::Serial(port), forward: None });
    assert_eq!((meter.device.as_str(), meter.poll_ms, meter.phase_poll_ms), ("p1", 1_000, 1_000));
    let old = "link.serial = { port = \"/dev/ttyUSB0\", baud = 9600, parity = \"even\", data_bits = 7, stop_bits = 1 }\n\
               forward = \"0.0.0.0:9000\"\npoll_ms = 10000";
    let MeterSource::Telegrams { link: TelegramLink::Serial(port), forward } = good(&with(old)).meter.unwrap().source else { panic!() };
    assert_eq!((port.baud, port.parity, port.data_bits), (9_600, Parity::Even, 7));
    assert_eq!(forward, Some("0.0.0.0:9000".parse().unwrap()));
}

#[test]
fn a_serial_server_needs_a_port() {
    let meter = good(&with("link.tcp = { host = \"ser2net\", port = 2001 }")).meter.unwrap();
    let link = TelegramLink::Tcp { host: "ser2net".into(), port: 2001 };
    assert_eq!(meter.source, MeterSource::Telegrams { link, forward: None });
    refused("link.tcp = { host = \"ser2net\" }", &["8:12: meter link.tcp.port: this key is missing."]);
    let both = "link = { serial = { port = \"/dev/x\" }, tcp = { host = \"h\", port = 1 } }";
    refused(both, &["8:46: meter link.tcp: there is link.serial already, and a meter has one link."]);
    refused("link = {}", &["8:8: meter link.serial: this key is missing."]);
    refused("", &["6:1: meter link: this key is missing."]);
}

#[test]
fn what_has_no_meaning_for_telegrams_is_refused() {
    let rtu = "8:12: meter link.rtu: this meter sends telegrams by itself, it does not speak Modbus. \
               A P1 port is link.serial, or link.tcp behind a serial server.";
    refused("link.rtu = { port = \"/dev/ttyUSB0\" }", &[rtu]);
    let also = |line: &str| format!("{SERIAL}\n{line}");
    refused(&also("unit = 1"), &["9:8: meter unit: this meter sends telegrams by itself, it is not asked."]);
    refused(&also("battery = \"A\""), &["9:11: meter battery: this meter is not read through a battery."]);
    refused(&also("phase_poll_ms = 5000"), &["9:17: meter phase_poll_ms: the phases of this meter come with every telegram."]);
    let address = "9:11: meter forward: must be an address and a port, as in \"127.0.0.1:9000\".";
    for wrong in ["9000", "localhost", "127.0.0.1:0", "127.0.0.1", ""] {
        refused(&also(&format!("forward = \"{wrong}\"")), &[address]);
    }
}

#[test]
fn the_ladder_follows_the_telegrams() {
    let ladder = |meter: &str| good(&with(&format!("{SERIAL}\n{meter}"))).ladder();
    assert_eq!(ladder("").hold, Span::from_s(3));
    // A DSMR 4 meter every 10 s: three periods would not fit the heartbeat of 60 s.
    let slow = ladder("poll_ms = 10000");
    assert_eq!((slow.hold, slow.ramp_start, slow.fallback), (Span::from_s(25), Span::from_ms(37_500), Span::from_ms(52_500)));
    let too_slow = findings(&with(&format!("{SERIAL}\npoll_ms = 12000")));
    assert!(too_slow[0].starts_with("9:11: meter poll_ms: the fallback would be reached only 60 s after the last reading"), "{too_slow:?}");
}

#[test]
fn the_effective_form_says_the_same() {
    for meter in [
        "link.serial = { port = \"/dev/serial/by-id/a b\", baud = 9600, parity = \"odd\", data_bits = 7, stop_bits = 2 }\npoll_ms = 10000",
        "link.tcp = { host = \"fe80::1\", port = 2001 }\nforward = \"[::1]:9000\"",
    ] {
        let config = good(&with(meter));
        let written = effective(&config);
        assert_eq!(good(&written), config, "{written}");
    }
}

#[test]
fn a_meter_with_a_total_only_needs_netted_phases() {
    let total = SMALL.replacen("device = \"sax\"\n[[", "device = \"total-meter\"\nlink.tcp.host = \"m\"\n[[", 1);
    let expected = "6:1: meter device: this meter gives no power per phase, and the batteries on single phases work for their own phase. \
                    With balance = \"sum\" in [site] they work for the total of all phases, for which it will do.";
    assert_eq!(findings(&total), [expected]);
    good(&total.replacen("fuse_a", "balance = \"sum\"\nfuse_a", 1));
    good(&total.replacen(
        "device = \"sax\"\nphase = \"L1\"",
        "device = \"own-battery\"\nphase = \"all\"\ncapacity_wh = 9000\nmax_charge_w = 10\nmax_discharge_w = 300",
        1,
    ));
}
