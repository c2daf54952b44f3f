//! A profile with all its registers moved.

use crate::device::bms::{BmsParts, Group};
use crate::device::charger::{ChargerParts, States};
use crate::device::profile::{Block, FixedWrite, Heartbeat, Kind, Limits, Point, Probe, Profile, RawWrite, Register, Setpoint};
use crate::device::status::Status;

/// The profile moved by so many addresses; what leaves the address space is dropped.
pub(super) fn shifted(profile: &Profile, by: i32) -> Profile {
    let m = Move(by);
    let mut p = profile.clone();
    p.blocks = p.blocks.into_iter().filter_map(|b| Some(Block { address: m.range(b.address, b.count)?, ..b })).collect();
    p.points = p.points.into_iter().filter_map(|point| m.point(point)).collect();
    p.statuses = p.statuses.into_iter().filter_map(|s| Some(Status { address: m.range(s.address, s.words())?, ..s })).collect();
    p.setpoint = p.setpoint.and_then(|s| m.setpoint(s));
    p.limits =
        p.limits.and_then(|l| Some(Limits { charge: m.register(l.charge)?, discharge: m.register(l.discharge)?, refresh: l.refresh }));
    p.start = p.start.into_iter().filter_map(|w| m.write(w)).collect();
    p.release = p.release.into_iter().filter_map(|w| m.write(w)).collect();
    p.heartbeat = p.heartbeat.and_then(|h| Some(Heartbeat { address: m.one(h.address)?, ..h }));
    p.bms = p.bms.map(|bms| m.bms(bms));
    p.charger = p.charger.and_then(|charger| m.charger(charger));
    // A device is always asked for something; what is left of its blocks is as good a probe.
    let probe = m.range(p.probe.address, p.probe.count).map(|address| Probe { address, ..p.probe.clone() });
    let first = || p.blocks.first().map(|b| Probe { address: b.address, count: 1, expect: Vec::new() });
    p.probe = probe.or_else(first).unwrap_or(p.probe);
    p
}

/// By how many addresses.
#[derive(Clone, Copy)]
struct Move(i32);

impl Move {
    fn one(self, address: u16) -> Option<u16> {
        u16::try_from(i32::from(address).checked_add(self.0)?).ok()
    }

    /// The new first of `count` registers, all of which must have a place.
    fn range(self, address: u16, count: u16) -> Option<u16> {
        let first = self.one(address)?;
        first.checked_add(count.saturating_sub(1))?;
        Some(first)
    }

    /// `Some(None)` where there is none, `None` where it has no place.
    fn optional(self, address: Option<u16>) -> Option<Option<u16>> {
        match address {
            None => Some(None),
            Some(address) => self.one(address).map(Some),
        }
    }

    fn point(self, p: Point) -> Option<Point> {
        Some(Point { address: self.range(p.address, p.kind.words())?, scale_factor_at: self.optional(p.scale_factor_at)?, ..p })
    }

    fn register(self, r: Register) -> Option<Register> {
        Some(Register { address: self.words(r.address, r.kind)?, ..r })
    }

    fn words(self, address: u16, kind: Kind) -> Option<u16> {
        self.range(address, kind.words())
    }

    fn setpoint(self, s: Setpoint) -> Option<Setpoint> {
        Some(Setpoint { register: self.register(s.register)?, scale_factor_at: self.optional(s.scale_factor_at)?, ..s })
    }

    fn write(self, w: FixedWrite) -> Option<FixedWrite> {
        let address = self.words(w.write.address, w.kind)?;
        Some(FixedWrite { write: RawWrite { address, ..w.write }, ..w })
    }

    /// What has no place is left out, but for the limit.
    fn charger(self, charger: ChargerParts) -> Option<ChargerParts> {
        let states = |s: States| {
            let cable = match s.cable {
                Some((at, from)) => Some((self.range(at, 2)?, from)),
                None => None,
            };
            Some(States { address: self.one(s.address)?, cable, ..s })
        };
        Some(ChargerParts {
            limit: self.register(charger.limit)?,
            timeout: charger.timeout.and_then(|w| self.write(w)),
            fallback: charger.fallback.and_then(|r| self.register(r)),
            states: charger.states.and_then(states),
            ..charger
        })
    }

    fn bms(self, bms: BmsParts) -> BmsParts {
        BmsParts {
            alive_at: bms.alive_at.and_then(|at| self.one(at)),
            heartbeat_at: bms.heartbeat_at.and_then(|at| self.one(at)),
            clock_at: bms.clock_at.and_then(|at| self.range(at, 6)),
            counters: bms.counters.into_iter().filter_map(|(name, at)| Some((name, self.one(at)?))).collect(),
            contradictions: bms
                .contradictions
                .into_iter()
                .filter_map(|mut c| {
                    (c.address, c.bit_address) = (self.one(c.address)?, self.one(c.bit_address)?);
                    Some(c)
                })
                .collect(),
            group: bms.group.and_then(|g| Some(Group { base: self.one(g.base)?, running_at: self.one(g.running_at)?, ..g })),
            ..bms
        }
    }
}
