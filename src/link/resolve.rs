//! Names to addresses within a deadline.
//!
//! The system's resolver cannot be told to hurry, so it is asked in a thread of its own, of which each link has at most one: while a
//! question is open no second one is asked, and its answer is used whenever it comes. Literal addresses need no thread.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::deadline::Deadline;
use crate::background;

/// More addresses than this a host does not get tried at.
const ADDRESSES_MAX: usize = 8;

/// Finds the addresses of one endpoint.
#[derive(Debug)]
pub struct Resolver {
    endpoint: Endpoint,
    open: Option<Receiver<io::Result<Vec<SocketAddr>>>>,
}

#[derive(Debug)]
enum Endpoint {
    Literal(SocketAddr),
    Name(String, u16),
}

impl Resolver {
    /// For a name, an IPv4 or an IPv6 address (with or without brackets).
    pub fn new(host: &str, port: u16) -> Resolver {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let endpoint = match bare.parse::<IpAddr>() {
            Ok(address) => Endpoint::Literal(SocketAddr::new(address, port)),
            Err(_) => Endpoint::Name(bare.into(), port),
        };
        Resolver { endpoint, open: None }
    }

    /// The addresses, in the order of the system; at least one.
    pub fn resolve(&mut self, deadline: Deadline) -> io::Result<Vec<SocketAddr>> {
        let (host, port) = match &self.endpoint {
            Endpoint::Literal(address) => return Ok(vec![*address]),
            Endpoint::Name(host, port) => (host, *port),
        };
        let answer = match self.open.take() {
            Some(answer) => answer,
            None => ask(host.clone(), port)?,
        };
        match answer.recv_deadline(deadline.at()) {
            Ok(Ok(addresses)) if addresses.is_empty() => Err(not_found(host, "it has no address")),
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(not_found(host, &error.to_string())),
            Err(RecvTimeoutError::Timeout) => {
                self.open = Some(answer);
                Err(io::Error::new(io::ErrorKind::TimedOut, format!("the name {host} was not resolved in time")))
            }
            Err(RecvTimeoutError::Disconnected) => Err(not_found(host, "the resolver ended")),
        }
    }
}

fn ask(host: String, port: u16) -> io::Result<Receiver<io::Result<Vec<SocketAddr>>>> {
    let (sender, receiver) = bounded(1);
    background::start("resolve", move || {
        let addresses = (host.as_str(), port).to_socket_addrs().map(|found| found.take(ADDRESSES_MAX).collect());
        // Nobody listens any more when the link is gone.
        let _ = sender.send(addresses);
    })?;
    Ok(receiver)
}

fn not_found(host: &str, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("the name {host} cannot be resolved: {why}"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn literals_need_no_thread() {
        for (host, shown) in [("127.0.0.1", "127.0.0.1:502"), ("::1", "[::1]:502"), ("[::1]", "[::1]:502")] {
            let mut resolver = Resolver::new(host, 502);
            assert!(matches!(resolver.endpoint, Endpoint::Literal(_)));
            let addresses = resolver.resolve(Deadline::after(Duration::from_millis(1))).unwrap();
            assert_eq!(addresses[0].to_string(), shown);
        }
    }

    #[test]
    fn an_open_question_is_waited_for_again_not_asked_again() {
        let (sender, receiver) = bounded(1);
        let mut resolver = Resolver { endpoint: Endpoint::Name("battery".into(), 502), open: Some(receiver) };
        let begun = Instant::now();
        let slow = resolver.resolve(Deadline::after(Duration::from_millis(50))).unwrap_err();
        assert_eq!(slow.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(2));
        let address: SocketAddr = "10.0.0.7:502".parse().unwrap();
        sender.send(Ok(vec![address])).unwrap();
        assert_eq!(resolver.resolve(Deadline::after(Duration::from_millis(50))).unwrap(), [address]);
        assert!(resolver.open.is_none());
    }

    #[test]
    fn failures_name_the_host() {
        for answer in [Ok(vec![]), Err(io::Error::other("no such host"))] {
            let (sender, receiver) = bounded(1);
            sender.send(answer).unwrap();
            let mut resolver = Resolver { endpoint: Endpoint::Name("battery".into(), 502), open: Some(receiver) };
            let error = resolver.resolve(Deadline::after(Duration::from_secs(1))).unwrap_err();
            assert!(error.to_string().starts_with("the name battery cannot be resolved: "), "{error}");
        }
    }
}
