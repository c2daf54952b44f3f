//! A Modbus TCP server on loopback that answers as it is told and keeps a record of what it was asked, and by how many at once.
#![allow(dead_code, missing_docs)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sax_controller::modbus::mbap::{self, Frame};
use sax_controller::modbus::pdu::{Reply, Request};

/// What it is asked, and what it answers; `None`: nothing.
pub type Answers = dyn FnMut(u8, &Request) -> Option<Reply> + Send;

/// The server; its threads end with the test.
pub struct Server {
    pub address: SocketAddr,
    record: Arc<Mutex<Record>>,
}

#[derive(Default)]
struct Record {
    asked: Vec<(u8, Request)>,
    open: usize,
    most: usize,
}

impl Server {
    /// Listens on a free port of 127.0.0.1.
    pub fn start(answers: impl FnMut(u8, &Request) -> Option<Reply> + Send + 'static) -> Server {
        Server::start_at("127.0.0.1:0", answers)
    }

    pub fn start_at(address: &str, answers: impl FnMut(u8, &Request) -> Option<Reply> + Send + 'static) -> Server {
        let listener = TcpListener::bind(address).unwrap();
        let server = Server { address: listener.local_addr().unwrap(), record: Arc::default() };
        let (record, answers): (_, Arc<Mutex<Answers>>) = (Arc::clone(&server.record), Arc::new(Mutex::new(answers)));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (record, answers) = (Arc::clone(&record), Arc::clone(&answers));
                {
                    let mut record = record.lock().unwrap();
                    record.open += 1;
                    record.most = record.most.max(record.open);
                }
                std::thread::spawn(move || {
                    serve(stream, &record, &answers);
                    record.lock().unwrap().open -= 1;
                });
            }
        });
        server
    }

    /// What was asked so far: unit and request.
    pub fn asked(&self) -> Vec<(u8, Request)> {
        self.record.lock().unwrap().asked.clone()
    }

    /// The most connections that were open at once.
    pub fn most_at_once(&self) -> usize {
        self.record.lock().unwrap().most
    }

    pub fn target(&self) -> String {
        self.address.to_string()
    }
}

fn serve(mut stream: TcpStream, record: &Mutex<Record>, answers: &Mutex<Answers>) {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut buffer = Vec::new();
    let mut chunk = [0; 512];
    loop {
        while let Some((frame, length)) = mbap::split(&buffer).unwrap_or(None) {
            buffer.drain(..length);
            let reply = match Request::decode(&frame.pdu) {
                Ok(request) => {
                    record.lock().unwrap().asked.push((frame.unit, request.clone()));
                    answers.lock().unwrap()(frame.unit, &request)
                }
                Err(error) => Some(Reply::Exception { function: frame.pdu[0] & 0x7f, code: error.exception_code() }),
            };
            if let Some(reply) = reply {
                if stream.write_all(&mbap::encode(&Frame { pdu: reply.encode(), ..frame })).is_err() {
                    return;
                }
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(length) => buffer.extend(&chunk[..length]),
        }
    }
}

/// Registers and coils that can be read and written; input registers and inputs are those, too. What is not there is exception 2.
#[derive(Clone, Default)]
pub struct Memory {
    pub registers: BTreeMap<u16, u16>,
    pub coils: BTreeMap<u16, bool>,
}

impl Memory {
    /// `count` registers from `address`, each holding its own address.
    pub fn counting(address: u16, count: u16) -> Memory {
        Memory { registers: (address..=address + (count - 1)).map(|at| (at, at)).collect(), coils: BTreeMap::new() }
    }

    pub fn answer(&mut self, request: &Request) -> Reply {
        let exception = |code| Reply::Exception { function: request.function(), code };
        match request {
            Request::ReadHoldingRegisters { address, count } => match self.read(*address, *count) {
                Some(values) => Reply::HoldingRegisters { values },
                None => exception(2),
            },
            Request::ReadInputRegisters { address, count } => match self.read(*address, *count) {
                Some(values) => Reply::InputRegisters { values },
                None => exception(2),
            },
            Request::ReadCoils { address, count } => Reply::Coils { packed: self.packed(*address, *count) },
            Request::ReadDiscreteInputs { address, count } => Reply::DiscreteInputs { packed: self.packed(*address, *count) },
            Request::WriteSingleRegister { address, value } => {
                self.registers.insert(*address, *value);
                Reply::WrittenSingleRegister { address: *address, value: *value }
            }
            Request::WriteMultipleRegisters { address, values } => {
                self.registers.extend((*address..).zip(values.iter().copied()));
                Reply::WrittenMultipleRegisters { address: *address, count: values.len() as u16 }
            }
            Request::WriteSingleCoil { address, on } => {
                self.coils.insert(*address, *on);
                Reply::WrittenSingleCoil { address: *address, on: *on }
            }
            Request::WriteMultipleCoils { address, count, packed } => {
                let states = (0..*count).map(|bit| packed[usize::from(bit / 8)] >> (bit % 8) & 1 == 1);
                self.coils.extend((*address..).zip(states));
                Reply::WrittenMultipleCoils { address: *address, count: *count }
            }
            _ => exception(1),
        }
    }

    fn read(&self, address: u16, count: u16) -> Option<Vec<u16>> {
        (0..count).map(|offset| self.registers.get(&address.checked_add(offset)?).copied()).collect()
    }

    fn packed(&self, address: u16, count: u16) -> Vec<u8> {
        let on = |bit: u16| self.coils.get(&(address + bit)).copied().unwrap_or(false);
        let byte = |byte: u16| (0..8).rev().fold(0, |all, bit| all << 1 | u8::from(byte * 8 + bit < count && on(byte * 8 + bit)));
        (0..count.div_ceil(8)).map(byte).collect()
    }
}

/// What the program did.
pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs the real program. Neither the controller nor the profiles of this machine matter.
pub fn program(arguments: &[&str]) -> Done {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_sax-controller"))
        .args(arguments)
        .args(if matches!(arguments[0], "read" | "write" | "scan") { &["--socket", "/nowhere/s"][..] } else { &[] })
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { code: status.code(), out: text(stdout), err: text(stderr) }
}
