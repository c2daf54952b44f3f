//! What may be said about links over a serial port, and what is said about wrong ones.

#[path = "common/texts.rs"]
mod texts;

use sax_controller::config::*;
use sax_controller::link::place::{Parity, Place, Rs485, Serial};
use texts::{SMALL, findings, good};

const TCP: &str = "link.tcp = { host = \"192.168.1.11\" }";

/// [`SMALL`] with this link on line 12.
fn with(link: &str) -> String {
    assert!(SMALL.contains(TCP));
    SMALL.replacen(TCP, link, 1)
}

/// That must have exactly this one finding.
#[track_caller]
fn refused(link: &str, expected: &str) {
    assert_eq!(findings(&with(link)), [expected]);
}

/// What the battery's link means, and that the effective configuration says the same.
#[track_caller]
fn rtu(link: &str) -> Rtu {
    let config = good(&with(link));
    assert_eq!(good(&effective(&config)), config);
    match &config.batteries[0].link {
        Link::Rtu(rtu) => rtu.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_left_out_of_a_serial_link_has_its_default() {
    let serial = Serial { port: "/dev/ttyUSB0".into(), baud: 9600, parity: Parity::None, data_bits: 8, stop_bits: 1, rs485: None };
    let expected = Rtu { serial, timeout_ms: 2_000, retry_count: 3 };
    assert_eq!(rtu("link.rtu = { port = \"/dev/ttyUSB0\" }"), expected);
    assert_eq!(rtu("link.rtu.port = \"/dev//./ttyUSB0\""), expected);
    assert_eq!(Link::Rtu(expected.clone()).place(), Place::Rtu(expected.serial));
}

#[test]
fn every_key_of_a_serial_link_counts() {
    let all = "link.rtu = { port = \"/dev/x\", baud = 19200, parity = \"even\", data_bits = 8, stop_bits = 2, timeout_ms = 300, \
               retry_count = 1, rs485 = { rts_on_send = false, delay_before_ms = 1, delay_after_ms = 100 } }";
    let rs485 = Some(Rs485 { rts_on_send: false, delay_before_ms: 1, delay_after_ms: 100 });
    let serial = Serial { port: "/dev/x".into(), baud: 19200, parity: Parity::Even, data_bits: 8, stop_bits: 2, rs485 };
    assert_eq!(rtu(all), Rtu { serial, timeout_ms: 300, retry_count: 1 });
    let plain = rtu("link.rtu = { port = \"/dev/x\", parity = \"odd\", rs485 = {} }").serial;
    assert_eq!(plain.rs485, Some(Rs485 { rts_on_send: true, delay_before_ms: 0, delay_after_ms: 0 }));
    assert_eq!(plain.parity, Parity::Odd);
}

#[test]
fn wrong_serial_links_are_refused() {
    refused("link.rtu = { baud = 9600 }", "12:12: battery \"A\" link.rtu.port: this key is missing.");
    refused("link.rtu = 5", "12:12: battery \"A\" link.rtu: must be a section, this is an integer.");
    let expected = "12:39: battery \"A\" link.rtu.data_bits: 7 is too few, Modbus RTU needs 8.";
    refused("link.rtu = { port = \"/x\", data_bits = 7 }", expected);
    let expected = "12:34: battery \"A\" link.rtu.baud: 299 is out of range, it must be 300 to 4000000.";
    refused("link.rtu = { port = \"/x\", baud = 299 }", expected);
    let expected = "12:34: battery \"A\" link.rtu.baud: 9700 is no rate of a serial port, the nearest is 9600.";
    refused("link.rtu = { port = \"/x\", baud = 9700 }", expected);
    let expected = "12:36: battery \"A\" link.rtu.parity: \"mark\" is not one of \"none\", \"even\", \"odd\".";
    refused("link.rtu = { port = \"/x\", parity = \"mark\" }", expected);
    let expected = "12:55: battery \"A\" link.rtu.rs485.delay_before_ms: 101 is out of range, it must be 0 to 100.";
    refused("link.rtu = { port = \"/x\", rs485 = { delay_before_ms = 101 } }", expected);
    let expected = "12:21: battery \"A\" link.rtu.port: must be an absolute path, beginning with \"/\".";
    refused("link.rtu = { port = \"ttyUSB0\" }", expected);
    let both = format!("{TCP}\nlink.rtu = {{ port = \"/x\" }}");
    refused(&both, "13:12: battery \"A\" link.rtu: there is link.tcp already, and a device has one link.");
    let expected = "12:15: battery \"A\" link.serial: this device is asked over Modbus, and link.serial is for devices that send by \
                    themselves. A Modbus device on a serial port has link.rtu.";
    refused("link.serial = { port = \"/x\", data_bits = 7 }", expected);
}

/// Two batteries and a meter on ports of their own choice; each text is that device's keys, from lines 9, 15 and 21 on.
fn bus(meter: &str, a: &str, b: &str) -> String {
    let battery = |name: &str, keys: &str| {
        format!(
            "[[battery]]\nname = \"{name}\"\ndevice = \"own-battery\"\nphase = \"L1\"\ncapacity_wh = 5000\nmax_charge_w = 1000\n\
             max_discharge_w = 1000\n{keys}\n"
        )
    };
    format!(
        "[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n[control]\nheartbeat_timeout_s = 60\n[meter]\ndevice = \"own-meter\"\n{meter}\n{}{}",
        battery("A", a),
        battery("B", b)
    )
}

#[test]
fn devices_share_a_bus() {
    let text = bus(
        "link.rtu.port = \"/dev/bus\"\nunit = 1",
        "link.rtu = { port = \"/dev/bus\", timeout_ms = 500 }\nunit = 2",
        "link.rtu = { port = \"/dev//bus\", retry_count = 0 }\nunit = 3",
    );
    let config = good(&text);
    assert!(config.batteries[0].link.is_same_place(&config.batteries[1].link));
    assert_eq!(config.batteries[0].link.place(), config.batteries[1].link.place());
}

#[test]
fn all_devices_on_a_bus_have_the_same_settings() {
    let text = bus(
        "link.rtu = { port = \"/dev/bus\", parity = \"even\" }\nunit = 1",
        "link.rtu = { port = \"/dev/bus\" }\nunit = 2",
        "link.rtu = { port = \"/dev/bus\", baud = 19200, stop_bits = 2, rs485 = {} }\nunit = 3",
    );
    let expected = [
        "8:21: meter link.rtu.port: battery \"A\" is on this port already, with other settings: parity none, not even. \
         All devices on one bus have the same.",
        "26:21: battery \"B\" link.rtu.port: battery \"A\" is on this port already, with other settings: baud 9600, not 19200, stop_bits 1, \
         not 2, another rs485. All devices on one bus have the same.",
    ];
    assert_eq!(findings(&text), expected);
}

#[test]
fn every_device_on_a_bus_has_a_unit_of_its_own() {
    let on = |unit: u8| format!("link.rtu.port = \"/dev/bus\"\nunit = {unit}");
    let expected = "8:17: meter link.rtu.port: battery \"B\" answers to unit 3 on this port already. \
                    Every device on a bus needs a unit of its own: unit = ...";
    assert_eq!(findings(&bus(&on(3), &on(2), &on(3))), [expected]);
    let expected = "26:17: battery \"B\" link.rtu.port: battery \"A\" has this address already.";
    assert_eq!(findings(&bus(&on(3), &on(2), &on(2))), [expected]);
    let expected = "26:17: battery \"B\" link.rtu.port: unit 0 means all devices of a serial bus, and none of them answers. \
                    The device has a unit of its own, 1 to 247.";
    assert_eq!(findings(&bus(&on(3), &on(2), &on(0))), [expected]);
    let expected =
        "26:17: battery \"B\" link.rtu.port: unit 248 does not exist on a serial bus. The device has a unit of its own, 1 to 247.";
    assert_eq!(findings(&bus(&on(3), &on(2), &on(248))), [expected]);
    good(&bus(&on(3), &on(2), &on(247)));
    // On ports of their own they may have the same.
    good(&bus("link.rtu.port = \"/dev/a\"\nunit = 1", "link.rtu.port = \"/dev/b\"\nunit = 1", "link.rtu.port = \"/dev/c\"\nunit = 1"));
}
