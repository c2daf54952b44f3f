//! What a scan found.

use super::identity::Identity;
use super::recognise::Match;
use crate::link::place::Place;

/// One device, or one gateway with devices behind it: a host and port, or a serial port with its settings.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// How it is reached.
    pub place: Place,
    /// Who answered there, in the order asked.
    pub units: Vec<Unit>,
    /// Units that a gateway says it does not have.
    pub absent: Vec<u8>,
    /// What else there is to say, in whole sentences.
    pub remarks: Vec<String>,
}

/// Who answered.
#[derive(Clone, PartialEq, Debug)]
pub struct Unit {
    /// The unit ids; more than one where the device answers to all with the same.
    pub ids: Vec<u8>,
    /// What it says about itself.
    pub identity: Identity,
    /// The first holding register, or the exception that asking for it brought.
    pub first: First,
    /// Known profiles, the best first.
    pub matches: Vec<Match>,
}

/// What reading holding register 0 brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum First {
    /// Its value.
    Value(u16),
    /// This exception.
    Exception(u8),
    /// Nothing.
    None,
}

impl First {
    fn is_alike(self, other: First) -> bool {
        match (self, other) {
            // A value that is measured changes.
            (First::Value(_), First::Value(_)) => true,
            (a, b) => a == b,
        }
    }
}

/// Makes one of all units of a device that does not care about unit ids: all that were asked answered, and the same.
pub fn collapsed(mut units: Vec<Unit>, asked: usize) -> Vec<Unit> {
    let alike = |a: &Unit, b: &Unit| a.identity == b.identity && a.first.is_alike(b.first);
    let Some(first) = units.first() else { return units };
    if units.len() < 2 || units.len() != asked || !units.iter().all(|unit| alike(unit, first)) {
        return units;
    }
    let mut one = units.remove(0);
    for unit in units {
        one.ids.extend(unit.ids);
        for found in unit.matches {
            if !one.matches.iter().any(|have| have.profile == found.profile) {
                one.matches.push(found);
            }
        }
    }
    one.matches.sort_unstable_by(Match::best_first);
    vec![one]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(id: u8, vendor: &str, first: First) -> Unit {
        let identity = Identity { vendor: Some(vendor.into()), ..Identity::default() };
        Unit { ids: vec![id], identity, first, matches: Vec::new() }
    }

    #[test]
    fn one_device_that_ignores_the_unit_is_one_line() {
        let same = || vec![unit(1, "A", First::Value(1)), unit(2, "A", First::Value(2)), unit(255, "A", First::Value(1))];
        let collapsed_units = collapsed(same(), 3);
        assert_eq!(collapsed_units.len(), 1);
        assert_eq!(collapsed_units[0].ids, [1, 2, 255]);
        // Three of four answered: they may be three devices of one kind.
        assert_eq!(collapsed(same(), 4).len(), 3);
    }

    #[test]
    fn different_devices_stay_apart() {
        assert_eq!(collapsed(vec![unit(1, "A", First::Value(1)), unit(2, "B", First::Value(1))], 2).len(), 2);
        assert_eq!(collapsed(vec![unit(1, "A", First::Value(1)), unit(2, "A", First::Exception(2))], 2).len(), 2);
        assert_eq!(collapsed(vec![unit(1, "A", First::Value(1))], 1).len(), 1);
        assert!(collapsed(Vec::new(), 0).is_empty());
    }
}
