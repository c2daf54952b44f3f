//! A Modbus server with real sockets in front of a control thread that does as a test wants.
#![allow(dead_code, missing_docs)]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use sax_controller::config::{Network, TcpServer as Settings};
use sax_controller::daemon::gateway::Gateway;
use sax_controller::daemon::responder::{Responder, SharedFile};
use sax_controller::daemon::settings_file::SettingsFile;
use sax_controller::modbus::mbap::{self, Frame};
use sax_controller::modbus::pdu::{Reply, Request};
use sax_controller::serve::ask::{Answer, Ask, Asked};
use sax_controller::serve::document::Document;
use sax_controller::serve::image::Image;
use sax_controller::serve::socket::Published;
use sax_controller::serve::tcp_server::{Patience, TcpServer};

/// Our unit.
pub const UNIT: u8 = 10;

/// Register 1000 to 1002 hold 16000, 1 and 2.
pub fn image() -> Image {
    Image { unit: UNIT, ranges: vec![(1000, vec![16_000, 1, 2])] }
}

/// What the control thread is asked, and what it answers; `None`: nothing.
pub struct Control {
    pub published: Published,
    pub asked: Sender<Asked>,
    record: Arc<Mutex<Vec<Ask>>>,
}

impl Control {
    pub fn start(mut answer: impl FnMut(&Ask) -> Option<Answer> + Send + 'static) -> Control {
        let (asked, asks) = bounded::<Asked>(64);
        let (published, record) = (Published::default(), Arc::default());
        published.publish(Document::default(), Some(image()));
        let noted: Arc<Mutex<Vec<Ask>>> = Arc::clone(&record);
        std::thread::spawn(move || {
            // Never answered, but not told so either.
            let mut kept = Vec::new();
            for asked in asks {
                noted.lock().unwrap().push(asked.ask.clone());
                match answer(&asked.ask) {
                    Some(answer) => asked.reply.send(answer).unwrap(),
                    None => kept.push(asked),
                }
            }
        });
        Control { published, asked, record }
    }

    pub fn done() -> Control {
        Control::start(|_| Some(Answer::Done))
    }

    pub fn record(&self) -> Vec<Ask> {
        self.record.lock().unwrap().clone()
    }

    pub fn responder(&self, writable: bool) -> Responder {
        Responder { published: self.published.clone(), asked: self.asked.clone(), writable, file: None, gateway: None }
    }

    pub fn with_file(&self, file: SettingsFile) -> Responder {
        Responder { file: Some(SharedFile::new(file)), ..self.responder(true) }
    }

    pub fn with_gateway(&self, gateway: Gateway, writable: bool) -> Responder {
        Responder { gateway: Some(gateway), ..self.responder(writable) }
    }
}

pub fn settings() -> Settings {
    Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        allow: vec!["127.0.0.0/8".parse::<Network>().unwrap_or_else(|_| panic!("a network"))],
        writable: true,
        max_connections: 8,
        idle_timeout_s: 300,
    }
}

/// A server on a free port; its threads end with the test.
pub fn serve(settings: &Settings, patience: Patience, responder: Responder) -> SocketAddr {
    let server = TcpServer::bind_with(settings, patience).unwrap_or_else(|e| panic!("{e}"));
    let address = server.address().unwrap();
    std::thread::spawn(move || server.serve(&responder, &()));
    address
}

/// A client by its own codec calls.
pub struct Client {
    pub stream: TcpStream,
    transaction: u16,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Client { stream, transaction: 0 }
    }

    pub fn send(&mut self, unit: u8, pdu: &[u8]) {
        self.transaction += 1;
        self.stream.write_all(&mbap::encode(&Frame { transaction: self.transaction, unit, pdu: pdu.to_vec() })).unwrap();
    }

    /// The next reply; `None`: the server has closed the connection.
    pub fn receive(&mut self) -> Option<Frame> {
        let (mut buffer, mut byte) = (Vec::new(), [0]);
        loop {
            if let Some((frame, _)) = mbap::split(&buffer).unwrap() {
                return Some(frame);
            }
            match self.stream.read(&mut byte) {
                Ok(1) => buffer.push(byte[0]),
                Ok(_) => return None,
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The reply to one request.
    pub fn ask(&mut self, unit: u8, pdu: &[u8]) -> Option<Vec<u8>> {
        self.send(unit, pdu);
        let frame = self.receive()?;
        assert_eq!((frame.transaction, frame.unit), (self.transaction, unit));
        Some(frame.pdu)
    }

    pub fn request(&mut self, unit: u8, request: &Request) -> Reply {
        Reply::decode(&self.ask(unit, &request.encode()).expect("an answer")).unwrap()
    }

    pub fn read(&mut self, address: u16, count: u16) -> Reply {
        self.request(UNIT, &Request::ReadHoldingRegisters { address, count })
    }

    pub fn write(&mut self, address: u16, value: u16) -> Reply {
        self.request(UNIT, &Request::WriteSingleRegister { address, value })
    }

    /// Whether the server answers at all.
    pub fn is_served(&mut self) -> bool {
        let asked = mbap::encode(&Frame { transaction: 1, unit: UNIT, pdu: vec![3, 3, 0xe8, 0, 1] });
        self.transaction = 1;
        self.stream.write_all(&asked).is_ok() && self.receive().is_some()
    }
}

pub fn exception(function: u8, code: u8) -> Reply {
    Reply::Exception { function, code }
}

pub fn holding(values: &[u16]) -> Reply {
    Reply::HoldingRegisters { values: values.to_vec() }
}
