//! Every profile of reference 3 and 4 against literal registers: values, unknown values, settings, and what every bit forbids.
#![allow(missing_docs)]

use sax_controller::device::bms;
use sax_controller::device::decode::{Registers, value};
use sax_controller::device::library::Library;
use sax_controller::device::plan::{battery_requests, bms_requests, requests};
use sax_controller::device::profile::{Block, Profile};
use sax_controller::device::quantity::Quantity;
use sax_controller::device::setting::{Chosen, Settings};
use sax_controller::device::status::judge;

fn with(name: &str, settings: &[(&str, Chosen)]) -> Profile {
    let library = Library::built_in().unwrap_or_else(|e| panic!("{e}"));
    let settings: Settings = settings.iter().map(|(name, chosen)| ((*name).to_owned(), chosen.clone())).collect();
    library.profile(name).expect("built in").with_settings(&settings)
}

fn number(units: f64) -> Chosen {
    Chosen::Number((units * 1e6).round() as i64)
}

fn word(word: &str) -> Chosen {
    Chosen::Word(word.to_owned())
}

fn registers(runs: &[(u16, &[u16])]) -> Registers {
    let mut registers = Registers::default();
    for (address, values) in runs {
        registers.add(&Block { function: 3, address: *address, count: values.len() as u16 }, values.to_vec());
    }
    registers
}

#[test]
fn acuvim_as_the_reference_prints_it() {
    let p = with("acuvim2", &[]);
    // 230.5 V, 12.25 A, -3.5 (kW), 1234.5 (kWh): IEEE 754, high word first.
    let r = registers(&[(0, &[0x4366, 0x8000]), (0x10, &[0x4144, 0]), (0x40, &[0xc060, 0]), (0x100, &[0x449a, 0x5000])]);
    assert_eq!(value(&p, &r, Quantity::GridVoltageOf(0)), Some(230_500));
    assert_eq!(value(&p, &r, Quantity::GridCurrentOf(0)), Some(12_250));
    assert_eq!(value(&p, &r, Quantity::GridPower), Some(-3500));
    assert_eq!(value(&p, &r, Quantity::GridImport), Some(1_234_500));
    assert_eq!(value(&p, &r, Quantity::GridVoltageOf(1)), None, "was not read");
    let watts = with("acuvim2", &[("power_scale", number(1.0))]);
    assert_eq!(value(&watts, &registers(&[(0x40, &[0x455a, 0xc000])]), Quantity::GridPower), Some(3500));
    assert!(p.has_total() && !p.has_phases());
    assert_eq!(requests(&p, Quantity::is_total), [Block { function: 3, address: 0x40, count: 2 }], "the total alone is two registers");
}

#[test]
fn what_is_no_number_is_unknown() {
    let p = with("acuvim2", &[]);
    // Quiet NaN, signalling NaN, both infinities, 3e38 kW, and half a value.
    for raw in [[0x7fc0, 0], [0x7f80, 1], [0x7f80, 0], [0xff80, 0], [0x7f61, 0xb1e6]] {
        assert_eq!(value(&p, &registers(&[(0x40, &raw)]), Quantity::GridPower), None, "{raw:x?}");
    }
    assert_eq!(value(&p, &registers(&[(0x40, &[0x4366])]), Quantity::GridPower), None);
    assert_eq!(value(&p, &registers(&[(0x40, &[0x8000, 0])]), Quantity::GridPower), Some(0), "minus zero");
}

#[test]
fn acuvim_as_real_meters_have_it() {
    // 1000.0, 2000.0, -500.0 W, total 2500.0 W.
    let power: &[u16] = &[0x447a, 0, 0x44fa, 0, 0xc3fa, 0, 0x451c, 0x4000];
    let r = registers(&[(0x4000, &[0x4248, 0]), (0x4002, &[0x4366, 0]), (0x4012, &[0x40a0, 0]), (0x401c, power)]);
    let p = with("acuvim2-float", &[]);
    assert_eq!(value(&p, &r, Quantity::Frequency), Some(50_000));
    let of = |p: &Profile, q: fn(usize) -> Quantity| (0..3).map(|f| value(p, &r, q(f))).collect::<Vec<_>>();
    assert_eq!(of(&p, Quantity::GridPowerOf), [Some(1000), Some(2000), Some(-500)]);
    assert_eq!(value(&p, &r, Quantity::GridPower), Some(2500));
    let ratios = with("acuvim2-float", &[("ct_ratio", number(40.0)), ("pt_ratio", number(1.5))]);
    assert_eq!(value(&ratios, &r, Quantity::GridVoltageOf(0)), Some(345_000));
    assert_eq!(value(&ratios, &r, Quantity::GridCurrentOf(0)), Some(200_000));
    assert_eq!(of(&ratios, Quantity::GridPowerOf), [Some(60_000), Some(120_000), Some(-30_000)], "both ratios");
    let kw = with("acuvim2-float", &[("power_unit", word("kW"))]);
    assert_eq!(value(&kw, &registers(&[(0x4022, &[0xc0a0, 0])]), Quantity::GridPower), Some(-5000));
    assert!(p.has_phases());
}

#[test]
fn energies_are_counts_up_to_the_last_bit() {
    let energies = registers(&[(0x4048, &[0xffff, 0xffff, 0x0001, 0x0002])]);
    let p = with("acuvim2-float", &[]);
    assert_eq!(value(&p, &energies, Quantity::GridImport), Some(429_496_729_500), "0.1 kWh each, unsigned");
    assert_eq!(value(&p, &energies, Quantity::GridExport), Some(6_553_800));
    let secondary = with("acuvim2-float", &[("energy_unit", word("Wh"))]);
    assert_eq!(value(&secondary, &energies, Quantity::GridExport), Some(65_538));
}

#[test]
fn powerpack_is_ready_or_not_commanded() {
    let p = with("powerpack", &[]);
    let image = |status: u16, target: u16, soe: u16, blocks: u16| {
        registers(&[(2000, &[status, 0, 0, 0, 0, 0, 0, 0, target, 0]), (2010, &[3]), (2026, &[soe]), (2028, &[blocks])])
    };
    let r = image(1, 0xffce, 57, 2);
    assert_eq!(value(&p, &r, Quantity::Power), Some(-50_000), "kW, positive is discharge");
    assert_eq!(value(&p, &r, Quantity::Soc), Some(570));
    assert_eq!(value(&p, &image(1, 0, 101, 2), Quantity::Soc), None);
    assert_eq!(value(&p, &r, Quantity::ChargeAvailable), None, "the unit of a block is not known");
    let judged = judge(&p, &r);
    assert!(judged.may_charge && judged.may_discharge && judged.notices.is_empty(), "{judged:?}");
    assert_eq!(judged.shown, [("Status".into(), "ready".into()), ("Available blocks".into(), "2".into())]);
    for (status, blocks) in [(0, 2), (2, 2), (4, 2), (65535, 2), (1, 0)] {
        let judged = judge(&p, &image(status, 0, 50, blocks));
        assert!(!judged.may_charge && !judged.may_discharge, "status {status}, blocks {blocks}");
    }
    let blind = judge(&p, &registers(&[(2026, &[57]), (2028, &[2])]));
    assert!(!blind.may_charge && !blind.may_discharge && blind.notices == ["Status: unknown"], "{blind:?}");
}

#[test]
fn powerpack_settings() {
    let settings = [
        ("ready_value", number(7.0)),
        ("setpoint_sign", word("charge")),
        ("command_source", number(3.0)),
        ("block_kw", number(62.5)),
        ("register_base", number(1.0)),
    ];
    let p = with("powerpack", &settings);
    // Every printed number minus one.
    let r = |source: u16| registers(&[(1999, &[7, 0, 0, 0, 0, 0, 0, 0, 100]), (2009, &[source]), (2025, &[57]), (2027, &[3])]);
    assert_eq!(value(&p, &r(3), Quantity::Power), Some(-100_000));
    assert_eq!(value(&p, &r(3), Quantity::DischargeAvailable), Some(187_500));
    assert!(judge(&p, &r(3)).may_discharge && judge(&p, &r(3)).notices.is_empty());
    assert_eq!(judge(&p, &r(4)).notices, ["Command source: not in control (4)"]);
    assert!(judge(&p, &r(4)).may_discharge, "it is told, and not judged");
    let asked: Vec<_> = battery_requests(&p).iter().map(|b| (b.address, b.count)).collect();
    assert_eq!(asked, [(1999, 9), (2009, 1), (2025, 1), (2027, 1)]);
    assert_eq!(p.setpoint.as_ref().map(|s| s.register.address), Some(2007));
}

#[test]
fn tesla_gives_energies_instead_of_a_percentage() {
    let p = with("tesla", &[("block_kw", number(50.0))]);
    let image = |stored: [u16; 2], full: [u16; 2]| {
        let mut status = [0u16; 19];
        (status[1], status[2]) = (0xffff, 0x3cb0);
        status[5..7].copy_from_slice(&full);
        status[7..9].copy_from_slice(&stored);
        status[18] = 4;
        registers(&[(200, &status), (1000, &[1]), (1500, &[0])])
    };
    // 210 000 of 420 000 Wh.
    let r = image([3, 13392], [6, 26784]);
    assert_eq!(value(&p, &r, Quantity::Power), Some(-50_000));
    assert_eq!(value(&p, &r, Quantity::Soc), Some(500));
    assert_eq!(value(&p, &r, Quantity::ChargeAvailable), Some(200_000));
    assert!(p.is_battery());
    assert_eq!(value(&p, &image([6, 27000], [6, 26784]), Quantity::Soc), Some(1000), "a little more than full is full");
    assert_eq!(value(&p, &image([8, 0], [6, 26784]), Quantity::Soc), None, "much more is nonsense");
    assert_eq!(value(&p, &image([0, 5], [0, 0]), Quantity::Soc), None, "of nothing");
    assert_eq!(value(&p, &image([0xffff, 0], [6, 0]), Quantity::Soc), None, "negative");
    assert!(judge(&p, &r).may_charge);
    let shut = registers(&[(200, &[0; 19]), (1000, &[1]), (1500, &[1])]);
    assert!(!judge(&p, &shut).may_discharge);
    let asked: Vec<_> = battery_requests(&p).iter().map(|b| (b.address, b.count)).collect();
    assert_eq!(asked, [(200, 19), (1000, 1), (1500, 1)], "with what is compared");
}

/// Registers 1101 to 1137 of a battery array in good order, with these changes.
fn array(changes: &[(u16, u16)]) -> Registers {
    let mut image = [0u16; 37];
    let good = [(1101, 0b10), (1102, 0b11), (1119, 1), (1122, 1), (1123, 1)];
    for (address, raw) in good.iter().chain(&[(1132, 2025), (1133, 8), (1134, 13), (1135, 11), (1136, 22), (1137, 33)]).chain(changes) {
        image[usize::from(*address) - 1101] = *raw;
    }
    let mut metrics = [0u16; 37];
    for (address, raw) in [(1001, 7684), (1002, 31_500), (1003, 653), (1004, 990), (1010, 3341), (1014, 3302), (1018, 68), (1022, 61)] {
        metrics[address - 1001] = raw;
    }
    registers(&[(1001, &metrics), (1101, &image)])
}

#[test]
fn array_metrics() {
    let p = with("sbau", &[]);
    let v = bms::read(&p, &array(&[(1118, 65_535), (1129, 3), (1125, 2)]));
    assert_eq!((v.soc_pm, v.soh_pm, v.voltage_mv, v.current_ma), (Some(653), Some(990), Some(768_400), Some(-50_000)));
    assert_eq!((v.cell_mv, v.cell_c), ((Some(3341), Some(3302)), (Some(28), Some(21))));
    assert_eq!(v.clock_s, Some(1_755_084_153));
    assert_eq!(v.counters, [Some(65_535), Some(3), Some(2)]);
    assert_eq!((v.charge_limit_ma, v.discharge_limit_ma), (None, None), "where the clusters are is not known");
    assert!(v.may_charge && v.may_discharge && v.notices.is_empty(), "{:?}", v.notices);
    let said = |name: &str| v.shown.iter().find(|s| s.0 == name).map(|s| s.1.as_str());
    assert_eq!(said("Operation"), Some("ready"));
    assert_eq!(said("Clusters in operation"), Some("cluster 1, cluster 2"));
    assert_eq!(said("Time since start"), Some("65535 s"));
    let charge = with("sbau", &[("current_sign", word("charge")), ("current_offset", number(30_000.0))]);
    assert_eq!(value(&charge, &array(&[]), Quantity::PackCurrent), Some(-150_000));
    assert_eq!(p.tcp_port, 2404);
}

#[test]
fn every_operation_bit_of_the_array() {
    let p = with("sbau", &[]);
    let may = |raw: u16| {
        let j = judge(&p, &array(&[(1101, raw)]));
        (j.may_charge, j.may_discharge)
    };
    assert_eq!(may(0), (false, false), "nothing says that operation is permitted");
    for bit in 0..16 {
        assert_eq!(may(1 << bit), if (1..=4).contains(&bit) { (true, true) } else { (false, false) }, "bit {bit} alone");
        let forbids = [0, 5, 6].contains(&bit);
        assert_eq!(may(0b10 | 1 << bit), (!forbids, !forbids), "ready, and bit {bit}");
    }
}

#[test]
fn every_alarm_bit_of_the_array() {
    let p = with("sbau", &[]);
    let no_charge = [0, 1, 2, 6, 12, 14, 15];
    let no_discharge = [0, 1, 3, 5, 13];
    for bit in 0..16 {
        for address in [1105, 1106] {
            let j = judge(&p, &array(&[(address, 1 << bit)]));
            assert_eq!(j.may_charge, !no_charge.contains(&bit), "{address} bit {bit}");
            assert_eq!(j.may_discharge, !no_discharge.contains(&bit), "{address} bit {bit}");
            assert_eq!(j.notices.len(), 1, "{address} bit {bit} is told: {:?}", j.notices);
        }
        let j = judge(&p, &array(&[(1107, 1 << bit)]));
        assert!(!j.may_charge && !j.may_discharge, "level III bit {bit}");
    }
    assert_eq!(judge(&p, &array(&[(1106, 4)])).notices, ["Alarm level II: high cell voltage"]);
    assert_eq!(judge(&p, &array(&[(1105, 1 << 7)])).notices, ["Alarm level I: bit 7"]);
}

#[test]
fn relays_reads_and_contradictions_of_the_array() {
    let p = with("sbau", &[]);
    for address in [1122, 1123] {
        for raw in [0, 2, 65_535] {
            let j = judge(&p, &array(&[(address, raw)]));
            assert!(!j.may_charge && !j.may_discharge, "{address} is {raw}");
        }
    }
    let v = bms::read(&p, &array(&[(1131, 1)]));
    assert_eq!(v.notices, ["mode of operation says charging, operation status does not"]);
    assert!(bms::read(&p, &array(&[(1131, 1), (1101, 0b1000)])).notices.is_empty());
    let v = bms::read(&p, &array(&[(1119, 0), (1120, 3), (1133, 13)]));
    assert_eq!(v.notices, ["Self-check: not passed", "Relay closing command: failed"]);
    assert_eq!(v.clock_s, None, "month 13");
    let nothing = bms::read(&p, &Registers::default());
    assert!(!nothing.may_charge && !nothing.may_discharge && nothing.soc_pm.is_none());
    assert!(nothing.notices.contains(&"Alarm level III: unknown".to_owned()), "{:?}", nothing.notices);
}

#[test]
fn cluster_limits_are_summed_over_those_in_operation() {
    let places = [("cluster_base", number(2000.0)), ("cluster_stride", number(50.0)), ("clusters", number(3.0))];
    let p = with("sbau", &places);
    let limits = |running: u16, third: [u16; 2]| {
        let mut r = array(&[(1102, running)]);
        for (address, values) in [(2023, [1500, 1800]), (2073, [1000, 1200]), (2123, third)] {
            r.add(&Block { function: 3, address, count: 2 }, values.to_vec());
        }
        let v = bms::read(&p, &r);
        (v.charge_limit_ma, v.discharge_limit_ma)
    };
    assert_eq!(limits(0b011, [500, 600]), (Some(250_000), Some(300_000)));
    assert_eq!(limits(0b111, [500, 600]), (Some(300_000), Some(360_000)));
    assert_eq!(limits(0b000, [500, 600]), (Some(0), Some(0)), "nothing runs");
    assert_eq!(limits(0b101, [65_535, 600]), (None, Some(240_000)), "one does not know its limit");
    assert_eq!(limits(0b1000, [500, 600]), (Some(0), Some(0)), "a fourth one is not configured");
    assert!(bms_requests(&p).contains(&Block { function: 3, address: 2073, count: 2 }));
    assert_eq!(with("sbau", &places[..2]).bms.and_then(|b| b.group), None, "without all three there is no group");
    let shifted = with("sbau", &[places.to_vec(), vec![("register_base", number(1.0))]].concat());
    assert!(bms_requests(&shifted).contains(&Block { function: 3, address: 2072, count: 2 }), "printed numbers here too");
    assert!(bms_requests(&shifted).contains(&Block { function: 3, address: 1100, count: 37 }));
}

#[test]
fn the_cluster_controllers_alarms_have_two_registers() {
    let p = with("sbau", &[("alarm_layout", word("bcu32"))]);
    let may = |address: u16, raw: u16| {
        let j = judge(&p, &array(&[(address, raw)]));
        (j.may_charge, j.may_discharge)
    };
    assert_eq!(may(1106, 0b100), (false, true), "low word of level I: high cell voltage");
    assert_eq!(may(1105, 0b1), (true, true), "high word: bit 16, pack voltage difference");
    assert_eq!(judge(&p, &array(&[(1105, 1)])).notices, ["Alarm level I: pack voltage difference"]);
    assert_eq!(may(1109, 0x8000), (false, false), "level III, bit 31");
    assert_eq!(may(1110, 1 << 7), (false, false), "level III, a bit without a name");
    assert_eq!(may(1107, 0), (true, true));
}

#[test]
fn sunspec_802() {
    let mut image = [0u16; 64];
    let set = [(11, 6550), (13, 98), (16, 4), (18, 17), (22, 3), (34, 5120), (37, 3350), (40, 3310), (44, 0xff9c), (45, 1000), (46, 1500)];
    for (at, raw) in set.into_iter().chain([(56, -2i16 as u16), (59, -2i16 as u16), (60, -3i16 as u16), (61, 0xffff), (62, 0xffff)]) {
        image[at] = raw;
    }
    let p = with("sunspec-802", &[]).shifted(40_070);
    let at = |image: &[u16]| registers(&[(40_070, image)]);
    let v = bms::read(&p, &at(&image));
    assert_eq!((v.soc_pm, v.soh_pm, v.voltage_mv, v.current_ma), (Some(655), Some(980), Some(51_200), Some(-10_000)));
    assert_eq!((v.charge_limit_ma, v.discharge_limit_ma), (Some(100_000), Some(150_000)));
    assert_eq!((v.cell_mv, v.alive), ((Some(3350), Some(3310)), Some(17)));
    assert!(v.may_charge && v.may_discharge, "{:?}", v.notices);
    assert_eq!(p.bms.as_ref().and_then(|b| b.heartbeat_at), Some(40_089));
    for (state, may) in [(1, false), (2, false), (3, true), (4, true), (5, true), (6, false), (99, false), (0, false), (65_535, false)] {
        image[22] = state;
        assert_eq!(bms::read(&p, &at(&image)).may_charge, may, "state {state}");
    }
    image[22] = 3;
    // Bits 9 and 20 of Evt1, the high word first.
    image[27] = 1 << 9;
    assert_eq!((bms::read(&p, &at(&image)).may_charge, bms::read(&p, &at(&image)).may_discharge), (false, true));
    (image[26], image[27]) = (1 << 4, 0);
    let v = bms::read(&p, &at(&image));
    assert!(!v.may_charge && !v.may_discharge && v.notices == ["Events: contactor"], "{:?}", v.notices);
    (image[26], image[16]) = (0, 5);
    assert_eq!((bms::read(&p, &at(&image)).may_charge, bms::read(&p, &at(&image)).may_discharge), (false, true), "full");
}

#[test]
fn nothing_is_left_where_everything_leaves_the_address_space() {
    let p = with("sunspec-802", &[]);
    let gone = p.shifted(65_530);
    assert!(gone.blocks.is_empty() && gone.statuses.is_empty() && gone.points.iter().all(|p| p.quantity != Quantity::Soc));
    for by in [i32::MIN, i32::MAX, -1] {
        let gone = p.shifted(by);
        assert!(bms_requests(&gone).is_empty());
        assert!(!bms::read(&gone, &Registers::default()).shown.iter().any(|s| s.0 == "Charge state") || by == -1);
    }
    assert_eq!(p.shifted(7).shifted(-7), p);
}
