//! The simulated site: physics, the reference day, and that it is deterministic. Registers and wire are in the modules.

#[path = "plant/charger.rs"]
mod charger;
#[path = "plant/devices.rs"]
mod devices;
#[path = "plant/lies.rs"]
mod lies;
#[path = "plant/registers.rs"]
mod registers;
#[path = "common/sha256.rs"]
mod sha256;
#[path = "plant/wire.rs"]
mod wire;

use std::sync::Arc;

use sax_controller::plant::battery_params::{BatteryParams, SaxParams, Wiring};
use sax_controller::plant::day::{Day, DayParams, Season, Sky};
use sax_controller::plant::house::House;
use sax_controller::plant::kpi::{Kpi, KpiParams, Mode, Second};
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::site::{Site, SiteParams};
use sax_controller::units::Phase;

/// A site with one battery on L1.
fn one(battery: BatteryParams, house: House) -> Site {
    let batteries = vec![(battery, SaxParams::default())];
    Site::new(SiteParams { batteries, ..SiteParams::new(1, house, &[]) })
}

fn command(site: &mut Site, power_w: i64) {
    let now_ms = site.now_ms();
    site.battery_mut(0).unwrap().command(now_ms, power_w);
}

/// The golden table of control.md 5.1, all columns.
#[test]
fn reference_days_are_those_of_the_reference() {
    let rows = [
        (
            1,
            Season::Spring,
            Sky::Broken,
            "07bea0b9099f55a2017fa04dc69b93f715e842d4cc82b6c5e4a8b2a858033dc0",
            (64271, 17108),
            [9500, 7052, 7796],
            41377,
        ),
        (
            2,
            Season::Winter,
            Sky::Overcast,
            "718234b157de2be9f41e1e006784533c60a2dd1f04685498e7b748d214d9f02c",
            (64739, 15354),
            [11644, 9783, 10172],
            4966,
        ),
        (
            42,
            Season::Summer,
            Sky::Clear,
            "9affe5cc6dfbf7d56e76c2bdb730d21216f700b7a1b70144b683335a0d6f9577",
            (65639, 10080),
            [7668, 5876, 6647],
            74377,
        ),
    ];
    for (number, season, sky, sha, car, load_wh, pv_wh) in rows {
        let day = Day::new(&DayParams { number, season, sky, ..DayParams::default() });
        let wh = |watts: &[i32]| watts.iter().map(|w| i64::from(*w)).sum::<i64>() / 3600;
        assert_eq!((day.plug_s, day.need_wh), car, "{number}");
        assert_eq!([0, 1, 2].map(|k| wh(&day.load_w[k])), load_wh, "{number}");
        assert_eq!(wh(&day.pv_w), pv_wh, "{number}");
        assert_eq!(sha256::hex(&day.bytes()), sha, "{number}");
    }
}

#[test]
fn dead_time_and_lag_are_as_built() {
    let mut site = one(BatteryParams { dead_ms: 400, tau_ms: 300, ..BatteryParams::on(Phase::L1) }, House::Fixed([0; 3]));
    site.advance_to(1000);
    command(&mut site, 3000);
    site.advance_to(1400);
    assert_eq!(site.battery_w(0), 0, "still within the dead time");
    site.advance_to(1700);
    let after_tau_w = site.battery_w(0);
    assert!((1880..1960).contains(&after_tau_w), "63 % after one time constant, but {after_tau_w} W");
    site.advance_to(5000);
    assert_eq!(site.battery_w(0), 3000);
    assert_eq!(site.grid_w(), [-3000, 0, 0]);
}

#[test]
fn newest_command_wins_and_all_arrive_in_order() {
    let mut site = one(BatteryParams { dead_ms: 1000, ..BatteryParams::ideal(Phase::L1) }, House::Fixed([0; 3]));
    for (at_ms, power_w) in [(0, 1000), (500, -1000), (900, 500)] {
        site.advance_to(at_ms);
        command(&mut site, power_w);
    }
    let seen: Vec<_> = [990, 1010, 1510, 1910].map(|ms| (site.advance_to(ms), site.battery_w(0)).1).into();
    assert_eq!(seen, [0, 1000, -1000, 500]);
}

#[test]
fn ramp_is_kept() {
    let mut site = one(BatteryParams { ramp_w_per_s: Some(12), ..BatteryParams::ideal(Phase::L1) }, House::Fixed([0; 3]));
    command(&mut site, 1200);
    site.advance_to(50_000);
    assert_eq!(site.battery_w(0), 600);
    site.advance_to(101_000);
    assert_eq!(site.battery_w(0), 1200);
}

#[test]
fn setpoint_expires_into_own_control_and_release_is_at_once() {
    let mut site = one(BatteryParams::ideal(Phase::L1), House::Fixed([800, 0, 0]));
    command(&mut site, -1000);
    site.advance_to(299_990);
    assert_eq!((site.battery_w(0), site.grid_w()[0]), (-1000, 1800));
    site.advance_to(301_000);
    assert_eq!((site.battery_w(0), site.grid_w()[0]), (800, 0), "zero-balancing after 300 s");
    command(&mut site, 0);
    site.advance_to(302_000);
    assert_eq!(site.battery_w(0), 0);
    site.battery_mut(0).unwrap().release(302_000);
    site.advance_to(303_000);
    assert_eq!(site.battery_w(0), 800);
}

#[test]
fn own_control_keeps_its_limits_and_forgets_them() {
    let mut site = one(BatteryParams { limits_forget_s: 60, ..BatteryParams::ideal(Phase::L1) }, House::Fixed([2000, 0, 0]));
    site.battery_mut(0).unwrap().set_limits(0, 500, 0);
    site.advance_to(30_000);
    assert_eq!(site.battery_w(0), 500);
    site.advance_to(61_000);
    assert_eq!(site.battery_w(0), 2000);
}

#[test]
fn two_batteries_on_a_phase_share_and_do_not_fight() {
    let batteries = vec![(BatteryParams::on(Phase::L2), SaxParams::default()); 2];
    let mut site = Site::new(SiteParams { batteries, ..SiteParams::new(1, House::Fixed([0, 3000, 0]), &[]) });
    site.advance_to(20_000);
    assert_eq!((site.battery_w(0), site.battery_w(1), site.grid_w()[1]), (1500, 1500, 0));
}

#[test]
fn ratings_hold_and_full_and_empty_stop() {
    let small = BatteryParams { capacity_wh: 100, soc_pm: 500, ..BatteryParams::ideal(Phase::L1) };
    let mut site = one(small, House::Fixed([0; 3]));
    command(&mut site, 20_000);
    site.advance_to(10_000);
    assert_eq!(site.battery_w(0), 4600);
    site.advance_to(60_000);
    assert_eq!((site.battery_w(0), site.battery(0).unwrap().soc_pm()), (0, 0));
    command(&mut site, -20_000);
    site.advance_to(70_000);
    assert_eq!(site.battery_w(0), -3500);
    site.advance_to(200_000);
    assert_eq!((site.battery_w(0), site.battery(0).unwrap().soc_pm()), (0, 1000));
}

#[test]
fn writing_every_second_stalls_it_until_a_pause() {
    let mut site = one(BatteryParams { stall_after_ms: Some(150_000), ..BatteryParams::ideal(Phase::L1) }, House::Fixed([0; 3]));
    for second in 0..160_i64 {
        site.advance_to(second as u64 * 1000);
        command(&mut site, second);
    }
    site.advance_to(160_000);
    assert_eq!(site.battery_w(0), 150, "stuck at the value of second 150");
    site.advance_to(200_000);
    command(&mut site, 1000);
    site.advance_to(201_000);
    assert_eq!(site.battery_w(0), 1000);
}

#[test]
fn nothing_is_remembered_over_a_reboot() {
    let mut site = one(BatteryParams::ideal(Phase::L1), House::Fixed([700, 0, 0]));
    command(&mut site, 2000);
    site.battery_mut(0).unwrap().set_limits(0, 0, 0);
    site.battery_mut(0).unwrap().set_timeout_s(5);
    site.advance_to(1000);
    assert_eq!(site.battery_w(0), 2000);
    site.reboot(0, 20_000);
    site.advance_to(20_000);
    assert_eq!(site.battery_w(0), 0);
    site.advance_to(22_000);
    let battery = site.battery(0).unwrap();
    assert_eq!((site.battery_w(0), battery.limits_w(22_000), battery.timeout_s()), (700, (4600, 3500), 300));
}

#[test]
fn own_reading_has_scale_and_bias_and_the_truth_has_not() {
    let params = BatteryParams { reading_scale_pm: 970, reading_bias_w: 12, tracking_bias_w: 40, ..BatteryParams::ideal(Phase::L1) };
    let mut site = one(params, House::Fixed([0; 3]));
    command(&mut site, 2000);
    site.advance_to(1000);
    assert_eq!(site.battery_w(0), 2040);
    assert_eq!(site.battery(0).unwrap().reported_w(1000), 2040 * 970 / 1000 + 12 + 1);
}

#[test]
fn meter_is_late_and_averages_and_freezes() {
    let meter = MeterParams { period_ms: 1000, phase_ms: 0, latency_ms: 600, window_ms: 500, noise_w: 0, ..MeterParams::default() };
    let house = House::Trace(vec![(0, [100, 0, 0]), (1750, [1100, 0, 0])]);
    let mut site = Site::new(SiteParams { meter, batteries: Vec::new(), ..SiteParams::new(1, house, &[]) });
    let mut seen = |ms| (site.advance_to(ms), site.meter_reading().power_w[0]).1;
    assert_eq!([seen(1600), seen(2590), seen(2600), seen(3600)], [100, 100, 600, 1100]);
    site.freeze_meter(true);
    site.set_house(House::Fixed([5, 0, 0]));
    site.advance_to(10_000);
    assert_eq!(site.meter_reading().power_w[0], 1100);
    site.freeze_meter(false);
    assert_eq!(site.meter_reading().power_w[0], 5);
}

#[test]
fn houses_do_what_they_say() {
    let steps = House::steps(Phase::L3, 20_000);
    assert_eq!([steps.at(0), steps.at(9_999), steps.at(10_000)].map(|p| p.load_w[2]), [460, 460, 4140]);
    assert_eq!([steps.next_change_ms(0), steps.next_change_ms(10_000)], [10_000, 20_000]);
    let demo = House::Demo(7);
    let seconds: Vec<_> = (0..240).map(|s| demo.at(s * 1000)).collect();
    let lively =
        seconds.windows(8).filter(|w| (0..3).any(|k| (w[0].load_w[k] - w[7].load_w[k]).abs() > 100 || w[0].pv_w[k] != w[7].pv_w[k]));
    assert!(lively.count() > 215, "something happens every few seconds");
    for k in 0..3 {
        let net: Vec<_> = seconds.iter().map(|p| p.load_w[k] - p.pv_w[k]).collect();
        assert!(net.iter().any(|w| *w > 1500) && net.iter().any(|w| *w < -500), "L{} imports and exports", k + 1);
    }
}

/// Everything at once: three batteries, one of them commanded now and then, in steps of very different lengths.
fn run(slices: &[u64], until_ms: u64) -> Site {
    let meter = MeterParams { window_ms: 800, phase_ms: 130, ..MeterParams::default() };
    let mut site = Site::new(SiteParams { meter, ..SiteParams::new(3, House::Demo(3), &Phase::ALL) });
    let mut slice = slices.iter().cycle();
    for command_ms in (0..until_ms).step_by(7_777) {
        while site.now_ms() < command_ms {
            let next_ms = site.now_ms() + slice.next().unwrap();
            site.advance_to(next_ms.min(command_ms));
        }
        command(&mut site, (command_ms as i64 % 9000) - 4000);
        if command_ms % 5 == 0 {
            site.battery_mut(0).unwrap().release(command_ms);
        }
    }
    site
}

#[test]
fn result_does_not_depend_on_how_time_is_cut() {
    let (fine, mixed, coarse) = (run(&[1], 600_000), run(&[10, 3, 777, 20], 600_000), run(&[3_600_000], 600_000));
    for other in [&mixed, &coarse] {
        assert_eq!(fine.integrals(), other.integrals());
        assert_eq!(fine.truth(), other.truth());
        assert_eq!(fine.meter_reading(), other.meter_reading());
    }
}

#[test]
fn energy_is_conserved() {
    let site = run(&[1000], 900_000);
    let sums = site.integrals();
    let phase = |k: usize| sums.load[k] - sums.pv[k] - sums.battery[k];
    assert_eq!(sums.grid, [phase(0), phase(1), phase(2)]);
    assert_eq!(sums.import - sums.export, sums.grid.iter().sum::<i64>());

    let mut ideal = one(BatteryParams::ideal(Phase::L1), House::steps(Phase::L1, 6_000));
    ideal.advance_to(60_000);
    command(&mut ideal, -1234);
    ideal.advance_to(180_000);
    // mW times 10 ms to mWh.
    assert_eq!(7700 * 400 - ideal.battery(0).unwrap().energy_mwh(), ideal.integrals().battery[0].div_euclid(360_000) + 1);

    let mut lossy = one(BatteryParams::on(Phase::L1), House::Fixed([0; 3]));
    let start_mwh = lossy.battery(0).unwrap().energy_mwh();
    command(&mut lossy, -2000);
    lossy.advance_to(200_000);
    command(&mut lossy, 2000);
    lossy.advance_to(400_000);
    command(&mut lossy, 0);
    lossy.advance_to(410_000);
    let lost_mwh = start_mwh - lossy.battery(0).unwrap().energy_mwh();
    let expected_mwh = 2_000_000 * 200 / 3600 * (1000 * 1000 - 960 * 960) / (960 * 1000) + 5 * 410 * 1000 / 3600;
    assert!((lost_mwh - expected_mwh).abs() < 20, "{lost_mwh} mWh lost, {expected_mwh} expected");
}

/// A whole day in virtual time with three batteries on their own control; also what the key figures say about it.
#[test]
fn a_day_passes_and_adds_up() {
    let day = Day::new(&DayParams::default());
    let mut site = Site::new(SiteParams::new(1, House::Day(Arc::new(day)), &Phase::ALL));
    let mut kpi = Kpi::new(KpiParams { fuse_a: 25, usable_wh: 3 * 7700 });
    let start = std::time::Instant::now();
    for second in 1..=86_400_u64 {
        let before = site.integrals().clone();
        site.advance_to(second * 1000);
        let stored_mwh = (0..3).map(|k| site.battery(k).unwrap().energy_mwh()).sum();
        kpi.second(&Second { stored_mwh, mode: Mode::Run, ..Second::between(&before, site.integrals()) });
    }
    println!("{} ms\n{kpi}", start.elapsed().as_millis());
    assert_eq!(kpi.seconds, 86_400);
    assert_eq!(kpi.pv_mws / 3_600_000, 41_377);
    assert_eq!(kpi.load_mws / 3_600_000, 9500 + 7052 + 7796 + 1);
    let balance_wh =
        (kpi.load_mws - kpi.pv_mws - kpi.import_net_mws + kpi.export_net_mws + kpi.charged_mws - kpi.discharged_mws) / 3_600_000;
    assert!(balance_wh.abs() <= 1, "{balance_wh} Wh do not add up");
    assert!((300..2500).contains(&kpi.loss_wh()), "{} Wh lost", kpi.loss_wh());
    assert!(kpi.autarky_pm().unwrap() > 900 && kpi.self_consumption_pm().unwrap() > 500);
}

#[test]
fn key_figures_of_a_made_up_hour() {
    let mut kpi = Kpi::new(KpiParams { fuse_a: 20, usable_wh: 1000 });
    for second in 0..3600_i64 {
        let heavy = second < 10;
        let grid = if heavy { 4_600_000 + 230_000 } else { -1_000_000 };
        let setpoint = if second / 600 % 2 == 0 { 100 } else { -100 };
        kpi.second(&Second {
            load_mw: [2_000_000, 0, 0],
            pv_mw: 3_000_000,
            grid_mw: [grid, 1_000_000, 0],
            battery_mw: vec![if second % 2 == 0 { 500_000 } else { -500_000 }],
            setpoint_w: vec![Some(setpoint)],
            writes: vec![u32::from(second % 60 == 0)],
            ..Second::default()
        });
    }
    assert_eq!((kpi.fuse_s, kpi.fuse_113_s, kpi.fuse_longest_s), (10, 0, 10));
    assert_eq!(kpi.fuse_ma2s[0], 10 * (21_000 * 21_000 - 20_000 * 20_000));
    assert_eq!(kpi.peak_second_mw, [4_830_000, 1_000_000, 0]);
    assert_eq!(kpi.peak_quarter_mw, [0, 1_000_000, 0]);
    assert_eq!((kpi.import_net_mws, kpi.export_net_mws), (58_300_000, 0));
    assert_eq!((kpi.throughput_wh(), kpi.millicycles(), kpi.travel_mw), (500, 250, 3599 * 1_000_000));
    assert_eq!((kpi.writes_per_h_tenths(), kpi.reversals_per_h_tenths()), (600, 40));
    assert_eq!([kpi.rms_w(0), kpi.rms_w(1), kpi.rms_w(2)], [1030, 1000, 0]);
    let table = kpi.to_string();
    assert!(table.contains("60.0") && table.contains("100.0 %"), "{table}");
}

#[test]
fn a_three_phase_battery_gives_a_third_to_each_phase() {
    let mut site = one(BatteryParams::ideal(Wiring::All), House::Fixed([1000, 2000, 600]));
    command(&mut site, 3000);
    site.advance_to(1000);
    assert_eq!((site.battery_w(0), site.grid_w()), (3000, [0, 1000, -400]));
}

#[test]
fn on_its_own_meter_a_three_phase_battery_balances_the_sum_and_single_ones_their_phase() {
    let house = || House::Fixed([1500, -600, 900]);
    let mut alone = one(BatteryParams::on(Wiring::All), house());
    alone.advance_to(60_000);
    assert!((alone.battery_w(0) - 1800).abs() < 20, "{}", alone.battery_w(0));
    let pair = vec![(BatteryParams::on(Wiring::All), SaxParams::default()), (BatteryParams::on(Phase::L1), SaxParams::default())];
    let mut both = Site::new(SiteParams { batteries: pair, ..SiteParams::new(1, house(), &[]) });
    both.advance_to(120_000);
    let sum_w: i64 = both.grid_w().iter().sum();
    assert!(sum_w.abs() < 50 && both.grid_w()[0].abs() < 50, "{:?} with {:?}", both.grid_w(), both.truth().battery_w);
}
