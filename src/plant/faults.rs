//! What can go wrong between the controller and a battery, switched on and off while the site runs.
//!
//! Only the switches and the dice; [`wire`](super::wire) and [`client`](super::client) carry them out.

use std::mem::discriminant;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rng::Rng;

/// A fault of one host or bus; up to the number of batteries these are the batteries' own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Takes requests, does nothing with them and answers nothing.
    Silent,
    /// Answers this many ms later.
    Delay(u64),
    /// Resets the connection when a request comes, without doing anything.
    Reset,
    /// Closes the connection when a request comes, without doing anything.
    Close,
    /// Sends the first half of the reply and no more.
    HalfFrame,
    /// Sends random bytes instead of the reply.
    Garbage,
    /// The reply carries another transaction id; its low byte differs as well.
    WrongId,
    /// The reply carries another unit.
    WrongUnit,
    /// Answers everything with this exception and does nothing.
    Exception(u8),
    /// The reply carries another function code.
    OtherFunction,
    /// Sends the reply byte by byte, this many ms apart.
    Trickle(u64),
    /// No connection is accepted.
    Refuse,
    /// The length field announces four bytes more than come.
    WrongLength,
    /// Two bytes more than the byte count says; the length field counts them.
    TrailingBytes,
    /// The last byte is missing; the length field knows.
    ShortByOne,
    /// The meter values this battery reports stay as they are.
    FrozenMeter,
    /// All registers stay as they are; writes act and do not show.
    FrozenRegisters,
    /// Every register reads 0x7FFF.
    AbsurdValues,
    /// Every register with a value reads as what means "not a number" or "not implemented" in its kind.
    NotANumber,
    /// Measured powers have the other sign.
    SignFlip,
    /// Measured powers and the state of charge jump at random, three times a second, inside and far outside of what can be.
    Jumps,
    /// Another client takes every connection there is, and keeps them. On a bus another program takes every reply.
    Stolen,
    /// This many replies in a thousand are lost; the request was carried out.
    LoseReply {
        /// 0 to 1000.
        permille: u16,
    },
    /// This many requests in a thousand are lost.
    LoseRequest {
        /// 0 to 1000.
        permille: u16,
    },
    /// Answers with the previous reply, transaction id and all; with nothing if there was none.
    StaleReplay,
    /// A bus: before this many replies in a thousand there is noise, a few random bytes.
    Noise {
        /// 0 to 1000.
        permille: u16,
    },
    /// A bus: in this many replies in a thousand one bit is wrong.
    BitError {
        /// 0 to 1000.
        permille: u16,
    },
}

/// The switches of all batteries; clones switch the same site.
#[derive(Clone, Debug)]
pub struct Faults(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    active: Vec<Vec<Fault>>,
    rng: Rng,
}

impl Faults {
    pub(super) fn new(hosts: usize, number: u64) -> Faults {
        Faults(Arc::new(Mutex::new(Inner { active: vec![Vec::new(); hosts], rng: Rng::new(number, "fault") })))
    }

    /// Switches a fault on; one of the same kind is replaced.
    pub fn set(&self, battery: usize, fault: Fault) {
        if let Some(active) = self.lock().active.get_mut(battery) {
            active.retain(|f| discriminant(f) != discriminant(&fault));
            active.push(fault);
        }
    }

    /// Switches faults of this kind off, whatever their figure.
    pub fn clear(&self, battery: usize, fault: Fault) {
        if let Some(active) = self.lock().active.get_mut(battery) {
            active.retain(|f| discriminant(f) != discriminant(&fault));
        }
    }

    /// Switches all faults of a battery off.
    pub fn clear_all(&self, battery: usize) {
        if let Some(active) = self.lock().active.get_mut(battery) {
            active.clear();
        }
    }

    /// What is switched on.
    pub fn active(&self, battery: usize) -> Vec<Fault> {
        self.lock().active.get(battery).cloned().unwrap_or_default()
    }

    /// Throws the dice.
    pub(super) fn happens(&self, permille: u16) -> bool {
        self.lock().rng.chance(u32::from(permille))
    }

    /// Random bytes for [`Fault::Garbage`]; never the beginning of a frame.
    pub(super) fn garbage(&self) -> Vec<u8> {
        let rng = &mut self.lock().rng;
        let mut bytes: Vec<u8> = (0..16).map(|_| rng.below(256) as u8).collect();
        // A protocol id other than 0.
        bytes[2] |= 1;
        bytes
    }

    /// One to eight random bytes for [`Fault::Noise`].
    pub(super) fn noise(&self) -> Vec<u8> {
        let rng = &mut self.lock().rng;
        let count = 1 + rng.below(8);
        (0..count).map(|_| rng.below(256) as u8).collect()
    }

    /// Flips one bit for [`Fault::BitError`].
    pub(super) fn flip(&self, bytes: &mut [u8]) {
        let bits = bytes.len() as u32 * 8;
        if bits > 0 {
            let bit = self.lock().rng.below(bits);
            bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
