//! P1 telegrams of smart meters: bytes in, in pieces of any size; telegrams out.
//!
//! [`Reader`] finds telegrams in the stream and checks their CRC, [`Telegram`] holds what one of them says. Reads DSMR 2.2 to 5.x and ESMR
//! (NL), and the Belgian, Luxembourg, Swedish and Hungarian forms (facts/p1-load-balancer.md 3). Lines and units that are not known are
//! passed over. Memory is bounded whatever comes. It does no I/O and reads no clock.
//!
//! A telegram with a CRC is taken only when that is right. One without (DSMR 2.2 and 3.0 have none) is marked, see
//! [`Telegram::checked`]; what may get through there is written down in [`telegram`].

pub mod checksum;
mod decimal;
mod line;
mod reader;
pub mod telegram;
mod time;

pub use checksum::Checksum;
pub use reader::{Found, LONGEST_TELEGRAM, Reader};
pub use telegram::{PhaseValues, Telegram};
pub use time::MeterTime;

use std::fmt;

/// Why something that began like a telegram is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Flaw {
    /// The next one began before its end, or its end is none.
    Cut,
    /// It grew longer than any telegram.
    TooLong,
    /// Its CRC is wrong, or no CRC at all.
    Crc,
    /// It has no CRC, and its meter is one that sends them.
    NoCrc,
    /// The same object twice, with this code: two telegrams have run into one.
    Spliced(String),
    /// It has no CRC, and this line or identification cannot be right.
    Malformed(String),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Cut => f.write_str("a telegram was cut off"),
            Flaw::TooLong => write!(f, "a telegram was longer than {LONGEST_TELEGRAM} bytes"),
            Flaw::Crc => f.write_str("the CRC of a telegram was wrong"),
            Flaw::NoCrc => f.write_str("a telegram came without the CRC that this meter sends"),
            Flaw::Spliced(code) => write!(f, "two telegrams ran into one: {code} came twice"),
            Flaw::Malformed(line) => write!(f, "a telegram without a CRC had a line that cannot be right: \"{line}\""),
        }
    }
}
