//! `[server]`: our own Modbus registers, who may ask for them, and the gateway.

#[path = "common/texts.rs"]
mod texts;

use sax_controller::config::*;
use texts::{SMALL, findings, good};

/// [`SMALL`] with these lines in `[server]`, from line 14 on.
fn with(lines: &str) -> String {
    format!("{SMALL}[server]\n{lines}\n")
}

#[track_caller]
fn server(lines: &str) -> Server {
    let config = good(&with(lines));
    assert_eq!(good(&effective(&config)), config);
    config.server.unwrap()
}

#[track_caller]
fn refused(lines: &str, expected: &str) {
    assert_eq!(findings(&with(lines)), [expected]);
}

const LOCAL: &str = "tcp = { listen = \"127.0.0.1:1502\" }";

#[test]
fn what_is_left_out_has_its_default() {
    let server = server(LOCAL);
    assert_eq!((server.address, &server.rtu, &server.gateway), (10, &None, &None));
    let tcp = server.tcp.unwrap();
    assert_eq!((tcp.listen.to_string().as_str(), tcp.writable, tcp.max_connections, tcp.idle_timeout_s), ("127.0.0.1:1502", false, 8, 300));
    let allowed: Vec<_> = tcp.allow.iter().map(ToString::to_string).collect();
    assert_eq!(allowed, ["127.0.0.0/8", "::1/128"]);
    assert!(tcp.allow.iter().all(|network| !network.contains("192.168.1.5".parse().unwrap())));
}

#[test]
fn every_key_has_its_place() {
    let text = "address = 247\n\
        tcp = { listen = \"[::]:502\", allow = [\"192.168.1.0/24\", \"10.0.0.7\", \"fd00::/8\"], writable = true, max_connections = 250, idle_timeout_s = 10 }\n\
        rtu = { port = \"/dev/ttyUSB2\", baud = 19200, parity = \"even\", data_bits = 8, stop_bits = 2, rs485 = { rts_on_send = false }, writable = true }\n\
        gateway = { units = [1, 2], link.tcp = { host = \"192.168.1.40\", timeout_ms = 3000 } }";
    let server = server(text);
    assert_eq!(server.address, 247);
    let tcp = server.tcp.unwrap();
    assert!(tcp.writable && tcp.allow[1].contains("10.0.0.7".parse().unwrap()) && !tcp.allow[1].contains("10.0.0.6".parse().unwrap()));
    assert_eq!((tcp.allow.len(), tcp.max_connections, tcp.idle_timeout_s), (3, 250, 10));
    let rtu = server.rtu.unwrap();
    assert_eq!((rtu.serial.baud, rtu.serial.stop_bits, rtu.writable), (19_200, 2, true));
    assert_eq!(rtu.serial.rs485.map(|rs485| rs485.rts_on_send), Some(false));
    let gateway = server.gateway.unwrap();
    let link = Link::Tcp(Tcp { host: "192.168.1.40".into(), port: 502, timeout_ms: 3_000, retry_count: 3 });
    assert_eq!(gateway, Gateway { units: vec![1, 2], link });
}

#[test]
fn a_serial_server_alone_will_do_and_nothing_will_not() {
    let rtu = server("rtu = { port = \"/dev/ttyUSB2\" }").rtu.unwrap();
    assert_eq!((rtu.serial.baud, rtu.writable), (9_600, false));
    refused("address = 1", "13:1: server tcp: there is neither tcp nor rtu, and nobody could ask it.");
    refused("tcp = {}", "14:7: server tcp.listen: this key is missing.");
    refused("rtu = { writable = true }", "14:7: server rtu.port: this key is missing.");
}

#[test]
fn numbers_and_words_are_in_their_range() {
    refused(&format!("address = 0\n{LOCAL}"), "14:11: server address: 0 is out of range, it must be 1 to 247.");
    refused(&format!("adress = 9\n{LOCAL}"), "14:1: server adress: this key is not known here. Did you mean address?");
    let tcp = |rest: &str| format!("tcp = {{ listen = \"127.0.0.1:1502\", {rest} }}");
    refused(&tcp("max_connections = 0"), "14:54: server tcp.max_connections: 0 is out of range, it must be 1 to 250.");
    refused(&tcp("idle_timeout_s = 3601"), "14:53: server tcp.idle_timeout_s: 3601 is out of range, it must be 1 to 3600.");
    refused(&tcp("writable = 1"), "14:47: server tcp.writable: must be true or false, this is an integer.");
    let port = "14:18: server tcp.listen: must be an address and a port, as in \"127.0.0.1:9000\".";
    refused("tcp = { listen = \"127.0.0.1\" }", port);
    let bits = "14:44: server rtu.data_bits: 7 is too few, Modbus RTU needs 8.";
    refused("rtu = { port = \"/dev/ttyUSB2\", data_bits = 7 }", bits);
}

#[test]
fn who_may_connect_is_said_where_others_could() {
    for open in ["0.0.0.0:502", "[::]:502", "192.168.1.5:502"] {
        let message = format!(
            "14:18: server tcp.listen: {open} is open to other computers, and allow does not say which of them may connect. \
             For a whole home network: allow = [\"192.168.1.0/24\"]."
        );
        refused(&format!("tcp = {{ listen = \"{open}\" }}"), &message);
        server(&format!("tcp = {{ listen = \"{open}\", allow = [\"0.0.0.0/0\"] }}"));
    }
    for own in ["127.0.0.2:502", "[::1]:502", "[::ffff:127.0.0.1]:502"] {
        server(&format!("tcp = {{ listen = \"{own}\" }}"));
    }
}

#[test]
fn a_network_is_written_without_an_address_in_it() {
    let allow = |network: &str, says: &str| {
        let message = format!("14:45: server tcp.allow: \"{network}\" {says}");
        refused(&format!("tcp = {{ listen = \"127.0.0.1:1502\", allow = [\"{network}\"] }}"), &message);
    };
    allow("192.168.1.17/24", "is an address inside a network, which is \"192.168.1.0/24\".");
    allow("fd00::1/64", "is an address inside a network, which is \"fd00::/64\".");
    allow("10.0.0.0/33", "has too many bits, there are 32.");
    let form = "is no network, which is written as in \"192.168.1.0/24\", \"192.168.1.11\" or \"fd00::/8\".";
    allow("home.lan", form);
    allow("192.168.1.0/", form);
    refused(
        "tcp = { listen = \"127.0.0.1:1502\", allow = [] }",
        "14:7: server tcp.allow: nobody is allowed to connect: the list is empty.",
    );
    let many = vec!["\"10.0.0.1\""; 65].join(", ");
    let found = findings(&with(&format!("tcp = {{ listen = \"127.0.0.1:1502\", allow = [{many}] }}")));
    assert_eq!(found, ["14:813: server tcp.allow: there are 65 networks, there must not be more than 64."]);
}

#[test]
fn a_gateway_has_units_of_others_and_a_link() {
    let gateway = |keys: &str| format!("{LOCAL}\ngateway = {{ {keys} }}");
    let link = "link.rtu = { port = \"/dev/ttyUSB3\" }";
    let passed = server(&gateway(&format!("units = [247, 1], {link}"))).gateway.unwrap();
    assert_eq!((passed.units, passed.link.timeout_ms()), (vec![247, 1], 1_000));
    refused(&gateway("units = [1]"), "15:11: server gateway.link: this key is missing.");
    refused(&gateway(link), "15:11: server gateway.units: this key is missing.");
    refused(&gateway(&format!("units = [], {link}")), "15:11: server gateway.units: the list is empty: nothing would be passed through.");
    refused(&gateway(&format!("units = [1, 10], {link}")), "15:25: server gateway.units: 10 is our own address.");
    refused(&gateway(&format!("units = [1, 2, 1], {link}")), "15:28: server gateway.units: 1 is there already.");
    refused(&gateway(&format!("units = [0], {link}")), "15:22: server gateway.units: 0 is out of range, it must be 1 to 247.");
    refused(&gateway(&format!("units = [248], {link}")), "15:22: server gateway.units: 248 is out of range, it must be 1 to 247.");
}

#[test]
fn a_gateway_shares_a_bus_with_its_settings_and_never_leads_back_to_us() {
    let charger = "[load_balancer]\n[[charger]]\nname = \"w\"\ndevice = \"abb-terra-ac\"\nlink.rtu = { port = \"/dev/bus\" }\n[server]\n";
    let text = |rtu: &str| format!("{SMALL}{charger}{LOCAL}\ngateway = {{ units = [1], link.rtu = {{ port = \"/dev/bus\"{rtu} }} }}\n");
    good(&text(""));
    let other = "20:46: server gateway.link.rtu.port: charger \"w\" is on this port already, with other settings: parity none, not even. All devices on one bus have the same.";
    assert_eq!(findings(&text(", parity = \"even\"")), [other]);
    let round = "15:46: server gateway.link.tcp.host: we listen there ourselves: requests would go round in circles.";
    let tcp =
        |host: &str, port: u16| with(&format!("{LOCAL}\ngateway = {{ units = [1], link.tcp = {{ host = \"{host}\", port = {port} }} }}"));
    for host in ["127.0.0.1", "localhost", "127.0.0.9", "::ffff:127.0.0.1"] {
        assert_eq!(findings(&tcp(host, 1502)), [round], "{host}");
    }
    good(&tcp("127.0.0.1", 1503));
    good(&tcp("192.168.1.40", 1502));
}

#[test]
fn its_serial_port_is_nobody_elses() {
    let on =
        |what: &str| format!("server rtu.port: {what} is on this port, and we would be asked there ourselves: it needs one of its own.");
    let rtu = "rtu = { port = \"/dev/bus\" }";
    let own = "device = \"own-battery\"\ncapacity_wh = 9000\nmax_charge_w = 10\nmax_discharge_w = 10\nphase = \"all\"\n";
    let base = |meter: &str, battery: &str| {
        format!("[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n[meter]\n{meter}\n[[battery]]\nname = \"A\"\n{own}{battery}\n")
    };
    let away = "device = \"own-meter\"\nlink.tcp.host = \"m\"";
    let at_bus = "link.rtu = { port = \"/dev/bus\" }";
    let found = |text: String| findings(&format!("{text}[server]\n{rtu}\n"));
    let expected = |line: usize, what: &str| vec![format!("{line}:16: {}", on(what))];
    assert_eq!(found(base(away, at_bus)), expected(16, "battery \"A\""));
    let bms = format!("link.tcp.host = \"a\"\n[battery.bms]\ndevice = \"own-bms\"\n{at_bus}");
    assert_eq!(found(base(away, &bms)), expected(19, "the BMS of battery \"A\""));
    assert_eq!(found(base(&format!("device = \"own-meter\"\n{at_bus}"), "link.tcp.host = \"a\"")), expected(16, "the meter"));
    let p1 = "device = \"p1\"\nlink.serial = { port = \"/dev/bus\" }";
    assert_eq!(found(base(p1, "link.tcp.host = \"a\"")), expected(16, "the meter"));
    let charger = format!("link.tcp.host = \"a\"\n[load_balancer]\n[[charger]]\nname = \"w\"\ndevice = \"abb-terra-ac\"\n{at_bus}");
    assert_eq!(found(base(away, &charger)), expected(21, "charger \"w\""));
    let gateway = format!("{rtu}\ngateway = {{ units = [1], {at_bus} }}");
    assert_eq!(findings(&with(&gateway)), [format!("14:16: {}", on("the gateway"))]);
}

#[test]
fn two_listeners_never_want_one_port() {
    let text = |forward: &str, listen: &str| {
        let p1 = format!("device = \"p1\"\nlink.serial = {{ port = \"/dev/p1\" }}\nforward = \"{forward}\"\n[[");
        let server = format!("[server]\ntcp = {{ listen = \"{listen}\", allow = [\"10.0.0.0/8\"] }}\n");
        format!("{}{server}", SMALL.replacen("device = \"sax\"\n[[", &p1, 1))
    };
    let taken = "16:18: server tcp.listen: the meter passes its telegrams on at this port already, as forward says.";
    for (forward, listen) in [("127.0.0.1:9000", "127.0.0.1:9000"), ("0.0.0.0:9000", "127.0.0.1:9000"), ("127.0.0.1:9000", "[::]:9000")] {
        assert_eq!(findings(&text(forward, listen)), [taken], "{forward} {listen}");
    }
    good(&text("127.0.0.1:9000", "127.0.0.1:9001"));
    good(&text("127.0.0.1:9000", "127.0.0.2:9000"));
    let with_metrics = |metrics: &str| format!("{}[status]\nmetrics = \"{metrics}\"\n", text("127.0.0.1:9000", "127.0.0.1:9001"));
    for (metrics, said) in [
        ("0.0.0.0:9000", "the meter passes its telegrams on at this port already, as forward says."),
        ("127.0.0.1:9001", "[server.tcp] listen has this port already."),
        ("127.0.0.1", "must be an address and a port, as in \"127.0.0.1:9000\"."),
        ("127.0.0.1:0", "must be an address and a port, as in \"127.0.0.1:9000\"."),
    ] {
        assert_eq!(findings(&with_metrics(metrics)), [format!("18:11: status metrics: {said}")], "{metrics}");
    }
    let config = good(&with_metrics("[::1]:9464"));
    assert_eq!(config.status.metrics, "[::1]:9464".parse().ok());
    assert_eq!(good(&effective(&config)), config);
}
