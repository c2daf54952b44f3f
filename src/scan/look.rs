//! Finds out who answers at one unit, and what it is. Reads only: functions 3, 4, 17 and 43.
//!
//! The probes of the known profiles come first: some devices say nothing at addresses that they do not have, and would be taken for dead.

use std::time::Duration;

use super::ask::{Asker, Heard};
use super::found::{First, Unit};
use super::identity::{Identity, SunSpec};
use super::recognise::{self, Match};
use crate::device::decode::Registers;
use crate::device::library::Library;
use crate::device::parse::Device;
use crate::device::profile::{Block, Profile};
use crate::device::setting::Settings;
use crate::modbus::pdu::{Reply, Request};

/// A unit that was silent so often, and never spoke, is none.
const SILENCES_DEAD: u32 = 3;
/// Device identifications come in parts; no device has more of them.
const PARTS_MAX: u32 = 4;
/// Where SunSpec devices have their marker (facts/devices.md 4.5); 0 is read anyway.
const SUNSPEC_BASES: [u16; 3] = [40_000, 0, 50_000];
/// "SunS"
const SUNSPEC_MARKER: [u16; 2] = [0x5375, 0x6e53];
/// Ends the chain of SunSpec models.
const SUNSPEC_END: u16 = 0xffff;
/// No device has more models.
const MODELS_MAX: usize = 40;
/// Unit of profiles whose device can have any.
const ANY_UNIT: u8 = 1;

/// Who is at a unit.
#[derive(Clone, PartialEq, Debug)]
pub enum Seen {
    /// A device.
    Someone(Box<Unit>),
    /// A gateway says that it has no such unit.
    Absent,
    /// Nobody answered.
    Nobody,
}

/// The known profiles, under the defaults of their settings.
pub fn profiles(library: &Library) -> Vec<Profile> {
    let profiles = library.iter().filter_map(|device| match device {
        Device::Profile(profile) => Some(profile.with_settings(&Settings::new())),
        _ => None,
    });
    profiles.collect()
}

/// Looks at one unit.
pub fn look(asker: &mut Asker<'_>, profiles: &[Profile], unit: u8) -> Seen {
    let profiles = profiles_of(profiles, unit);
    let gap = profiles.iter().map(|profile| Duration::from_millis(profile.gap.as_ms())).max().unwrap_or_default();
    let mut look = Look { asker, unit, gap, spoke: false, silences: 0, absent: false };
    look.at(&profiles)
}

/// The profiles that a device at `unit` may have: those made for this unit, else those whose device can have any.
fn profiles_of(profiles: &[Profile], unit: u8) -> Vec<&Profile> {
    let of = |wanted: u8| profiles.iter().filter(|profile| profile.unit == wanted).collect::<Vec<_>>();
    let own = of(unit);
    if own.is_empty() { of(ANY_UNIT) } else { own }
}

struct Look<'l, 'a> {
    asker: &'l mut Asker<'a>,
    unit: u8,
    gap: Duration,
    spoke: bool,
    silences: u32,
    absent: bool,
}

impl Look<'_, '_> {
    fn at(&mut self, profiles: &[&Profile]) -> Seen {
        let own = profiles.iter().any(|profile| profile.unit == self.unit);
        // A unit that is nobody's in particular is asked for its first register only, before profiles are tried on it.
        let mut probed = Vec::new();
        if own {
            probed = self.probe(profiles);
        }
        let first = if self.is_dead() { First::None } else { self.first() };
        if !self.spoke {
            return if self.absent { Seen::Absent } else { Seen::Nobody };
        }
        let mut identity = Identity::default();
        self.identification(&mut identity);
        self.server_id(&mut identity);
        self.sunspec(first, &mut identity);
        if !own {
            probed = self.probe(profiles);
        }
        probed.extend(profiles.iter().filter(|profile| !recognise::has_addresses(profile)).map(|profile| (*profile, Vec::new())));
        let mut matches: Vec<Match> =
            probed.into_iter().filter_map(|(profile, words)| self.recognise(profile, &words, identity.sunspec.as_ref())).collect();
        matches.sort_unstable_by(Match::best_first);
        Seen::Someone(Box::new(Unit { ids: vec![self.unit], identity, first, matches }))
    }

    /// Whether asking further is of no use.
    fn is_dead(&self) -> bool {
        self.asker.is_over() || self.absent || (!self.spoke && self.silences >= SILENCES_DEAD)
    }

    fn ask(&mut self, request: &Request) -> Option<Reply> {
        match self.asker.ask(self.unit, self.gap, request) {
            Heard::Reply(reply) => {
                self.spoke = true;
                Some(reply)
            }
            Heard::Exception(_) => {
                self.spoke = true;
                None
            }
            Heard::NoSuchUnit(_) => {
                self.absent = !self.spoke;
                None
            }
            Heard::Silence | Heard::Broken(_) => {
                self.silences = self.silences.saturating_add(1);
                None
            }
            Heard::Garbled(_) | Heard::Stopped => None,
        }
    }

    fn read(&mut self, block: &Block) -> Option<Vec<u16>> {
        let (address, count) = (block.address, block.count);
        let request = match block.function {
            4 => Request::ReadInputRegisters { address, count },
            _ => Request::ReadHoldingRegisters { address, count },
        };
        match self.ask(&request)? {
            Reply::HoldingRegisters { values } | Reply::InputRegisters { values } => Some(values),
            _ => None,
        }
    }

    /// The profiles whose probe was answered as they expect, with the answer.
    fn probe<'p>(&mut self, profiles: &[&'p Profile]) -> Vec<(&'p Profile, Vec<u16>)> {
        let mut probed = Vec::new();
        let mut answers: Vec<(Block, Option<Vec<u16>>)> = Vec::new();
        let before = self.silences;
        for profile in profiles.iter().filter(|profile| recognise::has_addresses(profile)) {
            if self.is_dead() || self.silences - before >= SILENCES_DEAD {
                break;
            }
            let probe = recognise::probe_block(profile);
            let known = answers.iter().find(|(block, _)| *block == probe).map(|(_, answer)| answer.clone());
            let answer = known.unwrap_or_else(|| self.read(&probe));
            answers.push((probe, answer.clone()));
            if let Some(words) = answer.filter(|words| words.starts_with(&profile.probe.expect)) {
                probed.push((*profile, words));
            }
        }
        probed
    }

    fn first(&mut self) -> First {
        match self.asker.ask(self.unit, self.gap, &Request::ReadHoldingRegisters { address: 0, count: 1 }) {
            Heard::Reply(Reply::HoldingRegisters { values }) => {
                self.spoke = true;
                values.first().map_or(First::None, |value| First::Value(*value))
            }
            Heard::Exception(code) => {
                self.spoke = true;
                First::Exception(code)
            }
            Heard::NoSuchUnit(_) => {
                self.absent = !self.spoke;
                First::None
            }
            _ => First::None,
        }
    }

    /// Function 43: the mandatory objects, or what the device calls basic.
    fn identification(&mut self, identity: &mut Identity) {
        let mut next = 0;
        for _ in 0..PARTS_MAX {
            let Some(Reply::DeviceIdentification { more_follows, next_object, objects, .. }) =
                self.ask(&Request::ReadDeviceIdentification { code: 1, object: next })
            else {
                return;
            };
            for (id, bytes) in &objects {
                identity.add_object(*id, bytes);
            }
            if more_follows != 0xff || next_object <= next {
                return;
            }
            next = next_object;
        }
    }

    /// Function 17, where function 43 said nothing.
    fn server_id(&mut self, identity: &mut Identity) {
        if !identity.is_empty() {
            return;
        }
        if let Some(Reply::ServerId { data }) = self.ask(&Request::ReportServerId) {
            identity.add_server_id(&data);
        }
    }

    /// The SunSpec common block and the models behind it.
    fn sunspec(&mut self, first: First, identity: &mut Identity) {
        let before = self.silences;
        for base in SUNSPEC_BASES {
            let hopeless = base == 0 && first != First::Value(SUNSPEC_MARKER[0]);
            if hopeless || self.asker.is_over() || self.silences > before {
                continue;
            }
            let marker = self.read(&holding(base, 4));
            let Some([a, b, id, length]) = marker.as_deref().and_then(|m| <[u16; 4]>::try_from(m).ok()) else { continue };
            if [a, b] != SUNSPEC_MARKER || id != 1 {
                continue;
            }
            let common = self.read(&holding(base + 2, length.clamp(1, 66) + 2));
            identity.add_common(&common.unwrap_or_default());
            let mut found = SunSpec { base, models: vec![id] };
            if matches!(length, 65 | 66) {
                self.models(&mut found, length);
            }
            identity.sunspec = Some(found);
            return;
        }
    }

    /// Walks the chain. Devices whose lengths are not as specified lead astray (facts/sax.md 1.3), so the first doubt ends it.
    fn models(&mut self, found: &mut SunSpec, common_length: u16) {
        let mut at = found.base.checked_add(4).and_then(|at| at.checked_add(common_length));
        while let Some(address) = at.filter(|at| found.models.len() < MODELS_MAX && *at < u16::MAX) {
            let Some([id, length]) = self.read(&holding(address, 2)).and_then(|m| <[u16; 2]>::try_from(m).ok()) else { return };
            if id == SUNSPEC_END || id == 0 {
                return;
            }
            found.models.push(id);
            at = address.checked_add(2).and_then(|at| at.checked_add(length));
        }
    }

    /// How well a profile fits whose probe was answered: its blocks are read and judged.
    fn recognise(&mut self, profile: &Profile, probed: &[u16], sunspec: Option<&SunSpec>) -> Option<Match> {
        let mut registers = Registers::default();
        let mut words = probed.to_vec();
        if recognise::has_addresses(profile) {
            for block in &profile.blocks {
                if let Some(values) = self.read(block) {
                    words.extend(&values);
                    registers.add(block, values);
                }
            }
        }
        let models = sunspec.map_or(&[][..], |sunspec| &sunspec.models);
        recognise::judge(profile, &registers, &words, models, self.unit)
    }
}

fn holding(address: u16, count: u16) -> Block {
    Block { function: 3, address, count }
}
