//! The P1 telegram of a simulated meter: what it measured, as a DSMR 5 meter on three phases prints it, with a right CRC.

use std::fmt::Write;
use std::io;

use super::faults::Fault;
use super::lies::Lies;
use super::meter::MeterReading;
use super::site::Site;
use crate::p1::Checksum;

/// How often a DSMR 5 meter sends, ms (facts/p1-load-balancer.md 3.1).
pub const INTERVAL_MS: u64 = 1_000;

/// What the P1 port sends now, with the faults of [`Site::p1_host`]; `None`: nothing. Fails when the port is gone.
pub fn sent(site: &Site) -> io::Result<Option<Vec<u8>>> {
    let (host, faults) = (site.p1_host(), site.faults());
    let active = faults.active(host);
    if active.iter().any(|f| matches!(f, Fault::Refuse | Fault::Reset | Fault::Close | Fault::Stolen)) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let lost = |f: &Fault| match f {
        Fault::Silent => true,
        Fault::LoseReply { permille } | Fault::LoseRequest { permille } => faults.happens(*permille),
        _ => false,
    };
    if active.iter().any(lost) {
        return Ok(None);
    }
    let reading = Lies::of(&active, host, site.now_ms()).meter(site.meter_reading());
    let number = if active.contains(&Fault::NotANumber) { |_: i64| "--.---".to_owned() } else { kilowatts };
    let mut bytes = telegram_with(&reading, number);
    for fault in &active {
        match fault {
            Fault::HalfFrame => bytes.truncate(bytes.len() / 2),
            Fault::Garbage => bytes = faults.garbage(),
            Fault::BitError { permille } if faults.happens(*permille) => faults.flip(&mut bytes),
            _ => {}
        }
    }
    Ok(Some(bytes))
}

/// The telegram of a reading. Energies, which the simulated meter does not count, stay 0; powers are cut to 99.999 kW.
pub fn telegram(reading: &MeterReading) -> Vec<u8> {
    telegram_with(reading, kilowatts)
}

fn telegram_with(reading: &MeterReading, kilowatts: fn(i64) -> String) -> Vec<u8> {
    let total_w = reading.total_w();
    let mut text = String::from("/SIM5\\simulated meter\r\n\r\n1-3:0.2.8(50)\r\n");
    // Writing to a string cannot fail.
    let _ = write!(text, "0-0:1.0.0({})\r\n0-0:96.14.0(0002)\r\n", time(reading.taken_ms));
    for (code, energy_kwh) in [("1.8.1", 0), ("1.8.2", 0), ("2.8.1", 0), ("2.8.2", 0)] {
        let _ = write!(text, "1-0:{code}({energy_kwh:06}.000*kWh)\r\n");
    }
    let _ = write!(text, "1-0:1.7.0({}*kW)\r\n1-0:2.7.0({}*kW)\r\n", kilowatts(total_w), kilowatts(-total_w));
    for (f, voltage_mv) in reading.voltage_mv.iter().enumerate() {
        let _ = write!(text, "1-0:{}2.7.0({:03}.{}*V)\r\n", 3 + 2 * f, voltage_mv / 1000, voltage_mv / 100 % 10);
    }
    for (f, current_ma) in reading.current_ma().iter().enumerate() {
        let _ = write!(text, "1-0:{}1.7.0({:03}*A)\r\n", 3 + 2 * f, (current_ma + 500) / 1000);
    }
    for (f, power_w) in reading.power_w.iter().enumerate() {
        let base = 2 + 2 * f;
        let _ = write!(text, "1-0:{base}1.7.0({}*kW)\r\n1-0:{base}2.7.0({}*kW)\r\n", kilowatts(*power_w), kilowatts(-power_w));
    }
    text.push('!');
    let crc = Checksum::Arc.of(text.as_bytes());
    let _ = write!(text, "{crc:04X}\r\n");
    text.into_bytes()
}

/// What flows in this direction, F5(3,3).
fn kilowatts(power_w: i64) -> String {
    let power_w = power_w.clamp(0, 99_999);
    format!("{:02}.{:03}", power_w / 1000, power_w % 1000)
}

/// Days of January 2026 and what follows, all as if they had 28 days: a simulation is shorter, and nobody reckons with it.
fn time(ms: u64) -> String {
    let s = ms / 1000;
    let (day, month) = (s / 86_400 % 28, s / (28 * 86_400) % 12);
    format!("26{:02}{:02}{:02}{:02}{:02}W", month + 1, day + 1, s / 3600 % 24, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::p1::{Found, Reader};

    #[test]
    fn the_parser_reads_what_the_meter_measured() {
        let reading = MeterReading {
            taken_ms: 90_061_000,
            power_w: [-1_234, 567, 2],
            voltage_mv: [231_499, 229_000, 230_050],
            frequency_mhz: 50_000,
        };
        let mut read = Vec::new();
        Reader::new(Checksum::Arc).feed(&telegram(&reading), &mut |found| match found {
            Found::Telegram(telegram, _) => read.push(*telegram),
            Found::Flawed(flaw, _) => panic!("{flaw}"),
        });
        let said = &read[0];
        assert_eq!((read.len(), said.power_w()), (1, Some(-665)));
        assert_eq!(said.phases.map(|phase| phase.power_w()), [Some(-1_234), Some(567), Some(2)]);
        assert_eq!(said.phases.map(|phase| phase.voltage_mv), [Some(231_400), Some(229_000), Some(230_000)]);
        assert_eq!(said.phases.map(|phase| phase.current_ma), [Some(-5_000), Some(2_000), Some(0)]);
        let time = said.time.unwrap();
        assert_eq!((time.day, time.hour, time.minute, time.second), (2, 1, 1, 1));
    }
}
