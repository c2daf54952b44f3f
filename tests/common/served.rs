//! Our registers as the server's threads and the control thread use them together, without either: frames or PDUs in, replies out.
#![allow(dead_code, missing_docs)]

use sax_controller::balancer::{Balancer, Settings};
use sax_controller::modbus::pdu::Reply;
use sax_controller::modbus::rtu;
use sax_controller::serve::ask::{Answer, Ask, Saved};
use sax_controller::serve::image::Image;
use sax_controller::serve::judge::{Judged, judge};
use sax_controller::serve::registers::Registers;
use sax_controller::serve::registers::view::{BatteryView, SiteView};
use sax_controller::units::{Span, Time};

pub struct Served {
    pub registers: Registers,
    pub balancer: Option<Balancer>,
    pub site: SiteView,
    pub batteries: Vec<BatteryView>,
    pub writable: bool,
    pub now: Time,
    /// What is on the disk.
    pub saved: Option<Saved>,
}

impl Served {
    /// Unit 10 with a load balancer, where there are settings for one.
    pub fn new(settings: Option<Settings>) -> Served {
        let configured = Saved { settings, address: 10 };
        Served {
            registers: Registers::new(configured, false, Span::from_s(60)),
            balancer: settings.map(|s| Balancer::new(s, Span::from_s(1))),
            site: SiteView::default(),
            batteries: Vec::new(),
            writable: true,
            now: Time::from_ms(1_000_000),
            saved: None,
        }
    }

    pub fn image(&self) -> Image {
        self.registers.image(self.balancer.as_ref(), &self.site, &self.batteries)
    }

    pub fn decide(&mut self, ask: &Ask) -> Answer {
        self.registers.decide(ask, self.balancer.as_mut(), self.now)
    }

    /// The reply to a request to our unit.
    pub fn reply(&mut self, pdu: &[u8]) -> Reply {
        let (ask, done) = match judge(&self.image(), self.writable, pdu) {
            Judged::Reply(reply) => return reply,
            Judged::Ask { ask, done } => (ask, done),
        };
        let answer = match self.decide(&ask) {
            Answer::Save(saved) => {
                self.saved = saved;
                self.decide(&Ask::Apply(saved))
            }
            answer => answer,
        };
        match answer {
            Answer::Done => done,
            Answer::Refused(code) => Reply::Exception { function: done.function(), code },
            Answer::Save(_) => panic!("what is on the disk is asked to be saved"),
        }
    }

    /// The exception's code, where there is one.
    pub fn write(&mut self, address: u16, values: &[u16]) -> Result<(), u8> {
        let request = sax_controller::modbus::pdu::Request::WriteMultipleRegisters { address, values: values.to_vec() };
        match self.reply(&request.encode()) {
            Reply::WrittenMultipleRegisters { address: a, count } if a == address && usize::from(count) == values.len() => Ok(()),
            Reply::Exception { function: 16, code } => Err(code),
            other => panic!("{other:?}"),
        }
    }

    pub fn read(&self, address: u16, count: u16) -> Result<Vec<u16>, u8> {
        self.image().read(address, count)
    }

    /// What goes back onto a serial line for these bytes, which silence follows.
    pub fn on_the_line(&mut self, bytes: &[u8]) -> Vec<u8> {
        let (mut rest, mut out) = (bytes, Vec::new());
        while !rest.is_empty() {
            let (frame, taken) = match rtu::split_request(rest) {
                Ok(Some((unit, pdu, taken))) => (Some((unit, pdu)), taken),
                Ok(None) | Err(rtu::FrameError::Unknown(_)) if rtu::whole(rest).is_ok() => (rtu::whole(rest).ok(), rest.len()),
                Ok(None) => return out,
                Err(_) => (None, rtu::resync_request(rest)),
            };
            assert!(taken > 0);
            rest = &rest[taken..];
            if let Some((unit, pdu)) = frame.filter(|(unit, _)| *unit == self.image().unit) {
                out.extend(rtu::encode(unit, &self.reply(&pdu).encode()));
            }
        }
        out
    }
}
