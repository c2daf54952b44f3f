//! Looks for a model in a SunSpec device: the marker "SunS" at one of three places, then a chain of models, each with its id and length.
//!
//! It says which registers to read next and is told the answer. It never reads by itself, and it ends after a bounded number of reads.

use super::profile::Block;

/// Where a SunSpec map may begin (facts/devices.md 4.5).
const BASES: [u16; 3] = [40_000, 0, 50_000];
/// "SunS".
const MARKER: [u16; 2] = [0x5375, 0x6e53];
/// The id that ends a chain.
const END: u16 = 0xffff;
/// Most models that are looked at from one base.
const MOST_MODELS: u16 = 100;

/// A search for one model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Walk {
    model: u16,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The marker at this base is read next.
    Marker { base: usize },
    /// The id and the length of a model are read next.
    Model { base: usize, address: u16, seen: u16 },
    /// The model's id register.
    Found(u16),
    /// It is nowhere.
    Nowhere,
}

impl Walk {
    /// A search for this model that has not read anything yet.
    pub fn new(model: u16) -> Walk {
        Walk { model, state: State::Marker { base: 0 } }
    }

    /// The registers to read next; `None` when the search is over.
    pub fn next(&self) -> Option<Block> {
        let address = match self.state {
            State::Marker { base } => BASES[base],
            State::Model { address, .. } => address,
            State::Found(_) | State::Nowhere => return None,
        };
        Some(Block { function: 3, address, count: 2 })
    }

    /// What they hold; `None` where the device did not give them. A device that does not answer at all is better asked again later, with
    /// a new search.
    pub fn answer(&mut self, values: Option<&[u16]>) {
        self.state = match (self.state, values) {
            (State::Marker { base }, Some(values)) if *values == MARKER => {
                State::Model { base, address: BASES[base].saturating_add(2), seen: 0 }
            }
            (State::Model { address, .. }, Some([id, _])) if *id == self.model => State::Found(address),
            (State::Model { base, address, seen }, Some([id, length])) if *id != END && seen < MOST_MODELS => {
                match address.checked_add(2).and_then(|a| a.checked_add(*length)).filter(|a| *a < u16::MAX) {
                    Some(address) => State::Model { base, address, seen: seen + 1 },
                    None => after(base),
                }
            }
            (State::Marker { base } | State::Model { base, .. }, _) => after(base),
            (over, _) => over,
        };
    }

    /// The address of the model's id register.
    pub fn found(&self) -> Option<u16> {
        match self.state {
            State::Found(address) => Some(address),
            _ => None,
        }
    }
}

fn after(base: usize) -> State {
    if base + 1 < BASES.len() { State::Marker { base: base + 1 } } else { State::Nowhere }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks through a device that holds these registers from `start`.
    fn walk(start: u16, image: &[u16]) -> (Option<u16>, usize) {
        let mut walk = Walk::new(802);
        let mut reads = 0;
        while let Some(block) = walk.next() {
            reads += 1;
            assert!(reads < 1000, "bounded");
            let from = block.address.checked_sub(start).map(usize::from);
            walk.answer(from.and_then(|f| image.get(f..f + usize::from(block.count))));
        }
        (walk.found(), reads)
    }

    #[test]
    fn the_model_is_found_behind_others_at_every_base() {
        let image = [0x5375, 0x6e53, 1, 3, 7, 7, 7, 802, 62];
        for (base, reads) in [(40_000, 3), (0, 4), (50_000, 5)] {
            assert_eq!(walk(base, &image), (Some(base + 7), reads));
        }
    }

    #[test]
    fn a_chain_without_the_model_ends() {
        assert_eq!(walk(40_000, &[0x5375, 0x6e53, 1, 0, 0xffff, 0]).0, None);
        assert_eq!(walk(40_000, &[0x5375, 0x6e53, 1, 0xfff0, 0, 0]).0, None, "beyond the last register");
        assert_eq!(walk(40_000, &[1, 2]).0, None, "no marker");
        let endless: Vec<u16> = [0x5375, 0x6e53].into_iter().chain([5, 0].into_iter().cycle().take(2000)).collect();
        assert_eq!(walk(40_000, &endless).0, None, "a bounded number of models");
        assert_eq!(walk(7, &[]).0, None, "silence");
    }

    #[test]
    fn answers_of_the_wrong_length_are_none() {
        let mut walk = Walk::new(802);
        walk.answer(Some(&[0x5375]));
        assert_eq!(walk.next().map(|b| b.address), Some(0), "on to the next base");
    }
}
