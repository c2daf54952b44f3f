//! Names, hosts and paths: strings that must be more than a string.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::reader::{Section, Spanned};

/// Names are shown in tables; longer ones are not.
const LONGEST_NAME: usize = 40;

/// The names of LEDs are shorter (linux/leds.h: LED_MAX_NAME_SIZE).
const LONGEST_LED: usize = 64;

/// What fits into the address of a Unix socket, less the closing zero (unix(7): 108 bytes).
const LONGEST_SOCKET: usize = 107;

/// A name to show: 1 to 40 characters that print.
pub(super) fn name(section: &mut Section<'_>, key: &str) -> Option<Spanned<String>> {
    short(section, key, LONGEST_NAME, |_| None)
}

/// The name of a LED: of a folder in `/sys/class/leds`.
pub(super) fn led(section: &mut Section<'_>, key: &str) -> Option<Spanned<String>> {
    let path = "must be one of the names that /sys/class/leds lists, without a path.";
    short(section, key, LONGEST_LED, |led| (led.contains('/') || led == "." || led == "..").then_some(path))
}

/// Up to so many characters that print; `fault` says what else is wrong.
fn short(section: &mut Section<'_>, key: &str, longest: usize, fault: impl Fn(&str) -> Option<&'static str>) -> Option<Spanned<String>> {
    let text = section.string(key)?;
    let count = text.value.chars().count();
    let fault = if text.value.trim().is_empty() {
        "must not be empty.".to_owned()
    } else if count > longest {
        format!("has {count} characters, it must not have more than {longest}.")
    } else if has_unprintable(&text.value) {
        "must not contain control characters.".to_owned()
    } else if let Some(fault) = fault(&text.value) {
        fault.to_owned()
    } else {
        return Some(text);
    };
    section.add(text.at, key, fault);
    None
}

/// A host name or an address, without a port and without a scheme.
pub(super) fn host(section: &mut Section<'_>, key: &str) -> Option<Spanned<String>> {
    let host = section.string(key)?;
    match fault_of_host(&host.value) {
        None => return Some(host),
        Some((fault, Some(help))) => section.add_with_help(host.at, key, fault, help),
        Some((fault, None)) => section.add(host.at, key, fault),
    }
    None
}

/// An address to listen on, with a port.
pub(super) fn listener(section: &mut Section<'_>, key: &str) -> Option<Spanned<SocketAddr>> {
    let text = section.string(key)?;
    match text.value.parse::<SocketAddr>().ok().filter(|address| address.port() != 0) {
        Some(address) => Some(text.map(|_| address)),
        None => {
            section.add(text.at, key, "must be an address and a port, as in \"127.0.0.1:9000\".");
            None
        }
    }
}

/// The path of a Unix socket.
pub(super) fn socket(section: &mut Section<'_>, key: &str) -> Option<Spanned<String>> {
    let path = self::path(section, key)?;
    if path.value.len() <= LONGEST_SOCKET {
        return Some(path);
    }
    section.add(path.at, key, format!("is longer than {LONGEST_SOCKET} bytes, which no socket can be."));
    None
}

/// An absolute path of a file.
pub(super) fn path(section: &mut Section<'_>, key: &str) -> Option<Spanned<String>> {
    let path = section.string(key)?;
    let fault = if !path.value.starts_with('/') {
        "must be an absolute path, beginning with \"/\"."
    } else if path.value.ends_with('/') {
        "must be the path of a file, not of a directory."
    } else if has_unprintable(&path.value) {
        "must not contain control characters."
    } else {
        return Some(path);
    };
    section.add(path.at, key, fault);
    None
}

fn fault_of_host(host: &str) -> Option<(String, Option<&'static str>)> {
    if host.is_empty() {
        return Some(("must not be empty.".to_owned(), None));
    }
    if host.contains("://") || host.contains('/') {
        return Some((format!("\"{host}\" is not a host."), Some("Give the address alone, without \"http://\" and without a path.")));
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        let usable = !address.is_unspecified() && !address.is_multicast() && host != "255.255.255.255";
        return (!usable).then(|| (format!("{host} is not the address of one device."), None));
    }
    if host.contains(':') {
        return Some((format!("\"{host}\" is not a host."), Some("The port has a key of its own: port = 502.")));
    }
    if host.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Some((format!("{host} is not an IP address."), Some("It has four numbers from 0 to 255, as in 192.168.1.11.")));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    let labels = host.strip_suffix('.').unwrap_or(host);
    (host.len() > 253 || !labels.split('.').all(label)).then(|| (format!("\"{host}\" is not a host name or address."), None))
}

/// One spelling per host, to compare them.
pub(super) fn same_host(left: &str, right: &str) -> bool {
    let plain = |host: &str| match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => mapped(address).to_string(),
        Ok(address) => address.to_string(),
        Err(_) => host.trim_end_matches('.').to_ascii_lowercase(),
    };
    plain(left) == plain(right)
}

/// `::ffff:192.168.1.11` is 192.168.1.11.
fn mapped(address: Ipv6Addr) -> IpAddr {
    address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4)
}

/// Control characters, and those that turn or hide text.
fn has_unprintable(text: &str) -> bool {
    text.chars()
        .any(|c| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_installers_get_wrong_are_refused() {
        for good in ["192.168.1.11", "sax-a.local", "SAX_A", "fe80::1", "sax.example.org."] {
            assert_eq!(fault_of_host(good), None, "{good}");
        }
        for bad in
            ["", "192.168.1.300", "192.168.1", "192.168.1.11:502", "http://sax", "sax/1", "0.0.0.0", "224.0.0.1", "a b", "a..b", "-a"]
        {
            assert!(fault_of_host(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn one_host_has_many_spellings() {
        assert!(same_host("SAX.local", "sax.local."));
        assert!(same_host("::ffff:10.0.0.1", "10.0.0.1"));
        assert!(!same_host("10.0.0.1", "10.0.0.11"));
    }
}
