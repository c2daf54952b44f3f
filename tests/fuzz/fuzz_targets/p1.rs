//! Any bytes, in pieces of any size: no panic, the same outcome whatever the pieces, and the next telegram is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sax_controller::p1::{Checksum, Flaw, Found, Reader, Telegram};

const GOOD: &[u8] = include_bytes!("../../data/telegrams/stegeman_sim_t210d.txt");

type Outcome = Result<Telegram, Flaw>;

fn read(bytes: &[u8], size: usize) -> Vec<Outcome> {
    let mut reader = Reader::new(Checksum::Arc);
    let mut all = Vec::new();
    for piece in bytes.chunks(size) {
        reader.feed(piece, &mut |found| {
            all.push(match found {
                Found::Telegram(telegram, raw) => {
                    assert_eq!((raw.first(), raw.last()), (Some(&b'/'), Some(&b'\n')));
                    Ok(*telegram)
                }
                Found::Flawed(flaw, _) => Err(flaw),
            });
        });
    }
    all
}

fuzz_target!(|input: &[u8]| {
    let Some((size, bytes)) = input.split_first() else { return };
    let mut bytes = bytes.to_vec();
    let before = read(&bytes, 1);
    assert_eq!(before, read(&bytes, usize::from(*size).max(1)));
    bytes.extend(GOOD);
    let good = read(GOOD, GOOD.len()).remove(0);
    assert_eq!(read(&bytes, 4096).pop(), Some(good));
});
