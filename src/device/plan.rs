//! Which registers to ask for: the points that are wanted, gathered into as few requests as the profile's blocks allow.

use super::profile::{Block, Point, Profile};
use super::quantity::Quantity;

/// The requests that bring all wanted quantities that the profile has, with nothing around them.
pub fn requests(profile: &Profile, wanted: impl Fn(Quantity) -> bool) -> Vec<Block> {
    let spans: Vec<(u16, u16)> = profile.points.iter().filter(|p| wanted(p.quantity)).flat_map(spans).collect();
    let mut requests = Vec::new();
    for block in &profile.blocks {
        let inside = || spans.iter().filter(|(address, count)| block.holds(*address, *count));
        let (Some(first), Some(end)) = (inside().map(|s| s.0).min(), inside().map(|s| s.0 + s.1).max()) else { continue };
        requests.push(Block { function: block.function, address: first, count: end - first });
    }
    requests
}

/// Everything that a battery's poll must bring: its own quantities, and the scale factor of its setpoint.
pub fn battery_requests(profile: &Profile) -> Vec<Block> {
    let requests = requests(profile, Quantity::is_battery);
    let Some(at) = profile.setpoint.as_ref().and_then(|s| s.scale_factor_at) else { return requests };
    merge(profile, &requests, &[Block { function: 3, address: at, count: 1 }])
}

/// Both lists of requests, those of one block joined into one.
pub fn merge(profile: &Profile, a: &[Block], b: &[Block]) -> Vec<Block> {
    let mut merged = Vec::new();
    for block in &profile.blocks {
        let inside = || a.iter().chain(b).filter(|r| r.function == block.function && block.holds(r.address, r.count));
        let (Some(first), Some(end)) = (inside().map(|r| r.address).min(), inside().map(|r| r.address + r.count).max()) else { continue };
        merged.push(Block { function: block.function, address: first, count: end - first });
    }
    merged
}

/// Whether the requests `all` already bring everything that `some` would.
pub fn covers(all: &[Block], some: &[Block]) -> bool {
    some.iter().all(|s| all.iter().any(|a| a.function == s.function && a.holds(s.address, s.count)))
}

fn spans(point: &Point) -> impl Iterator<Item = (u16, u16)> {
    [Some((point.address, point.kind.words())), point.scale_factor_at.map(|at| (at, 1))].into_iter().flatten()
}
