//! The checksum behind the "!" of a telegram.

use crc::{CRC_16_ARC, CRC_16_IBM_SDLC, Crc};

/// Which CRC a meter prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Checksum {
    /// CRC-16/ARC over everything from "/" to "!", both included (P1 Companion Standard 5.0.2, 5.2).
    #[default]
    Arc,
    /// CRC-16/X-25 over the same: Holley DTSD545 (dsmr_parser issue 91, facts/p1-load-balancer.md 3.3).
    X25,
}

impl Checksum {
    /// Names as device profiles write them.
    pub const NAMES: [(&'static str, Checksum); 2] = [("arc", Checksum::Arc), ("x25", Checksum::X25)];

    /// The checksum of these bytes.
    pub fn of(self, bytes: &[u8]) -> u16 {
        const ARC: Crc<u16> = Crc::<u16>::new(&CRC_16_ARC);
        const X25: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_SDLC);
        match self {
            Checksum::Arc => ARC.checksum(bytes),
            Checksum::X25 => X25.checksum(bytes),
        }
    }
}

/// What stands behind the "!".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Printed {
    /// Nothing.
    Absent,
    /// A number: up to four hex digits of either case, not always padded (WarmteLink prints `B9F`).
    Number(u16),
    /// Something else.
    Garbled,
}

/// Reads the end line behind the "!", line ending included. Some adapters put a NUL before it.
pub(super) fn printed(line: &[u8]) -> Printed {
    let Some(line) = line.strip_suffix(b"\n") else { return Printed::Garbled };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let padding = line.iter().rev().take_while(|b| **b == 0).count();
    let digits = &line[..line.len() - padding];
    if digits.is_empty() {
        return if padding == 0 { Printed::Absent } else { Printed::Garbled };
    }
    if digits.len() > 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Printed::Garbled;
    }
    let number = std::str::from_utf8(digits).ok().and_then(|digits| u16::from_str_radix(digits, 16).ok());
    number.map_or(Printed::Garbled, Printed::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_values_of_the_catalogue() {
        assert_eq!(Checksum::Arc.of(b"123456789"), 0xbb3d);
        assert_eq!(Checksum::X25.of(b"123456789"), 0x906e);
    }

    #[test]
    fn every_printed_form_is_read() {
        let number = Printed::Number;
        for (line, expected) in [
            (&b"824A\r\n"[..], number(0x824a)),
            (b"824a\r\n", number(0x824a)),
            (b"B9F\r\n", number(0xb9f)),
            (b"0B9F\n", number(0xb9f)),
            (b"824A\0\r\n", number(0x824a)),
            (b"\r\n", Printed::Absent),
            (b"\n", Printed::Absent),
            (b"\0\r\n", Printed::Garbled),
            (b"\x00824A\r\n", Printed::Garbled),
            (b"82G4\r\n", Printed::Garbled),
            (b"+24A\r\n", Printed::Garbled),
            (b"0824A\r\n", Printed::Garbled),
            (b" 824A\r\n", Printed::Garbled),
            (b"824A", Printed::Garbled),
        ] {
            assert_eq!(printed(line), expected, "{line:?}");
        }
    }
}
