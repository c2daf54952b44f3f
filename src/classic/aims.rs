//! Which batteries act together, on what they look, and how they share a command. Pure.

use super::law::Bounds;
use crate::control::input::{BatterySample, BmsSample, MeterSample};
use crate::control::site::{Balance, BatterySite, Connection, Site};

/// What a group looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Looks {
    /// One phase.
    Phase(usize),
    /// All phases together.
    Total,
}

/// Batteries that act together, by their numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// What they look at.
    pub looks: Looks,
    /// Who they are.
    pub members: Vec<usize>,
}

/// Each phase for itself; all together where phases are netted, or where a battery is on all of them.
pub fn groups(site: &Site) -> Vec<Group> {
    let on = |f: usize| (0..site.batteries.len()).filter(move |k| site.batteries[*k].connection == Connection::Phase(f));
    let three_phase = site.batteries.iter().any(|b| b.connection == Connection::AllPhases);
    if site.balance == Balance::Sum || three_phase {
        return vec![Group { looks: Looks::Total, members: (0..site.batteries.len()).collect() }];
    }
    let phase = |f: usize| Group { looks: Looks::Phase(f), members: on(f).collect() };
    (0..3).map(phase).filter(|group| !group.members.is_empty()).collect()
}

impl Group {
    /// How far the grid is from its target, W, by this sample; `None` when it does not say.
    pub fn deviation_w(&self, site: &Site, sample: &MeterSample) -> Option<i64> {
        let phases = sample.phases.map(|phases| phases.map(|p| p.power_w));
        match self.looks {
            Looks::Phase(f) => Some(phases?[f] - site.targets(site.target_w)[f]),
            Looks::Total => Some(sample.total_w.or(phases.map(|p| p.iter().sum()))? - site.target_w),
        }
    }
}

/// What a battery can do, W: its rating, nothing beyond the bounds of its state of charge, and no more than it and its BMS say.
pub fn bounds(battery: &BatterySite, said: Option<&BatterySample>, bms: Option<&BmsSample>) -> Bounds {
    let Some(said) = said else { return Bounds::default() };
    let least = |rated_w: i64, available_w: Option<i64>, bms_w: Option<i64>| {
        available_w.unwrap_or(rated_w).min(bms_w.unwrap_or(rated_w)).clamp(0, rated_w.max(0))
    };
    let bms_w = |of: fn((i64, i64)) -> i64| battery.bms.map(|_| bms.map_or(0, |b| of(b.most_w())));
    let charges = said.may_charge && said.soc_pm < battery.max_soc_pm;
    let discharges = said.may_discharge && said.soc_pm > battery.min_soc_pm;
    Bounds {
        low_w: if charges { -least(battery.max_charge_w, said.charge_available_w, bms_w(|w| w.0)) } else { 0 },
        high_w: if discharges { least(battery.max_discharge_w, said.discharge_available_w, bms_w(|w| w.1)) } else { 0 },
    }
}

/// What all of them can do together.
pub fn together(parts: &[Bounds]) -> Bounds {
    parts.iter().fold(Bounds::default(), |sum, b| Bounds { low_w: sum.low_w + b.low_w, high_w: sum.high_w + b.high_w })
}

/// Shares a command in proportion to what each can do; rounded towards 0, so that nobody gets more.
pub fn shares(command_w: i64, parts: &[Bounds]) -> Vec<i64> {
    let of = |b: &Bounds| if command_w < 0 { -b.low_w } else { b.high_w };
    let all_w: i64 = parts.iter().map(of).sum();
    let share = |b: &Bounds| (i128::from(command_w) * i128::from(of(b)) / i128::from(all_w.max(1))) as i64;
    parts.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shared_by_what_each_can_do() {
        let parts = [Bounds { low_w: -3500, high_w: 4600 }, Bounds { low_w: 0, high_w: 2300 }];
        assert_eq!(shares(3000, &parts), [2000, 1000]);
        assert_eq!(shares(-3000, &parts), [-3000, 0]);
        assert_eq!(together(&parts), Bounds { low_w: -3500, high_w: 6900 });
        assert_eq!(shares(500, &[Bounds::default()]), [0]);
    }
}
