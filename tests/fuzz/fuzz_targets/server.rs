//! Any bytes to our registers, as PDUs, over a serial line and over a connection: no panic, and no register changes that was not written.
#![no_main]

#[path = "../../common/served.rs"]
mod served;

use libfuzzer_sys::fuzz_target;
use sax_controller::balancer::Settings;
use sax_controller::serve::registers::view::BatteryView;
use sax_controller::units::Span;
use served::Served;

fuzz_target!(|input: &[u8]| {
    let Some((start, mut rest)) = input.split_first() else { return };
    let mut served = Served { batteries: vec![BatteryView::default(); 3], ..Served::new((start & 1 == 0).then(Settings::default)) };
    // Pieces of up to 63 bytes, or all that is left; the first byte of each says how it comes.
    while let Some((how, behind)) = rest.split_first() {
        let (piece, next) = behind.split_at_checked(usize::from(how >> 2)).unwrap_or((behind, &[]));
        served.now += Span::from_s(u64::from(how >> 2));
        served.writable = start & 2 == 0;
        served.checked(|served| match how & 3 {
            0 => drop(served.on_the_line(piece)),
            1 => drop(served.on_the_connection(piece)),
            _ => drop(served.reply(piece)),
        });
        rest = next;
    }
});
