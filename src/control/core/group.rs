//! The batteries of one slot as a group, of which as few work as do it well.

use super::Battery;
use crate::control::active::{ActiveSet, Member};
use crate::control::capability::Capability;
use crate::control::site::Site;
use crate::units::Time;

/// The batteries of a slot, and which of them work.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Group {
    members: Vec<usize>,
    set: ActiveSet,
    seen: Vec<Member>,
    cap_w: Vec<i64>,
    least_w: Vec<i64>,
}

impl Group {
    pub(super) fn new(site: &Site, slot: usize) -> Group {
        let members: Vec<usize> = (0..site.batteries.len()).filter(|&k| site.batteries[k].connection.slot() == slot).collect();
        let n = members.len();
        let least_w = members.iter().map(|&k| site.batteries[k].min_power_w).collect();
        Group { set: ActiveSet::new(n), seen: vec![Member::default(); n], cap_w: vec![0; n], least_w, members }
    }

    /// Indices of the batteries.
    pub(super) fn members(&self) -> &[usize] {
        &self.members
    }

    /// Writes to `ready_w` what of each member ordinary operation may use, where the group is to do `power_w`.
    pub(super) fn choose(&mut self, power_w: i64, batteries: &[Battery], caps: &[Capability], ready_w: &mut [(i64, i64)], now: Time) {
        if self.members.len() < 2 {
            return;
        }
        for (i, &k) in self.members.iter().enumerate() {
            let (cap, b) = (&caps[k], &batteries[k]);
            self.seen[i] = Member {
                cap_w: if power_w >= 0 { cap.discharge_w } else { cap.charge_w },
                soc_pm: b.soc_pm().unwrap_or(0),
                min_power_w: self.least_w[i],
                measured_w: b.sample.map_or(0, |s| s.power_w),
                setpoint_w: b.out_w,
            };
        }
        self.set.choose(now, power_w, &self.seen, &mut self.cap_w);
        for (&k, &cap_w) in self.members.iter().zip(&self.cap_w) {
            ready_w[k] = if power_w >= 0 { (0, cap_w) } else { (cap_w, 0) };
        }
    }
}
