//! The real program with `[server]` on a simulated site: both servers, settings over a `kill -9`, the gateway, and a port that is taken.
#![allow(missing_docs)]

#[path = "common/master.rs"]
mod master;
#[path = "common/own_server.rs"]
mod own_server;
#[path = "common/process.rs"]
mod process;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use master::Master;
use own_server::{Client, exception, holding};
use process::{Folder, Running, config, live};
use sax_controller::modbus::pdu::{Reply, Request};

/// A port that nobody uses at this moment.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn with_server(site: &str, listen: SocketAddr, more: &str) -> String {
    format!(
        "{site}[load_balancer]\ncharger_limit_a = 16\n[server]\naddress = 10\n\
         tcp = {{ listen = \"{listen}\", writable = true, max_connections = 4 }}\n{more}"
    )
}

impl Client {
    /// The registers from this address on, of this unit.
    fn registers(&mut self, unit: u8, address: u16, count: u16) -> Vec<u16> {
        match self.request(unit, &Request::ReadHoldingRegisters { address, count }) {
            Reply::HoldingRegisters { values } => values,
            other => panic!("{other:?}"),
        }
    }

    fn set(&mut self, unit: u8, address: u16, value: u16) {
        let written = Reply::WrittenSingleRegister { address, value };
        assert_eq!(self.request(unit, &Request::WriteSingleRegister { address, value }), written);
    }
}

#[test]
fn registers_over_both_servers_and_settings_that_survive() {
    let (live, folder, listen) = (live([500, 300, 200]), Folder::new("server"), free_port());
    let mut line = Master::new();
    let battery = live.ports()[0];
    let more = format!(
        "rtu = {{ port = \"{}\", baud = 115200 }}\n\
         gateway = {{ units = [64], link.tcp = {{ host = \"127.0.0.1\", port = {battery}, timeout_ms = 300, retry_count = 0 }} }}\n",
        line.path.display()
    );
    let text = with_server(&config(&folder, &live, 500), listen, &more);
    let mut program = Running::start(&folder, &text);
    program.until("control", |status| status["site"]["state"] == "run");
    let mut client = Client::connect(listen);
    let defaults = [16_000, 3, 24_000, 1, 12_500, 22_000, 5, 1_000, 19_000, 1, 1_000, 0, 30];
    assert_eq!(client.registers(10, 1010, 13), defaults);
    assert_eq!(client.read(1000, 4), exception(3, 2));
    // At once: the next read shows it.
    client.set(10, 1000, 6_000);
    let [override_ma, limit_ma, _] = client.registers(10, 1000, 3)[..] else { panic!() };
    assert!(override_ma == 6_000 && limit_ma <= 6_000, "{override_ma} {limit_ma}");
    // The same registers on the serial line, which is not writable.
    line.until_served();
    assert_eq!(line.ask(&Request::ReadInputRegisters { address: 1000, count: 1 }.encode()), Reply::InputRegisters { values: vec![6_000] });
    assert_eq!(line.ask(&[6, 3, 0xe8, 0, 1]), Reply::Exception { function: 6, code: 1 });
    // A battery behind the gateway, which the controller asks too: its state of charge.
    assert!((1..=100).contains(&client.registers(64, 46, 1)[0]));

    // Something stands in the way of the file: refused, and nothing is in force.
    fs::create_dir_all(folder.file("load_balancer.json.new/x")).unwrap();
    client.set(10, 1010, 8_000);
    client.set(10, 1090, 20);
    assert_eq!(client.write(1091, 1), exception(6, 4));
    assert_eq!(client.registers(10, 1010, 1), [8_000], "staged");
    program.until_said("are not saved, and so not in force");
    fs::remove_dir_all(folder.file("load_balancer.json.new")).unwrap();
    client.set(10, 1091, 1);
    assert_eq!(client.read(1010, 1), exception(3, 0x0b), "another unit from now on");
    assert_eq!(client.registers(20, 1010, 1), [8_000]);

    // Killed, without a word.
    drop(program);
    let mut program = Running::start(&folder, &text);
    program.until("control", |status| status["site"]["state"] == "run");
    let mut client = Client::connect(listen);
    let mut expected = defaults;
    expected[0] = 8_000;
    assert_eq!(client.registers(20, 1010, 13), expected);
    program.until_said("settings that a client saved are in force");
    client.set(20, 1092, 1);
    assert_eq!(client.read(1010, 13), holding(&defaults));
    assert!(!folder.file("load_balancer.json").exists());
    program.signal("TERM");
    assert!(program.wait(Duration::from_secs(5)).is_some_and(|status| status.success()), "{}", program.said());
}

#[test]
fn a_port_that_is_taken_is_an_alarm_and_is_used_when_it_is_free() {
    let (live, folder) = (live([500, 300, 200]), Folder::new("server-port"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let mut program = Running::start(&folder, &with_server(&config(&folder, &live, 500), listen, ""));
    let alarm = format!("server: nobody can connect to {listen} (another program does)");
    let holds = |status: &serde_json::Value| status["alarms"].as_array().unwrap().iter().any(|a| a["name"] == alarm.as_str());
    // The house is controlled all the same.
    program.until("control and alarm", |status| {
        status["site"]["state"] == "run" && holds(status) && status["batteries"][0]["writes"].as_u64() > Some(0)
    });
    program.until("the alarm has an age", |status| {
        status["alarms"].as_array().unwrap().iter().any(|a| a["name"] == alarm.as_str() && a["since_s"].as_u64() >= Some(2))
    });
    let complaint = format!("cannot listen on {listen}: another program does");
    assert_eq!(program.said().matches(&complaint).count(), 1, "{}", program.said());
    assert!(!program.said().contains("server: Modbus TCP on"), "{}", program.said());
    drop(taken);
    program.until("the alarm is over", |status| !holds(status));
    program.until_said(&format!("server: Modbus TCP on {listen}"));
    assert_eq!(Client::connect(listen).registers(10, 1010, 1), [16_000]);
}
