//! `[battery.bms]`: what it means, and what is wrong with it.
#![allow(missing_docs)]

#[path = "common/texts.rs"]
mod texts;

use sax_controller::config::{Link, effective, parse};
use sax_controller::units::Span;
use texts::{Fake, SECOND, SMALL, findings, good};

fn with(bms: &str) -> String {
    format!("{SMALL}[battery.bms]\n{bms}\n")
}

const SBAU: &str = "device = \"sbau\"\nlink.tcp = { host = \"192.168.1.21\" }";

#[test]
fn defaults_come_from_the_profile_and_the_effective_form_is_the_same() {
    let config = good(&with(SBAU));
    let bms = config.batteries[0].bms.clone().expect("a BMS");
    let Link::Tcp(tcp) = &bms.link else { panic!() };
    assert_eq!((tcp.port, bms.poll_ms, bms.unit, bms.max_charge_ma), (2404, 1000, None, None));
    let ages = bms.ages(Span::from_s(60));
    assert_eq!((ages.fresh, ages.lost), (Span::from_s(5), Span::from_s(58)));
    let full = with(&format!("{SBAU}\nunit = 3\npoll_ms = 4000\nmax_charge_a = 100.5\nmax_discharge_a = 0"));
    let config = good(&full);
    assert_eq!(parse(&effective(&config), &Fake).unwrap(), config);
    let bms = config.batteries[0].bms.as_ref().expect("a BMS");
    assert_eq!((bms.max_charge_ma, bms.max_discharge_ma, bms.ages(Span::from_s(60)).fresh), (Some(100_500), Some(0), Span::from_s(12)));
}

#[test]
fn what_cannot_be_is_said() {
    let one = |bms: &str, expected: &str| assert_eq!(findings(&with(bms)), [expected], "{bms}");
    one(
        "device = \"sax\"\nlink.tcp = { host = \"192.168.1.21\" }",
        "14:10: battery \"A\" bms.device: \"sax\" is not a battery management system.",
    );
    one(
        &format!("{SBAU}\npoll_ms = 6000"),
        "16:11: battery \"A\" bms.poll_ms: 6000 is too rare: being asked is what tells this BMS that somebody is there. It must be at most 5000.",
    );
    one(&format!("{SBAU}\nmax_charge_a = -1"), "16:16: battery \"A\" bms.max_charge_a: -1 is out of range, it must be 0 to 10000.");
    one(&format!("{SBAU}\nmax_charge = 1"), "16:1: battery \"A\" bms.max_charge: this key is not known here. Did you mean max_charge_a?");
}

#[test]
fn a_bms_may_do_without_limits_here_but_not_with_wrong_ones() {
    let own = "device = \"own-bms\"\nlink.tcp = { host = \"192.168.1.21\" }";
    good(&with(own));
    let wrong = findings(&with(&format!("{own}\nmax_charge_a = -5\nmax_discharge_a = \"60\"")));
    assert!(wrong.len() == 2 && wrong[0].contains("out of range") && wrong[1].contains("must be a number"), "{wrong:?}");
    good(&with(&format!("{own}\nmax_charge_a = 50\nmax_discharge_a = 60")));
}

#[test]
fn an_address_belongs_to_one_device() {
    let same = "device = \"sbau\"\nlink.tcp = { host = \"192.168.1.11\", port = 502 }";
    assert_eq!(findings(&with(same)), ["15:21: battery \"A\" bms link.tcp.host: battery \"A\" has this address already."]);
    good(&with(&format!("{same}\nunit = 9")));
    let master = with(SBAU).replacen("name = \"A\"\n", "name = \"A\"\nrole = \"master\"\n", 1);
    let twice = format!("{master}{SECOND}[battery.bms]\n{SBAU}\n");
    let found = findings(&twice);
    assert!(found.len() == 1 && found[0].ends_with("the BMS of battery \"A\" has this address already."), "{found:?}");
}

#[test]
fn its_limits_must_have_time_to_fall() {
    let rare = with("device = \"own-bms\"\npoll_ms = 9000\nmax_charge_a = 1\nmax_discharge_a = 1\nlink.tcp = { host = \"192.168.1.21\" }");
    let rare = rare.replace("[meter]\n", "[meter]\npoll_ms = 1000\n");
    good(&rare);
    let found = findings(&rare.replace("heartbeat_timeout_s = 60", "heartbeat_timeout_s = 32"));
    assert!(found.len() == 1 && found[0].contains("bms poll_ms") && found[0].ends_with("poll_ms must be at most 8333."), "{found:?}");
}
