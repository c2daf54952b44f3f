//! The profile of the ABB Terra AC: what its registers say, what is written, byte by byte, and mistakes in such profiles.

use sax_controller::device::charger::{ChargerValues, read};
use sax_controller::device::decode::Registers;
use sax_controller::device::library::Library;
use sax_controller::device::parse::parse;
use sax_controller::device::plan::charger_requests;
use sax_controller::device::profile::{Profile, RawWrite};
use sax_controller::device::setting::Chosen;
use sax_controller::modbus::pdu::Request;
use sax_controller::modbus::rtu;
use sax_controller::units::Span;

fn abb() -> Profile {
    with_most(None)
}

fn with_most(most_a: Option<i64>) -> Profile {
    let settings = most_a.map(|a| ("most_a".to_owned(), Chosen::Number(a * 1_000_000))).into_iter().collect();
    Library::built_in().unwrap().profile("abb-terra-ac").unwrap().with_settings(&settings)
}

fn frame(profile: &Profile, raw: RawWrite) -> String {
    let values = raw.words.as_slice().to_vec();
    let request = match raw.function {
        6 => Request::WriteSingleRegister { address: raw.address, value: values[0] },
        _ => Request::WriteMultipleRegisters { address: raw.address, values },
    };
    let bytes = rtu::encode(profile.unit, &request.encode());
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// Limits, and the frames of the firmware behind reference 2 (`data/p1_modbus_vectors.txt`, "charger side").
const RECORDED: [(u32, &str); 7] = [
    (0, "01 10 41 00 00 02 04 00 00 00 00 cf fc"),
    (3_500, "01 10 41 00 00 02 04 00 00 0d ac cb 11"),
    (6_000, "01 10 41 00 00 02 04 00 00 17 70 c1 e8"),
    (15_000, "01 10 41 00 00 02 04 00 00 3a 98 dc f6"),
    (15_650, "01 10 41 00 00 02 04 00 00 3d 22 5f 75"),
    (16_000, "01 10 41 00 00 02 04 00 00 3d 22 5f 75"),
    (32_000, "01 10 41 00 00 02 04 00 00 3d 22 5f 75"),
];

#[test]
fn limits_are_written_as_recorded() {
    let profile = abb();
    let parts = profile.charger.as_ref().unwrap();
    for (limit_ma, recorded) in RECORDED {
        let (raw, amounts_to) = parts.limit_write(limit_ma).unwrap();
        assert_eq!(frame(&profile, raw), recorded, "{limit_ma} mA");
        assert_eq!(amounts_to, limit_ma.min(15_650));
    }
}

#[test]
fn larger_units_are_told_more() {
    let profile = with_most(Some(32));
    let parts = profile.charger.as_ref().unwrap();
    assert_eq!(parts.limit_write(31_999).unwrap().1, 31_999);
    assert_eq!(parts.limit_write(80_000).unwrap().1, 32_000);
}

#[test]
fn timeout_and_fallback_are_written_in_their_own_units() {
    let profile = abb();
    let parts = profile.charger.as_ref().unwrap();
    assert_eq!((parts.timeout(), parts.longest_poll()), (Some(Span::from_s(60)), Some(Span::from_s(30))));
    let timeout = parts.timeout.as_ref().unwrap().write;
    assert!(frame(&profile, timeout).starts_with("01 06 41 06 00 3c "));
    // Whole amperes, never more than meant, and never the value that stands for no limit.
    let fallback =
        |ma| parts.fallback_write(ma).map(|(raw, amounts_to)| (raw.function, raw.address, raw.words.as_slice()[0], amounts_to)).unwrap();
    assert_eq!(fallback(0), (6, 0x4109, 0, 0));
    assert_eq!(fallback(6_999), (6, 0x4109, 6, 6_000));
    assert_eq!(fallback(255_000), (6, 0x4109, 80, 80_000));
}

/// 4000h to 401Fh of a charger: state, lock, errors and limit as given, 10.5 A on each phase, 7.2 kW, 1234 Wh.
fn main_block(state: u16, lock: u16, errors: [u16; 2], limit_ma: u16) -> Vec<u16> {
    let mut block = vec![0; 32];
    block[4..8].copy_from_slice(&[0x0108, 0x2100, 0, 32_000]);
    block[8..10].copy_from_slice(&errors);
    block[10..16].copy_from_slice(&[0, lock, 0, state, 0, limit_ma]);
    block[16..22].copy_from_slice(&[0, 10_500, 0, 10_400, 0, 10_300]);
    block[28..32].copy_from_slice(&[0, 7_200, 0, 1_234]);
    block
}

fn values(blocks: &[Option<Vec<u16>>]) -> ChargerValues {
    let profile = abb();
    let requests = charger_requests(&profile);
    let ranges: Vec<_> = requests.iter().map(|r| (r.function, r.address, r.count)).collect();
    assert_eq!(ranges, [(3, 0x4006, 26), (3, 0x4020, 4), (3, 0x4024, 1)]);
    let mut registers = Registers::default();
    for (request, block) in requests.iter().zip(blocks) {
        if let Some(block) = block {
            let from = usize::from(request.address % 0x20);
            registers.add(request, block[if request.count == 26 { from } else { 0 }..].to_vec());
        }
    }
    read(&profile, &registers)
}

#[test]
fn registers_say_what_they_say() {
    let found = values(&[Some(main_block(0x8400, 0x0111, [0, 0], 15_650)), Some(vec![60, 0, 0, 15_650]), Some(vec![256])]);
    let wanted = ChargerValues {
        state: Some("charging".into()),
        charging: Some(true),
        connected: Some(true),
        current_ma: [Some(10_500), Some(10_400), Some(10_300)],
        limit_ma: Some(15_650),
        written_ma: Some(15_650),
        most_ma: Some(32_000),
        fallback_ma: Some(256_000),
        timeout_s: Some(60),
        power_w: Some(7_200),
        session_wh: Some(1_234),
        notices: Vec::new(),
        shown: vec![("error".into(), "none".into())],
    };
    assert_eq!(found, wanted);
}

#[test]
fn older_firmware_leaves_out_what_it_does_not_have() {
    let found = values(&[Some(main_block(0x0000, 0, [0, 0], 6_000)), None, None]);
    assert_eq!((found.state.as_deref(), found.charging, found.connected), (Some("no car"), Some(false), Some(false)));
    assert_eq!((found.limit_ma, found.written_ma, found.fallback_ma, found.timeout_s), (Some(6_000), None, None, None));
    assert_eq!(values(&[]), ChargerValues { shown: vec![("error".into(), "unknown".into())], ..ChargerValues::default() });
}

#[test]
fn another_state_asks_the_cable() {
    for (lock, connected) in [(0x0000, false), (0x0001, false), (0x0011, false), (0x0101, true), (0x0111, true)] {
        let found = values(&[Some(main_block(0x0500, lock, [0, 0], 0))]);
        assert_eq!((found.state.as_deref(), found.charging, found.connected), (Some("other"), Some(false), Some(connected)), "{lock:04x}");
    }
    for (state, connected) in [(0x0100, true), (0x0200, true), (0x0300, true)] {
        assert_eq!(values(&[Some(main_block(state, 0, [0, 0], 0))]).connected, Some(connected));
    }
    let unknown = values(&[Some(main_block(0x0900, 0x0111, [0, 0], 0))]);
    assert_eq!((unknown.state.as_deref(), unknown.charging, unknown.connected), (Some("unknown (9)"), None, None));
}

#[test]
fn errors_have_names_in_either_register() {
    for errors in [[0, 0x4000], [0x4000, 0]] {
        assert_eq!(values(&[Some(main_block(0x0500, 0, errors, 0))]).notices, ["error: Modbus communication lost"]);
    }
    let two = values(&[Some(main_block(0x0500, 0, [0, 0x8002], 0))]);
    assert_eq!(two.notices, ["error: residual current", "error: unknown error, bit 15"]);
}

#[test]
fn mistakes_in_a_profile_are_found() {
    let text = |charger: &str| format!("name = \"x\"\ntitle = \"x\"\nunit = 1\n[[block]]\naddress = 0\ncount = 4\n[charger]\n{charger}");
    let good = "refresh_ms = 10000\nlimit = { address = 9, type = \"u16\", function = 6, scale = 1 }\n";
    assert!(parse(&text(good)).is_ok(), "{:?}", parse(&text(good)));
    for (charger, said) in [
        ("refresh_ms = 10000\n".to_owned(), "charger limit"),
        ("limit = { address = 9, function = 6, type = \"u16\" }\n".to_owned(), "charger refresh_ms"),
        (format!("{good}most_from = \"no_such\"\n"), "most_from"),
        (format!("{good}timeout = {{ address = 8, function = 16, type = \"u32\", value = 60 }}\n"), "one register of seconds"),
        (format!("{good}fallback = {{ address = 8, function = 6, scale = 0 }}\n"), "nothing can be commanded"),
        (format!("{good}state = {{ address = 4, codes = [] }}\n"), "lies in no [[block]]"),
        (format!("{good}state = {{ address = 3, cable = {{ address = 3, connected_from = 1 }}, codes = [] }}\n"), "lie in no [[block]]"),
        (
            format!(
                "{good}state = {{ address = 3, codes = [{{ value = 1, name = \"a\", connected = \"no\" }}, {{ value = 1, name = \"b\", connected = \"no\" }}] }}\n"
            ),
            "there twice",
        ),
        (format!("{good}state = {{ address = 3, codes = [{{ value = 1, name = \"a\", connected = \"perhaps\" }}] }}\n"), "connected"),
    ] {
        let findings = parse(&text(&charger)).map(drop).expect_err(&charger).render("x.toml");
        assert!(findings.contains(said), "{charger}: {findings}");
    }
}
