//! Opens a serial port with its settings, for this program alone.
//!
//! Never reads or writes: that is the part of whoever asked for it. What cannot be opened is said in whole sentences.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;

use serialport::{DataBits, ErrorKind, FlowControl, StopBits, TTYPort};

use super::place::{Parity, Serial};
use super::rs485::{self, Rs485Error};

/// Why a port cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SerialError {
    /// Another program has it.
    Busy(String),
    /// There is no such port.
    Missing(String),
    /// This user must not open it.
    Forbidden(String),
    /// Something else stands at this path.
    NoPort(String),
    /// The kernel does not drive the direction of its transceiver as it was told to.
    Rs485(String, Rs485Error),
    /// What the operating system says.
    Other(String, String),
}

impl fmt::Display for SerialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SerialError::Busy(port) => {
                write!(f, "The serial port {port} is in use: another program, or another link under another name, has it.")
            }
            SerialError::Missing(port) => write!(f, "There is no serial port {port}; is its adapter plugged in?"),
            SerialError::Forbidden(port) => {
                write!(f, "This user must not open the serial port {port}; it must be in the group that owns it, mostly \"dialout\".")
            }
            SerialError::NoPort(port) => write!(f, "{port} is not a serial port."),
            SerialError::Rs485(port, error) => write!(f, "The serial port {port} cannot be used with rs485: {error}"),
            SerialError::Other(port, why) => write!(f, "The serial port {port} cannot be opened: {why}."),
        }
    }
}

impl std::error::Error for SerialError {}

impl From<SerialError> for io::Error {
    fn from(error: SerialError) -> io::Error {
        let kind = match error {
            SerialError::Busy(_) => io::ErrorKind::ResourceBusy,
            SerialError::Missing(_) => io::ErrorKind::NotFound,
            SerialError::Forbidden(_) => io::ErrorKind::PermissionDenied,
            SerialError::NoPort(_) => io::ErrorKind::InvalidInput,
            SerialError::Rs485(..) => io::ErrorKind::Unsupported,
            SerialError::Other(..) => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// Opens the port exclusively. Reads time out at once until somebody sets another timeout. What a pseudo terminal does not have (parity,
/// stop bits) it ignores in silence (facts/rust.md A2).
pub fn open(serial: &Serial) -> Result<TTYPort, SerialError> {
    let path = || serial.port.clone();
    match fs::metadata(&serial.port) {
        Ok(found) if found.file_type().is_char_device() => {}
        Ok(_) => return Err(SerialError::NoPort(path())),
        Err(error) => return Err(from_kind(serial, error.kind(), error.to_string())),
    }
    let parity = match serial.parity {
        Parity::None => serialport::Parity::None,
        Parity::Even => serialport::Parity::Even,
        Parity::Odd => serialport::Parity::Odd,
    };
    let port = serialport::new(&serial.port, serial.baud)
        .parity(parity)
        .data_bits(if serial.data_bits == 7 { DataBits::Seven } else { DataBits::Eight })
        .stop_bits(if serial.stop_bits == 2 { StopBits::Two } else { StopBits::One })
        .flow_control(FlowControl::None)
        .open_native()
        .map_err(|error| match error.kind {
            ErrorKind::NoDevice => SerialError::Busy(path()),
            ErrorKind::Io(kind) => from_kind(serial, kind, error.description),
            ErrorKind::InvalidInput | ErrorKind::Unknown => SerialError::Other(path(), error.description),
        })?;
    if let Some(settings) = &serial.rs485 {
        rs485::set(&port, settings).map_err(|error| SerialError::Rs485(path(), error))?;
    }
    Ok(port)
}

fn from_kind(serial: &Serial, kind: io::ErrorKind, why: String) -> SerialError {
    let port = serial.port.clone();
    match kind {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SerialError::Missing(port),
        io::ErrorKind::PermissionDenied => SerialError::Forbidden(port),
        _ => SerialError::Other(port, why),
    }
}
