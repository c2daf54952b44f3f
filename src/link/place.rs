//! Where a device is reached: a host and port, or a serial port with its settings.

use std::fmt;

/// What a link connects to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// Modbus TCP.
    Tcp {
        /// Name or address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// Modbus RTU on a serial port, which several devices may share.
    Rtu(Serial),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Tcp { host, port } if host.contains(':') && !host.starts_with('[') => write!(f, "[{host}]:{port}"),
            Place::Tcp { host, port } => write!(f, "{host}:{port}"),
            Place::Rtu(serial) => f.write_str(&serial.port),
        }
    }
}

/// A serial port and its settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Serial {
    /// Its path, best one of `/dev/serial/by-id`.
    pub port: String,
    /// One of [`BAUDS`]; default 9600 for `link.rtu`, 115200 for `link.serial`.
    pub baud: u32,
    /// Default [`Parity::None`].
    pub parity: Parity,
    /// 7 or 8, default 8.
    pub data_bits: u8,
    /// 1 or 2, default 1.
    pub stop_bits: u8,
    /// The kernel drives the direction of an RS-485 transceiver; `None`: the adapter does it by itself.
    pub rs485: Option<Rs485>,
}

/// The rates of serial ports that Linux knows (termios(3), from B300 on), in baud. The kernel takes others from some adapters, and rounds
/// them in silence.
pub const BAUDS: [u32; 24] = [
    300, 600, 1_200, 1_800, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000,
    1_152_000, 1_500_000, 2_000_000, 2_500_000, 3_000_000, 3_500_000, 4_000_000,
];

/// The rate nearest to this one; itself where it is one of [`BAUDS`].
pub fn nearest_baud(baud: u32) -> u32 {
    BAUDS.into_iter().min_by_key(|known| known.abs_diff(baud)).unwrap_or(baud)
}

/// The parity bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parity {
    /// None.
    None,
    /// Even.
    Even,
    /// Odd.
    Odd,
}

/// `rs485 = { ... }`: what the kernel is told with `TIOCSRS485`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rs485 {
    /// RTS is high while sending, default; else low.
    pub rts_on_send: bool,
    /// From RTS to the first bit; 0 to 100 ms, default 0.
    pub delay_before_ms: u32,
    /// From the last bit to RTS; 0 to 100 ms, default 0.
    pub delay_after_ms: u32,
}
