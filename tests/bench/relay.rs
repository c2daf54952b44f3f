//! A relay between the controller and a simulated battery, on an address of its own, that notes when every request passes.
#![allow(dead_code, missing_docs)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use sax_controller::modbus::mbap;
use sax_controller::modbus::pdu::Request;

/// A request that passed.
#[derive(Clone, Debug)]
pub struct Passed {
    pub at: Instant,
    pub unit: u8,
    pub request: Request,
}

impl Passed {
    /// The setpoint of unit 64 or 100 is written.
    pub fn is_setpoint(&self) -> bool {
        matches!(self.request, Request::WriteMultipleRegisters { address: 41 | 40049, .. })
    }

    /// In a few words.
    pub fn words(&self) -> String {
        match &self.request {
            Request::ReadHoldingRegisters { address, count } => format!("{}: read {address}+{count}", self.unit),
            Request::WriteMultipleRegisters { address, values } => format!("{}: write {address} = {values:?}", self.unit),
            other => format!("{}: {other:?}", self.unit),
        }
    }
}

/// The relay of one battery. It lives until the process ends.
pub struct Relay {
    pub port: u16,
    passed: Arc<Mutex<Vec<Passed>>>,
}

/// The addresses of the relays of three batteries.
pub const HOSTS: [&str; 3] = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];

impl Relay {
    /// One relay per battery at [`HOSTS`].
    pub fn all(ports: &[u16]) -> Vec<Relay> {
        (2..).zip(ports).map(|(last, port)| Relay::start(Ipv4Addr::new(127, 0, 0, last), *port)).collect()
    }

    fn start(host: Ipv4Addr, to: u16) -> Relay {
        let listener = TcpListener::bind((host, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let passed = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&passed);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else { continue };
                let (Ok(c), Ok(s)) = (client.try_clone(), server.try_clone()) else { continue };
                let noted = Arc::clone(&noted);
                thread::spawn(move || pass(client, s, Some(&noted)));
                thread::spawn(move || pass(server, c, None));
            }
        });
        Relay { port, passed }
    }

    /// What has passed so far.
    pub fn passed(&self) -> Vec<Passed> {
        self.passed.lock().expect("the notes").clone()
    }
}

/// Hands on until either end closes.
fn pass(mut from: TcpStream, mut to: TcpStream, noted: Option<&Mutex<Vec<Passed>>>) {
    let _ = (from.set_nodelay(true), to.set_nodelay(true));
    let (mut bytes, mut buffer) = ([0; 512], Vec::new());
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let at = Instant::now();
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
        let Some(noted) = noted else { continue };
        buffer.extend(&bytes[..count]);
        while let Ok(Some((frame, used))) = mbap::split(&buffer) {
            buffer.drain(..used);
            if let Ok(request) = Request::decode(&frame.pdu) {
                noted.lock().expect("the notes").push(Passed { at, unit: frame.unit, request });
            }
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
