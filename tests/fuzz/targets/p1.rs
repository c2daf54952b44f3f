//! Any bytes from a meter, in pieces of any size: the same outcome whatever the pieces, no more than the longest telegram is kept, a telegram with
//! a CRC has the right one, its values are within their bounds, and the next good telegram is read whatever came before.

use sax_controller::p1::telegram::UNCHECKED_MOST_MW;
use sax_controller::p1::{Checksum, Flaw, Found, LONGEST_TELEGRAM, Reader, Telegram};

use super::bytes::Bytes;

const GOOD: &[u8] = include_bytes!("../../data/telegrams/stegeman_sim_t210d.txt");

type Outcome = Result<Telegram, Flaw>;

pub fn run(input: &[u8]) {
    let mut bytes = Bytes(input);
    let (kind, size) = (bytes.u8(), usize::from(bytes.u8()).max(2));
    let checksum = if kind & 1 == 0 { Checksum::Arc } else { Checksum::X25 };
    let mut stream = bytes.0.to_vec();
    if kind & 24 == 24 {
        // Longer than any telegram, and nothing in it begins or ends one.
        let more: Vec<u8> = bytes.0.iter().copied().filter(|byte| !b"/!".contains(byte)).collect();
        stream.extend(more.repeat(LONGEST_TELEGRAM / more.len().max(400) + 2));
    }
    // Nobody guesses a CRC: most inputs get the right one behind every "!".
    let mut stream = if kind & 6 == 0 { stream } else { with_checksums(&stream, checksum) };
    let before = read(&stream, 1, checksum);
    assert_eq!(before, read(&stream, size, checksum));
    let good = with_checksums(GOOD, checksum);
    stream.extend(&good);
    let right = read(&good, good.len(), checksum).pop();
    assert!(right.as_ref().is_some_and(|outcome| outcome.as_ref().is_ok_and(|telegram| telegram.checked)));
    assert_eq!(read(&stream, 4096, checksum).pop(), right, "the next one");
}

fn read(bytes: &[u8], size: usize, checksum: Checksum) -> Vec<Outcome> {
    let mut reader = Reader::new(checksum);
    let mut all = Vec::new();
    for piece in bytes.chunks(size) {
        reader.feed(piece, &mut |found| {
            all.push(match found {
                Found::Telegram(telegram, raw) => {
                    assert_eq!((raw.first(), raw.last()), (Some(&b'/'), Some(&b'\n')));
                    assert!(raw.len() <= LONGEST_TELEGRAM);
                    telegram_is_sound(&telegram, raw, checksum);
                    Ok(*telegram)
                }
                Found::Flawed(flaw, raw) => {
                    assert!(raw.len() <= LONGEST_TELEGRAM && raw.first() == Some(&b'/'));
                    assert!(!flaw.to_string().chars().any(char::is_control), "{flaw}");
                    Err(flaw)
                }
            });
        });
    }
    all
}

fn telegram_is_sound(telegram: &Telegram, raw: &[u8], checksum: Checksum) {
    let end = raw.iter().rposition(|b| *b == b'!').unwrap_or_else(|| panic!("no end"));
    if telegram.checked {
        let printed: String = raw[end + 1..].iter().filter(|b| b.is_ascii_hexdigit()).map(|b| char::from(*b)).collect();
        assert_eq!(u16::from_str_radix(&printed, 16), Ok(crc(&raw[..=end], checksum)), "not its CRC");
    }
    let phases = telegram.phases.iter();
    let powers = phases.clone().flat_map(|p| [p.power_in_mw, p.power_out_mw]).chain([telegram.power_in_mw, telegram.power_out_mw]);
    let most_mw = if telegram.checked { 10_000_000_000 } else { UNCHECKED_MOST_MW };
    assert!(powers.flatten().all(|mw| mw.abs() <= most_mw), "{telegram:?}");
    assert!(phases.clone().all(|p| p.current_ma.is_none_or(|ma| ma.abs() <= 10_000_000)), "{telegram:?}");
    assert!(phases.clone().all(|p| p.voltage_mv.is_none_or(|mv| (0..=10_000_000).contains(&mv))), "{telegram:?}");
    let energies = telegram.energy_in_wh.iter().chain(&telegram.energy_out_wh).flatten();
    assert!(energies.clone().all(|wh| (0..=1_000_000_000_000_000).contains(wh)), "{telegram:?}");
    assert!(telegram.identification.chars().count() <= 64);
    assert!(phases.clone().all(|p| p.present || *p == Default::default()), "{telegram:?}");
    if !telegram.checked {
        assert!(telegram.version.is_none() && telegram.time.is_none(), "of a kind that has a CRC: {telegram:?}");
        assert!(telegram.power_in_mw.is_some(), "{telegram:?}");
    }
    let _ = (telegram.power_w(), telegram.is_single_phase());
}

/// The same bytes, with the right CRC behind the "!" of every line that ends a telegram.
fn with_checksums(bytes: &[u8], checksum: Checksum) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 8);
    let mut start = None;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        if let (Some(start), [b'!', ..]) = (start, line) {
            out.push(b'!');
            let crc = crc(&out[start..], checksum);
            out.extend(format!("{crc:04X}\r\n").into_bytes());
            continue;
        }
        if let Some(at) = line.iter().rposition(|b| *b == b'/') {
            start = Some(out.len() + at);
        }
        out.extend(line);
    }
    out
}

/// CRC-16/ARC and CRC-16/X-25, bit by bit.
fn crc(bytes: &[u8], checksum: Checksum) -> u16 {
    let (start, polynomial, end) = match checksum {
        Checksum::Arc => (0, 0xa001, 0),
        Checksum::X25 => (0xffff, 0x8408, 0xffff),
    };
    let bit = |crc: u16| if crc & 1 == 1 { crc >> 1 ^ polynomial } else { crc >> 1 };
    bytes.iter().fold(start, |crc, byte| (0..8).fold(crc ^ u16::from(*byte), |crc, _| bit(crc))) ^ end
}
