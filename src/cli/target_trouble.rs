//! Why a device did not do what it was asked, in words: what the fault means, and what to try.

use crate::link::fault::Fault;
use crate::link::place::Place;
use crate::modbus::pdu::Request;

/// What went wrong with `request` to `unit` at `place`; whole sentences. `reached`: there was a connection, so that it may have been sent.
pub(super) fn explain(fault: &Fault, request: &Request, unit: u8, place: &Place, reached: bool) -> String {
    let said = format!("{place}, unit {unit}: {}.", fault.to_string().trim_end_matches('.'));
    let help = match fault {
        Fault::Exception(code) => exception(*code, request),
        Fault::Timeout => silence(place),
        Fault::Crc => "The answer was damaged on the way: interference, a missing terminating resistor, two devices with the same unit, or another parity than the device has.".into(),
        Fault::Io(why) => not_reached(place, why),
        Fault::Short { .. } => "Only a part of an answer came: another speed (--baud), interference, or a device that was interrupted.".into(),
        Fault::WrongUnit(other) => format!(
            "Unit {other} answered instead of it: there may be a second master on this bus, or a device with the wrong unit."
        ),
        Fault::Invalid(_) => "What came is no answer to the question: perhaps the device does not speak Modbus at this place.".into(),
    };
    let help = if is_write(request) { [help.as_str(), undecided(fault, reached)].concat() } else { help };
    format!("{said} {help}")
}

/// Modbus Application Protocol Specification V1.1b3, section 7: what each code means for whoever asked.
fn exception(code: u8, request: &Request) -> String {
    let function = request.function();
    match code {
        0x01 => {
            let other = match function {
                3 => " Try --function 4 (input registers).",
                4 => " Try --function 3 (holding registers).",
                1 => " Try --function 2 (discrete inputs).",
                2 => " Try --function 1 (coils).",
                6 => " Try --function 16, which some devices want for a single register too.",
                16 => " Try --function 6, one register at a time.",
                5 => " Try --function 15.",
                15 => " Try --function 5, one coil at a time.",
                _ => "",
            };
            format!("The device does not know function {function} here.{other}")
        }
        0x02 => format!(
            "The device has nothing at {}. Addresses are as on the wire: where a document counts from 1, use --one-based; where it says 4xxxx, subtract 40001. Fewer values at a time may help too.",
            range(request)
        ),
        0x03 if is_write(request) => "The device does not take this value: it is out of its range, or not allowed in its present state.".into(),
        0x03 => "The device does not take this quantity: try fewer values at a time.".into(),
        0x04 => "The device failed to do it: it may be starting, in fault, or not allow it now.".into(),
        0x05 => "The device has begun to do it and needs more time: look again later.".into(),
        0x06 => "The device is busy: try again later.".into(),
        0x08 => "The device found its own memory damaged.".into(),
        0x0a => "The gateway has no way to this unit: look at the unit, and at the settings of the gateway.".into(),
        0x0b => "The gateway asked, and nobody answered: the unit is another one, or the device behind the gateway is off or not connected. SAX batteries say this of register banks that their firmware does not have.".into(),
        _ => "This code is not in the specification: the device's own document says what it means.".into(),
    }
}

fn silence(place: &Place) -> String {
    match place {
        Place::Tcp { .. } => "It is connected, but did not answer in time. Most often the unit is another one (--unit); some devices say nothing at addresses they do not have, and batteries that allow one connection only say nothing to a second one.".into(),
        Place::Rtu(serial) => format!(
            "Nobody answered in time. It was asked at {} baud, parity {}: look at --unit, --baud, --parity, at the wires A and B (swapped?) and at the terminating resistors.",
            serial.baud,
            super::target::parity_word(serial.parity)
        ),
    }
}

fn not_reached(place: &Place, why: &str) -> String {
    match place {
        Place::Rtu(_) => "A serial port has one user: a running controller must be stopped first (systemctl stop sax-controller). ls /dev/serial/by-id shows the ports there are.".into(),
        Place::Tcp { .. } if why.contains("refused") => "The host is there, but nothing listens at this port: SAX batteries with old firmware have 3600, an SBAU 2404.".into(),
        Place::Tcp { .. } if why.contains("resolved") => "Look at the name, or use the address.".into(),
        Place::Tcp { .. } if why.contains("closed") || why.contains("reset") => "The device ended the connection: many batteries allow one connection only, and another program may have it.".into(),
        Place::Tcp { .. } => "The host was not reached: look at the address, and whether the device is on and in this network.".into(),
    }
}

/// Whether the write happened is not known where there was no proper answer.
fn undecided(fault: &Fault, reached: bool) -> &'static str {
    match fault {
        _ if !reached => " Nothing was written.",
        Fault::Exception(0x05) => " The value may still be written.",
        Fault::Exception(_) => " Nothing was written.",
        _ => " The write may have happened, or may still happen: read the register to find out. It was sent once and is not repeated.",
    }
}

/// The registers or coils of a request, in words.
fn range(request: &Request) -> String {
    let (address, count, what) = match request {
        Request::ReadCoils { address, count } | Request::WriteMultipleCoils { address, count, .. } => (*address, *count, "coil"),
        Request::ReadDiscreteInputs { address, count } => (*address, *count, "discrete input"),
        Request::ReadHoldingRegisters { address, count } => (*address, *count, "holding register"),
        Request::ReadInputRegisters { address, count } => (*address, *count, "input register"),
        Request::WriteSingleCoil { address, .. } => (*address, 1, "coil"),
        Request::WriteSingleRegister { address, .. } => (*address, 1, "holding register"),
        Request::WriteMultipleRegisters { address, values } => {
            (*address, u16::try_from(values.len()).unwrap_or(u16::MAX), "holding register")
        }
        _ => return "this address".into(),
    };
    match count {
        1 => format!("{what} {address}"),
        _ => format!("{what}s {address} to {}, or not at all of them", u32::from(address) + u32::from(count) - 1),
    }
}

pub(super) fn is_write(request: &Request) -> bool {
    matches!(request.function(), 5 | 6 | 15 | 16 | 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Request = Request::ReadHoldingRegisters { address: 2026, count: 1 };
    const WRITE: Request = Request::WriteSingleRegister { address: 2008, value: 1 };

    fn tcp() -> Place {
        Place::Tcp { host: "10.0.0.1".into(), port: 502 }
    }

    #[test]
    fn every_fault_has_a_sentence_for_reads_and_writes() {
        let mut faults: Vec<Fault> = (0..=255).map(Fault::Exception).collect();
        faults.extend([
            Fault::Timeout,
            Fault::Crc,
            Fault::Short { bytes: 3 },
            Fault::WrongUnit(9),
            Fault::Invalid("x".into()),
            Fault::Io("connection refused".into()),
        ]);
        for fault in faults {
            for request in [READ, WRITE] {
                let said = explain(&fault, &request, 7, &tcp(), true);
                assert!(said.starts_with(&format!("10.0.0.1:502, unit 7: {fault}. ")) && said.ends_with('.'), "{said}");
            }
        }
    }

    #[test]
    fn exceptions_say_what_to_try() {
        let said = |code, request: &Request| explain(&Fault::Exception(code), request, 1, &tcp(), true);
        assert!(said(1, &READ).contains("Try --function 4"));
        assert!(said(2, &READ).contains("holding register 2026") && said(2, &READ).contains("--one-based"));
        assert!(said(2, &Request::ReadCoils { address: 3, count: 4 }).contains("coils 3 to 6"));
        assert!(said(3, &WRITE).contains("value") && said(3, &READ).contains("fewer"));
        assert!(said(0x0b, &READ).contains("gateway"));
        assert!(said(3, &WRITE).contains("Nothing was written."));
    }

    #[test]
    fn a_write_without_an_answer_may_still_happen() {
        for fault in [
            Fault::Timeout,
            Fault::Crc,
            Fault::Short { bytes: 3 },
            Fault::WrongUnit(9),
            Fault::Invalid("x".into()),
            Fault::Io("connection reset".into()),
        ] {
            assert!(explain(&fault, &WRITE, 1, &tcp(), true).contains("may still happen"), "{fault}");
            assert!(!explain(&fault, &READ, 1, &tcp(), true).contains("may still happen"), "{fault}");
        }
        assert!(explain(&Fault::Io("connection refused".into()), &WRITE, 1, &tcp(), false).contains("Nothing was written."));
    }
}
