//! A link that carries any request, also those that drivers do not use.

use std::time::Duration;

use crate::link::Link;
use crate::link::deadline::Hurry;
use crate::link::exchange::Exchange;
use crate::link::place::Place;
use crate::link::rtu::RtuLink;
use crate::link::tcp::TcpLink;

/// What tools speak through: typed requests on a link.
pub trait Bus: Link + Exchange {}

impl<T: Link + Exchange> Bus for T {}

/// A link to `place`, which connects at its first request. `hurry` calls off the waiting for an answer.
pub fn open(place: &Place, timeout: Duration, hurry: Hurry) -> Box<dyn Bus> {
    match place {
        Place::Tcp { host, port } => Box::new(TcpLink::with_hurry(host, *port, timeout, hurry)),
        Place::Rtu(serial) => Box::new(RtuLink::new(serial, timeout, hurry)),
    }
}
