//! Networks: addresses that begin alike.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Addresses that begin alike, as in `192.168.1.0/24`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// How many bits count.
    pub prefix: u8,
}

/// Why a text is no network; the sentence that follows the text in quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoNetwork {
    /// Neither an address nor one with a number behind a slash.
    Form,
    /// More bits than an address has.
    Prefix(u8),
    /// Bits are set behind those that count; this is the network in which the address lies.
    HostBits(Network),
}

impl Network {
    /// The network of this size in which the address lies; an address has no more bits than 32 or 128.
    pub fn new(address: IpAddr, prefix: u8) -> Network {
        let prefix = prefix.min(bits_of(address));
        let address = match address {
            IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & !u32::MAX.checked_shr(prefix.into()).unwrap_or(0)).into()),
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::MAX.checked_shr(prefix.into()).unwrap_or(0)).into()),
        };
        Network { address, prefix }
    }

    /// Whether the address lies in it. An IPv4 address in the clothes of IPv6 (`::ffff:192.168.1.11`) counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        Network::new(address.to_canonical(), self.prefix) == *self
    }
}

fn bits_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Network, NoNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let given: IpAddr = address.parse().map_err(|_| NoNetwork::Form)?;
        // A mapped network has 96 bits in front that say nothing.
        let (address, mapped) = (given.to_canonical(), given.is_ipv6() && given.to_canonical().is_ipv4());
        let most = bits_of(address);
        let digits = |prefix: &str| if prefix.chars().all(|c| c.is_ascii_digit()) { prefix.parse::<u8>().ok() } else { None };
        let prefix = match prefix {
            None => most,
            Some(_) if mapped => return Err(NoNetwork::Form),
            Some(prefix) => digits(prefix).ok_or(NoNetwork::Form)?,
        };
        if prefix > most {
            return Err(NoNetwork::Prefix(most));
        }
        let network = Network::new(address, prefix);
        if network.address == address { Ok(network) } else { Err(NoNetwork::HostBits(network)) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Display for NoNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoNetwork::Form => f.write_str("is no network, which is written as in \"192.168.1.0/24\", \"192.168.1.11\" or \"fd00::/8\"."),
            NoNetwork::Prefix(most) => write!(f, "has too many bits, there are {most}."),
            NoNetwork::HostBits(network) => write!(f, "is an address inside a network, which is \"{network}\"."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap_or_else(|fault| panic!("{text} {fault}"))
    }

    fn contains(text: &str, address: &str) -> bool {
        network(text).contains(address.parse().unwrap())
    }

    #[test]
    fn addresses_lie_in_networks_to_the_bit() {
        for inside in
            [("192.168.1.0/24", "192.168.1.255"), ("10.0.0.0/31", "10.0.0.1"), ("0.0.0.0/0", "255.255.255.255"), ("10.1.2.3", "10.1.2.3")]
        {
            assert!(contains(inside.0, inside.1), "{inside:?}");
        }
        for outside in
            [("192.168.1.0/24", "192.168.2.0"), ("10.0.0.0/31", "10.0.0.2"), ("128.0.0.0/1", "127.255.255.255"), ("10.1.2.3", "10.1.2.2")]
        {
            assert!(!contains(outside.0, outside.1), "{outside:?}");
        }
        assert!(contains("fd00::/8", "fdff::1") && !contains("fd00::/8", "fe00::1"));
        assert!(contains("::1", "::1") && !contains("::1", "::2") && contains("::/0", "fe80::1"));
    }

    #[test]
    fn an_address_of_the_other_kind_is_outside_and_a_mapped_one_is_what_it_is() {
        assert!(contains("192.168.1.0/24", "::ffff:192.168.1.7"));
        assert!(!contains("192.168.1.0/24", "::ffff:192.168.2.7"));
        assert!(!contains("::/0", "::ffff:192.168.1.7") && !contains("::/0", "192.168.1.7"));
        assert!(!contains("0.0.0.0/0", "::1") && !contains("0.0.0.0/0", "::"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1/32"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for wrong in [
            "",
            "/",
            "home",
            "192.168.1.0/",
            "192.168.1.0/+8",
            "192.168.1/24",
            "192.168.1.0/24/8",
            "192.168.1.0/ 8",
            "::ffff:10.0.0.0/8",
            "1.2.3.4:502",
        ] {
            assert_eq!(wrong.parse::<Network>(), Err(NoNetwork::Form), "{wrong}");
        }
        assert_eq!("10.0.0.0/33".parse::<Network>(), Err(NoNetwork::Prefix(32)));
        assert_eq!("fd00::/129".parse::<Network>(), Err(NoNetwork::Prefix(128)));
        assert_eq!("192.168.1.17/24".parse::<Network>(), Err(NoNetwork::HostBits(network("192.168.1.0/24"))));
        assert_eq!("fd00::1/64".parse::<Network>(), Err(NoNetwork::HostBits(network("fd00::/64"))));
    }

    #[test]
    fn networks_are_written_as_they_are_read() {
        for text in ["0.0.0.0/0", "192.168.1.0/24", "fd00::/8", "::1/128"] {
            assert_eq!(network(text).to_string(), text);
        }
    }
}
