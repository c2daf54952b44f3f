//! Every published telegram says what it says, in pieces of any size.

#[path = "common/telegrams.rs"]
mod telegrams;

use sax_controller::p1::{Flaw, MeterTime, PhaseValues, Telegram};
use telegrams::*;

/// One phase: power in and out in W, current in mA, voltage in mV.
fn phase(power_in_w: i64, power_out_w: i64, current_ma: Option<i64>, voltage_mv: Option<i64>) -> PhaseValues {
    let power = |w: i64| Some(w * 1000);
    PhaseValues { present: true, power_in_mw: power(power_in_w), power_out_mw: power(power_out_w), current_ma, voltage_mv }
}

fn time(year: u16, [month, day, hour, minute, second]: [u8; 5], summer: bool) -> Option<MeterTime> {
    Some(MeterTime { year, month, day, hour, minute, second, summer })
}

/// All but the digest.
#[track_caller]
fn says(bytes: &[u8], expected: Telegram) {
    let telegram = one(bytes);
    assert_eq!(telegram, Telegram { digest: telegram.digest, ..expected });
}

fn tariffs(one: i64, two: i64) -> [Option<i64>; 5] {
    [None, Some(one), Some(two), None, None]
}

#[test]
fn an_esmr_5_meter_on_three_phases() {
    let expected = Telegram {
        identification: "Ene5\\T210-D ESMR5.0".into(),
        checked: true,
        version: Some(50),
        time: time(2023, [1, 7, 17, 5, 25], false),
        tariff: Some(1),
        power_in_mw: Some(258_000),
        power_out_mw: Some(0),
        phases: [phase(98, 0, Some(1_000), Some(234_000)), phase(159, 0, Some(1_000), Some(236_000)), phase(0, 0, Some(0), Some(236_000))],
        energy_in_wh: tariffs(6_184_667, 4_762_136),
        energy_out_wh: tariffs(4_708_286, 11_405_268),
        digest: 0,
    };
    says(T210D, expected.clone());
    let mut high = expected.clone();
    high.phases[0].current_ma = Some(26_000);
    says(I_26, high);
    let mut without = expected.clone();
    without.phases.iter_mut().for_each(|phase| phase.current_ma = None);
    says(NO_CURRENTS, without);
    let exporting = Telegram {
        power_in_mw: Some(0),
        power_out_mw: Some(5_061_000),
        phases: [
            phase(0, 1_700, Some(-7_000), Some(234_000)),
            phase(0, 1_700, Some(-7_000), Some(236_000)),
            phase(0, 1_661, Some(-6_000), Some(236_000)),
        ],
        ..expected
    };
    assert_eq!((exporting.power_w(), exporting.phases[2].power_w()), (Some(-5_061), Some(-1_661)));
    says(EXPORT, exporting);
}

#[test]
fn a_kaifa_of_dsmr_4_2_gives_no_voltages() {
    says(
        V4_2,
        Telegram {
            identification: "KFM5KAIFA-METER".into(),
            checked: true,
            version: Some(42),
            time: time(2016, [11, 13, 20, 57, 57], false),
            tariff: Some(2),
            power_in_mw: Some(2_027_000),
            power_out_mw: Some(0),
            phases: [phase(170, 0, Some(0), None), phase(1_247, 0, Some(6_000), None), phase(209, 0, Some(2_000), None)],
            energy_in_wh: tariffs(1_581_123, 1_435_706),
            energy_out_wh: tariffs(0, 0),
            digest: 0,
        },
    );
}

#[test]
fn a_dsmr_5_test_bench_gives_fractions_of_an_ampere() {
    says(
        V5,
        Telegram {
            identification: "ISk5\\2MT382-1000".into(),
            checked: true,
            version: Some(50),
            time: time(2017, [1, 2, 19, 20, 2], false),
            tariff: Some(2),
            power_in_mw: Some(244_000),
            power_out_mw: Some(0),
            phases: [
                phase(70, 0, Some(480), Some(230_000)),
                phase(32, 0, Some(440), Some(230_000)),
                phase(142, 0, Some(860), Some(229_000)),
            ],
            energy_in_wh: tariffs(4_426, 2_399),
            energy_out_wh: tariffs(2_444, 0),
            digest: 0,
        },
    );
}

#[test]
fn a_meter_on_one_phase() {
    let expected = Telegram {
        identification: "ISK5\\2M550E-1012".into(),
        checked: true,
        version: Some(50),
        time: time(2019, [3, 20, 18, 14, 3], false),
        tariff: Some(2),
        power_in_mw: Some(193_000),
        power_out_mw: Some(0),
        phases: [phase(193, 0, Some(1_000), Some(236_100)), PhaseValues::default(), PhaseValues::default()],
        energy_in_wh: tariffs(576_239, 465_162),
        energy_out_wh: tariffs(0, 0),
        digest: 0,
    };
    assert!(expected.is_single_phase());
    says(ISK, expected);
    assert!(CHECKED.iter().filter(|(_, bytes)| one(bytes).is_single_phase()).count() == 1);
}

#[test]
fn a_meter_whose_clock_was_never_set() {
    says(
        MCS,
        Telegram {
            identification: "MCS50000000000000".into(),
            checked: true,
            version: Some(50),
            time: None,
            tariff: Some(2),
            power_in_mw: Some(96_000),
            power_out_mw: Some(0),
            phases: [phase(100, 0, Some(0), Some(232_400)), phase(100, 0, Some(0), Some(231_400)), phase(100, 0, Some(0), Some(232_500))],
            energy_in_wh: tariffs(1_000, 2_000),
            energy_out_wh: tariffs(3_000, 4_000),
            digest: 0,
        },
    );
}

#[test]
fn a_belgian_meter() {
    let idle = phase(0, 0, Some(0), Some(234_700));
    says(
        FLUVIUS,
        Telegram {
            identification: "FLU5\\253769484_A".into(),
            checked: true,
            version: Some(50_217),
            time: time(2020, [5, 12, 13, 54, 9], true),
            tariff: Some(1),
            power_in_mw: Some(0),
            power_out_mw: Some(0),
            phases: [idle; 3],
            energy_in_wh: tariffs(34, 15_758),
            energy_out_wh: tariffs(0, 11),
            digest: 0,
        },
    );
}

#[test]
fn old_meters_give_a_total_and_no_crc() {
    let old = |identification: &str, tariff, power_in_mw, in_wh, out_wh| Telegram {
        identification: identification.into(),
        tariff: Some(tariff),
        power_in_mw: Some(power_in_mw),
        power_out_mw: Some(0),
        energy_in_wh: tariffs(in_wh, in_wh),
        energy_out_wh: tariffs(out_wh, out_wh),
        ..Telegram::default()
    };
    says(V2_2, old("ISk5\\2MT382-1004", 1, 1_010_000, 1_001, 1_001));
    says(V3, old("ISk5\\2MT382-1000", 2, 1_190_000, 12_345_678, 12_345_678));
}

#[test]
fn several_in_a_row_and_such_as_are_none() {
    let currents = |bytes| -> Vec<_> { telegrams(bytes).iter().map(|t| t.phases.map(|phase| phase.current_ma)).collect() };
    let amperes = |amperes: [i64; 3]| amperes.map(|a| Some(a * 1_000));
    assert_eq!(currents(TWO), [amperes([5, 4, 3]), amperes([9, 8, 7])]);
    assert_eq!(currents(CUT_THEN_GOOD), [amperes([9, 8, 7])]);
    assert_eq!(read_in(CUT_THEN_GOOD, 7)[0], Err(Flaw::Cut));
    assert_eq!(read_in(WRONG_CRC, 7), [Err(Flaw::Crc)]);
    assert_eq!(telegrams(OVERFLOW), []);
    assert_eq!(read_in(OVERFLOW, 7).last(), Some(&Err(Flaw::Crc)));
}

#[test]
fn the_size_of_the_pieces_changes_nothing() {
    let all: Vec<u8> = [&CHECKED[..], &UNCHECKED[..]].concat().iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
    let also = [TWO, CUT_THEN_GOOD, WRONG_CRC, OVERFLOW, T210D].concat();
    for bytes in [all, also] {
        let whole = read_in(&bytes, bytes.len());
        for size in (1..=70).chain([100, 255, 256, 1023, 4096]) {
            assert_eq!(read_in(&bytes, size), whole, "pieces of {size}");
        }
    }
}
