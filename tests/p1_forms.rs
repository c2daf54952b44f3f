//! Forms of telegrams that no published fixture shows: other countries, longer lines, other ways to print the same
//! (facts/p1-load-balancer.md 3.2 and 3.3).

#[path = "common/telegrams.rs"]
mod telegrams;

use sax_controller::p1::{Checksum, Flaw, LONGEST_TELEGRAM, Reader, Telegram};
use telegrams::*;

fn currents(telegram: &Telegram) -> [Option<i64>; 3] {
    telegram.phases.map(|phase| phase.current_ma)
}

/// A telegram with these lines between head and end.
fn dutch(lines: &str) -> Vec<u8> {
    sealed(&format!("/XYZ5 meter\n\n1-3:0.2.8(50)\n0-0:1.0.0(260105120000W)\n{lines}\n"))
}

#[test]
fn sweden() {
    let telegram = one(&sealed(
        "/ELL5\\253833635_A\n\n0-0:1.0.0(210217184019W)\n1-0:1.8.0(00006678.394*kWh)\n1-0:2.8.0(00000000.000*kWh)\n\
         1-0:3.8.0(00000021.988*kvarh)\n1-0:1.7.0(0001.727*kW)\n1-0:2.7.0(0000.000*kW)\n1-0:3.7.0(0000.000*kvar)\n1-0:4.7.0(0000.309*kvar)\n\
         1-0:21.7.0(0001.023*kW)\n1-0:41.7.0(0000.350*kW)\n1-0:61.7.0(0000.353*kW)\n1-0:22.7.0(0000.000*kW)\n1-0:42.7.0(0000.000*kW)\n\
         1-0:62.7.0(0000.000*kW)\n1-0:23.7.0(0000.000*kvar)\n1-0:32.7.0(240.3*V)\n1-0:52.7.0(240.1*V)\n1-0:72.7.0(241.3*V)\n\
         1-0:31.7.0(004.2*A)\n1-0:51.7.0(011.7*A)\n1-0:71.7.0(-001.6*A)\n",
    ));
    assert_eq!((telegram.power_w(), telegram.energy_in_wh[0], telegram.energy_out_wh[0]), (Some(1_727), Some(6_678_394), Some(0)));
    assert_eq!(telegram.phases.map(|phase| phase.power_w()), [Some(1_023), Some(350), Some(353)]);
    assert_eq!(currents(&telegram), [Some(4_200), Some(11_700), Some(1_600)], "the powers have the sign");
    assert_eq!((telegram.version, telegram.time.is_some()), (None, true));
}

#[test]
fn a_signed_current_stays_as_it_is_without_a_power() {
    let telegram = one(&dutch("1-0:1.7.0(00.100*kW)\n1-0:31.7.0(-003.5*A)\n1-0:51.7.0(003.5*A)\n1-0:71.7.0(000004.71*A)"));
    assert_eq!(currents(&telegram), [Some(-3_500), Some(3_500), Some(4_710)]);
}

#[test]
fn luxembourg() {
    let telegram = one(&sealed(
        "/Lux5\\253663629_D\n\n1-3:0.2.8(42)\n0-0:1.0.0(190504123000S)\n0-0:42.0.0(53414731303330373030303036323232)\n\
         1-0:1.8.0(000123.456*kWh)\n1-0:2.8.0(000999.001*kWh)\n1-0:3.8.0(000001.000*kvarh)\n1-0:1.7.0(00.000*kW)\n1-0:2.7.0(03.210*kW)\n\
         0-0:17.0.0(27.6*kVA)\n1-0:31.4.0(040*A)(-040*A)\n0-0:96.3.10(1)\n1-0:32.7.0(231.0*V)\n1-0:52.7.0(0*V)\n1-0:31.7.0(014*A)\n",
    ));
    assert_eq!((telegram.power_w(), telegram.energy_in_wh[0], telegram.energy_out_wh[0]), (Some(-3_210), Some(123_456), Some(999_001)));
    assert_eq!(currents(&telegram), [Some(14_000), None, None], "the threshold of the fuse is no current");
}

#[test]
fn hungary_gives_currents_and_no_power_of_a_phase() {
    let telegram = one(&sealed(
        "/SAG5SAG-METER\n\n0-0:1.0.0(220812114500S)\n0-0:42.0.0(4147)\n0-0:96.14.0(0001)\n1-0:1.8.0(000173.640*kWh)\n1-0:2.8.0(000983.900*kWh)\n\
         1-0:32.7.0(235.9*V)\n1-0:52.7.0(236.2*V)\n1-0:72.7.0(238.6*V)\n1-0:31.7.0(003*A)\n1-0:51.7.0(004*A)\n1-0:71.7.0(003*A)\n\
         1-0:13.7.0(0.998)\n1-0:33.7.0(0.999)\n1-0:14.7.0(50.00*Hz)\n1-0:1.7.0(00.000*kW)\n1-0:2.7.0(02.600*kW)\n0-0:98.1.0(220801000000S)(000167.400*kWh)\n",
    ));
    assert_eq!((telegram.power_w(), telegram.is_single_phase()), (Some(-2_600), false));
    assert_eq!(currents(&telegram), [Some(3_000), Some(4_000), Some(3_000)]);
    assert_eq!(telegram.phases.map(|phase| phase.power_w()), [None; 3]);
}

#[test]
fn a_belgian_connection_without_a_neutral() {
    let telegram = one(&sealed(
        "/FLU5\\253770234_A\n\n0-0:96.1.4(50213)\n0-0:1.0.0(210101120000W)\n1-0:1.7.0(03.100*kW)\n1-0:2.7.0(00.000*kW)\n\
         1-0:21.7.0(01.900*kW)\n1-0:41.7.0(00.000*kW)\n1-0:61.7.0(01.200*kW)\n1-0:22.7.0(00.000*kW)\n1-0:42.7.0(00.000*kW)\n1-0:62.7.0(00.000*kW)\n\
         1-0:32.7.0(235.0*V)\n1-0:52.7.0(000.0*V)\n1-0:72.7.0(234.1*V)\n1-0:31.7.0(008.27*A)\n1-0:51.7.0(015.88*A)\n1-0:71.7.0(006*A)\n",
    ));
    assert_eq!(currents(&telegram), [Some(8_270), Some(15_880), Some(6_000)]);
    assert_eq!((telegram.phases[1].voltage_mv, telegram.phases[1].power_w()), (Some(0), Some(0)));
}

#[test]
fn the_ascii_form_with_group_f() {
    // EasyMeter: signed powers in watts, no CRC.
    let easymeter = |power: &str| {
        let text = format!(
            "/ESY5Q3DA1024 V3.04\n\n1-0:0.0.0*255(0272031312565)\n1-0:1.8.0*255(00052185.7825309*kWh)\n1-0:2.8.0*255(00019949.3221493*kWh)\n\
             1-0:21.7.0*255(-00200.32*W)\n1-0:41.7.0*255(000044.67*W)\n1-0:61.7.0*255(000195.48*W)\n1-0:1.7.0*255({power}*W)\n\
             1-0:96.5.5*255(82)\n0-0:96.1.255*255(1ESY1312000565)\n!\n"
        );
        text.replace('\n', "\r\n").into_bytes()
    };
    let telegram = one(&easymeter("000039.83"));
    assert!(!telegram.checked);
    assert_eq!((telegram.power_w(), telegram.energy_in_wh[0]), (Some(40), Some(52_185_783)));
    assert_eq!(telegram.phases.map(|phase| phase.power_w()), [Some(-200), Some(45), Some(195)]);
    assert_eq!(one(&easymeter("-00440.47")).power_w(), Some(-440));
    assert_eq!(telegrams(&easymeter("100000.00")), [], "too much for a telegram without a CRC");
    // A damaged code is no other way to write a code that is there.
    let damaged = String::from_utf8(easymeter("000039.83")).unwrap().replace("1-0:21.7.0", "1-0:01.7.0");
    assert_eq!(one(damaged.as_bytes()).power_w(), Some(40));
    let dsmr = V2_2.windows(9).position(|w| w == b"1-0:2.7.0").unwrap();
    let one_direction = [&V2_2[..dsmr], &V2_2[dsmr + 25..]].concat();
    assert_eq!(telegrams(&one_direction), [], "DSMR prints both directions");
}

#[test]
fn long_messages_and_long_telegrams() {
    for characters in [0, 1_024, 2_048, 4_096] {
        let text = "3F".repeat(characters / 2);
        let log = "(190201235231W)(0000003231*s)".repeat(10);
        let lines = format!(
            "0-0:96.13.1({text})\n0-0:96.13.0({text})\n1-0:99.97.0(10)(0-0:96.7.19){log}\n1-0:1.7.0(01.000*kW)\n1-0:2.7.0(00.000*kW)\n\
             0-1:24.2.1(101209112500W)(12785.123*m3)\n0-2:24.2.3(101209112500W)(12785.123*m3)"
        );
        let telegram = dutch(&lines);
        assert!(telegram.len() > 2 * characters && telegram.len() < LONGEST_TELEGRAM);
        assert_eq!(one(&telegram).power_w(), Some(1_000));
    }
    let endless = dutch(&"0-0:96.13.0(00)\n".repeat(LONGEST_TELEGRAM / 16));
    let mut all = read_in(&[&endless[..], T210D].concat(), 100);
    assert_eq!(all.remove(0), Err(Flaw::TooLong));
    assert_eq!(all, [Ok(one(T210D))]);
}

#[test]
fn every_way_to_print_the_crc() {
    let end = T210D.iter().rposition(|b| *b == b'!').unwrap();
    let printed = |ending: &str| [&T210D[..=end], ending.as_bytes()].concat();
    for ending in ["824A\r\n", "824a\r\n", "824A\n", "824A\0\r\n"] {
        assert_eq!(one(&printed(ending)), one(T210D), "{ending:?}");
    }
    for ending in ["824B\r\n", "0\r\n", "+24A\r\n", "82 4A\r\n", "0824A\r\n", "824A \r\n"] {
        assert_eq!(read_in(&printed(ending), 50), [Err(Flaw::Crc)], "{ending:?}");
    }
    // One whose CRC begins with 0 is printed unpadded by WarmteLink.
    let small = (0..99_999).map(|n| dutch(&format!("0-0:96.7.21({n:05})\n1-0:1.7.0(00.500*kW)")));
    let small = small.map(|t| String::from_utf8(t).unwrap()).find(|t| t.contains("!0")).unwrap();
    assert_eq!(one(small.replace("!0", "!").as_bytes()).power_w(), Some(500));
}

#[test]
fn a_slash_in_the_identification() {
    let holley = "/HLY5/D545-METER\n\n1-3:0.2.8(50)\n0-0:1.0.0(260105120000W)\n1-0:1.7.0(00.300*kW)\n1-0:2.7.0(00.000*kW)\n";
    assert_eq!(one(&sealed(holley)).identification, "HLY5/D545-METER");
    // Cut off within the identification, or right behind the "/".
    for length in 1..19 {
        let all = telegrams(&[&sealed(holley)[..length], &sealed(holley)].concat());
        assert_eq!(all, [one(&sealed(holley))], "cut after {length}");
        assert_eq!(telegrams(&[&T210D[..length], V2_2].concat()), [one(V2_2)], "cut after {length}");
    }
}

#[test]
fn holley_has_another_crc() {
    let lines = "/HLY5/D545-METER\r\n\r\n1-0:1.7.0(00.300*kW)\r\n1-0:2.7.0(00.000*kW)\r\n!";
    let bytes = format!("{lines}{:04X}\r\n", Checksum::X25.of(lines.as_bytes()));
    let mut all = Vec::new();
    feed(&mut Reader::new(Checksum::X25), bytes.as_bytes(), &mut all);
    feed(&mut Reader::new(Checksum::Arc), bytes.as_bytes(), &mut all);
    assert_eq!(all[0].as_ref().unwrap().power_w(), Some(300));
    assert_eq!(all[1], Err(Flaw::Crc));
}

#[test]
fn a_value_that_cannot_be_read_is_unknown_and_the_others_count() {
    let telegram = one(&dutch(
        "1-0:1.7.0(99999999999999999999.9*kW)\n1-0:2.7.0(00.000*kW)\n1-0:21.7.0()\n1-0:22.7.0(00.000*kW)\n1-0:41.7.0(00.700*kW)\n\
         1-0:42.7.0(00.000*MW)\n1-0:61.7.0(00.700*kW)\n1-0:32.7.0(-1*V)\n1-0:52.7.0(999999*V)\n1-0:72.7.0(231*V)\n1-0:31.7.0(1e3*A)\n\
         1-0:51.7.0(NaN*A)\n1-0:71.7.0(3*A)(4*A)\nwhat is this\n1-0:33.7.0(1.2.3)\n\u{fe}\n0-0:96.14.0(night)",
    ));
    assert_eq!((telegram.power_w(), telegram.tariff), (None, None));
    assert_eq!(telegram.phases.map(|phase| phase.power_w()), [None, None, Some(700)]);
    assert_eq!(telegram.phases.map(|phase| phase.voltage_mv), [None, None, Some(231_000)]);
    assert_eq!(currents(&telegram), [None; 3]);
}

#[test]
fn an_object_may_come_twice_with_the_same_value_only() {
    let twice = |second: &str| dutch(&format!("1-0:1.7.0(00.300*kW)\n1-0:2.7.0(00.000*kW)\n1-0:1.7.0({second}*kW)"));
    assert_eq!(one(&twice("00.300")).power_w(), Some(300));
    assert_eq!(read_in(&twice("00.301"), 9), [Err(Flaw::Spliced("1-0:1.7.0".into()))]);
}
