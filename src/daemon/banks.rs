//! Which register banks of a device answer: each is probed at most twice, and one that is dead beside a living one is not asked again.
//!
//! Only an answering device can have dead banks: while nothing answers at all it is unreachable and probed again later, and what was silent
//! before the first answer gets another chance.

use super::clock::Clock;
use super::endpoint::Endpoint;
use crate::device::decode::Registers;
use crate::device::encode::Context;
use crate::device::profile::{Block, Profile};
use crate::link::fault::Fault;
use crate::units::{Span, Time};

/// Unanswered probes that make a bank dead.
const SILENT_MOST: u8 = 2;
/// An unreachable device is probed again after this time.
const AGAIN: Span = Span::from_s(2);

/// What is known about the banks behind one endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Banks {
    known: Vec<(String, Bank)>,
    not_before: Time,
}

/// What is known about one bank.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bank {
    /// It did not answer so often so far.
    Unknown {
        /// Unanswered probes.
        silent: u8,
    },
    /// It answers.
    Alive {
        /// What it said with the probe about its setpoint.
        context: Context,
    },
    /// It does not exist here.
    Dead {
        /// Concluded from silence only, not from an answer.
        silent: bool,
    },
}

impl Banks {
    /// The state of a bank.
    pub fn state(&self, name: &str) -> Bank {
        self.known.iter().find(|b| b.0 == name).map_or(Bank::Unknown { silent: 0 }, |b| b.1)
    }

    /// Whether it answers.
    pub fn is_alive(&self, name: &str) -> bool {
        matches!(self.state(name), Bank::Alive { .. })
    }

    /// When the next probe may be made.
    pub fn not_before(&self) -> Time {
        self.not_before
    }

    /// Which of `profiles` to probe next: all once, then those that were silent again. `None`: everything is known.
    pub fn next<'p>(&self, profiles: &[&'p Profile]) -> Option<&'p Profile> {
        (0..SILENT_MOST).find_map(|n| profiles.iter().find(|p| self.state(&p.name) == Bank::Unknown { silent: n }).copied())
    }

    /// Nothing here fits: everything is forgotten and may be probed again from `not_before` on.
    pub fn forget(&mut self, not_before: Time) {
        *self = Banks { known: Vec::new(), not_before };
    }

    /// The first answer shows that the device is there now: what was silent before may only have been too early.
    fn give_the_silent_another_chance(&mut self) {
        for (_, bank) in &mut self.known {
            if matches!(bank, Bank::Unknown { .. } | Bank::Dead { silent: true }) {
                *bank = Bank::Unknown { silent: 0 };
            }
        }
    }

    fn set(&mut self, name: &str, bank: Bank) {
        match self.known.iter_mut().find(|b| b.0 == name) {
            Some(known) => known.1 = bank,
            None => self.known.push((name.to_owned(), bank)),
        }
    }
}

/// Makes one probe. Returns what went wrong, if anything did.
pub fn probe(endpoint: &mut Endpoint, profile: &Profile, unit: u8, all: &[&Profile], clock: &dyn Clock) -> Option<Fault> {
    let block =
        Block { function: profile.blocks.first().map_or(3, |b| b.function), address: profile.probe.address, count: profile.probe.count };
    let answer = endpoint.read(unit, &block, profile.gap, clock);
    let silent = match endpoint.banks.state(&profile.name) {
        Bank::Unknown { silent } => silent,
        _ => 0,
    };
    let unanswered = if silent + 1 >= SILENT_MOST { Bank::Dead { silent: true } } else { Bank::Unknown { silent: silent + 1 } };
    let (bank, fault) = match answer {
        Ok(values) if values.starts_with(&profile.probe.expect) => {
            let mut registers = Registers::default();
            registers.add(&block, values);
            let mut context = Context::default();
            context.learn(profile, &registers);
            (Bank::Alive { context }, None)
        }
        Ok(_) => (Bank::Dead { silent: false }, None),
        Err(error) => match Fault::of(&error) {
            // Acknowledge and busy say "not now", everything else "not here" (facts/sax.md 1.2: 0x0B from new firmware).
            fault @ Fault::Exception(5 | 6) => (unanswered, Some(fault)),
            fault @ Fault::Exception(_) => (Bank::Dead { silent: false }, Some(fault)),
            // No connection says nothing about a bank.
            fault @ Fault::Io(_) => {
                endpoint.banks.not_before = clock.now() + AGAIN;
                return Some(fault);
            }
            fault => (unanswered, Some(fault)),
        },
    };
    if matches!(bank, Bank::Alive { .. }) && !all.iter().any(|p| endpoint.banks.is_alive(&p.name)) {
        endpoint.banks.give_the_silent_another_chance();
    }
    endpoint.banks.set(&profile.name, bank);
    if all.iter().all(|p| matches!(endpoint.banks.state(&p.name), Bank::Dead { .. })) {
        endpoint.banks.forget(clock.now() + AGAIN);
    }
    fault
}
