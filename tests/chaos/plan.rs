//! What happens in a run: follows from its number alone.

use sax_controller::plant::rng::Rng;

use crate::kinds::{DUTIES, Kind};
use crate::layout::{Layout, Thing};

/// One fault.
#[derive(Clone, Debug)]
pub struct Injection {
    pub kind: Kind,
    pub thing: Option<Thing>,
    /// From the beginning of the round.
    pub from_ms: u64,
    pub for_ms: u64,
    /// Of the fault, or of the time that a device is down.
    pub figure: u32,
}

/// A load to balance, perhaps an overload, and then one or two faults.
#[derive(Clone, Debug)]
pub struct Round {
    pub loads_w: [i64; 3],
    pub overload: bool,
    pub injections: Vec<Injection>,
    /// In the middle of the faults the load changes.
    pub moved_w: Option<[i64; 3]>,
}

/// What is left out where the machine cannot do it.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    pub clock: bool,
    pub disk: bool,
    /// Longest fault in ms.
    pub longest_ms: u64,
    pub rounds: u32,
}

pub fn plan(layout: &Layout, means: Means) -> Vec<Round> {
    let mut rng = Rng::new(layout.number, "plan");
    (0..means.rounds).map(|_| round(&mut rng, layout, means)).collect()
}

fn round(rng: &mut Rng, layout: &Layout, means: Means) -> Round {
    let loads_w = loads(rng);
    let overload = rng.chance(300);
    let first = injection(rng, layout, means);
    let mut injections = vec![first];
    if rng.chance(400) {
        let mut second = injection(rng, layout, means);
        let first = &injections[0];
        if (second.kind, &second.thing) != (first.kind, &first.thing) {
            second.from_ms = u64::from(rng.below(u32::try_from(first.for_ms).unwrap_or(1)));
            injections.push(second);
        }
    }
    let moved_w = rng.chance(400).then(|| loads(rng));
    Round { loads_w, overload, injections, moved_w }
}

/// Between what charges and what discharges.
fn loads(rng: &mut Rng) -> [i64; 3] {
    std::array::from_fn(|_| rng.range(-22, 25) * 100)
}

fn injection(rng: &mut Rng, layout: &Layout, means: Means) -> Injection {
    loop {
        let kind = DUTIES[rng.below(DUTIES.len() as u32) as usize].kind;
        let mut places = kind.places(layout);
        let is_there = match kind {
            Kind::ClockForth | Kind::ClockBack => means.clock,
            Kind::FullDisk => means.disk,
            _ => true,
        };
        if places.is_empty() || !is_there {
            continue;
        }
        let thing = places.swap_remove(rng.below(places.len() as u32) as usize);
        // As many short ones as long ones: every doubling of the time is equally likely.
        let doublings = (means.longest_ms / 1000).max(2).ilog2();
        let for_ms = (1000_u64 << rng.below(doublings + 1)) * u64::from(1000 + rng.below(1000)) / 1000;
        let figure = match kind.duty().fault {
            Some((_, from, to)) => u32::try_from(rng.range(from.into(), to.into())).unwrap_or(from),
            None => 0,
        };
        return Injection { kind, thing, from_ms: 0, for_ms: for_ms.min(means.longest_ms), figure };
    }
}
