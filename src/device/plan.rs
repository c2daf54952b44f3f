//! Which registers to ask for: the points that are wanted, gathered into as few requests as the profile's blocks allow.

use super::profile::{Block, Point, Profile};
use super::quantity::Quantity;

/// An address and a number of registers.
type Range = (u16, u16);

/// The requests that bring all wanted quantities that the profile has, with nothing around them.
pub fn requests(profile: &Profile, wanted: impl Fn(Quantity) -> bool) -> Vec<Block> {
    let ranges: Vec<_> = profile.points.iter().filter(|p| wanted(p.quantity)).flat_map(ranges).collect();
    gather(profile, &ranges)
}

/// Everything that a battery's poll must bring: its own quantities, its status registers, the scale factor of its setpoint, and what is
/// compared with what was written.
pub fn battery_requests(profile: &Profile) -> Vec<Block> {
    let mut all: Vec<_> = profile.points.iter().filter(|p| p.quantity.is_battery()).flat_map(ranges).collect();
    all.extend(profile.statuses.iter().map(|s| (s.address, s.words())));
    all.extend(profile.setpoint.as_ref().and_then(|s| s.scale_factor_at).map(|at| (at, 1)));
    all.extend(profile.start.iter().filter(|s| s.verify).map(|s| (s.write.address, s.kind.words())));
    gather(profile, &all)
}

/// Everything that the poll of a charger must bring: all there is.
pub fn charger_requests(profile: &Profile) -> Vec<Block> {
    let mut all = points_and_statuses(profile);
    if let Some(states) = profile.charger.as_ref().and_then(|charger| charger.states.as_ref()) {
        all.push((states.address, 1));
        all.extend(states.cable.map(|(at, _)| (at, 2)));
    }
    gather(profile, &all)
}

fn points_and_statuses(profile: &Profile) -> Vec<Range> {
    let statuses = profile.statuses.iter().map(|s| (s.address, s.words()));
    profile.points.iter().flat_map(ranges).chain(statuses).collect()
}

/// Everything that the poll of a battery management system must bring: all there is.
pub fn bms_requests(profile: &Profile) -> Vec<Block> {
    let mut all = points_and_statuses(profile);
    if let Some(bms) = &profile.bms {
        all.extend(bms.alive_at.map(|at| (at, 1)));
        all.extend(bms.clock_at.map(|at| (at, 6)));
        all.extend(bms.counters.iter().map(|c| (c.1, 1)));
        all.extend(bms.contradictions.iter().flat_map(|c| [(c.address, 1), (c.bit_address, 1)]));
        if let Some(group) = &bms.group {
            all.push((group.running_at, 1));
            for first in group.firsts() {
                all.extend([group.charge_limit, group.discharge_limit].iter().filter_map(|by| Some((first.checked_add(*by)?, 1))));
            }
        }
    }
    gather(profile, &all)
}

/// Both lists of requests, those of one block joined into one.
pub fn merge(profile: &Profile, a: &[Block], b: &[Block]) -> Vec<Block> {
    let mut merged = Vec::new();
    for block in &profile.blocks {
        let inside = || a.iter().chain(b).filter(|r| r.function == block.function && block.holds(r.address, r.count));
        let span = inside().map(|r| r.address).min().zip(inside().map(end).max());
        merged.extend(span.and_then(|(first, end)| request(block, first, end)));
    }
    merged
}

/// Whether the requests `all` already bring everything that `some` would.
pub fn covers(all: &[Block], some: &[Block]) -> bool {
    some.iter().all(|s| all.iter().any(|a| a.function == s.function && a.holds(s.address, s.count)))
}

/// One request per block that holds any of these; each range is asked for once, in the first block that holds it.
fn gather(profile: &Profile, ranges: &[Range]) -> Vec<Block> {
    let mut found: Vec<Option<(u16, u32)>> = vec![None; profile.blocks.len()];
    for (address, count) in ranges {
        let Some(k) = profile.blocks.iter().position(|block| block.holds(*address, *count)) else { continue };
        let end = u32::from(*address) + u32::from(*count);
        let (first, last) = found[k].unwrap_or((*address, end));
        found[k] = Some((first.min(*address), last.max(end)));
    }
    profile.blocks.iter().zip(found).filter_map(|(block, span)| span.and_then(|(first, end)| request(block, first, end))).collect()
}

/// Part of a block, from `first` up to, not including, `end`.
fn request(block: &Block, first: u16, end: u32) -> Option<Block> {
    let count = u16::try_from(end.checked_sub(u32::from(first))?).ok()?;
    Some(Block { function: block.function, address: first, count })
}

fn end(block: &Block) -> u32 {
    u32::from(block.address) + u32::from(block.count)
}

fn ranges(point: &Point) -> impl Iterator<Item = Range> {
    [Some((point.address, point.kind.words())), point.scale_factor_at.map(|at| (at, 1))].into_iter().flatten()
}
