//! Which hosts and which units to ask, out of what a person wrote.

use std::net::Ipv4Addr;

use crate::device::library::Library;
use crate::device::parse::Device;

/// Most hosts of one scan: those of a /16.
pub const HOSTS_MAX: u32 = 65_536;
/// Units of a serial line (Modbus over serial line V1.02, 2.2).
const UNIT_MAX: u8 = 247;

/// The hosts of one scan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hosts {
    /// Addresses, both ends included.
    Range {
        /// The first one.
        first: Ipv4Addr,
        /// The last one, not below the first.
        last: Ipv4Addr,
    },
    /// One host by its name.
    Name(String),
}

impl Hosts {
    /// `192.168.1.0/24`, `192.168.1.10-192.168.1.40`, `192.168.1.10-40`, `192.168.1.11` or a name. The network and broadcast addresses
    /// of a network are left out, except of a /31 or /32, which have none.
    pub fn parse(text: &str) -> Result<Hosts, String> {
        if let Some((address, bits)) = text.split_once('/') {
            return network(text, address, bits);
        }
        if let Some((first, last)) = text.split_once('-') {
            if let Ok(first) = first.parse::<Ipv4Addr>() {
                return range(text, first, last);
            }
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Hosts::Range { first: address, last: address });
        }
        let is_name = !text.is_empty() && text.len() <= 253 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !is_name || text.chars().all(|c| c.is_ascii_digit() || c == '.') {
            return Err(format!(
                "\"{text}\" is nothing to scan. It can be a network (192.168.1.0/24), a range (192.168.1.10-40), an IPv4 address, a host name or a serial port (/dev/ttyUSB0)."
            ));
        }
        Ok(Hosts::Name(text.to_owned()))
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        match self {
            Hosts::Range { first, last } => last.to_bits().saturating_sub(first.to_bits()).saturating_add(1),
            Hosts::Name(_) => 1,
        }
    }

    /// The host of this number.
    pub fn get(&self, index: u32) -> Option<String> {
        if index >= self.count() {
            return None;
        }
        match self {
            Hosts::Range { first, .. } => Some(Ipv4Addr::from_bits(first.to_bits().checked_add(index)?).to_string()),
            Hosts::Name(name) => Some(name.clone()),
        }
    }
}

fn network(text: &str, address: &str, bits: &str) -> Result<Hosts, String> {
    let bits = bits.parse::<u32>().ok().filter(|bits| *bits <= 32);
    let (Ok(address), Some(bits)) = (address.parse::<Ipv4Addr>(), bits) else {
        return Err(format!("\"{text}\" is no network. It is written like 192.168.1.0/24."));
    };
    if bits < 16 {
        return Err(format!(
            "{text} has {} addresses. A scan has at most those of a /16 (65536): scan the networks in which the devices are one by one.",
            1_u64 << (32 - bits)
        ));
    }
    let mask = u32::MAX << (32 - bits);
    let (first, last) = (address.to_bits() & mask, address.to_bits() | !mask);
    let (first, last) = if bits >= 31 { (first, last) } else { (first + 1, last - 1) };
    Ok(Hosts::Range { first: Ipv4Addr::from_bits(first), last: Ipv4Addr::from_bits(last) })
}

fn range(text: &str, first: Ipv4Addr, last: &str) -> Result<Hosts, String> {
    let [a, b, c, _] = first.octets();
    let last = last.parse::<Ipv4Addr>().ok().or_else(|| last.parse::<u8>().ok().map(|d| Ipv4Addr::new(a, b, c, d)));
    let Some(last) = last.filter(|last| *last >= first) else {
        return Err(format!("\"{text}\" is no range of addresses. It is written like 192.168.1.10-40 or 192.168.1.10-192.168.2.40."));
    };
    let hosts = Hosts::Range { first, last };
    if hosts.count() > HOSTS_MAX {
        return Err(format!("{text} has {} addresses. A scan has at most {HOSTS_MAX}.", hosts.count()));
    }
    Ok(hosts)
}

/// A list like `1-9,64,100`: units from 0 to 247, or 255, which some TCP devices call themselves; each once, in this order.
pub fn units(text: &str) -> Result<Vec<u8>, String> {
    let mut units = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (unit(first.trim())?, unit(last.trim())?);
        if first > last {
            return Err(format!("The units {part} run backwards."));
        }
        for unit in (first..=last).filter(|unit| *unit <= UNIT_MAX || *unit == u8::MAX) {
            if !units.contains(&unit) {
                units.push(unit);
            }
        }
    }
    Ok(units)
}

fn unit(text: &str) -> Result<u8, String> {
    let unit = text.parse().ok().filter(|unit| *unit <= UNIT_MAX || *unit == u8::MAX);
    unit.ok_or_else(|| format!("\"{text}\" is no unit. Units are numbers from 0 to 247, and 255; several are written like 1-9,64,100."))
}

/// The units that are asked where none are named: those that devices of one connection have (1, 255, 0), those of the known profiles, and
/// 1 to 9 (facts/devices.md 6.1). On a serial line without 0, to which nobody answers, and 255.
pub fn usual_units(library: &Library, serial: bool) -> Vec<u8> {
    let mut units = vec![1];
    if !serial {
        units.extend([u8::MAX, 0]);
    }
    let profiles = library.iter().filter_map(|device| match device {
        Device::Profile(profile) => Some(profile.unit),
        _ => None,
    });
    let mut others: Vec<u8> = profiles.chain(2..=9).filter(|unit| (1..=UNIT_MAX).contains(unit)).collect();
    others.sort_unstable();
    for unit in others {
        if !units.contains(&unit) {
            units.push(unit);
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let hosts = Hosts::parse(text).unwrap();
        (0..hosts.count()).map(|index| hosts.get(index).unwrap()).collect()
    }

    #[test]
    fn networks_lose_their_ends() {
        let hosts = all("192.168.1.77/24");
        assert_eq!((hosts.len(), hosts[0].as_str(), hosts[253].as_str()), (254, "192.168.1.1", "192.168.1.254"));
        assert_eq!(all("10.0.0.4/30"), ["10.0.0.5", "10.0.0.6"]);
        assert_eq!(all("10.0.0.4/31"), ["10.0.0.4", "10.0.0.5"]);
        assert_eq!(all("10.0.0.4/32"), ["10.0.0.4"]);
        assert_eq!(Hosts::parse("10.1.2.3/16").unwrap().count(), 65_534);
        assert_eq!(all("255.255.255.254/31"), ["255.255.255.254", "255.255.255.255"]);
    }

    #[test]
    fn ranges_and_single_hosts() {
        assert_eq!(all("10.0.0.254-10.0.1.1"), ["10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1"]);
        assert_eq!(all("10.0.0.9-11"), ["10.0.0.9", "10.0.0.10", "10.0.0.11"]);
        assert_eq!(all("sax-a.local"), ["sax-a.local"]);
        assert_eq!(all("10.0.0.7"), ["10.0.0.7"]);
        assert_eq!(Hosts::parse("10.0.0.7").unwrap().get(1), None);
    }

    #[test]
    fn what_is_too_much_or_nothing_is_refused_with_a_sentence() {
        for (text, part) in [
            ("10.0.0.0/15", "10.0.0.0/15 has 131072 addresses. A scan has at most those of a /16"),
            ("0.0.0.0/0", "4294967296 addresses"),
            ("10.0.0.0-10.1.0.0", "has 65537 addresses"),
            ("10.0.0.0/33", "is no network"),
            ("10.0.0/24", "is no network"),
            ("10.0.0.9-8", "is no range"),
            ("10.0.0.300", "is nothing to scan"),
            ("a b", "is nothing to scan"),
            ("", "is nothing to scan"),
        ] {
            let said = Hosts::parse(text).unwrap_err();
            assert!(said.contains(part), "{text}: {said}");
        }
    }

    #[test]
    fn lists_of_units() {
        assert_eq!(units("1-3,64, 2,100,255").unwrap(), [1, 2, 3, 64, 100, 255]);
        assert_eq!(units("1-247").unwrap().len(), 247);
        assert_eq!(units("240-255").unwrap(), [240, 241, 242, 243, 244, 245, 246, 247, 255]);
        for bad in ["", "248", "256", "-1", "9-1", "1,,2", "x"] {
            assert!(units(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_usual_units_have_those_of_the_profiles() {
        let library = Library::built_in().unwrap();
        let units = usual_units(&library, false);
        assert_eq!(units[..3], [1, 255, 0]);
        assert!([40, 64, 100].iter().chain(&[2, 9]).all(|unit| units.contains(unit)), "{units:?}");
        assert!(!usual_units(&library, true).iter().any(|unit| [0, 255].contains(unit)));
    }
}
