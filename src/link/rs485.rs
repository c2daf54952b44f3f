//! The kernel's RS-485 mode: RTS drives the direction of the transceiver. `serialport` does not know it (facts/rust.md A2).
//!
//! Answers for setting it and for looking whether the driver really did. The only file with `unsafe` in this program: one call.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;

use super::place::Rs485;

/// Flags of `struct serial_rs485` (linux/serial.h).
const ENABLED: u32 = 1;
const RTS_ON_SEND: u32 = 1 << 1;
const RTS_AFTER_SEND: u32 = 1 << 2;

/// `struct serial_rs485` (linux/serial.h): 32 bytes, delays in milliseconds.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Raw {
    flags: u32,
    delay_rts_before_send: u32,
    delay_rts_after_send: u32,
    padding: [u32; 5],
}

/// Why the kernel does not do it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rs485Error {
    /// The driver has no such mode; most USB adapters switch the direction by themselves and need none.
    Unsupported,
    /// It has, but not with these settings; what it took instead.
    Otherwise(String),
    /// What the operating system says.
    Other(String),
}

impl fmt::Display for Rs485Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rs485Error::Unsupported => {
                f.write_str("its driver has no RS-485 mode. Most USB adapters need none: leave rs485 out if this is one of them.")
            }
            Rs485Error::Otherwise(taken) => write!(f, "its driver does not do what rs485 asks for, only {taken}."),
            Rs485Error::Other(why) => write!(f, "{why}."),
        }
    }
}

/// Switches the mode on and looks whether the driver took every setting: drivers drop in silence what they cannot do.
pub fn set(port: &impl AsRawFd, settings: &Rs485) -> Result<(), Rs485Error> {
    let wanted = raw(settings);
    let mut taken = wanted;
    ioctl(port, libc::TIOCSRS485, &mut taken)?;
    taken = Raw::default();
    ioctl(port, libc::TIOCGRS485, &mut taken)?;
    compare(&wanted, &taken)
}

fn raw(settings: &Rs485) -> Raw {
    Raw {
        flags: ENABLED | if settings.rts_on_send { RTS_ON_SEND } else { RTS_AFTER_SEND },
        delay_rts_before_send: settings.delay_before_ms,
        delay_rts_after_send: settings.delay_after_ms,
        padding: [0; 5],
    }
}

fn compare(wanted: &Raw, taken: &Raw) -> Result<(), Rs485Error> {
    let ours = ENABLED | RTS_ON_SEND | RTS_AFTER_SEND;
    let same = wanted.flags & ours == taken.flags & ours
        && wanted.delay_rts_before_send == taken.delay_rts_before_send
        && wanted.delay_rts_after_send == taken.delay_rts_after_send;
    if same {
        return Ok(());
    }
    if taken.flags & ENABLED == 0 {
        return Err(Rs485Error::Unsupported);
    }
    Err(Rs485Error::Otherwise(format!(
        "rts_on_send = {}, delay_before_ms = {}, delay_after_ms = {}",
        taken.flags & RTS_ON_SEND != 0,
        taken.delay_rts_before_send,
        taken.delay_rts_after_send
    )))
}

fn ioctl(port: &impl AsRawFd, request: libc::Ioctl, settings: &mut Raw) -> Result<(), Rs485Error> {
    // SAFETY: TIOCSRS485 reads and TIOCGRS485 writes one `struct serial_rs485` behind the pointer; `Raw` has its layout and size (32
    // bytes, checked by a test), the exclusive reference keeps it valid during the call, and the descriptor is borrowed from an open port.
    let done = unsafe { libc::ioctl(port.as_raw_fd(), request, std::ptr::from_mut(settings)) };
    if done == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOTTY | libc::EINVAL | libc::EOPNOTSUPP) => Err(Rs485Error::Unsupported),
        _ => Err(Rs485Error::Other(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Rs485 = Rs485 { rts_on_send: true, delay_before_ms: 0, delay_after_ms: 3 };

    #[test]
    fn it_is_the_structure_of_the_kernel() {
        assert_eq!(size_of::<Raw>(), 32);
        assert_eq!(raw(&PLAIN), Raw { flags: 3, delay_rts_before_send: 0, delay_rts_after_send: 3, padding: [0; 5] });
        assert_eq!(raw(&Rs485 { rts_on_send: false, ..PLAIN }).flags, 5);
    }

    #[test]
    fn what_the_driver_left_out_is_seen() {
        let wanted = raw(&PLAIN);
        // Other flags are the driver's business.
        assert_eq!(compare(&wanted, &Raw { flags: wanted.flags | 1 << 4, ..wanted }), Ok(()));
        assert_eq!(compare(&wanted, &Raw::default()), Err(Rs485Error::Unsupported));
        let without_delay = Raw { delay_rts_after_send: 0, ..wanted };
        let said = compare(&wanted, &without_delay).unwrap_err().to_string();
        assert!(said.contains("only rts_on_send = true, delay_before_ms = 0, delay_after_ms = 0"), "{said}");
        assert!(compare(&wanted, &Raw { flags: ENABLED | RTS_AFTER_SEND, ..wanted }).is_err());
    }

    #[test]
    fn a_file_is_no_port() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(set(&file, &PLAIN), Err(Rs485Error::Unsupported));
    }
}
