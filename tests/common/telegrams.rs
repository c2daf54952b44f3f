//! The published telegrams, and a CRC of our own to make others.
#![allow(dead_code, missing_docs)]

use sax_controller::p1::{Checksum, Flaw, Found, Reader, Telegram};

pub const ISK: &[u8] = include_bytes!("../data/telegrams/dsmr5_isk.txt");
pub const MCS: &[u8] = include_bytes!("../data/telegrams/dsmr5_mcs.txt");
pub const OVERFLOW: &[u8] = include_bytes!("../data/telegrams/dsmr5_overflow.txt");
pub const FLUVIUS: &[u8] = include_bytes!("../data/telegrams/ndokter_fluvius_v171.txt");
pub const V2_2: &[u8] = include_bytes!("../data/telegrams/ndokter_v2_2.txt");
pub const V3: &[u8] = include_bytes!("../data/telegrams/ndokter_v3.txt");
pub const V4_2: &[u8] = include_bytes!("../data/telegrams/ndokter_v4_2.txt");
pub const V5: &[u8] = include_bytes!("../data/telegrams/ndokter_v5.txt");
pub const T210D: &[u8] = include_bytes!("../data/telegrams/stegeman_sim_t210d.txt");
pub const WRONG_CRC: &[u8] = include_bytes!("../data/telegrams/synthetic_crc_wrong_by_one_bit.txt");
pub const CUT_THEN_GOOD: &[u8] = include_bytes!("../data/telegrams/synthetic_cut_then_good.txt");
pub const EXPORT: &[u8] = include_bytes!("../data/telegrams/synthetic_export_7A_on_all_phases.txt");
pub const I_26: &[u8] = include_bytes!("../data/telegrams/synthetic_i_26_01_00.txt");
pub const NO_CURRENTS: &[u8] = include_bytes!("../data/telegrams/synthetic_no_current_lines.txt");
pub const TWO: &[u8] = include_bytes!("../data/telegrams/synthetic_two_in_a_row.txt");

/// Those that are one good telegram with a CRC.
pub const CHECKED: [(&str, &[u8]); 9] = [
    ("isk", ISK),
    ("mcs", MCS),
    ("fluvius", FLUVIUS),
    ("v4.2", V4_2),
    ("v5", V5),
    ("t210d", T210D),
    ("export", EXPORT),
    ("26 A", I_26),
    ("no currents", NO_CURRENTS),
];

/// Those that are one good telegram without a CRC.
pub const UNCHECKED: [(&str, &[u8]); 2] = [("v2.2", V2_2), ("v3", V3)];

/// What came out, without the bytes.
pub type Outcome = Result<Telegram, Flaw>;

/// Everything that comes of `bytes`, fed in pieces of `size`.
pub fn read_in(bytes: &[u8], size: usize) -> Vec<Outcome> {
    let mut reader = Reader::new(Checksum::Arc);
    let mut all = Vec::new();
    for piece in bytes.chunks(size) {
        feed(&mut reader, piece, &mut all);
    }
    all
}

/// Feeds a reader.
pub fn feed(reader: &mut Reader, bytes: &[u8], all: &mut Vec<Outcome>) {
    reader.feed(bytes, &mut |found| {
        all.push(match found {
            Found::Telegram(telegram, _) => Ok(*telegram),
            Found::Flawed(flaw, _) => Err(flaw),
        });
    });
}

/// Only the telegrams.
pub fn telegrams(bytes: &[u8]) -> Vec<Telegram> {
    read_in(bytes, bytes.len().max(1)).into_iter().flatten().collect()
}

/// The one telegram of these bytes.
#[track_caller]
pub fn one(bytes: &[u8]) -> Telegram {
    let mut all = read_in(bytes, bytes.len().max(1));
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).unwrap()
}

/// CRC-16/ARC, bit by bit.
pub fn crc(bytes: &[u8]) -> u16 {
    bytes
        .iter()
        .fold(0, |crc, byte| (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xa001 } else { crc >> 1 }))
}

/// A telegram of these lines, with CR LF, "!" and its CRC.
pub fn sealed(lines: &str) -> Vec<u8> {
    let mut bytes = format!("{}!", lines.trim_start().replace('\n', "\r\n")).into_bytes();
    let crc = crc(&bytes);
    bytes.extend(format!("{crc:04X}\r\n").into_bytes());
    bytes
}
