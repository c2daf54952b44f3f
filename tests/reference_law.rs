//! The core against the executable reference of the control law (vectors made by `tests/reference/make_vectors.py`).
#![allow(missing_docs)]

mod common;

use common::{battery, battery_sample, rows, site};
use sax_controller::control::allocate::{Ask, Binding, Needs, plan};
use sax_controller::control::capability::{Capability, SocBlocks, capability};
use sax_controller::control::core::Core;
use sax_controller::control::input::{BatterySample, MeterSample, PhaseSample, Written};
use sax_controller::control::ladder::Mode;
use sax_controller::control::learned::Learned;
use sax_controller::control::share::{Rooms, Scratch, split};
use sax_controller::control::site::{BatterySite, SLOTS, SiteLimits, StartUp};
use sax_controller::units::{Span, Time};

#[test]
fn capabilities_are_those_of_the_reference() {
    for (n, v) in rows(include_str!("reference/capability.csv")).iter().enumerate() {
        let [age, p, soc, mv, charge_ma, discharge_ma, temperature, ok, rated_discharge, rated_charge] = v[..10] else { panic!("row {n}") };
        let b = BatterySite { max_discharge_w: rated_discharge, max_charge_w: rated_charge, ..battery(0) };
        let now = Time::from_ms(100_000);
        let s = BatterySample {
            charge_available_w: Some(mv * charge_ma / 1_000_000),
            discharge_available_w: Some(mv * discharge_ma / 1_000_000 * 95 / 100),
            temperature_c: Some(temperature),
            ..battery_sample(now.before(Span::from_ms(age as u64)), p, soc)
        };
        let c = capability(&b, Some(&s), SocBlocks::default().after(&b, soc), ok != 0, now);
        assert_eq!([c.hard_discharge_w, c.hard_charge_w, c.discharge_w, c.charge_w], v[10..14], "row {n}: {v:?}");
    }
}

/// Fuse, policy, balance per phase and in sum, import, export, dimming, unbalance, and the split.
#[test]
fn allocation_is_that_of_the_reference() {
    let mut scratch = Scratch::default();
    for (row, v) in rows(include_str!("reference/allocate.csv")).iter().enumerate() {
        let n = v[0] as usize;
        let three = |i: usize| [v[i], v[i + 1], v[i + 2]];
        let some = |i: usize| Some(v[i]).filter(|w| *w >= 0);
        let (net, target, trim, load_w, fuse_w) = (v[1] != 0, three(2), three(5), three(8), three(11));
        let per: Vec<&[i64]> = v[18..].chunks(8).collect();
        let s = site(per.iter().map(|b| BatterySite { capacity_wh: b[6], ..battery(b[0] as usize) }).collect());
        let caps: Vec<Capability> = (per.iter())
            .map(|b| Capability { hard_discharge_w: b[1], hard_charge_w: b[2], discharge_w: b[3], charge_w: b[4], ..Default::default() })
            .collect();
        let ready: Vec<(i64, i64)> = caps.iter().map(|c| (c.charge_w, c.discharge_w)).collect();
        let mut sums = [Capability::default(); SLOTS];
        let mut members: [Vec<usize>; SLOTS] = Default::default();
        for (k, b) in s.batteries.iter().enumerate() {
            let (slot, c) = (b.connection.slot(), caps[k]);
            sums[slot].hard_charge_w += c.hard_charge_w;
            sums[slot].hard_discharge_w += c.hard_discharge_w;
            sums[slot].charge_w += c.charge_w;
            sums[slot].discharge_w += c.discharge_w;
            members[slot].push(k);
        }
        let wanted = [0, 1, 2].map(|f| load_w[f] - target[f] + trim[f]);
        let ask = if net { Ask::Total(wanted.iter().sum(), Binding::Total) } else { Ask::PerPhase(wanted) };
        let limits = SiteLimits { import_w: some(14), export_w: some(15), unbalance_va: some(16) };
        let plans = plan(&Needs { load_w, fuse_w, ask, sums, limits, dimmed_w: some(17) });
        let mut out = vec![0; n];
        for (slot, plan) in plans.iter().enumerate() {
            split(&s, &members[slot], plan.power_w, Rooms { caps: &caps, ready_w: &ready }, |k| per[k][5], &mut scratch, &mut out);
        }
        let expected: Vec<i64> = per.iter().map(|b| b[7]).collect();
        assert_eq!(out, expected, "row {row}: {v:?}");
    }
}

/// Whole runs with latency, dead time, noise, lost samples and a loss of the meter at the end.
#[test]
fn runs_are_those_of_the_reference() {
    let mut core = None;
    let mut told = [i64::MIN; 3];
    let mut run = -1;
    for (row, v) in rows(include_str!("reference/runs.csv")).iter().enumerate() {
        if v[0] != run {
            run = v[0];
            told = [i64::MIN; 3];
            let mut s = site((0..3).map(battery).collect());
            s.start_up = StartUp { length: Span::ZERO, ..Default::default() };
            let mut believing = Core::new(s);
            believing.believe_wiring();
            core = Some(believing);
        }
        let core = core.as_mut().expect("set by the first row");
        let now = Time::from_ms(v[1] as u64);
        // The reference does not learn.
        core.remember(Learned::nothing(3));
        for k in 0..3 {
            core.battery(k, battery_sample(now.before(Span::from_ms(100)), v[6 + k], 500));
        }
        if v[2] != 0 {
            let phases = [0, 1, 2].map(|f| PhaseSample { power_w: v[3 + f], ..Default::default() });
            core.meter(MeterSample {
                taken: now,
                total_w: None,
                phases: Some(phases),
                phases_missing: false,
                phases_apportioned: false,
                total_print: row as u64,
                phase_print: Some(row as u64),
                phase_print_is_lively: true,
            });
        }
        let decision = core.step(now).clone();
        let mode = match decision.mode {
            Mode::Init => 0,
            Mode::Run { .. } => 1,
            Mode::Hold { .. } => 2,
            Mode::Ramp => 3,
            Mode::Fallback => 4,
        };
        let set: Vec<i64> = decision.batteries.iter().map(|b| b.setpoint_w).collect();
        assert_eq!(mode, v[9], "mode in row {row}");
        if mode < 3 {
            assert_eq!(core.estimates().map(|e| e.load_w), v[10..13], "estimate in row {row}");
            assert_eq!(core.estimates().map(|e| e.trim_w), v[13..16], "trim in row {row}");
        }
        assert_eq!(set, v[16..19], "commands in row {row}");
        for k in 0..3 {
            if set[k] != told[k] {
                core.written(k, Written::Setpoint(set[k]), now);
                told[k] = set[k];
            }
        }
    }
}
