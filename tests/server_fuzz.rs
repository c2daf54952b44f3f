//! Requests that nobody would send, by the hundred thousand: no panic, and no register changes that was not written.
//!
//! `SERVER_FUZZ=10000000 cargo test --release --test server_fuzz` runs more of them.
#![allow(missing_docs)]

#[path = "common/served.rs"]
mod served;

use sax_controller::balancer::Settings;
use sax_controller::modbus::pdu::Request;
use sax_controller::modbus::{mbap, rtu};
use sax_controller::plant::rng::Rng;
use sax_controller::serve::registers::view::BatteryView;
use sax_controller::units::Span;
use served::Served;

const ADDRESSES: [u16; 14] = [999, 1000, 1001, 1009, 1010, 1017, 1022, 1089, 1090, 1091, 1092, 2005, 2900, 2906];
const VALUES: [u16; 14] = [0, 1, 2, 3, 4, 10, 20, 254, 255, 22_000, 24_000, 0x7fff, 0x8000, 0xffff];

struct Chance(Rng);

impl Chance {
    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.below(of.len() as u32) as usize]
    }

    fn bytes(&mut self, most: u32) -> Vec<u8> {
        (0..self.0.below(most + 1)).map(|_| self.0.next_u64() as u8).collect()
    }

    fn address(&mut self) -> u16 {
        match self.0.below(4) {
            0 => self.0.next_u64() as u16,
            1 => 990 + self.0.below(2000) as u16,
            _ => self.one(&ADDRESSES).wrapping_add(self.0.below(3) as u16),
        }
    }

    fn values(&mut self) -> Vec<u16> {
        let most = self.one(&[1, 1, 2, 2, 3, 7, 13, 123]);
        let tame = self.0.chance(500);
        (0..1 + self.0.below(most)).map(|_| if tame { self.one(&VALUES[..5]) } else { self.one(&VALUES) }).collect()
    }

    /// A request that is well-formed, mostly one that is served.
    fn request(&mut self) -> Vec<u8> {
        let (address, count) = (self.address(), 1 + self.0.below(if self.0.clone().chance(200) { 125 } else { 8 }) as u16);
        let request = match self.0.below(14) {
            0 => Request::ReadCoils { address, count },
            1 => Request::WriteSingleCoil { address, on: true },
            2 => Request::ReadWriteMultipleRegisters { read_address: address, read_count: 1, write_address: 1000, values: vec![1] },
            3 => Request::ReportServerId,
            4 => Request::ReadHoldingRegisters { address, count },
            5 => Request::ReadInputRegisters { address, count },
            6 | 7 => Request::WriteSingleRegister { address, value: self.one(&VALUES) },
            8 => Request::WriteMultipleRegisters { address: self.one(&[2900, 2902, 2904]), values: self.values() },
            9 => Request::WriteMultipleRegisters { address: 1090, values: vec![self.one(&VALUES), 1] },
            10 => Request::WriteSingleRegister { address: self.one(&[1091, 1092]), value: 1 },
            _ => Request::WriteMultipleRegisters { address, values: self.values() },
        };
        request.encode()
    }

    /// Any PDU.
    fn pdu(&mut self) -> Vec<u8> {
        if self.0.chance(100) {
            return self.bytes(253);
        }
        let mut pdu = self.request();
        if self.0.chance(300) {
            self.damage(&mut pdu);
        }
        pdu
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.0.below(bytes.len() as u32 + 1) as usize;
        match self.0.below(3) {
            0 => bytes.truncate(at),
            1 => bytes.splice(at..at, self.bytes(4)).for_each(drop),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << self.0.below(8)),
        }
    }

    /// Frames with noise before, between and in them.
    fn stream(&mut self, frame: impl Fn(Vec<u8>, &mut Chance) -> Vec<u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..=self.0.below(3) {
            if self.0.chance(300) {
                bytes.extend(self.bytes(20));
            }
            let pdu = self.pdu();
            bytes.extend(frame(pdu, self));
            if self.0.chance(200) {
                self.damage(&mut bytes);
            }
        }
        bytes
    }
}

fn unit(served: &Served, chance: &mut Chance) -> u8 {
    if chance.0.chance(900) { served.image().unit } else { chance.0.next_u64() as u8 }
}

fn run(count: u64, with_balancer: bool) -> (u64, u64) {
    let mut chance = Chance(Rng::new(5, "server"));
    let mut served = Served { batteries: vec![BatteryView::default(); 3], ..Served::new(with_balancer.then(Settings::default)) };
    let (mut writes, mut saves) = (0, 0);
    for _ in 0..count {
        served.writable = chance.0.chance(800);
        if chance.0.chance(30) {
            served.now += Span::from_s(chance.one(&[1, 20, 59, 60, 600]));
        }
        let kind = chance.0.below(4);
        let unit = unit(&served, &mut chance);
        served.checked(|served| match kind {
            0 => drop(served.on_the_line(&chance.stream(|pdu, _| rtu::encode(unit, &pdu)))),
            1 => {
                let bytes = chance.stream(|pdu, chance| mbap::encode(&mbap::Frame { transaction: chance.0.next_u64() as u16, unit, pdu }));
                served.on_the_connection(&bytes);
            }
            _ => served.single(&chance.pdu()),
        });
        writes += served.written.len() as u64;
        saves += u64::from(served.written.iter().any(|(address, values)| (*address..).zip(values).any(|(at, _)| at == 1091)));
    }
    (writes, saves)
}

#[test]
fn no_request_changes_what_it_should_not() {
    let count = std::env::var("SERVER_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let (writes, saves) = run(count * 9 / 10, true);
    assert!(writes > count / 50 && saves > count / 500, "{writes} writes, {saves} saves: too few of them mean something");
    let (writes, saves) = run(count / 10, false);
    assert!(writes > count / 500 && saves > count / 5000, "without a load balancer: {writes} writes, {saves} saves");
}
