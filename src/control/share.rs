//! Splits the power of a slot over its batteries, in proportion to the energy each can give or take. The shares sum up exactly.
//!
//! First over those that are to do the work, then over the others inside their SoC policy, then over the hard limits, which only a fuse or
//! a limit of the site can ask for.

use super::capability::Capability;
use super::math::share_by_weight;
use super::site::Site;

/// Reused memory, so that a step allocates nothing.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Scratch {
    weight: Vec<i64>,
    cap: Vec<i64>,
    share: Vec<i64>,
    sum: Vec<i64>,
}

impl Scratch {
    /// For a site of `batteries`.
    pub fn new(batteries: usize) -> Scratch {
        let room = || Vec::with_capacity(batteries);
        Scratch { weight: room(), cap: room(), share: room(), sum: room() }
    }
}

/// What the batteries may be used for, by index of the battery.
#[derive(Clone, Copy, Debug)]
pub struct Rooms<'a> {
    /// What they may do.
    pub caps: &'a [Capability],
    /// Charge and discharge power of those that are to do the work as a rule, W.
    pub ready_w: &'a [(i64, i64)],
}

/// Splits `power_w` over `members`, which are indices of batteries; writes to `out_w`, by index of the battery.
pub fn split(
    site: &Site,
    members: &[usize],
    power_w: i64,
    rooms: Rooms<'_>,
    soc_pm: impl Fn(usize) -> i64,
    scratch: &mut Scratch,
    out_w: &mut [i64],
) {
    let discharging = power_w >= 0;
    let s = scratch;
    for v in [&mut s.weight, &mut s.cap, &mut s.share, &mut s.sum] {
        v.clear();
        v.resize(members.len(), 0);
    }
    for (i, &k) in members.iter().enumerate() {
        let b = &site.batteries[k];
        let band_pm = if discharging { soc_pm(k) - b.min_soc_pm } else { b.max_soc_pm - soc_pm(k) };
        s.weight[i] = (band_pm * b.capacity_wh).div_euclid(1000).max(1);
    }
    let of = |(charge, discharge): (i64, i64)| if discharging { discharge } else { charge };
    let room = |k: usize, round: usize| match round {
        0 => of(rooms.ready_w[k]),
        1 => of((rooms.caps[k].charge_w, rooms.caps[k].discharge_w)),
        _ => of((rooms.caps[k].hard_charge_w, rooms.caps[k].hard_discharge_w)),
    };
    let mut rest = power_w.abs();
    for round in 0..3 {
        if rest == 0 {
            break;
        }
        for (i, &k) in members.iter().enumerate() {
            s.cap[i] = (room(k, round) - s.sum[i]).max(0);
        }
        share_by_weight(&s.weight, &s.cap, rest, &mut s.share);
        s.sum.iter_mut().zip(&s.share).for_each(|(sum, share)| *sum += share);
        rest -= s.share.iter().sum::<i64>();
    }
    for (i, &k) in members.iter().enumerate() {
        out_w[k] = if discharging { s.sum[i] } else { -s.sum[i] };
    }
}
