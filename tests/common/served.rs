//! Our registers as the server's threads and the control thread use them together, without either: frames or PDUs in, replies out.
#![allow(dead_code, missing_docs)]

use sax_controller::balancer::{Balancer, Settings};
use sax_controller::modbus::pdu::{Reply, Request};
use sax_controller::modbus::{mbap, rtu};
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
    /// What was written since this was emptied last: the first register, and the values.
    pub written: Vec<(u16, Vec<u16>)>,
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
            written: Vec::new(),
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
            Answer::Done => {
                if let Ask::Write { address, values } = ask {
                    self.written.push((address, values));
                }
                done
            }
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

    /// Lets `act` happen, and holds what has changed against what was written.
    pub fn checked(&mut self, act: impl FnOnce(&mut Served)) {
        self.registers.look(self.now);
        self.written.clear();
        let before = self.image();
        act(self);
        let after = self.image();
        let may: Vec<u16> = self.written.iter().flat_map(|(address, values)| changed_by(*address, values.len())).collect();
        assert!(self.writable || self.written.is_empty());
        assert!(before.unit == after.unit || may.contains(&1091) || may.contains(&1092));
        let shape = |image: &Image| image.ranges.iter().map(|(first, words)| (*first, words.len())).collect::<Vec<_>>();
        assert_eq!(shape(&before), shape(&after));
        for ((first, was), (_, is)) in before.ranges.iter().zip(&after.ranges) {
            for (register, (was, is)) in (*first..).zip(was.iter().zip(is)) {
                assert!(was == is || may.contains(&register), "{register} was {was} and is {is} after {:?}", self.written);
            }
        }
        if let [(address, values)] = &self.written[..] {
            let readable = !(1090..=1092).contains(address);
            assert!(!readable || after.read(*address, values.len() as u16).as_ref() == Ok(values), "{:?} reads back", self.written);
        }
    }

    /// What a read says is what stands there, and an exception follows from a write that did nothing.
    pub fn single(&mut self, pdu: &[u8]) {
        let before = self.image();
        let reply = self.reply(pdu);
        // Function 0 is none, not even one to refuse.
        assert!(reply.function() == 0 || Reply::decode(&reply.encode()) == Ok(reply.clone()), "{reply:?} to {pdu:x?}");
        match (Request::decode(pdu), &reply) {
            (Ok(Request::ReadHoldingRegisters { address, count }), Reply::HoldingRegisters { values })
            | (Ok(Request::ReadInputRegisters { address, count }), Reply::InputRegisters { values }) => {
                assert_eq!(before.read(address, count).as_ref(), Ok(values));
            }
            (Ok(Request::WriteSingleRegister { address, value }), Reply::WrittenSingleRegister { .. }) => {
                assert_eq!(self.written, [(address, vec![value])]);
            }
            (Ok(Request::WriteMultipleRegisters { address, values }), Reply::WrittenMultipleRegisters { .. }) => {
                assert_eq!(self.written, [(address, values)]);
            }
            (_, Reply::Exception { code, .. }) => {
                assert!((1..=3).contains(code) && self.written.is_empty());
                assert_eq!(self.image(), before);
            }
            (request, reply) => panic!("{reply:?} to {request:?}"),
        }
    }

    /// The replies to what comes over a connection, which is closed at what is no frame.
    pub fn on_the_connection(&mut self, bytes: &[u8]) -> Vec<Reply> {
        let (mut rest, mut replies) = (bytes, Vec::new());
        while let Ok(Some((frame, taken))) = mbap::split(rest) {
            replies.push(self.reply(&frame.pdu));
            rest = &rest[taken..];
        }
        replies
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

/// The registers that a write may change: those it names, and what follows from them.
fn changed_by(address: u16, count: usize) -> Vec<u16> {
    let named = address..=address.saturating_add(count as u16 - 1);
    let mut all: Vec<u16> = named.clone().collect();
    let follows: [(u16, u16, &[u16]); 4] = [
        (1000, 1000, &[1001]),
        (1091, 1091, &[1000, 1001]),
        (1092, 1092, &[1000, 1001, 1010, 1011, 1012, 1013, 1014, 1015, 1016, 1017, 1018, 1019, 1020, 1021, 1022]),
        (2900, 2906, &[2005]),
    ];
    for (_, _, also) in
        follows.into_iter().filter(|(first, last, _)| named.contains(first) || named.contains(last) || address > *first && address <= *last)
    {
        all.extend(also);
    }
    all
}
