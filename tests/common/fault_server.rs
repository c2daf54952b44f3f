//! A Modbus TCP server on loopback that misbehaves at chosen register addresses and keeps a record of what it was asked.
//!
//! Everything it does hangs on requests and on `stop`/`resume`, not on the clock, apart from replies that are meant to be slow.

use std::collections::{BTreeSet, HashMap};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use sax_controller::modbus::mbap::{self, Frame};
use sax_controller::modbus::pdu::{Reply, Request};

/// What the server does with one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Behaviour {
    /// Answers as the specification says.
    Good,
    /// A conforming exception reply.
    Exception(u8),
    /// As a SAX battery does: the length field of an exception is 6, but 9 bytes are sent.
    SaxException(u8),
    /// The reply goes out with the next request, ahead of its reply.
    Late,
    /// The first half goes out now, the rest with the next request.
    Half,
    /// Another transaction id.
    WrongId,
    /// Another unit.
    WrongUnit,
    /// The length field announces 4 bytes more than there are.
    WrongLength,
    /// 64 bytes that are nothing.
    Garbage,
    /// The first 9 bytes, a pause of 30 ms, the rest.
    Split,
    /// One byte every 60 ms.
    Trickle,
    /// No reply.
    Silent,
    /// The connection is closed in order.
    Fin,
    /// The connection is reset.
    Rst,
    /// The reply to a write single register.
    OtherFunction,
    /// The reply and 3 more bytes.
    Trailing,
    /// The reply; 3 more bytes go out ahead of the next one.
    TrailingLate,
    /// One register less than asked for.
    OneShort,
    /// The address in the echo of a write differs.
    EchoAddress,
    /// The value or count in the echo of a write differs.
    EchoValue,
    /// So many frames with other transaction ids, then the reply.
    Stale(u8),
}

/// One request that arrived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The connection, counted from 1.
    pub connection: usize,
    /// The transaction id.
    pub transaction: u16,
    /// The unit.
    pub unit: u8,
    /// The PDU.
    pub request: Request,
}

/// The server; it ends when dropped.
pub struct FaultServer {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    behaviours: HashMap<u16, Behaviour>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    done: usize,
    stopped: bool,
    ending: bool,
    connections: usize,
    most_at_once: usize,
}

impl FaultServer {
    /// Listens on a free port of 127.0.0.1. Addresses without a behaviour are good.
    pub fn start(behaviours: &[(u16, Behaviour)]) -> FaultServer {
        FaultServer::start_at("127.0.0.1:0".parse().unwrap(), behaviours)
    }

    /// Listens at `address`.
    pub fn start_at(address: SocketAddr, behaviours: &[(u16, Behaviour)]) -> FaultServer {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { behaviours: behaviours.iter().copied().collect(), ..Shared::default() });
        let for_acceptor = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accept(&listener, &for_acceptor));
        FaultServer { address, shared, acceptor: Some(acceptor) }
    }

    /// From now on requests are taken but not answered, as by a process that was stopped.
    pub fn stop(&self) {
        self.shared.state.lock().unwrap().stopped = true;
    }

    /// Answers all that was asked meanwhile, and everything to come.
    pub fn resume(&self) {
        self.shared.state.lock().unwrap().stopped = false;
        self.shared.changed.notify_all();
    }

    /// Waits until every request that arrived so far, at least `count`, has been dealt with: what was sent is in the client's receive
    /// buffer then, for loopback delivers at once.
    pub fn wait_done(&self, count: usize) {
        let state = self.shared.state.lock().unwrap();
        let timeout = Duration::from_secs(10);
        let (state, _) = self.shared.changed.wait_timeout_while(state, timeout, |state| state.done < count).unwrap();
        assert!(state.done >= count, "only {} of {count} requests were dealt with", state.done);
    }

    /// What was asked so far, in order on each connection.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.state.lock().unwrap().asked.clone()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.state.lock().unwrap().connections
    }

    /// The most connections that were open on the client's side when one was accepted.
    pub fn most_connections_at_once(&self) -> usize {
        self.shared.state.lock().unwrap().most_at_once
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap().ending = true;
        self.resume();
        // Wakes the acceptor.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().unwrap();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let port = listener.local_addr().unwrap().port();
    let mut clients = BTreeSet::new();
    loop {
        let (stream, client) = listener.accept().unwrap();
        clients.insert(client.port());
        let open = open_on_the_other_side(port, &clients);
        let mut state = shared.state.lock().unwrap();
        if state.ending {
            return;
        }
        state.connections += 1;
        state.most_at_once = state.most_at_once.max(open);
        let connection = state.connections;
        drop(state);
        let shared = Arc::clone(shared);
        thread::spawn(move || serve(stream, connection, &shared));
    }
}

/// How many of the `clients` (their port numbers) still have their socket to `port` open: ESTABLISHED or CLOSE_WAIT in the kernel's list.
fn open_on_the_other_side(port: u16, clients: &BTreeSet<u16>) -> usize {
    let list = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port_of = |field: &str| field.rsplit(':').next().and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let open: BTreeSet<u16> = list
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.len() > 3 && port_of(fields[2]) == Some(port) && matches!(fields[3], "01" | "08"))
        .filter_map(|fields| port_of(fields[1]))
        .collect();
    open.intersection(clients).count()
}

/// Answers one connection until the client or a behaviour ends it.
fn serve(mut stream: TcpStream, connection: usize, shared: &Shared) {
    stream.set_nodelay(true).unwrap();
    let mut pending = Vec::new();
    loop {
        // All but the last byte: closing a socket with unread data resets the connection.
        let mut bytes = vec![0; 6];
        if stream.read_exact(&mut bytes).is_err() {
            return;
        }
        let length = usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
        bytes.resize(6 + length - 1, 0);
        if stream.read_exact(&mut bytes[6..]).is_err() {
            return;
        }
        let address = bytes.get(8..10).map_or(0, |word| u16::from_be_bytes([word[0], word[1]]));
        let behaviour = shared.behaviours.get(&address).copied().unwrap_or(Behaviour::Good);
        if behaviour == Behaviour::Rst {
            return;
        }
        let mut last = [0];
        if stream.read_exact(&mut last).is_err() {
            return;
        }
        bytes.extend(last);
        let (frame, _) = mbap::split(&bytes).unwrap().unwrap();
        let request = Request::decode(&frame.pdu).unwrap();

        let mut state = shared.state.lock().unwrap();
        state.asked.push(Asked { connection, transaction: frame.transaction, unit: frame.unit, request: request.clone() });
        drop(shared.changed.wait_while(state, |state| state.stopped).unwrap());

        let goes_on = answer(&mut stream, &frame, &request, behaviour, &mut pending);
        shared.state.lock().unwrap().done += 1;
        shared.changed.notify_all();
        if !goes_on {
            return;
        }
    }
}

/// Sends what `behaviour` says; false when the connection ends.
fn answer(stream: &mut TcpStream, frame: &Frame, request: &Request, behaviour: Behaviour, pending: &mut Vec<u8>) -> bool {
    let good = mbap::encode(&Frame { pdu: reply(frame.unit, request).encode(), ..frame.clone() });
    let mut out = std::mem::take(pending);
    let function = frame.pdu[0];
    match behaviour {
        Behaviour::Good => out.extend(good),
        Behaviour::Exception(code) => out.extend(mbap::encode(&Frame { pdu: vec![function | 0x80, code], ..frame.clone() })),
        Behaviour::SaxException(code) => {
            let mut bytes = mbap::encode(&Frame { pdu: vec![function | 0x80, code], ..frame.clone() });
            bytes[5] = 6;
            out.extend(bytes);
        }
        Behaviour::Late => *pending = good,
        Behaviour::Half => {
            let (now, later) = good.split_at(good.len() / 2);
            out.extend(now);
            *pending = later.to_vec();
        }
        Behaviour::WrongId => out.extend(changed(good, 1, 0x5a)),
        Behaviour::WrongUnit => out.extend(changed(good, 6, 1)),
        Behaviour::WrongLength => {
            let length = good[5];
            out.extend(changed(good, 5, length ^ (length + 4)));
        }
        Behaviour::Garbage => out.extend([0xa5; 64]),
        Behaviour::Split => {
            let (now, later) = good.split_at(9);
            let _ = stream.write_all(now);
            thread::sleep(Duration::from_millis(30));
            out.extend(later);
        }
        Behaviour::Trickle => {
            for byte in good {
                if stream.write_all(&[byte]).is_err() {
                    return false;
                }
                thread::sleep(Duration::from_millis(60));
            }
        }
        Behaviour::Silent => {}
        Behaviour::Fin | Behaviour::Rst => return false,
        Behaviour::OtherFunction => out.extend(mbap::encode(&Frame { pdu: vec![6, 0, 0, 0, 0], ..frame.clone() })),
        Behaviour::Trailing => out.extend([good, vec![0xde, 0xad, 0xbe]].concat()),
        Behaviour::TrailingLate => {
            out.extend(good);
            *pending = vec![0xde, 0xad, 0xbe];
        }
        Behaviour::OneShort => {
            let Reply::HoldingRegisters { mut values } = reply(frame.unit, request) else { return false };
            values.pop();
            out.extend(mbap::encode(&Frame { pdu: Reply::HoldingRegisters { values }.encode(), ..frame.clone() }));
        }
        Behaviour::EchoAddress => out.extend(changed(good, 9, 1)),
        Behaviour::EchoValue => {
            let last = good.len() - 1;
            out.extend(changed(good, last, 1));
        }
        Behaviour::Stale(count) => {
            for id in 0..count {
                out.extend(mbap::encode(&Frame { transaction: 300 + u16::from(id), unit: frame.unit, pdu: vec![3, 2, 0xba, 0xad] }));
            }
            out.extend(good);
        }
    }
    stream.write_all(&out).is_ok()
}

fn changed(mut bytes: Vec<u8>, at: usize, bits: u8) -> Vec<u8> {
    bytes[at] ^= bits;
    bytes
}

/// What register `address` of `unit` holds: no two that a test uses hold the same.
pub fn value(unit: u8, address: u16) -> u16 {
    address.wrapping_add(u16::from(unit) << 8)
}

/// The good reply.
fn reply(unit: u8, request: &Request) -> Reply {
    let values = |address: u16, count: u16| (0..count).map(|offset| value(unit, address.wrapping_add(offset))).collect();
    let packed = |address: u16, count: u16| (0..count.div_ceil(8)).map(|byte| address.wrapping_add(byte) as u8).collect();
    match *request {
        Request::ReadCoils { address, count } => Reply::Coils { packed: packed(address, count) },
        Request::ReadDiscreteInputs { address, count } => Reply::DiscreteInputs { packed: packed(address, count) },
        Request::ReadHoldingRegisters { address, count } => Reply::HoldingRegisters { values: values(address, count) },
        Request::ReadInputRegisters { address, count } => Reply::InputRegisters { values: values(address, count) },
        Request::WriteSingleCoil { address, on } => Reply::WrittenSingleCoil { address, on },
        Request::WriteSingleRegister { address, value } => Reply::WrittenSingleRegister { address, value },
        Request::WriteMultipleCoils { address, count, .. } => Reply::WrittenMultipleCoils { address, count },
        Request::WriteMultipleRegisters { address, ref values } => Reply::WrittenMultipleRegisters { address, count: values.len() as u16 },
        Request::ReadWriteMultipleRegisters { read_address, read_count, .. } => {
            Reply::ReadWriteMultipleRegisters { values: values(read_address, read_count) }
        }
        Request::ReportServerId => Reply::ServerId { data: b"fault server".to_vec() },
        Request::ReadDeviceIdentification { code, .. } => Reply::DeviceIdentification {
            code,
            conformity: 1,
            more_follows: 0,
            next_object: 0,
            objects: vec![(0, b"fault server".to_vec())],
        },
    }
}
