//! Our own registers: what stands where, what a write does and what it leaves alone, what 1091 and 1092 mean.
#![allow(missing_docs)]

#[path = "common/served.rs"]
mod served;

use sax_controller::balancer::{Settings, Step};
use sax_controller::modbus::pdu::Reply;
use sax_controller::serve::ask::{Answer, Ask, Saved};
use sax_controller::serve::registers::Registers;
use sax_controller::serve::registers::list::LIST;
use sax_controller::serve::registers::row::Form;
use sax_controller::serve::registers::table::markdown;
use sax_controller::serve::registers::view::{AlarmBit, Alarms, BatteryState, BatteryView, SiteState, SiteView};
use sax_controller::units::Span;
use served::Served;

const README: &str = include_str!("../README.md");

#[test]
fn the_readme_has_the_table_of_the_list() {
    let (_, behind) = README.split_once("<!-- registers -->\n").expect("a marker before the table");
    let (table, _) = behind.split_once("<!-- /registers -->").expect("a marker behind the table");
    assert_eq!(table, markdown(), "the table in README.md is what `registers::table::markdown` makes of the list");
}

#[test]
fn the_list_is_in_order_and_nothing_overlaps() {
    for pair in LIST.windows(2) {
        assert!(pair[0].address + pair[0].form.words() <= pair[1].address, "{} and {}", pair[0].address, pair[1].address);
    }
    let half: Vec<_> = LIST.iter().filter(|row| row.form == Form::I32).map(|row| row.address).collect();
    assert_eq!(half, [2006, 2008, 2010, 2012, 2020, 2100, 2900]);
}

fn full() -> Served {
    let battery = |k: i64| BatteryView {
        power_w: Some(-100 - k),
        soc_pm: Some(500 + k),
        state: BatteryState::InUse,
        charge_w: 70_000,
        discharge_w: 4600,
        age_s: Some(2),
        alarms: AlarmBit::WritesFail.mask(),
    };
    let mut alarms = Alarms::default();
    alarms.add(AlarmBit::MeterLost, 1);
    alarms.add(AlarmBit::WritesFail, 2);
    alarms.add(AlarmBit::Charger, 0);
    Served {
        site: SiteView {
            state: SiteState::Hold,
            alarms,
            meter_age_s: Some(70_000),
            grid_w: Some(-1),
            phase_w: [Some(70_000), None, Some(-70_000)],
            phase_ma: [Some(304_000), None, Some(5)],
            frequency_mhz: Some(49_987),
            power_w: Some(-201),
            soc_pm: Some(501),
            capacity_wh: 15_400,
            charge_w: 140_000,
            discharge_w: 0,
            rated_charge_w: 7000,
            rated_discharge_w: 9200,
            batteries: 2,
        },
        batteries: (0..2).map(battery).collect(),
        ..Served::new(Some(Settings::default()))
    }
}

#[test]
fn what_stands_where() {
    let served = full();
    let of = |at, count| served.read(at, count).unwrap();
    assert_eq!(of(1000, 3), [16_000, 0, 4], "no limit before the first check");
    assert_eq!(of(1010, 13), [16_000, 3, 24_000, 1, 12_500, 22_000, 5, 1_000, 19_000, 1, 1_000, 0, 30]);
    assert_eq!(of(2000, 6), [1, 2, 1 | 1 << 6, 3, 65_535, 0]);
    let none = 0x8000;
    assert_eq!(of(2006, 8), [0xffff, 0xffff, 1, 4464, none, 0, 0xfffe, 61_072], "two's complement, the high word first");
    assert_eq!(of(2014, 6), [4, 41_856, 0xffff, 0xffff, 0, 5]);
    assert_eq!(of(2020, 10), [0xffff, 0xff37, 501, 0, 15_400, 2, 8928, 0, 0, 1]);
    assert_eq!(of(2030, 6), [0, 7000, 0, 9200, 2, 4998]);
    assert_eq!(of(2100, 20)[10..], [0xffff, 0xff9b, 501, 1, 1, 4464, 0, 4600, 2, 1 << 6]);
    assert_eq!(of(2900, 7), [none, 0, 0xffff, 0xffff, 0xffff, 0xffff, 0]);
}

#[test]
fn what_does_not_exist_cannot_be_read() {
    let served = full();
    let gaps = [(999, 1), (999, 2), (1002, 2), (1003, 7), (1009, 2), (1022, 2), (1090, 1), (1091, 1), (1092, 1), (1999, 1), (2035, 2)];
    for (at, count) in gaps.into_iter().chain([(2099, 1), (2119, 2), (2120, 1), (2899, 2), (2906, 2), (0, 1), (65_535, 2), (2000, 0x7d)]) {
        assert_eq!(served.read(at, count), Err(2), "{count} from {at}");
    }
    let bare = Served::new(None);
    assert_eq!([bare.read(1000, 1), bare.read(1001, 1), bare.read(1010, 13)], [Err(2), Err(2), Err(2)]);
    assert_eq!(bare.read(2034, 1), Ok(vec![0]));
    let many = Served { batteries: vec![BatteryView::default(); 80], ..Served::new(None) };
    assert_eq!(many.read(2730, 10).unwrap()[..4], [0x8000, 0, 0xffff, 0], "the sixty-fourth");
    assert_eq!(many.read(2740, 1), Err(2));
}

#[test]
fn settings_are_staged_and_read_back_at_once() {
    let mut served = full();
    served.write(1010, &[20_000, 1]).unwrap();
    served.write(1022, &[254]).unwrap();
    assert_eq!((served.read(1010, 2), served.read(1022, 1)), (Ok(vec![20_000, 1]), Ok(vec![254])));
    assert_eq!(served.balancer.as_ref().unwrap().settings(), &Settings::default(), "but not in force");
    served.write(1091, &[1]).unwrap();
    let in_force = *served.balancer.as_ref().unwrap().settings();
    assert_eq!((in_force.charger_limit_ma, in_force.phases, in_force.fallback_time_s), (20_000, 1, 254));
    assert_eq!(served.saved, Some(Saved { settings: Some(in_force), address: 10 }));
}

#[test]
fn each_setting_has_its_register() {
    let mut served = full();
    let written = [11_000, 2, 12_000, 13, 14_000, 11_900, 16, 17_000, 11_800, 19, 20_000, 21_000, 22];
    served.write(1010, &written).unwrap();
    served.write(1091, &[1]).unwrap();
    let expected = Settings {
        phases: 2,
        charger_limit_ma: 11_000,
        alarm: Step { limit_ma: 12_000, wait_s: 13, change_ma: 14_000 },
        upper: Step { limit_ma: 11_900, wait_s: 16, change_ma: 17_000 },
        lower: Step { limit_ma: 11_800, wait_s: 19, change_ma: 20_000 },
        fallback_limit_ma: 21_000,
        fallback_time_s: 22,
    };
    assert_eq!(served.balancer.as_ref().unwrap().settings(), &expected);
    assert_eq!(served.read(1010, 13).unwrap(), written);
}

#[test]
fn values_that_cannot_be_are_refused_and_nothing_of_the_request_happens() {
    let mut served = full();
    let before = served.image();
    let refused: [(u16, &[u16], u8); 24] = [
        (1011, &[0], 3),
        (1011, &[4], 3),
        (1013, &[255], 3),
        (1016, &[256], 3),
        (1019, &[65_535], 3),
        (1022, &[0], 3),
        (1022, &[255], 3),
        (1010, &[20_000, 9], 3),
        (1000, &[8000, 0], 2),
        (1001, &[1], 2),
        (1002, &[1], 2),
        (1009, &[1, 20_000], 2),
        (1022, &[3, 3], 2),
        (1090, &[0], 3),
        (1090, &[248], 3),
        (1091, &[0], 3),
        (1091, &[2], 3),
        (1092, &[0], 3),
        (1091, &[1, 1], 3),
        (1090, &[11, 1, 1], 3),
        (1089, &[11, 11], 2),
        (2000, &[1], 2),
        (2100, &[0, 0], 2),
        (65_535, &[1, 1], 2),
    ];
    for (address, values, code) in refused {
        assert_eq!(served.write(address, values), Err(code), "{values:?} to {address}");
        assert_eq!(served.image(), before, "{values:?} to {address}");
    }
    served.write(1091, &[1]).unwrap();
    assert_eq!(served.saved, Some(Saved { settings: Some(Settings::default()), address: 10 }), "nothing was staged either");
}

#[test]
fn contradictions_are_refused_by_1091_and_stay_staged() {
    for (address, value) in [(1010, 0), (1018, 22_000), (1015, 24_000), (1012, 100)] {
        let mut served = full();
        served.write(address, &[value]).unwrap();
        assert_eq!(served.write(1091, &[1]), Err(3), "{value} at {address}");
        assert_eq!(served.write(1090, &[20, 1]), Err(3));
        assert_eq!((served.saved, served.image().unit, served.read(address, 1)), (None, 10, Ok(vec![value])));
        assert_eq!(served.balancer.as_ref().unwrap().settings(), &Settings::default());
    }
}

#[test]
fn the_override_caps_at_once_and_is_not_saved() {
    let mut served = full();
    served.write(1000, &[8000]).unwrap();
    assert_eq!((served.read(1000, 1), served.balancer.as_ref().unwrap().override_ma()), (Ok(vec![8000]), 8000));
    served.write(1000, &[40_000]).unwrap();
    assert_eq!(served.read(1000, 1), Ok(vec![40_000]), "a cap may be above the charger limit");
    served.write(1091, &[1]).unwrap();
    assert_eq!(served.read(1000, 1), Ok(vec![40_000]));
    served.write(1092, &[1]).unwrap();
    assert_eq!(served.read(1000, 1), Ok(vec![16_000]), "restored");
}

#[test]
fn a_new_unit_id_counts_with_1091_only() {
    let mut served = full();
    served.write(1090, &[20]).unwrap();
    assert_eq!(served.image().unit, 10);
    served.write(1091, &[1]).unwrap();
    assert_eq!((served.image().unit, served.saved.map(|s| s.address)), (20, Some(20)));
    served.write(1090, &[21, 1]).unwrap();
    assert_eq!((served.image().unit, served.saved.map(|s| s.address)), (21, Some(21)), "both in one request");
    served.write(1092, &[1]).unwrap();
    assert_eq!((served.image().unit, served.saved), (10, None));
}

#[test]
fn what_could_not_be_saved_is_not_in_force() {
    let mut served = full();
    let answer = served.decide(&Ask::Write { address: 1090, values: vec![20, 1] });
    assert_eq!(answer, Answer::Save(Some(Saved { settings: Some(Settings::default()), address: 20 })));
    served.write(1091, &[1]).unwrap();
    assert_eq!(served.image().unit, 10, "the disk was full, so the 20 is forgotten");
}

#[test]
fn what_another_client_stages_while_it_is_saved_stays_staged() {
    let mut served = full();
    let before = served.read(1010, 13).unwrap();
    served.write(1021, &[6_000]).unwrap();
    let Answer::Save(Some(saved)) = served.decide(&Ask::Write { address: 1090, values: vec![12, 1] }) else { panic!("it is to be saved") };
    // The disk takes its time.
    served.write(1010, &[9_000]).unwrap();
    assert_eq!(served.decide(&Ask::Apply(Some(saved))), Answer::Done);
    assert_eq!(served.balancer.as_ref().map(|b| (b.settings().charger_limit_ma, b.settings().fallback_limit_ma)), Some((16_000, 6_000)));
    let staged = served.read(1010, 13).unwrap();
    assert_eq!((staged[0], &staged[1..11], staged[11], served.image().unit), (9_000, &before[1..11], 6_000, 12));
    served.write(1091, &[1]).unwrap();
    assert_eq!((served.balancer.as_ref().map(|b| b.settings().charger_limit_ma), served.image().unit), (Some(9_000), 12));
}

#[test]
fn restoring_forgets_what_was_staged_and_saved() {
    let mut served = full();
    served.write(1010, &[20_000]).unwrap();
    served.write(1091, &[1]).unwrap();
    served.write(1010, &[30_000]).unwrap();
    served.write(1092, &[1]).unwrap();
    assert_eq!((served.read(1010, 1), served.saved), (Ok(vec![16_000]), None));
    assert_eq!(served.balancer.as_ref().unwrap().settings(), &Settings::default());
}

#[test]
fn currents_beyond_the_register_are_kept_where_nobody_touches_them() {
    let large = Settings { charger_limit_ma: 80_000, alarm: Step { limit_ma: 90_000, ..Settings::default().alarm }, ..Settings::default() };
    let mut served = Served::new(Some(large));
    assert_eq!((served.read(1000, 1), served.read(1010, 3)), (Ok(vec![65_535]), Ok(vec![65_535, 3, 65_535])));
    served.write(1011, &[2]).unwrap();
    served.write(1010, &[65_535]).unwrap();
    served.write(1000, &[65_535]).unwrap();
    served.write(1091, &[1]).unwrap();
    assert_eq!(served.balancer.as_ref().unwrap().settings(), &Settings { phases: 2, ..large }, "what was read may be written back");
    assert_eq!(served.balancer.as_ref().unwrap().override_ma(), 80_000);
    served.write(1010, &[65_534]).unwrap();
    served.write(1091, &[1]).unwrap();
    assert_eq!(served.balancer.as_ref().unwrap().settings().charger_limit_ma, 65_534);
}

#[test]
fn only_sound_settings_are_restored() {
    let sound = Saved { settings: Some(Settings::default()), address: 247 };
    let with = |settings: Settings| Saved { settings: Some(settings), ..sound };
    let d = Settings::default();
    let unsound = [
        Saved { address: 0, ..sound },
        Saved { address: 248, ..sound },
        with(Settings { phases: 0, ..d }),
        with(Settings { phases: 4, ..d }),
        with(Settings { charger_limit_ma: 0, ..d }),
        with(Settings { fallback_time_s: 0, ..d }),
        with(Settings { fallback_time_s: 255, ..d }),
        with(Settings { lower: Step { wait_s: 255, ..d.lower }, ..d }),
        with(Settings { upper: d.alarm, ..d }),
    ];
    let mut served = full();
    for saved in unsound {
        assert_eq!(served.decide(&Ask::Apply(Some(saved))), Answer::Refused(3), "{saved:?}");
    }
    assert_eq!(served.image(), full().image());
    assert_eq!((served.decide(&Ask::Apply(Some(sound))), served.image().unit), (Answer::Done, 247));
}

#[test]
fn without_a_load_balancer_only_the_unit_id_is_saved() {
    let mut served = Served::new(None);
    assert_eq!([served.write(1000, &[1]), served.write(1010, &[1]), served.write(1001, &[1])], [Err(2), Err(2), Err(2)]);
    served.write(1090, &[12, 1]).unwrap();
    assert_eq!(served.saved, Some(Saved { settings: None, address: 12 }), "a load balancer that comes later has its own settings");
    let mut later = Served { saved: served.saved, ..full() };
    assert_eq!(later.decide(&Ask::Apply(served.saved)), Answer::Done);
    assert_eq!((later.image().unit, later.read(1010, 1)), (12, Ok(vec![16_000])));
}

#[test]
fn remote_values_are_whole_values() {
    let mut served = full();
    let before = served.image();
    let halves: [(u16, &[u16]); 8] = [
        (2900, &[0]),
        (2901, &[500]),
        (2901, &[0, 0]),
        (2901, &[0, 0, 0]),
        (2900, &[0, 500, 0]),
        (2905, &[0, 1]),
        (2902, &[0, 1, 0]),
        (2903, &[0]),
    ];
    for (address, values) in halves {
        assert_eq!(served.write(address, values), Err(3), "{values:?} to {address}");
    }
    // 5 MW and a watt, in both directions, and limits below 0.
    let (high, low) = ((5_000_001_u32 >> 16) as u16, 5_000_001_u32 as u16);
    let minus = (-5_000_001_i32) as u32;
    for values in [[high, low], [(minus >> 16) as u16, minus as u16], [0x7fff, 0xffff], [0x8000, 1]] {
        assert_eq!(served.write(2900, &values), Err(3), "{values:x?}");
    }
    for values in [[high, low], [0x8000, 0], [0xffff, 0xfffe]] {
        assert_eq!([served.write(2902, &values), served.write(2904, &values)], [Err(3), Err(3)], "{values:x?}");
    }
    assert_eq!(served.write(2906, &[1, 0]), Err(2));
    assert_eq!(served.write(2899, &[1, 0, 0]), Err(2));
    assert_eq!(served.image(), before);
    served.write(2900, &[high, low - 1]).unwrap();
    served.write(2902, &[high, low - 1, 0, 0, 77]).unwrap();
    let remote = *served.registers.remote();
    assert_eq!((remote.in_force().setpoint_w, remote.in_force().charge_limit_w), (Some(5_000_000), Some(5_000_000)));
    assert_eq!((remote.in_force().discharge_limit_w, remote.heartbeat()), (Some(0), 77));
    assert_eq!(served.read(2005, 1), Ok(vec![1]));
    served.write(2900, &[0x8000, 0, 0xffff, 0xffff, 0xffff, 0xffff, 77]).unwrap();
    assert_eq!(served.read(2005, 1), Ok(vec![0]), "none of each is none at all");
}

#[test]
fn a_value_that_is_written_alone_does_not_bring_back_others() {
    let mut served = full();
    served.write(2900, &[0, 500, 0, 1000, 0xffff, 0xffff, 1]).unwrap();
    served.now += Span::from_s(61);
    served.write(2904, &[0, 3000]).unwrap();
    assert_eq!(served.read(2900, 7), Ok(vec![0x8000, 0, 0xffff, 0xffff, 0, 3000, 1]));
    assert_eq!(served.read(2005, 1), Ok(vec![2]));
}

#[test]
fn who_only_observes_is_not_commanded() {
    let configured = Saved { settings: Some(Settings::default()), address: 10 };
    let mut served = Served { registers: Registers::new(configured, true, Span::from_s(60)), ..full() };
    let before = served.image();
    assert_eq!([served.write(2906, &[1]), served.write(2900, &[0, 1]), served.write(2900, &[0])], [Err(1), Err(1), Err(1)]);
    assert_eq!(served.image(), before);
    served.write(1012, &[25_000]).unwrap();
}

#[test]
fn a_server_that_is_not_writable_refuses_every_write() {
    let mut served = Served { writable: false, ..full() };
    let before = served.image();
    for address in [0, 1000, 1001, 1010, 1090, 1091, 1092, 2000, 2900, 2906] {
        assert_eq!(served.write(address, &[1]), Err(1), "{address}");
        let [high, low] = address.to_be_bytes();
        assert_eq!(served.reply(&[6, high, low, 0, 1]), Reply::Exception { function: 6, code: 1 });
    }
    assert_eq!(served.reply(&[16, 0, 0]), Reply::Exception { function: 16, code: 1 }, "whatever it says");
    assert_eq!(served.image(), before);
    assert_eq!(served.read(1000, 1), Ok(vec![16_000]));
}

#[test]
fn functions_and_counts() {
    let mut served = full();
    let mut code = |pdu: &[u8]| match served.reply(pdu) {
        Reply::Exception { function, code } if function == pdu.first().copied().unwrap_or(0) & 0x7f => Some(code),
        Reply::Exception { .. } => panic!("the exception of another function"),
        _ => None,
    };
    for function in (0..=255).filter(|f| ![3, 4, 6, 16].contains(f)) {
        assert_eq!([code(&[function]), code(&[function, 3, 0xe8, 0, 1])], [Some(1), Some(1)], "function {function}");
    }
    assert_eq!(code(&[]), Some(1));
    for function in [3, 4] {
        assert_eq!(code(&[function, 3, 0xe8, 0, 3]), None);
        assert_eq!([code(&[function, 3, 0xe8, 0, 0]), code(&[function, 3, 0xe8, 0, 126])], [Some(3), Some(3)]);
        assert_eq!([code(&[function]), code(&[function, 3, 0xe8, 0]), code(&[function, 3, 0xe8, 0, 1, 0])], [Some(3); 3]);
    }
    assert_eq!([code(&[6, 3, 0xe8, 0]), code(&[6, 3, 0xe8, 0, 1, 0])], [Some(3), Some(3)]);
    assert_eq!(code(&[16, 3, 0xf2, 0, 0, 0]), Some(3));
    assert_eq!(code(&[16, 3, 0xf2, 0, 1, 3, 0, 1, 2]), Some(3));
    assert_eq!(code(&[16, 3, 0xf2, 0, 1, 4, 0, 1]), Some(3));
    assert_eq!(code(&[&[16, 3, 0xf2, 0, 124, 248][..], &[0; 248]].concat()), Some(3));
    assert_eq!(code(&[&[16, 3, 0xf2, 0, 123, 246][..], &[0; 246]].concat()), Some(2), "that many are allowed, but not there");
}
