//! The invariants of `spec/control.md` 4 that belong to one allocation (2, 3, 10 to 16), on random needs, from fixed numbers.
#![allow(missing_docs)]

use sax_controller::control::allocate::{Ask, Binding, Caps, Needs, SlotPlan, plan, plan_within, third};
use sax_controller::control::capability::Capability;
use sax_controller::control::site::{ALL_PHASES, SLOTS, SiteLimits};
use sax_controller::plant::rng::Rng;

const ROUNDS: u32 = 30_000;

struct Mix {
    three_phase: bool,
    in_sum: Option<bool>,
    limits: bool,
}

fn capability(rng: &mut Rng) -> Capability {
    let (hard_charge_w, hard_discharge_w) = (rng.range(0, 9000), rng.range(0, 9000));
    let policy = |rng: &mut Rng, hard: i64| if rng.chance(250) { rng.range(0, hard) } else { hard };
    let (charge_w, discharge_w) = (policy(rng, hard_charge_w), policy(rng, hard_discharge_w));
    Capability { hard_charge_w, hard_discharge_w, charge_w, discharge_w, ..Capability::default() }
}

fn random(rng: &mut Rng, mix: &Mix) -> Needs {
    let mut sums = [Capability::default(); SLOTS];
    for (slot, sum) in sums.iter_mut().enumerate() {
        if (slot != ALL_PHASES && rng.chance(800)) || (slot == ALL_PHASES && mix.three_phase) {
            *sum = capability(rng);
        }
    }
    let load_w = [0; 3].map(|_| if rng.chance(500) { rng.range(-1500, 1500) } else { rng.range(-12_000, 12_000) });
    let aim = [0; 3].map(|_| if rng.chance(500) { 0 } else { rng.range(-1000, 1000) });
    let wanted: [i64; 3] = std::array::from_fn(|f| load_w[f] - aim[f]);
    let in_sum = mix.in_sum.unwrap_or(rng.chance(500));
    let total = if rng.chance(700) { wanted.iter().sum() } else { rng.range(-15_000, 15_000) };
    let some = |rng: &mut Rng, most: i64| (mix.limits && rng.chance(500)).then(|| rng.range(0, most));
    Needs {
        load_w,
        fuse_w: [0; 3].map(|_| [0, 2000, 5405, 7820, 14_000][rng.below(5) as usize]),
        ask: if in_sum { Ask::Total(total, Binding::Total) } else { Ask::PerPhase(wanted) },
        sums,
        limits: SiteLimits { import_w: some(rng, 15_000), export_w: some(rng, 10_000), unbalance_va: some(rng, 5000) },
        dimmed_w: some(rng, 6000),
    }
}

fn for_all(tag: &str, mix: &Mix, mut check: impl FnMut(&mut Rng, &Needs, &[SlotPlan; SLOTS], &str)) {
    let mut rng = Rng::new(1, tag);
    for round in 0..ROUNDS {
        let needs = random(&mut rng, mix);
        let plans = plan(&needs);
        check(&mut rng, &needs, &plans, &format!("round {round}: {needs:?} {plans:?}"));
    }
}

fn grid(needs: &Needs, plans: &[SlotPlan; SLOTS], f: usize) -> i64 {
    needs.load_w[f] - plans[f].power_w - third(plans[ALL_PHASES].power_w, f)
}

fn powers(plans: &[SlotPlan; SLOTS]) -> [i64; SLOTS] {
    plans.map(|p| p.power_w)
}

const ANY: Mix = Mix { three_phase: false, in_sum: None, limits: true };

/// 1: whatever else, nothing leaves the hard limits.
#[test]
fn hard_limits_hold() {
    for three_phase in [false, true] {
        for_all("hard", &Mix { three_phase, ..ANY }, |_, needs, plans, place| {
            for (sum, plan) in needs.sums.iter().zip(plans) {
                assert!((-sum.hard_charge_w..=sum.hard_discharge_w).contains(&plan.power_w), "{place}");
                assert!(plan.lo <= plan.hi && plan.policy_lo <= plan.policy_hi, "{place}");
            }
        });
    }
}

/// 2 and 3: the fuse holds, or the phase gives everything.
#[test]
fn the_fuse_holds_or_everything_is_given() {
    for_all("fuse", &ANY, |_, needs, plans, place| {
        for f in 0..3 {
            let g = grid(needs, plans, f);
            assert!(g <= needs.fuse_w[f] || plans[f].power_w == needs.sums[f].hard_discharge_w, "{place}");
            assert!(-g <= needs.fuse_w[f] || -plans[f].power_w == needs.sums[f].hard_charge_w, "{place}");
        }
    });
}

/// 2 and 3 with three-phase batteries: wherever one power of theirs lets all phases hold their fuses, all do.
#[test]
fn three_phase_batteries_hold_every_fuse_that_can_be_held() {
    let (mut can, mut cannot) = (0, 0);
    for_all("fuse3", &Mix { three_phase: true, ..ANY }, |_, needs, plans, place| {
        let holds = |t: i64| {
            (0..3).all(|f| {
                let rest = needs.load_w[f] - third(t, f);
                rest - needs.sums[f].hard_discharge_w <= needs.fuse_w[f] && -(rest + needs.sums[f].hard_charge_w) <= needs.fuse_w[f]
            })
        };
        let pool = &needs.sums[ALL_PHASES];
        // Every third watt is the same for all phases; the bounds themselves as well.
        let feasible = (-pool.hard_charge_w..=pool.hard_discharge_w).step_by(30).any(holds);
        if feasible {
            can += 1;
            for f in 0..3 {
                assert!(grid(needs, plans, f).abs() <= needs.fuse_w[f] + 1, "{place}");
            }
        } else {
            cannot += 1;
        }
    });
    assert!(can > 5000 && cannot > 5000, "{can} {cannot}");
}

/// 10: which phase is called L1 makes no difference, beyond the watts that do not divide.
#[test]
fn turning_the_phases_turns_the_powers() {
    for three_phase in [false, true] {
        for_all("turn", &Mix { three_phase, ..ANY }, |_, needs, plans, place| {
            let turn3 = |v: [i64; 3]| [v[2], v[0], v[1]];
            let turned = Needs {
                load_w: turn3(needs.load_w),
                fuse_w: turn3(needs.fuse_w),
                ask: if let Ask::PerPhase(w) = needs.ask { Ask::PerPhase(turn3(w)) } else { needs.ask },
                sums: [needs.sums[2], needs.sums[0], needs.sums[1], needs.sums[3]],
                ..*needs
            };
            let (a, b) = (powers(plans), powers(&plan(&turned)));
            let tolerance = if three_phase { 12 } else { 4 };
            for f in 0..3 {
                assert!((a[f] - b[(f + 1) % 3]).abs() <= tolerance, "{b:?} {place}");
            }
        });
    }
}

/// 11: in sum, no battery charges while another discharges, unless a fuse forces it.
#[test]
fn no_energy_circulates() {
    for three_phase in [false, true] {
        for_all("circle", &Mix { three_phase, in_sum: Some(true), limits: false }, |_, _, plans, place| {
            let forced = plans.iter().any(|p| p.lo > 0 || p.hi < 0);
            let (charges, discharges) = (plans.iter().any(|p| p.power_w < 0), plans.iter().any(|p| p.power_w > 0));
            assert!(forced || !(charges && discharges), "{place}");
        });
    }
}

/// 12: a phase follows its own load no further than it moved, and the others do not move.
#[test]
fn a_phase_follows_its_load_no_further_than_it_moved() {
    for_all("lipschitz", &Mix { three_phase: false, in_sum: Some(false), limits: false }, |rng, needs, plans, place| {
        let (f, more) = (rng.below(3) as usize, rng.range(0, 4000));
        let mut moved = *needs;
        moved.load_w[f] += more;
        if let Ask::PerPhase(w) = &mut moved.ask {
            w[f] += more;
        }
        let (a, b) = (powers(plans), powers(&plan(&moved)));
        for g in 0..3 {
            let most = if g == f { more } else { 0 };
            assert!((0..=most).contains(&(b[g] - a[g])), "{b:?} after {more} W more on {f}: {place}");
        }
    });
}

/// 13: never worse than doing nothing, unless a fuse forces it.
#[test]
fn never_worse_than_nothing() {
    for_all("worse", &Mix { three_phase: false, in_sum: Some(false), limits: false }, |_, needs, plans, place| {
        let Ask::PerPhase(wanted) = needs.ask else { return };
        for f in 0..3 {
            let forced = !(plans[f].lo..=plans[f].hi).contains(&0);
            assert!(forced || (wanted[f] - plans[f].power_w).abs() <= wanted[f].abs(), "{place}");
        }
    });
    for_all("worse in sum", &Mix { three_phase: true, in_sum: Some(true), limits: false }, |_, needs, plans, place| {
        let Ask::Total(total, _) = needs.ask else { return };
        let forced = plans.iter().any(|p| !(p.lo..=p.hi).contains(&0));
        let given: i64 = powers(plans).iter().sum();
        assert!(forced || (total - given).abs() <= total.abs(), "{place}");
    });
}

/// 14: the export limit holds, or everything that can be lowered is at its bound. (What comes before it in priority may break it.)
#[test]
fn the_export_limit_holds_as_far_as_it_can() {
    let mut bound = 0;
    for_all("export", &ANY, |_, needs, plans, place| {
        let Some(export_w) = needs.limits.export_w.filter(|_| needs.limits.unbalance_va.is_none() && needs.dimmed_w.is_none()) else {
            return;
        };
        let most = needs.load_w.iter().sum::<i64>() + export_w;
        let given: i64 = powers(plans).iter().sum();
        bound += u32::from(plans.iter().any(|p| p.binding == Binding::ExportLimit));
        assert!(given <= most || plans.iter().all(|p| p.power_w <= p.lo), "{place}");
    });
    assert!(bound > 200, "{bound}");
}

/// P2b and P4: the import limit holds, or everything inside the SoC policy is given.
#[test]
fn the_import_limit_holds_as_far_as_it_can() {
    let mut bound = 0;
    for_all("import", &ANY, |_, needs, plans, place| {
        let alone = needs.limits.unbalance_va.is_none() && needs.limits.export_w.is_none();
        let Some(import_w) = needs.limits.import_w.filter(|_| alone) else { return };
        let import = (0..3).map(|f| grid(needs, plans, f)).sum::<i64>();
        bound += u32::from(plans.iter().any(|p| p.binding == Binding::ImportLimit));
        assert!(import <= import_w || plans.iter().all(|p| p.power_w >= p.policy_hi), "{import} W: {place}");
    });
    assert!(bound > 200, "{bound}");
}

/// 15: dimmed, the batteries take no more from the grid than they may, unless the fuse forces it.
#[test]
fn dimmed_batteries_take_no_more_than_they_may() {
    let mut bound = 0;
    for_all("dim", &ANY, |_, needs, plans, place| {
        let Some(dimmed_w) = needs.dimmed_w else { return };
        let budget = dimmed_w.max(-needs.load_w.iter().sum::<i64>()).max(0);
        let charging: i64 = plans.iter().map(|p| (-p.power_w).max(0)).sum();
        let forced: i64 = plans.iter().map(|p| (-p.hi).max(0)).sum();
        bound += u32::from(plans.iter().any(|p| p.binding == Binding::Dimmed));
        assert!(charging <= budget.max(forced), "{charging} W of {budget} W: {place}");
    });
    assert!(bound > 200, "{bound}");
}

fn charging(w: impl Iterator<Item = i64>) -> i64 {
    w.map(|w| (-w).max(0)).sum()
}

/// What another controller allows is not passed, unless the fuse asks for it, or a limit of the site: those come first.
#[test]
fn what_another_controller_allows_is_not_passed() {
    let (mut bound, mut broken_for_the_site) = (0, 0);
    for three_phase in [false, true] {
        for_all("remote", &Mix { three_phase, ..ANY }, |rng, needs, _, place| {
            let some = |rng: &mut Rng| if rng.chance(300) { i64::MAX } else { rng.range(0, 6000) };
            let caps = Caps { charge_w: some(rng), discharge_w: some(rng) };
            let plans = plan_within(needs, &caps);
            let charge = charging(plans.iter().map(|p| p.power_w));
            let discharge = charging(plans.iter().map(|p| -p.power_w));
            let (forced_charge, forced_discharge) = (charging(plans.iter().map(|p| p.hi)), charging(plans.iter().map(|p| -p.lo)));
            bound += u32::from(plans.iter().any(|p| p.binding == Binding::RemoteLimit));
            // Three-phase batteries move the bounds of the phases when they help a fuse, or the unbalance.
            let moved = plans.iter().any(|p| p.lo > 0 || p.hi < 0) || needs.limits.unbalance_va.is_some();
            let moved = three_phase && moved;
            let (too_much, too_far) = (charge > caps.charge_w.max(forced_charge), discharge > caps.discharge_w.max(forced_discharge));
            broken_for_the_site += u32::from(too_much || too_far);
            assert!(!too_much || needs.limits.export_w.is_some() || moved, "{charge} W charged, {caps:?}: {place} {plans:?}");
            assert!(!too_far || needs.limits.import_w.is_some() || moved, "{discharge} W discharged, {caps:?}: {place} {plans:?}");
        });
    }
    assert!(bound > 5000 && broken_for_the_site > 500, "{bound} {broken_for_the_site}");
}

/// The site's own limits hold as they would without another controller: fuse, hard limits, dimming and export.
#[test]
fn another_controller_breaks_nothing_that_is_configured() {
    for_all("remote site", &ANY, |rng, needs, _, place| {
        let caps = Caps { charge_w: rng.range(0, 6000), discharge_w: rng.range(0, 6000) };
        let commanded = Needs { ask: Ask::Total(rng.range(-15_000, 15_000), Binding::Remote), ..*needs };
        let plans = plan_within(&commanded, &caps);
        for f in 0..3 {
            let g = grid(needs, &plans, f);
            assert!(g <= needs.fuse_w[f] || plans[f].power_w == needs.sums[f].hard_discharge_w, "{place} {plans:?}");
            assert!(-g <= needs.fuse_w[f] || -plans[f].power_w == needs.sums[f].hard_charge_w, "{place} {plans:?}");
        }
        let load = needs.load_w.iter().sum::<i64>();
        if let Some(dimmed_w) = needs.dimmed_w {
            let forced = charging(plans.iter().map(|p| p.hi));
            assert!(charging(plans.iter().map(|p| p.power_w)) <= dimmed_w.max(-load).max(0).max(forced), "{place} {plans:?}");
        }
        let given: i64 = powers(&plans).iter().sum();
        let last_word = needs.limits.unbalance_va.is_none() && needs.dimmed_w.is_none();
        if let Some(export_w) = needs.limits.export_w.filter(|_| last_word) {
            assert!(given <= load + export_w || plans.iter().all(|p| p.power_w <= p.lo), "{place} {plans:?}");
        }
        if let Some(import_w) = needs.limits.import_w.filter(|_| last_word && needs.limits.export_w.is_none()) {
            assert!(load - given <= import_w || plans.iter().all(|p| p.power_w >= p.policy_hi), "{place} {plans:?}");
        }
    });
}

/// 16: no phase gives, or takes, much more than another, unless a fuse forces it.
#[test]
fn the_unbalance_stays_bounded() {
    let mut bound = 0;
    for_all("unbalance", &ANY, |_, needs, plans, place| {
        let Some(most) = needs.limits.unbalance_va else { return };
        bound += u32::from(plans.iter().any(|p| p.binding == Binding::Unbalance));
        for sign in [1, -1] {
            let does = |f: usize| (sign * plans[f].power_w).max(0);
            let least = (0..3).map(does).min().unwrap_or(0);
            for (f, plan) in plans[..3].iter().enumerate() {
                let forced = if sign > 0 { plan.power_w <= plan.lo } else { plan.power_w >= plan.hi };
                assert!(does(f) <= most + least || forced, "phase {f}: {place}");
            }
        }
    });
    assert!(bound > 200, "{bound}");
}

/// The bounds are those in which a battery that balances by itself may work: what is commanded lies inside.
#[test]
fn the_policy_brackets_what_is_asked_without_limits() {
    for_all("bracket", &Mix { three_phase: false, in_sum: None, limits: false }, |_, _, plans, place| {
        for p in plans {
            assert!((p.policy_lo..=p.policy_hi).contains(&p.power_w), "{place}");
        }
    });
}
