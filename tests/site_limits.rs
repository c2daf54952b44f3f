//! What strategies, limits for the whole site and demands make of the batteries: the core with ideal batteries, at rest.
#![allow(missing_docs)]

mod common;

use common::{battery, battery_sample, site};
use sax_controller::control::core::Core;
use sax_controller::control::decision::{Decision, Order, Reason};
use sax_controller::control::demand::{Action, Demand, Remote};
use sax_controller::control::input::{MeterSample, PhaseSample, Written};
use sax_controller::control::site::{Balance, BatterySite, Connection, ControlKind, Site, SiteLimits, Strategy};
use sax_controller::units::{Phase, Time};

/// Inside its noise the estimate moves nothing, W.
const NOISE_W: i64 = 33;

/// A house and batteries that do at once what they are told.
struct House {
    core: Core,
    site: Site,
    load_w: [i64; 3],
    soc_pm: Vec<i64>,
    power_w: Vec<i64>,
    second: u64,
}

impl House {
    fn new(site: Site, load_w: [i64; 3]) -> House {
        let n = site.batteries.len();
        House { core: Core::new(site.clone()), site, load_w, soc_pm: vec![500; n], power_w: vec![0; n], second: 0 }
    }

    fn grid_w(&self) -> [i64; 3] {
        common::grid_w(&self.site, self.load_w, &self.power_w)
    }

    fn second(&mut self) -> &Decision {
        self.second += 1;
        let now = Time::from_ms(self.second * 1000);
        for k in 0..self.power_w.len() {
            self.core.battery(k, battery_sample(now, self.power_w[k], self.soc_pm[k]));
        }
        let phases = self.grid_w().map(|power_w| PhaseSample { power_w, voltage_mv: Some(230_000), ..Default::default() });
        self.core.meter(MeterSample {
            taken: now,
            total_w: Some(self.grid_w().iter().sum()),
            phases: Some(phases),
            phases_missing: false,
            phases_apportioned: false,
            total_print: self.second,
            phase_print: Some(self.second),
            phase_print_is_lively: true,
        });
        let decision = self.core.step(now).clone();
        for (k, b) in decision.batteries.iter().enumerate() {
            if let Order::Setpoint { watts, .. } = b.order {
                self.power_w[k] = watts;
                self.core.written(k, Written::Setpoint(watts), now);
            }
        }
        self.core.decision()
    }

    /// The powers of the batteries after a minute.
    fn settled(&mut self) -> Vec<i64> {
        (0..60).for_each(|_| {
            self.second();
        });
        self.power_w.clone()
    }

    fn total_w(&self) -> i64 {
        self.grid_w().iter().sum()
    }

    fn ask(&mut self, action: Action) -> Vec<i64> {
        self.core.demand(Demand { action: Some(action), ..Demand::default() });
        self.settled()
    }

    fn reason(&self, k: usize) -> Reason {
        self.core.decision().batteries[k].reason
    }
}

fn near(is: &[i64], should: [i64; 3]) -> bool {
    is.iter().zip(should).all(|(is, should)| (is - should).abs() <= NOISE_W)
}

fn three() -> Site {
    site((0..3).map(battery).collect())
}

fn sum(site: Site) -> Site {
    Site { balance: Balance::Sum, ..site }
}

fn limited(limits: SiteLimits, site: Site) -> Site {
    Site { limits, ..site }
}

#[test]
fn in_sum_phases_are_netted_and_no_battery_charges_while_another_discharges() {
    let mut h = House::new(sum(three()), [2000, -1500, 100]);
    let w = h.settled();
    assert!(h.total_w().abs() <= 3, "{w:?}");
    assert!(w.iter().all(|w| *w >= 0), "{w:?}");
    // The phase with the load gets it: that is the least load of the phases.
    assert_eq!(w, [600, 0, 0]);
    let mut apart = House::new(three(), [2000, -1500, 100]);
    assert!(near(&apart.settled(), [2000, -1500, 100]));
}

#[test]
fn the_import_limit_uses_batteries_of_other_phases() {
    let small = BatterySite { max_discharge_w: 1000, ..battery(0) };
    let free = House::new(site(vec![small.clone(), battery(1)]), [5000, 0, 0]).settled();
    assert_eq!(free, [1000, 0]);
    let limits = SiteLimits { import_w: Some(2500), ..SiteLimits::default() };
    let mut h = House::new(limited(limits, site(vec![small, battery(1)])), [5000, 0, 0]);
    assert_eq!(h.settled(), [1000, 1500]);
    assert_eq!(h.reason(1), Reason::ImportLimit);
}

#[test]
fn the_export_limit_charges_what_the_target_would_sell() {
    let limits = SiteLimits { export_w: Some(500), ..SiteLimits::default() };
    let mut h = House::new(Site { target_w: -3000, ..limited(limits, three()) }, [-200, -200, -200]);
    h.settled();
    assert!((-h.total_w() - 500).abs() <= NOISE_W, "{} W", h.total_w());
    assert_eq!(h.reason(0), Reason::ExportLimit);
}

#[test]
fn no_phase_gives_much_more_than_another() {
    let limits = SiteLimits { unbalance_va: Some(2000), ..SiteLimits::default() };
    let mut h = House::new(limited(limits, three()), [4000, 500, 900]);
    assert_eq!(h.settled(), [2500, 500, 900]);
    assert_eq!(h.reason(0), Reason::Unbalance);
    assert_eq!(House::new(limited(limits, three()), [-3400, -500, -900]).settled(), [-2500, -500, -900]);
}

#[test]
fn peak_shaving_rests_discharges_above_and_recharges_below() {
    let strategy = Strategy::PeakShaving { recharge_below_w: 1500 };
    let limits = SiteLimits { import_w: Some(4000), ..SiteLimits::default() };
    let shaving = |load: [i64; 3]| House::new(Site { strategy, ..limited(limits, three()) }, load);
    let mut between = shaving([1000, 1000, 500]);
    assert_eq!((between.settled(), between.reason(0)), (vec![0, 0, 0], Reason::BelowPeak));
    let mut above = shaving([6000, 1000, 500]);
    above.settled();
    assert!((above.total_w() - 4000).abs() <= 3, "{} W", above.total_w());
    let mut below = shaving([300, 100, 200]);
    below.settled();
    assert!((below.total_w() - 1500).abs() <= 3, "{} W", below.total_w());
    let mut full = shaving([300, 100, 200]);
    full.soc_pm = vec![1000; 3];
    assert_eq!(full.settled(), [0, 0, 0]);
}

#[test]
fn dimming_bounds_what_is_charged_from_the_grid_but_not_from_the_sun() {
    let mut h = House::new(three(), [500, 500, 500]);
    h.core.demand(Demand { action: Some(Action::Charge(6000)), dimmed_w: Some(2000), ..Demand::default() });
    assert_eq!(h.settled().iter().sum::<i64>(), -2000);
    assert_eq!(h.reason(0), Reason::Dimmed);
    h.load_w = [-1500; 3];
    assert_eq!(h.settled().iter().sum::<i64>(), -4500);
}

#[test]
fn schedules_charge_hold_reserve_and_move_the_target() {
    let mut h = House::new(three(), [900, 300, 600]);
    assert_eq!(h.settled(), [900, 300, 600]);
    assert_eq!(h.ask(Action::Hold), [0, 0, 0]);
    assert_eq!(h.reason(0), Reason::Scheduled);
    let charged = h.ask(Action::Charge(2000));
    assert_eq!(charged.iter().sum::<i64>(), -2000);
    assert!(charged[1] < charged[0], "the phase with the least load charges most: {charged:?}");
    h.load_w = [-2000; 3];
    assert_eq!(h.settled(), [-2000; 3], "more sun than the schedule asks for is not given away");
    h.load_w = [900, 300, 600];
    h.ask(Action::GridTarget(600));
    assert!((h.total_w() - 600).abs() <= 9, "{} W", h.total_w());
    h.soc_pm = vec![300, 500, 290];
    assert_eq!(h.ask(Action::ReserveSoc(300)), [0, 300, 0]);
    h.soc_pm = vec![310, 500, 330];
    assert_eq!(h.settled(), [0, 300, 600], "only after the hysteresis");
    h.core.demand(Demand::default());
    assert_eq!(h.settled(), [900, 300, 600]);
}

#[test]
fn a_schedule_never_overrides_the_fuse() {
    let small = Site { fuse_ma: 16_000, ..three() };
    let mut h = House::new(small, [5000, 200, 200]);
    let w = h.ask(Action::Hold);
    assert!(h.grid_w()[0] <= 3335 + 5 && w[0] > 1600, "{w:?}");
    let w = h.ask(Action::Charge(9000));
    assert!(h.grid_w().iter().all(|g| *g <= 3335 + 5), "{w:?}");
    assert_eq!(w.iter().sum::<i64>(), w[0] + w[1] + w[2]);
    assert!(w[0] > 0 && w[1] < -3000 && w[2] < -3000, "{w:?}");
}

fn three_phase(max_w: i64) -> BatterySite {
    BatterySite { connection: Connection::AllPhases, max_discharge_w: max_w, max_charge_w: max_w, ..battery(0) }
}

#[test]
fn a_three_phase_battery_balances_the_sum() {
    let mut h = House::new(site(vec![three_phase(9000)]), [3000, 300, 0]);
    let w = h.settled();
    assert!((w[0] - 3300).abs() <= 9, "{w:?}");
    h.load_w = [-3000, 600, 0];
    let w = h.settled();
    assert!((w[0] + 2400).abs() <= 9, "{w:?}");
}

#[test]
fn single_phase_batteries_do_what_a_three_phase_one_cannot() {
    let both = |balance| Site { balance, ..site(vec![battery(0), battery(1), battery(2), three_phase(6000)]) };
    let mut h = House::new(both(Balance::PerPhase), [3000, 1200, 600]);
    let w = h.settled();
    assert!(h.grid_w().iter().all(|g| g.abs() <= 10), "{w:?} {:?}", h.grid_w());
    assert!(w[3] > 0, "{w:?}");
    let mut h = House::new(both(Balance::Sum), [3000, -1000, 400]);
    let w = h.settled();
    assert!(h.total_w().abs() <= 10 && w.iter().all(|w| *w >= 0), "{w:?}");
    // More than the others have: the three-phase one fills up.
    let mut h = House::new(both(Balance::PerPhase), [6000, 6000, 6000]);
    let w = h.settled();
    assert!((w.iter().sum::<i64>() - 18_000).abs() <= 9 && h.grid_w().iter().all(|g| g.abs() <= 10), "{w:?}");
}

#[test]
fn a_three_phase_battery_holds_every_fuse() {
    let small = Site { fuse_ma: 16_000, ..site(vec![three_phase(12_000)]) };
    // The sum asks for 4000 W, the fuse of L1 for 5000 W.
    let mut h = House::new(small, [5000, -1000, 0]);
    let w = h.settled();
    assert!((w[0] - 5000).abs() <= 10 && h.grid_w().iter().all(|g| g.abs() <= 3340), "{w:?} {:?}", h.grid_w());
    assert_eq!(h.reason(0), Reason::Fuse(Phase::L1));
    // L1 asks for 8000 W, L2 allows 2500 W: the single-phase battery gives the rest.
    let mut mixed = House::new(Site { fuse_ma: 16_000, ..site(vec![battery(0), three_phase(12_000)]) }, [6000, -2500, 0]);
    let w = mixed.settled();
    assert!(mixed.grid_w().iter().all(|g| g.abs() <= 3340), "{w:?} {:?}", mixed.grid_w());
}

#[test]
fn a_battery_with_limits_is_commanded_only_while_more_is_wanted_and_starts_where_it_is() {
    let hybrid = BatterySite { control: ControlKind::Hybrid, ..battery(0) };
    let mut h = House::new(site(vec![hybrid]), [900, 0, 0]);
    h.power_w = vec![870];
    h.settled();
    let order = |h: &House| h.core.decision().batteries[0].order;
    assert!(matches!(order(&h), Order::Limits { charge_w: 3500, discharge_w: 4600, .. }), "{:?}", order(&h));
    h.core.demand(Demand { action: Some(Action::Charge(1500)), ..Demand::default() });
    h.second();
    assert_eq!(h.power_w, [870], "first what it does anyway");
    assert_eq!(h.settled(), [-1500]);
    h.core.demand(Demand { action: Some(Action::Hold), ..Demand::default() });
    h.second();
    assert!(matches!(order(&h), Order::Limits { charge_w: 0, discharge_w: 0, .. }), "{:?}", order(&h));
}

#[test]
fn plain_limits_follow_a_schedule_as_far_as_limits_can() {
    let own = BatterySite { control: ControlKind::Limits, ..battery(0) };
    let mut h = House::new(site(vec![own]), [900, 0, 0]);
    let order = |h: &House| match h.core.decision().batteries[0].order {
        Order::Limits { charge_w, discharge_w, .. } => (charge_w, discharge_w),
        other => panic!("{other:?}"),
    };
    h.settled();
    assert_eq!(order(&h), (3500, 4600));
    h.ask(Action::Charge(1500));
    assert_eq!(order(&h), (3500, 0));
    h.ask(Action::ReserveSoc(600));
    assert_eq!(order(&h), (3500, 0));
    h.ask(Action::Hold);
    assert_eq!(order(&h), (0, 0));
}

fn remote(remote: Remote) -> Demand {
    Demand { remote, ..Demand::default() }
}

fn setpoint(w: i64) -> Demand {
    remote(Remote { setpoint_w: Some(w), ..Remote::default() })
}

#[test]
fn another_controllers_setpoint_comes_before_strategy_and_schedule() {
    let mut h = House::new(three(), [900, 300, 600]);
    h.settled();
    h.core.demand(setpoint(3000));
    let given = h.settled();
    assert_eq!(given.iter().sum::<i64>(), 3000);
    assert!(given[0] > given[2] && given[2] > given[1], "the phase with the most load gives most: {given:?}");
    assert_eq!(h.reason(0), Reason::Remote);
    h.core.demand(Demand { action: Some(Action::Charge(2000)), ..setpoint(-4500) });
    assert_eq!(h.settled().iter().sum::<i64>(), -4500);
    h.core.demand(setpoint(0));
    assert_eq!(h.settled(), [0, 0, 0]);
    h.core.demand(Demand::default());
    assert_eq!(h.settled(), [900, 300, 600], "its own strategy again");
    let peak = Site {
        strategy: Strategy::PeakShaving { recharge_below_w: 100 },
        ..limited(SiteLimits { import_w: Some(4000), ..SiteLimits::default() }, three())
    };
    let mut h = House::new(peak, [900, 300, 600]);
    h.core.demand(setpoint(-2000));
    assert_eq!(h.settled().iter().sum::<i64>(), -2000);
    h.core.demand(setpoint(-9000));
    h.settled();
    assert!((h.total_w() - 4000).abs() <= NOISE_W, "the owner's import limit holds: {} W", h.total_w());
    assert_eq!(h.reason(0), Reason::ImportLimit);
}

#[test]
fn the_same_command_again_changes_nothing() {
    let mut h = House::new(three(), [900, 300, 600]);
    h.core.demand(setpoint(2000));
    h.settled();
    let mut twin = h.core.clone();
    twin.demand(setpoint(2000));
    assert!(twin == h.core);
}

#[test]
fn another_controllers_limits_bound_the_sum_but_never_the_fuse() {
    let limits = Remote { setpoint_w: None, charge_limit_w: Some(1000), discharge_limit_w: Some(1200) };
    let mut h = House::new(three(), [900, 300, 600]);
    h.core.demand(remote(limits));
    assert_eq!(h.settled().iter().sum::<i64>(), 1200);
    assert_eq!(h.reason(0), Reason::RemoteLimit);
    h.load_w = [-900, -300, -600];
    assert_eq!(h.settled().iter().sum::<i64>(), -1000);
    h.core.demand(remote(Remote { setpoint_w: Some(-3000), ..limits }));
    assert_eq!(h.settled().iter().sum::<i64>(), -1000);
    let mut h = House::new(Site { fuse_ma: 16_000, ..three() }, [6000, 0, 0]);
    h.core.demand(remote(Remote { discharge_limit_w: Some(0), ..Remote::default() }));
    let w = h.settled();
    assert!(h.grid_w()[0] <= 3340 && w[0] > 2600 && w[1] == 0, "{w:?}");
    assert_eq!(h.reason(0), Reason::Fuse(Phase::L1));
}

#[test]
fn batteries_that_balance_by_themselves_keep_inside_what_another_controller_asks() {
    let own = |phase: usize| BatterySite { control: ControlKind::Limits, ..battery(phase) };
    let mut h = House::new(site(vec![own(0), own(1), battery(2)]), [900, 500, 400]);
    let limits = |h: &House, k: usize| match h.core.decision().batteries[k].order {
        Order::Limits { charge_w, discharge_w, .. } => (charge_w, discharge_w),
        other => panic!("{other:?}"),
    };
    h.settled();
    assert_eq!((limits(&h, 0), limits(&h, 1)), ((3500, 4600), (3500, 4600)));
    h.core.demand(remote(Remote { discharge_limit_w: Some(2400), charge_limit_w: Some(600), ..Remote::default() }));
    h.settled();
    // The commanded one follows its load; the others share what is left.
    assert_eq!(h.power_w[2], 400);
    assert_eq!((limits(&h, 0), limits(&h, 1)), ((300, 1000), (300, 1000)));
    h.core.demand(setpoint(-900));
    let w = h.settled();
    let told: i64 = limits(&h, 0).0 + limits(&h, 1).0 - w[2];
    assert_eq!((told, limits(&h, 0).1, limits(&h, 1).1), (900, 0, 0));
    assert_eq!((h.reason(0), h.reason(2)), (Reason::RemoteAsLimits, Reason::Remote));
    h.core.demand(setpoint(0));
    h.settled();
    assert_eq!((limits(&h, 0), limits(&h, 1), h.power_w[2]), ((0, 0), (0, 0), 0));
}

#[test]
fn another_controller_commands_a_hybrid_battery() {
    let hybrid = BatterySite { control: ControlKind::Hybrid, ..battery(0) };
    let mut h = House::new(site(vec![hybrid]), [900, 0, 0]);
    h.settled();
    h.core.demand(setpoint(1500));
    assert_eq!((h.settled(), h.reason(0)), (vec![1500], Reason::Remote));
    h.core.demand(Demand::default());
    h.second();
    assert!(matches!(h.core.decision().batteries[0].order, Order::Limits { .. }));
}
