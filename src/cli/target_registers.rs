//! Numbers of registers as people give them, and the bytes of requests and replies as people want to see them.

use crate::link::fault::Fault;
use crate::link::place::Place;
use crate::modbus::pdu::{Reply, Request};
use crate::modbus::rtu;
use crate::scan::bus::Bus;

/// Numbers start at 1 instead of 0: register 1 is address 0 on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Numbering {
    pub one_based: bool,
}

impl Numbering {
    /// The address on the wire that `text` means, decimal or 0x hexadecimal.
    pub(super) fn parse(self, text: &str) -> Result<u16, String> {
        let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => u32::from_str_radix(hex, 16).ok().filter(|_| !hex.starts_with('+')),
            None => text.parse::<u32>().ok().filter(|_| !text.starts_with('+')),
        };
        let first = u32::from(self.one_based);
        number.and_then(|number| number.checked_sub(first)).and_then(|wire| u16::try_from(wire).ok()).ok_or_else(|| {
            let base = if self.one_based { " with --one-based" } else { "" };
            format!("\"{text}\" is no address: it is a number from {first} to {}{base}, decimal or hexadecimal (0x7d0).", 65_535 + first)
        })
    }

    /// The number of an address on the wire.
    pub(super) fn show(self, wire: u16) -> u32 {
        u32::from(wire) + u32::from(self.one_based)
    }
}

/// Refuses `count` registers from `address` where they end beyond the last one there is.
pub(super) fn check_end(address: u16, count: u32) -> Result<(), String> {
    let end = u64::from(address) + u64::from(count);
    if end <= 65_536 { Ok(()) } else { Err(format!("There are no registers beyond 65535, and {count} from {address} on would be.")) }
}

/// Sends a request; `raw`: shows its bytes and those of the reply on standard error.
pub(super) fn exchange(link: &mut dyn Bus, place: &Place, unit: u8, raw: bool, request: &Request) -> Result<Reply, Fault> {
    if raw {
        eprintln!("> {}", bytes(place, unit, &request.encode()));
    }
    let outcome = link.exchange(request).map_err(|error| Fault::of(&error));
    if raw {
        match &outcome {
            Ok(reply) => eprintln!("< {}", bytes(place, unit, &reply.encode())),
            Err(Fault::Exception(code)) => eprintln!("< {}", bytes(place, unit, &[request.function() | 0x80, *code])),
            Err(fault) => eprintln!("< ({fault})"),
        }
    }
    outcome
}

/// On a serial line the whole frame. On TCP without the transaction id, protocol id and length before it. What decodes encodes to the
/// same bytes again, so these are the bytes that were received.
fn bytes(place: &Place, unit: u8, pdu: &[u8]) -> String {
    let frame = match place {
        Place::Rtu(_) => rtu::encode(unit, pdu),
        Place::Tcp { .. } => [&[unit], pdu].concat(),
    };
    frame.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRE: Numbering = Numbering { one_based: false };
    const ONE: Numbering = Numbering { one_based: true };

    #[test]
    fn addresses_are_as_on_the_wire_unless_asked_otherwise() {
        assert_eq!(WIRE.parse("2026"), Ok(2026));
        // Reference 3 says `modpoll -r 2026`, which is wire address 2025 (facts/devices.md 6.3).
        assert_eq!(ONE.parse("2026"), Ok(2025));
        assert_eq!((WIRE.parse("0x7D0"), WIRE.parse("0"), WIRE.parse("65535")), (Ok(2000), Ok(0), Ok(65535)));
        assert_eq!((ONE.parse("1"), ONE.parse("65536")), (Ok(0), Ok(65535)));
        for (numbering, bad) in [(WIRE, "65536"), (WIRE, "-1"), (WIRE, "x"), (WIRE, ""), (WIRE, "+5"), (ONE, "0"), (ONE, "65537")] {
            assert!(numbering.parse(bad).is_err_and(|said| said.contains("is no address")), "{bad}");
        }
        assert_eq!((WIRE.show(2025), ONE.show(2025), ONE.show(65535)), (2025, 2026, 65536));
    }

    #[test]
    fn nothing_lies_beyond_the_last_register() {
        assert!(check_end(65_535, 1).is_ok() && check_end(0, 65_536).is_ok());
        assert!(check_end(65_535, 2).is_err() && check_end(1, u32::MAX).is_err());
    }

    #[test]
    fn bytes_of_a_frame() {
        let request = Request::ReadHoldingRegisters { address: 0, count: 10 }.encode();
        let tcp = Place::Tcp { host: "h".into(), port: 502 };
        assert_eq!(bytes(&tcp, 1, &request), "01 03 00 00 00 0a");
        let serial = super::super::target::Options::default().serial("/dev/ttyUSB0");
        assert_eq!(bytes(&Place::Rtu(serial), 1, &request), "01 03 00 00 00 0a c5 cd");
    }
}
