//! The invariants of `spec/control.md` section 4 that this release has, on random sites under random and hostile inputs.
//!
//! Driven by SplitMix64 from fixed numbers, so every run is the same; a failure names its number and step.
#![allow(missing_docs)]

mod common;
#[path = "common/storm.rs"]
mod storm;

use sax_controller::control::alarm::Alarm;
use sax_controller::control::allocate::{Ask, Needs, fuse_w, plan};
use sax_controller::control::capability::{Capability, SocBlocks, capability};
use sax_controller::control::core::Core;
use sax_controller::control::decision::{BatteryDecision, Decision, Order, Reason};
use sax_controller::control::estimate::{BatteriesThen, Circumstances, PhaseEstimate};
use sax_controller::control::history::Hull;
use sax_controller::control::input::BatterySample;
use sax_controller::control::ladder::Mode;
use sax_controller::control::learned::Learned;
use sax_controller::control::share::{Rooms, Scratch, split};
use sax_controller::control::site::*;
use sax_controller::plant::rng::Rng;
use sax_controller::units::{Span, Time};
use storm::{Storm, absurd, battery_sample, meter_sample, random_site};

const SITES: u64 = 150;
const STEPS: u32 = 300;

fn for_all_sites(tag: &str, mut check: impl FnMut(&mut Storm, &str)) {
    for number in 0..SITES {
        let mut storm = Storm::new(number, tag);
        for step in 0..STEPS {
            storm.inputs();
            let place = format!("{tag}: number {number}, step {step}");
            check(&mut storm, &place);
            storm.writes();
        }
    }
}

fn is_run(mode: Mode) -> bool {
    matches!(mode, Mode::Run { .. })
}

/// Invariant 1, and "nothing before every required input was seen".
#[test]
fn orders_stay_inside_what_the_battery_may_do_now() {
    for_all_sites("box", |storm, place| {
        let now = storm.now;
        let decision = storm.core.step(now).clone();
        for (k, b) in decision.batteries.iter().enumerate() {
            let site = &storm.site.batteries[k];
            let sample = storm.core.battery_sample(k);
            // The state of charge of a BMS that can be heard counts before the battery's own.
            let soc_pm = storm.core.bms_state(k).and_then(|bms| bms.soc_pm());
            let counted = sample.map(|s| BatterySample { soc_pm: soc_pm.unwrap_or(s.soc_pm), ..*s });
            let cap = capability(site, counted.as_ref(), SocBlocks::default(), true, now);
            let stale = sample.is_none_or(|s| now.since(s.taken) > site.exclude_age);
            match b.order {
                Order::Setpoint { watts, .. } => {
                    assert!((-cap.hard_charge_w..=cap.hard_discharge_w).contains(&watts), "{place}: {watts} W beyond {cap:?}");
                    assert!((-site.max_charge_w..=site.max_discharge_w).contains(&watts), "{place}: {watts} W beyond the rating");
                    assert!(!stale || watts == 0, "{place}: {watts} W to a battery without fresh data");
                    let s = sample.unwrap_or_else(|| panic!("{place}: a command to a battery that was never heard"));
                    assert!(s.may_charge || watts >= 0, "{place}: charging against the device's state");
                    assert!(s.may_discharge || watts <= 0, "{place}: discharging against the device's state");
                }
                Order::Limits { charge_w, discharge_w, .. } => {
                    let (most_charge, most_discharge) =
                        (cap.hard_charge_w.max(site.fallback_charge_w), cap.hard_discharge_w.max(site.fallback_discharge_w));
                    assert!((0..=most_charge.min(site.max_charge_w)).contains(&charge_w), "{place}: limit {charge_w} W");
                    assert!((0..=most_discharge.min(site.max_discharge_w)).contains(&discharge_w), "{place}: limit {discharge_w} W");
                    assert!(sample.is_some(), "{place}: limits to a battery that was never heard");
                }
                Order::Release => {
                    assert!(b.objection.is_none(), "{place}: released although {:?}", b.objection);
                    assert_eq!(storm.site.fallback, FallbackKind::Release, "{place}");
                    assert!(decision.mode == Mode::Fallback || site.bms.is_some(), "{place}: released in {:?}", decision.mode);
                }
                Order::Silent => {}
            }
            assert!(storm.good_ever >= 5 || b.order == Order::Silent, "{place}: {:?} after {} good samples", b.order, storm.good_ever);
            assert!(!storm.site.observe || b.order == Order::Silent, "{place}: observe wrote {:?}", b.order);
        }
    });
}

/// P0 with a BMS: no order passes what it allows, at no age; nothing before its first word, the fallback after its last.
#[test]
fn no_order_passes_what_a_bms_allows() {
    let (mut powered, mut waiting, mut lost, mut released) = (0, 0, 0, 0);
    for_all_sites("bms", |storm, place| {
        let now = storm.now;
        let decision = storm.core.step(now).clone();
        for (k, b) in decision.batteries.iter().enumerate() {
            let site = &storm.site.batteries[k];
            let Some(ages) = site.bms else { continue };
            storm.bms[k].look(&ages, now);
            let bms = storm.bms[k];
            let most = bms.most_w(&ages, (site.max_charge_w, site.max_discharge_w), now);
            let (said, fallback) = (bms.said_w(), (site.fallback_charge_w, site.fallback_discharge_w));
            let holds = storm.core.alarms().holds(Alarm::BmsLost(k));
            assert!(!bms.lost || holds, "{place}: no alarm");
            assert!(bms.newest.is_none() || bms.lost || !holds, "{place}: an alarm although it is heard");
            let heard = bms.newest.is_some() && (!bms.lost || storm.site.fallback == FallbackKind::Release);
            assert_eq!(b.objection.is_none(), heard && said.0 > 0 && said.1 > 0, "{place}: {:?} of {said:?}", b.objection);
            waiting += u32::from(bms.newest.is_none());
            lost += u32::from(bms.lost);
            match b.order {
                Order::Silent => {}
                order if bms.newest.is_none() => panic!("{place}: {order:?} before the first word of the BMS"),
                Order::Setpoint { watts, .. } => {
                    assert!((-most.0..=most.1).contains(&watts), "{place}: {watts} W where {most:?} is allowed");
                    powered += u32::from(watts != 0);
                }
                Order::Limits { charge_w, discharge_w, .. } if bms.lost => {
                    assert!(
                        charge_w <= fallback.0.min(said.0) && discharge_w <= fallback.1.min(said.1),
                        "{place}: {charge_w} {discharge_w}"
                    );
                }
                Order::Limits { charge_w, discharge_w, .. } => {
                    assert!(
                        charge_w <= most.0 && discharge_w <= most.1,
                        "{place}: {charge_w} W, {discharge_w} W where {most:?} is allowed"
                    );
                }
                Order::Release => {
                    assert!(b.objection.is_none(), "{place}: released although {:?}", b.objection);
                    released += 1;
                    assert!(bms.lost || decision.mode == Mode::Fallback, "{place}: released in {:?}", decision.mode);
                    assert!(said.0 > 0 && said.1 > 0, "{place}: left to itself against the BMS");
                }
            }
        }
    });
    assert!(powered > 1000 && waiting > 100 && lost > 500 && released > 50, "{powered} {waiting} {lost} {released}");
}

/// Invariants 2 and 3: what is ordered holds the fuse for the estimated load, or the phase gives all it has.
#[test]
fn the_fuse_is_held_or_everything_is_given() {
    let mut bound = 0;
    for_all_sites("fuse", |storm, place| {
        let now = storm.now;
        let decision = storm.core.step(now).clone();
        if !is_run(decision.mode) {
            return;
        }
        let Some(phases) = storm.core.phases().copied() else { return };
        // Batteries that balance by themselves are not ours to command; three-phase ones have a test of their own.
        let ours = |b: &BatterySite| b.control == ControlKind::Setpoint && b.connection != Connection::AllPhases;
        if !storm.site.batteries.iter().all(ours) {
            return;
        }
        for (f, phase) in phases.iter().enumerate() {
            let estimate = storm.core.estimates()[f];
            if !estimate.seeded {
                continue;
            }
            let fuse = fuse_w(&storm.site, phase.voltage_mv.unwrap_or(storm.site.voltage_mv), phase.reactive_var);
            let members: Vec<_> = (0..decision.batteries.len()).filter(|&k| storm.site.batteries[k].connection.is_on(f)).collect();
            let out: i64 = members.iter().map(|&k| decision.batteries[k].setpoint_w).sum();
            let grid = estimate.load_w - out;
            let hard = |of: fn(&Capability) -> i64| members.iter().map(|&k| of(&decision.batteries[k].capability)).sum::<i64>();
            if grid > fuse {
                bound += 1;
                assert_eq!(out, hard(|c| c.hard_discharge_w), "{place}: phase {f} imports {grid} W over a fuse of {fuse} W");
            }
            if -grid > fuse {
                bound += 1;
                assert_eq!(-out, hard(|c| c.hard_charge_w), "{place}: phase {f} exports {} W over a fuse of {fuse} W", -grid);
            }
        }
    });
    assert!(bound > 100, "the fuse was never at stake: {bound}");
}

/// What another controller allows all batteries together is told to them in sum, however each of them is told; in `Run` only, where it counts.
#[test]
fn no_order_passes_what_another_controller_allows() {
    let (mut charging, mut discharging, mut by_itself) = (0, 0, 0);
    let mut check = |storm: &mut Storm, place: &str| {
        let now = storm.now;
        let before = storm.core.decision().clone();
        let decision = storm.core.step(now).clone();
        let site = &storm.site;
        // What comes before it: the fuse; and a start that cannot keep up.
        let starting = !matches!(decision.mode, Mode::Run { since } if now.since(since) > site.start_up.length);
        let forced = decision.phases.iter().map(|p| p.plan).chain([decision.three_phase]).any(|p| p.lo > 0 || p.hi < 0);
        let lost = (0..site.batteries.len()).any(|k| storm.core.bms_state(k).is_some_and(|bms| bms.is_lost()));
        if starting || forced || lost {
            return;
        }
        let told = |(was, is): (&BatteryDecision, &BatteryDecision)| match (was.order, is.order) {
            // One that was just taken over is first told what it is doing anyway.
            (Order::Setpoint { .. }, Order::Setpoint { watts, .. }) => ((-watts).max(0), watts.max(0)),
            (_, Order::Limits { charge_w, discharge_w, .. }) => (charge_w, discharge_w),
            (_, Order::Setpoint { .. } | Order::Silent | Order::Release) => (0, 0),
        };
        let both = before.batteries.iter().zip(&decision.batteries);
        let (charge, discharge) = both.map(told).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        let remote = storm.remote();
        if let Some(most) = remote.charge_limit_w {
            assert!(charge <= most.max(0), "{place}: {charge} W of {most} W: {decision:?}");
            charging += u32::from(charge > 0);
        }
        if let Some(most) = remote.discharge_limit_w {
            assert!(discharge <= most.max(0), "{place}: {discharge} W of {most} W: {decision:?}");
            discharging += u32::from(discharge > 0);
        }
        by_itself += u32::from(decision.batteries.iter().any(|b| b.reason == Reason::RemoteAsLimits));
    };
    for number in 0..SITES {
        let mut storm = Storm::new(number, "remote");
        // So do the limits of the site, and a ramp is a start that never ends.
        storm.site = Site { limits: SiteLimits::default(), strategy: Strategy::SelfConsumption, ramp_w_per_s: 0, ..storm.site };
        storm.core = Core::new(storm.site.clone());
        for step in 0..STEPS {
            storm.inputs();
            check(&mut storm, &format!("number {number}, step {step}"));
            storm.writes();
        }
    }
    assert!(charging > 300 && discharging > 300 && by_itself > 100, "{charging} {discharging} {by_itself}");
}

/// Invariants 4 and 5.
#[test]
fn the_same_again_gives_the_same_and_moves_nothing() {
    for_all_sites("same", |storm, place| {
        let now = storm.now;
        let mut twin = storm.core.clone();
        let first = storm.core.step(now).clone();
        assert_eq!(&first, twin.step(now), "{place}: a clone decided otherwise");
        assert!(twin == storm.core, "{place}: a clone's state differs");
        storm.repeat_last(&mut twin);
        let again = twin.step(now).clone();
        assert_eq!(powers(&first), powers(&again), "{place}: the second step at the same time");
        assert_eq!(first.mode, again.mode, "{place}");
        assert_eq!(storm.core.estimates(), twin.estimates(), "{place}");
        assert_eq!(storm.core.last_good(), twin.last_good(), "{place}");
    });
}

/// What was ordered, without its urgency (which the writer keeps until the order was sent).
fn powers(d: &Decision) -> Vec<(i64, Option<(i64, i64)>)> {
    let limits = |o: Order| if let Order::Limits { charge_w, discharge_w, .. } = o { Some((charge_w, discharge_w)) } else { None };
    d.batteries.iter().map(|b| (b.setpoint_w, limits(b.order))).collect()
}

/// Invariants 6 and 7.
#[test]
fn without_good_samples_everything_ends_in_the_fallback_in_time() {
    let mut fallbacks = 0;
    for_all_sites("ladder", |storm, place| {
        let now = storm.now;
        let before = storm.core.decision().clone();
        let decision = storm.core.step(now).clone();
        let age = storm.last_good.map(|t| now.since(t));
        let late = age.is_none_or(|a| a >= storm.site.ladder.fallback);
        for (k, b) in decision.batteries.iter().enumerate() {
            let site = &storm.site.batteries[k];
            let at_rest = match b.order {
                Order::Silent => true,
                Order::Release => storm.site.fallback == FallbackKind::Release,
                Order::Setpoint { watts, .. } => watts == 0,
                Order::Limits { charge_w, discharge_w, .. } => {
                    charge_w <= site.fallback_charge_w && discharge_w <= site.fallback_discharge_w
                }
            };
            assert!(!late || at_rest, "{place}: {:?} {age:?} after the last good sample", b.order);
            fallbacks += u32::from(late);
            let (w, was) = (b.setpoint_w, before.batteries[k].setpoint_w);
            if decision.mode == Mode::Ramp {
                assert!((was.min(0)..=was.max(0)).contains(&w), "{place}: the ramp went from {was} W to {w} W");
            }
        }
        if is_run(decision.mode) && matches!(before.mode, Mode::Init | Mode::Ramp | Mode::Fallback) {
            assert!(storm.in_a_row_most >= 5, "{place}: running after {} good samples in a row", storm.in_a_row_most);
        }
        storm.in_a_row_most = storm.in_a_row;
    });
    assert!(fallbacks > 500, "{fallbacks}");
}

/// Every other sample is absurd: that is too little to run on, and single good ones must not hold an old command for ever.
#[test]
fn a_ramp_ends_although_single_good_samples_come() {
    let mut core = Core::new(common::site(vec![common::battery(0)]));
    let (mut rng, mut power) = (Rng::new(1, "flicker"), 0);
    for s in 1..120u64 {
        let now = Time::from_ms(s * 1000);
        core.battery(0, battery_sample(now, power, 500));
        let mut sample = meter_sample(&mut rng, now, [if s < 40 { 3000 } else { 0 } - power, 0, 0]);
        if s > 44 && s % 2 == 1 {
            sample.total_w = Some(1 << 31);
        }
        if !(30..=44).contains(&s) {
            core.meter(sample);
        }
        let decision = core.step(now);
        power = decision.batteries[0].setpoint_w;
        assert!(s < 60 || power == 0, "{power} W at {s} s, {:?}", decision.mode);
    }
}

/// Invariant 20: nonsense in any field of a sample moves no output and breaks nothing.
#[test]
fn absurd_values_move_nothing() {
    for_all_sites("absurd", |storm, place| {
        let now = storm.now;
        let mut with = storm.core.clone();
        let mut sample = meter_sample(&mut storm.rng, now + Span::from_ms(1), [100; 3]);
        let what = absurd(&mut storm.rng, &mut sample);
        with.meter(sample);
        for k in 0..storm.site.batteries.len() {
            let mut s = battery_sample(now + Span::from_ms(1), 0, 500);
            if storm.rng.chance(500) {
                s.power_w = storm::nonsense(&mut storm.rng);
            } else {
                s.soc_pm = storm::nonsense(&mut storm.rng);
            }
            with.battery(k, s);
        }
        let later = now + Span::from_ms(1);
        let without = storm.core.clone().step(later).clone();
        let with = with.step(later);
        assert_eq!(powers(&without), powers(with), "{place}: moved by an absurd {what}");
        storm.core.step(now);
    });
}

/// A current that cannot be is no reason to panic; it is only reported.
#[test]
fn absurd_currents_temperatures_and_powers_available_do_not_panic() {
    for_all_sites("panic", |storm, _| {
        let now = storm.now + Span::from_ms(1);
        let mut sample = meter_sample(&mut storm.rng, now, [100; 3]);
        let nonsense = |storm: &mut Storm| Some(storm::nonsense(&mut storm.rng));
        if let Some(phases) = &mut sample.phases {
            phases[0].current_ma = nonsense(storm);
        }
        let mut core = storm.core.clone();
        core.meter(sample);
        for k in 0..storm.site.batteries.len() {
            let mut s = battery_sample(now, 0, 500);
            s.temperature_c = nonsense(storm);
            s.charge_available_w = nonsense(storm);
            s.discharge_available_w = nonsense(storm);
            core.battery(k, s);
        }
        core.step(now);
        storm.core.step(storm.now);
    });
}

/// Invariant 10: which phase is called L1 makes no difference.
#[test]
fn turning_the_phases_turns_the_outputs() {
    for number in 0..60 {
        let mut storm = Storm::new(number, "turn");
        let turn = |f: usize| (f + 1) % 3;
        // What is shared out among phases has remainders of a watt; `site_limits` turns those.
        storm.site.limits = SiteLimits::default();
        (storm.site.strategy, storm.site.balance) = (Strategy::SelfConsumption, Balance::PerPhase);
        for b in &mut storm.site.batteries {
            if b.connection == Connection::AllPhases {
                b.connection = Connection::Phase(number as usize % 3);
            }
        }
        storm.core = Core::new(storm.site.clone());
        storm.no_demands = true;
        let mut site = storm.site.clone();
        for b in &mut site.batteries {
            if let Connection::Phase(f) = b.connection {
                b.connection = Connection::Phase(turn(f));
            }
        }
        let mut turned = Core::new(site);
        storm.log = Some(Vec::new());
        for step in 0..STEPS {
            // Phases are learned from one after the other, so in another order.
            storm.core.remember(Learned::nothing(turned.site().batteries.len()));
            turned.remember(Learned::nothing(turned.site().batteries.len()));
            storm.inputs();
            for mut entry in storm.log.replace(Vec::new()).unwrap_or_default() {
                if let storm::Entry::Meter(m) = &mut entry {
                    m.phases = m.phases.map(|p| [p[2], p[0], p[1]]);
                }
                entry.apply(&mut turned);
            }
            let a = storm.core.step(storm.now).clone();
            let b = turned.step(storm.now);
            assert_eq!(powers(&a), powers(b), "number {number}, step {step}");
            assert_eq!(a.mode, b.mode);
            storm.writes();
        }
    }
}

/// Invariant 10: splits are exact, respect the limits, and the order of equal batteries makes no difference beyond rounding.
#[test]
fn splits_sum_up_and_permute() {
    let mut rng = Rng::new(1, "split");
    let mut scratch = Scratch::default();
    for round in 0..4000 {
        let n = 1 + rng.below(12) as usize;
        let site = common::site((0..n).map(|_| BatterySite { capacity_wh: rng.range(100, 20_000), ..common::battery(0) }).collect());
        let caps: Vec<Capability> = (0..n)
            .map(|_| {
                let (hc, hd) = (rng.range(0, 5000), rng.range(0, 5000));
                Capability {
                    hard_charge_w: hc,
                    hard_discharge_w: hd,
                    charge_w: if rng.chance(300) { 0 } else { hc },
                    discharge_w: if rng.chance(300) { 0 } else { hd },
                    ..Default::default()
                }
            })
            .collect();
        let soc: Vec<i64> = (0..n).map(|_| rng.range(0, 1000)).collect();
        let (low, high): (i64, i64) = (-caps.iter().map(|c| c.hard_charge_w).sum::<i64>(), caps.iter().map(|c| c.hard_discharge_w).sum());
        let power = rng.range(low, high);
        let members: Vec<usize> = (0..n).collect();
        let mut out = vec![0; n];
        let ready: Vec<(i64, i64)> = caps.iter().map(|c| (c.charge_w, c.discharge_w)).collect();
        split(&site, &members, power, Rooms { caps: &caps, ready_w: &ready }, |k| soc[k], &mut scratch, &mut out);
        assert_eq!(out.iter().sum::<i64>(), power, "round {round}");
        for (w, c) in out.iter().zip(&caps) {
            assert!((-c.hard_charge_w..=c.hard_discharge_w).contains(w), "round {round}: {w} W beyond {c:?}");
        }
        let backwards = Site { batteries: site.batteries.iter().rev().cloned().collect(), ..site };
        let caps: Vec<_> = caps.into_iter().rev().collect();
        let ready: Vec<_> = ready.into_iter().rev().collect();
        let mut turned = vec![0; n];
        split(&backwards, &members, power, Rooms { caps: &caps, ready_w: &ready }, |k| soc[n - 1 - k], &mut scratch, &mut turned);
        for (k, w) in turned.iter().rev().enumerate() {
            assert!((w - out[k]).abs() <= n as i64, "round {round}: {w} W became {} W", out[k]);
        }
    }
}

/// Invariants 12 and 13.
#[test]
fn a_phase_follows_its_load_no_further_than_it_moved() {
    let mut rng = Rng::new(1, "lipschitz");
    for round in 0..20_000 {
        let (hc, hd) = (rng.range(0, 9000), rng.range(0, 9000));
        let (c, d) = (rng.range(0, hc), rng.range(0, hd));
        let sum = Capability { hard_charge_w: hc, hard_discharge_w: hd, charge_w: c, discharge_w: d, ..Default::default() };
        let (fuse, aim, load, more) = (rng.range(0, 8000), rng.range(-3000, 3000), rng.range(-20_000, 20_000), rng.range(0, 4000));
        let one = |load: i64| {
            let mut sums = [Capability::default(); SLOTS];
            sums[1] = sum;
            let (load_w, fuse_w) = ([0, load, 0], [fuse; 3]);
            let ask = Ask::PerPhase([0, load - aim, 0]);
            plan(&Needs { load_w, fuse_w, ask, sums, limits: SiteLimits::default(), dimmed_w: None })[1]
        };
        let (a, b) = (one(load), one(load + more));
        assert!((0..=more).contains(&(b.power_w - a.power_w)), "round {round}: {a:?} {b:?}");
        let at_rest_held = load.abs() <= fuse;
        if at_rest_held {
            assert!((load - a.power_w - aim).abs() <= (load - aim).abs() || (aim.abs() > fuse), "round {round}: worse than nothing: {a:?}");
        }
    }
}

/// Invariant 17: a block of the SoC policy ends only after the hysteresis.
#[test]
fn soc_blocks_do_not_chatter() {
    let mut changed = 0;
    for number in 0..40 {
        let mut rng = Rng::new(number, "soc");
        let hysteresis = rng.range(10, 60);
        let site = common::site(vec![BatterySite { hysteresis_pm: hysteresis, max_soc_pm: 900, ..common::battery(0) }]);
        let mut core = Core::new(site);
        let near = if number % 2 == 0 { 100 } else { 900 };
        let (mut soc, mut blocked, mut changed_at): (i64, _, Option<i64>) = (near + 5, None, None);
        for s in 1..3000u64 {
            soc = (soc + rng.range(-4, 4)).clamp(near - 90, near + 90);
            let now = Time::from_ms(s * 1000);
            core.battery(0, battery_sample(now, 0, soc));
            core.meter(meter_sample(&mut rng, now, [3000, 0, 0]));
            let cap = core.step(now).batteries[0].capability;
            let is = if near < 500 { cap.discharge_w == 0 } else { cap.charge_w == 0 };
            if blocked.is_some_and(|b| b != is) {
                if let Some(then) = changed_at {
                    assert!((soc - then).abs() >= hysteresis - 8, "number {number}: {then} then {soc} with hysteresis {hysteresis}");
                }
                changed_at = Some(soc);
            }
            blocked = Some(is);
        }
        changed += u32::from(changed_at.is_some());
    }
    assert!(changed > 30, "only {changed} of 40 walks ever changed a block");
}

/// Invariant 18.
#[test]
fn saturation_leaves_no_memory() {
    let mut rng = Rng::new(1, "windup");
    let rest = |w: i64| BatteriesThen { hull: Hull { lo: w, hi: w }, middle_w: w, absolute_w: w.abs() };
    let around = |saturated: bool| Circumstances { target_w: 0, saturated, window: Window::PRIOR, confirm: false };
    for round in 0..500 {
        let mut e = PhaseEstimate::default();
        for _ in 0..rng.range(1, 300) {
            let b = rng.range(-4600, 4600);
            e.take(rng.range(-9000, 9000), &rest(b), &around(rng.chance(500)), &Tuning::default());
            assert!(e.trim_w.abs() <= 150, "round {round}");
        }
        let trim = e.trim_w;
        for _ in 0..100 {
            e.take(4000 + rng.range(-20, 20), &rest(4600), &around(true), &Tuning::default());
        }
        e.take(1000, &rest(4600), &around(true), &Tuning::default());
        assert_eq!((e.load_w, e.trim_w), (5600, trim), "round {round}");
    }
}

/// Everything a random site is made of occurs.
#[test]
fn random_sites_are_as_different_as_they_should_be() {
    let sites: Vec<Site> = (0..SITES).map(|n| random_site(&mut Rng::new(n, "site"))).collect();
    assert!(sites.iter().any(|s| s.batteries.len() == 12) && sites.iter().any(|s| s.batteries.len() == 1));
    assert!(sites.iter().any(|s| s.fallback == FallbackKind::Release) && sites.iter().any(|s| s.ramp_w_per_s > 0));
    assert!(sites.iter().any(|s| s.observe) && sites.iter().any(|s| s.batteries.iter().any(|b| b.control == ControlKind::Limits)));
}
