//! Damaged telegrams: never a wrong value, and never at the cost of the next one.

#[path = "common/telegrams.rs"]
mod telegrams;

use proptest::prelude::{ProptestConfig, any, prop, proptest};
use proptest::test_runner::RngSeed;
use sax_controller::p1::telegram::UNCHECKED_MOST_MW;
use sax_controller::p1::{Checksum, Flaw, LONGEST_TELEGRAM, Reader, Telegram};
use telegrams::*;

/// As [`Telegram`], whatever stands where nothing is measured.
fn values(telegram: &Telegram) -> Telegram {
    Telegram { identification: String::new(), digest: 0, ..telegram.clone() }
}

#[test]
fn whatever_is_cut_off_the_next_one_is_read() {
    for (name, cut) in CHECKED.iter().chain(&UNCHECKED) {
        let mark = cut.iter().rposition(|b| *b == b'!').unwrap();
        let end = mark + cut[mark..].iter().position(|b| *b == b'\n').unwrap() + 1;
        for length in 0..=cut.len() {
            for next in [*cut, if *name == "v5" { I_26 } else { V5 }] {
                let mut all = telegrams(&[&cut[..length], next].concat());
                assert_eq!(all.pop(), Some(one(next)), "{name} cut after {length} bytes");
                let complete = if length >= end { vec![one(cut)] } else { Vec::new() };
                assert_eq!(all, complete, "{name} cut after {length} bytes");
            }
        }
    }
}

#[test]
fn a_beginning_that_is_missing_costs_nothing_else() {
    for (name, cut) in CHECKED.iter().chain(&UNCHECKED) {
        for from in 1..cut.len() {
            let all = telegrams(&[&cut[from..], *cut].concat());
            assert_eq!(all, [one(cut)], "{name} from byte {from}");
        }
    }
}

#[test]
fn a_piece_that_is_missing_is_never_taken_for_a_value() {
    for (name, bytes) in CHECKED {
        let good = one(bytes);
        for from in 0..bytes.len() {
            for length in [1, 2, 7, 40] {
                let cut = [&bytes[..from], bytes.get(from + length..).unwrap_or_default()].concat();
                let (last, before) = [telegrams(&cut), telegrams(&[&cut[..], bytes].concat())].into();
                assert!(last.iter().all(|t| *t == good), "{name} without {length} bytes from {from}");
                assert_eq!(before.last(), Some(&good), "{name} without {length} bytes from {from}");
            }
        }
    }
}

/// Values that a byte is changed to.
fn others(byte: u8) -> Vec<u8> {
    let bits = (0..8).map(|bit| byte ^ (1 << bit));
    let chosen = *b"\0\r\n!/()*.09A\xff";
    bits.chain(chosen).filter(|other| *other != byte).collect()
}

#[test]
fn a_changed_byte_of_a_telegram_with_a_crc_changes_no_value() {
    let mut survived = 0;
    for (name, bytes) in CHECKED {
        let good = one(bytes);
        for at in 0..bytes.len() {
            for other in others(bytes[at]) {
                let mut damaged = bytes.to_vec();
                damaged[at] = other;
                damaged.extend(T210D);
                let mut all = telegrams(&damaged);
                let next = all.pop();
                assert_eq!(next, Some(one(T210D)), "{name} with {other:#04x} at {at}: the next one");
                assert!(all.iter().all(|t| *t == good), "{name} with {other:#04x} at {at}: {all:?}");
                survived += all.len();
            }
        }
    }
    // Lower case digits of the CRC, and such things behind it as are no part of it.
    assert!((1..200).contains(&survived), "{survived}");
}

#[test]
fn a_changed_byte_of_a_telegram_without_a_crc_changes_nothing_but_a_digit_of_a_power() {
    for (name, bytes) in UNCHECKED {
        let good = one(bytes);
        let text = std::str::from_utf8(bytes).unwrap();
        let is_number = |at: usize| {
            let line = text[..at].rsplit('\n').next().unwrap_or_default();
            line.contains('(')
        };
        for at in 0..bytes.len() {
            for other in others(bytes[at]).into_iter().chain(b'0'..=b'9').filter(|o| *o != bytes[at]) {
                let mut damaged = bytes.to_vec();
                damaged[at] = other;
                for telegram in telegrams(&damaged) {
                    let power_mw = (telegram.power_in_mw.unwrap(), telegram.power_out_mw.unwrap());
                    assert!((0..=UNCHECKED_MOST_MW).contains(&power_mw.0) && (0..=UNCHECKED_MOST_MW).contains(&power_mw.1));
                    assert!(power_mw.0 == 0 || power_mw.1 == 0);
                    let differs = power_mw != (good.power_in_mw.unwrap(), good.power_out_mw.unwrap());
                    assert!(!differs || is_number(at) && other.is_ascii_digit(), "{name} with {other:#04x} at {at}: {power_mw:?}");
                    assert!(telegram.phases == good.phases);
                }
            }
        }
    }
}

#[test]
fn a_later_telegram_without_its_crc_is_not_taken() {
    for (name, bytes) in CHECKED {
        let end = bytes.iter().rposition(|b| *b == b'!').unwrap();
        for ending in [&b"!\r\n"[..], b"!\n", b"!\r\r\n", b"!\0\r\n"] {
            let cut = [&bytes[..end], ending].concat();
            assert_eq!(telegrams(&cut), [], "{name} with {ending:?}");
        }
    }
    // Not even when it does not say what it is: a meter that sent a CRC once sends it always.
    let end = V2_2.iter().rposition(|b| *b == b'!').unwrap();
    let with_crc = [&V2_2[..end], format!("!{:04X}\r\n", crc(&V2_2[..=end])).as_bytes()].concat();
    assert!(one(&with_crc).checked);
    assert_eq!(read_in(&[&with_crc[..], V2_2].concat(), 64)[1], Err(Flaw::NoCrc));
}

#[test]
fn two_that_ran_into_one_are_none() {
    let line = |text: &str, from: &[u8]| from.windows(text.len()).position(|w| w == text.as_bytes()).unwrap();
    // The end of the first and the head of the second are lost.
    let tail = &V2_2[line("1-0:1.7.0", V2_2)..];
    let spliced = [&V2_2[..line("0-0:17.0.0", V2_2)], tail].concat();
    assert_eq!(read_in(&spliced, 64), [Err(Flaw::Spliced("1-0:1.7.0".into()))]);
    let end = T210D.iter().rposition(|b| *b == b'!').unwrap();
    let body = line("1-3:0.2.8", T210D);
    let mut both = [&T210D[..end], &I_26[body..=end]].concat();
    both.extend(format!("{:04X}\r\n", crc(&both)).into_bytes());
    assert_eq!(read_in(&both, 64), [Err(Flaw::Spliced("1-0:31.7.0".into()))], "even if the CRC were right");
}

#[test]
fn memory_is_bounded_and_the_next_one_is_read() {
    for noise in [&b"/"[..], b"/ABC5", b"/ABC5\r\n\r\n1-0:1.7.0(", b"/ABC5\r\n!", b"\n!", b"(", b"0\n", b"/ABC5\n"] {
        for filler in [b'0', b'\n', b'!', 0, 0xff, b'/'] {
            let mut reader = Reader::new(Checksum::Arc);
            let mut all = Vec::new();
            feed(&mut reader, noise, &mut all);
            feed(&mut reader, &vec![filler; 40 * LONGEST_TELEGRAM], &mut all);
            all.clear();
            feed(&mut reader, T210D, &mut all);
            assert_eq!(all.last(), Some(&Ok(one(T210D))), "{noise:?} {filler}");
        }
    }
}

#[test]
fn however_many_slashes_stand_before_it() {
    for good in [T210D, V2_2] {
        for slashes in (0..20).chain([240, 250, 254, 255, 256, 257, 300, 1_000]) {
            let bytes = [&vec![b'/'; slashes][..], good].concat();
            assert_eq!(telegrams(&bytes), [one(good)], "{slashes} of them");
            let cut = [T210D[..17].repeat(slashes), good.to_vec()].concat();
            assert_eq!(telegrams(&cut), [one(good)], "{slashes} beginnings");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(4), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_never_panics_and_never_makes_a_checked_telegram(
        pieces in prop::collection::vec((any::<u8>(), 0usize..1100, 0usize..1100, prop::collection::vec(any::<u8>(), 0..20)), 0..12),
        size in 1usize..600,
    ) {
        let all: Vec<_> = CHECKED.iter().chain(&UNCHECKED).collect();
        let mut bytes = Vec::new();
        for (which, from, to, noise) in &pieces {
            let telegram = all[usize::from(*which) % all.len()].1;
            let (from, to) = ((*from).min(telegram.len()), (*to).min(telegram.len()));
            bytes.extend(&telegram[from.min(to)..to.max(from)]);
            bytes.extend(noise);
        }
        let good: Vec<_> = CHECKED.iter().map(|(_, bytes)| values(&one(bytes))).collect();
        for telegram in read_in(&bytes, size).into_iter().flatten().filter(|t| t.checked) {
            assert!(good.contains(&values(&telegram)));
        }
        let mut whole = bytes.clone();
        whole.extend(V5);
        assert_eq!(read_in(&whole, size).pop(), Some(Ok(one(V5))));
    }
}
