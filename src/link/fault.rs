//! What can go wrong with a request, in seven kinds and in the words of logs and status.
//!
//! The `modbus` crate's `Error` has no place for a timeout, a CRC error or an exception code it does not know. This module says how the
//! links write these down in it, and reads them back; nobody else looks into an `Error`.

use std::fmt;
use std::io::ErrorKind;

use ::modbus::{Error, ExceptionCode, Reason};

/// Why a request failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// No answer before the deadline; over TCP also no complete one. A write may still have happened.
    Timeout,
    /// The CRC of the answer was wrong (serial links).
    Crc,
    /// Something came before the deadline, but no whole frame (serial links): a broken answer, noise, or another speed.
    Short {
        /// So many bytes came.
        bytes: usize,
    },
    /// Only this unit answered, which was not asked.
    WrongUnit(u8),
    /// The device answered with this exception code.
    Exception(u8),
    /// The answer was not one to what was asked, or the request cannot be sent; with the reason.
    Invalid(String),
    /// The operating system reported this.
    Io(String),
}

impl Fault {
    /// The kind of an error that a link returned.
    pub fn of(error: &Error) -> Fault {
        match error {
            Error::Exception(code) => Fault::Exception(number(code)),
            Error::Io(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => Fault::Timeout,
            Error::Io(error) => Fault::Io(error.to_string()),
            Error::InvalidData(Reason::Custom(text)) if text == CRC_ERROR => Fault::Crc,
            Error::InvalidData(Reason::Custom(text)) => written(text).unwrap_or_else(|| Fault::Invalid(text.clone())),
            Error::InvalidData(Reason::UnexpectedReplySize) => Fault::Invalid("unexpected reply size".into()),
            Error::InvalidResponse => Fault::Invalid("not an answer to the request".into()),
            other => Fault::Invalid(other.to_string()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Timeout => f.write_str("Timeout"),
            Fault::Crc => f.write_str(CRC_ERROR),
            Fault::Short { bytes } => write!(f, "{SHORT_FRAME}{bytes}{BYTES}"),
            Fault::WrongUnit(unit) => write!(f, "{WRONG_UNIT}{unit}"),
            Fault::Exception(code) => match meaning(*code) {
                Some(meaning) => write!(f, "{EXCEPTION}{code:02x} ({meaning})"),
                None => write!(f, "{EXCEPTION}{code:02x}"),
            },
            Fault::Invalid(why) => write!(f, "Invalid response: {why}"),
            Fault::Io(why) => write!(f, "I/O error: {why}"),
        }
    }
}

const CRC_ERROR: &str = "CRC Error";
const EXCEPTION: &str = "Exception 0x";
const SHORT_FRAME: &str = "Short frame (";
const BYTES: &str = " bytes)";
const WRONG_UNIT: &str = "Wrong unit ";

/// The error for a frame with a wrong CRC.
pub fn crc_error() -> Error {
    Error::InvalidData(Reason::Custom(CRC_ERROR.into()))
}

/// The error for so many bytes that are no whole frame.
pub fn short_error(bytes: usize) -> Error {
    Error::InvalidData(Reason::Custom(Fault::Short { bytes }.to_string()))
}

/// The error for the answer of a unit that was not asked.
pub fn wrong_unit_error(unit: u8) -> Error {
    Error::InvalidData(Reason::Custom(Fault::WrongUnit(unit).to_string()))
}

/// The error for an exception reply. Codes that the `modbus` crate does not have become `InvalidData(Custom("Exception 0x.."))`.
pub fn exception_error(code: u8) -> Error {
    use ExceptionCode::*;
    let known = [
        IllegalFunction,
        IllegalDataAddress,
        IllegalDataValue,
        SlaveOrServerFailure,
        Acknowledge,
        SlaveOrServerBusy,
        NegativeAcknowledge,
        MemoryParity,
        NotDefined,
        GatewayPath,
        GatewayTarget,
    ];
    match known.into_iter().find(|known| number(known) == code) {
        Some(known) => Error::Exception(known),
        None => Error::InvalidData(Reason::Custom(format!("{EXCEPTION}{code:02x}"))),
    }
}

/// Reads back what the functions above wrote for what the crate has no name for.
fn written(text: &str) -> Option<Fault> {
    let code = || u8::from_str_radix(text.strip_prefix(EXCEPTION)?, 16).ok().map(Fault::Exception);
    let short = || text.strip_prefix(SHORT_FRAME)?.strip_suffix(BYTES)?.parse().ok().map(|bytes| Fault::Short { bytes });
    let unit = || text.strip_prefix(WRONG_UNIT)?.parse().ok().map(Fault::WrongUnit);
    code().or_else(short).or_else(unit)
}

fn number(code: &ExceptionCode) -> u8 {
    match code {
        ExceptionCode::IllegalFunction => 0x01,
        ExceptionCode::IllegalDataAddress => 0x02,
        ExceptionCode::IllegalDataValue => 0x03,
        ExceptionCode::SlaveOrServerFailure => 0x04,
        ExceptionCode::Acknowledge => 0x05,
        ExceptionCode::SlaveOrServerBusy => 0x06,
        ExceptionCode::NegativeAcknowledge => 0x07,
        ExceptionCode::MemoryParity => 0x08,
        ExceptionCode::NotDefined => 0x09,
        ExceptionCode::GatewayPath => 0x0a,
        ExceptionCode::GatewayTarget => 0x0b,
    }
}

/// Modbus Application Protocol Specification V1.1b3, section 7.
fn meaning(code: u8) -> Option<&'static str> {
    Some(match code {
        0x01 => "illegal function",
        0x02 => "illegal data address",
        0x03 => "illegal data value",
        0x04 => "device failure",
        0x05 => "acknowledge",
        0x06 => "device busy",
        0x07 => "negative acknowledge",
        0x08 => "memory parity error",
        0x0a => "gateway path unavailable",
        0x0b => "gateway target does not respond",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exception_code_stays_visible() {
        for code in 0..=u8::MAX {
            let error = exception_error(code);
            assert_eq!(Fault::of(&error), Fault::Exception(code));
            assert_eq!(matches!(error, Error::Exception(_)), (1..=0x0b).contains(&code));
            assert!(Fault::of(&error).to_string().starts_with(&format!("Exception 0x{code:02x}")));
        }
        assert_eq!(Fault::Exception(2).to_string(), "Exception 0x02 (illegal data address)");
    }

    #[test]
    fn what_the_crate_has_no_name_for_is_read_back() {
        assert_eq!(Fault::of(&crc_error()), Fault::Crc);
        for bytes in [0, 1, 255, 1024, usize::MAX] {
            assert_eq!(Fault::of(&short_error(bytes)), Fault::Short { bytes });
        }
        for unit in 0..=u8::MAX {
            assert_eq!(Fault::of(&wrong_unit_error(unit)), Fault::WrongUnit(unit));
        }
    }

    #[test]
    fn kinds_in_words() {
        let said = |error: Error| Fault::of(&error).to_string();
        assert_eq!(said(Error::Io(ErrorKind::TimedOut.into())), "Timeout");
        assert_eq!(said(crc_error()), "CRC Error");
        assert_eq!(said(short_error(3)), "Short frame (3 bytes)");
        assert_eq!(said(wrong_unit_error(7)), "Wrong unit 7");
        assert_eq!(said(Error::Io(ErrorKind::ConnectionRefused.into())), "I/O error: connection refused");
        assert_eq!(said(Error::InvalidResponse), "Invalid response: not an answer to the request");
        assert_eq!(said(Error::InvalidData(Reason::UnexpectedReplySize)), "Invalid response: unexpected reply size");
        assert_eq!(said(Error::InvalidData(Reason::Custom("Exception 0xzz".into()))), "Invalid response: Exception 0xzz");
    }
}
