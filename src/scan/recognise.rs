//! How well what a device answered fits a known profile.
//!
//! A profile says where its values are and which values are possible. A device whose every value is possible is probably one; a marker
//! that nothing else has, together with possible values, makes it sure. Knows no device by name.

use std::cmp::Ordering;
use std::fmt;

use crate::device::decode::{self, Registers};
use crate::device::profile::{Block, Profile};
use crate::device::quantity::Quantity;
use crate::device::status::Content;

/// A marker of fewer registers may be chance.
const MARKER_WORDS: usize = 2;
/// A meter that works sees such voltages, mV, and such frequencies, mHz.
const VOLTAGES_MV: std::ops::RangeInclusive<i64> = 50_000..=500_000;
const FREQUENCIES_MHZ: std::ops::RangeInclusive<i64> = 40_000..=70_000;

/// A profile that fits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Match {
    /// Its name.
    pub profile: String,
    /// The unit at which it fits.
    pub unit: u8,
    /// How well.
    pub certainty: Certainty,
    /// Values that are possible, of those that the profile has.
    pub possible: (usize, usize),
}

/// How sure it is that a device is what a profile describes; the best last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Certainty {
    /// Most values are possible.
    Perhaps,
    /// All values are possible, but nothing says that they are what the profile thinks.
    Probably,
    /// It has the marker of the profile, and all values are possible.
    Surely,
}

impl fmt::Display for Certainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Certainty::Perhaps => "perhaps",
            Certainty::Probably => "probably",
            Certainty::Surely => "surely",
        })
    }
}

impl Match {
    /// The surest first, then the one that had more to be wrong about.
    pub fn best_first(&self, other: &Match) -> Ordering {
        let key = |m: &Match| (m.certainty, m.possible.0);
        key(other).cmp(&key(self)).then_with(|| self.profile.cmp(&other.profile))
    }
}

/// The read that only a living device of this profile answers.
pub(super) fn probe_block(profile: &Profile) -> Block {
    let probe = &profile.probe;
    let function = profile.blocks.iter().find(|block| block.holds(probe.address, probe.count)).map_or(3, |block| block.function);
    Block { function, address: probe.address, count: probe.count }
}

/// Whether its registers have addresses. Those of a SunSpec model are elsewhere in each device: the chain of models tells.
pub(super) fn has_addresses(profile: &Profile) -> bool {
    sunspec_model(profile).is_none()
}

fn sunspec_model(profile: &Profile) -> Option<u16> {
    profile.bms.as_ref().and_then(|bms| bms.sunspec_model)
}

/// Judges a profile whose probe was answered. `words`: everything that was read for it; `models`: the SunSpec models of the device.
pub fn judge(profile: &Profile, registers: &Registers, words: &[u16], models: &[u16], unit: u8) -> Option<Match> {
    let found = |certainty, possible| Some(Match { profile: profile.name.clone(), unit, certainty, possible });
    if let Some(model) = sunspec_model(profile) {
        return if models.contains(&model) { found(Certainty::Surely, (1, 1)) } else { None };
    }
    // Registers that are all the same say nothing, whatever they are.
    if words.iter().all(|word| Some(word) == words.first()) && profile.probe.expect.is_empty() {
        return None;
    }
    let (possible, all) = count(profile, registers);
    if all == 0 || possible * 4 < all * 3 {
        return None;
    }
    let marked = profile.probe.expect.len() >= MARKER_WORDS;
    let certainty = match (possible == all, marked) {
        (true, true) => Certainty::Surely,
        (true, false) => Certainty::Probably,
        (false, _) => Certainty::Perhaps,
    };
    found(certainty, (possible, all))
}

/// How many values are possible, of how many.
fn count(profile: &Profile, registers: &Registers) -> (usize, usize) {
    let points = profile.points.iter().map(|point| is_possible(profile, registers, point.quantity));
    let statuses = profile.statuses.iter().filter_map(|status| {
        let value = registers.get(status.address);
        match &status.content {
            Content::Codes { codes, .. } if !codes.is_empty() => {
                Some(value.is_some_and(|value| codes.iter().any(|code| code.value == i64::from(value))))
            }
            Content::Bits { words: 1, bits, .. } if !bits.is_empty() => {
                let named = bits.iter().filter_map(|bit| u32::try_from(bit.value).ok()).fold(0, |all, bit| all | 1_u32.wrapping_shl(bit));
                Some(value.is_some_and(|value| u32::from(value) & !named == 0))
            }
            _ => None,
        }
    });
    points.chain(statuses).fold((0, 0), |(possible, all), is| (possible + usize::from(is), all + 1))
}

fn is_possible(profile: &Profile, registers: &Registers, quantity: Quantity) -> bool {
    let Some(value) = decode::value(profile, registers, quantity) else { return false };
    match quantity {
        Quantity::GridVoltageOf(_) => VOLTAGES_MV.contains(&value),
        Quantity::Frequency => FREQUENCIES_MHZ.contains(&value),
        Quantity::State | Quantity::Event => {
            profile.point(quantity).is_none_or(|point| point.codes.is_empty() || point.codes.iter().any(|code| code.value == value))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::library::Library;

    fn judged(name: &str, words: &[u16]) -> Option<Match> {
        let library = Library::built_in().unwrap();
        let profile = library.profile(name).unwrap();
        let mut registers = Registers::default();
        let block = profile.blocks[0];
        registers.add(&block, words.to_vec());
        judge(profile, &registers, words, &[], profile.unit)
    }

    #[test]
    fn values_that_are_possible_make_it_probable() {
        // facts/sax.md 5.4: state on, SoC 98 %, 2 W, -2742 W.
        let found = judged("sax-basic", &[2, 98, 16386, 13642]).unwrap();
        assert_eq!((found.certainty, found.possible, found.unit), (Certainty::Probably, (4, 4), 64));
    }

    #[test]
    fn one_that_is_not_makes_it_a_perhaps_and_two_nothing() {
        assert_eq!(judged("sax-basic", &[9, 98, 16386, 13642]).unwrap().certainty, Certainty::Perhaps);
        assert_eq!(judged("sax-basic", &[45, 4600, 47, 48]), None);
    }

    #[test]
    fn a_device_that_answers_everything_with_one_value_is_nothing() {
        assert_eq!(judged("sax-basic", &[1, 1, 1, 1]), None);
        assert_eq!(judged("sax-basic", &[0, 0, 0, 0]), None);
        assert_eq!(judged("sax-basic", &[]), None);
    }

    #[test]
    fn a_model_is_in_the_chain_or_not() {
        let library = Library::built_in().unwrap();
        let mut profile = library.profile("sax-sunspec").unwrap().clone();
        profile.bms = Some(crate::device::bms::BmsParts { sunspec_model: Some(802), ..Default::default() });
        let with = |models: &[u16]| judge(&profile, &Registers::default(), &SUNS, models, 1).map(|found| found.certainty);
        assert_eq!(with(&[1, 103, 802]), Some(Certainty::Surely));
        assert_eq!(with(&[1, 103]), None);
    }

    const SUNS: [u16; 2] = [0x5375, 0x6e53];

    #[test]
    fn the_surest_first() {
        let found = |profile: &str, certainty, possible| Match { profile: profile.into(), unit: 1, certainty, possible };
        let mut all = [
            found("b", Certainty::Probably, (3, 3)),
            found("d", Certainty::Perhaps, (9, 10)),
            found("c", Certainty::Probably, (4, 4)),
            found("a", Certainty::Surely, (1, 1)),
        ];
        all.sort_unstable_by(Match::best_first);
        assert_eq!(all.map(|m| m.profile).join(""), "acbd");
    }
}
