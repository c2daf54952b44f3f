//! Telegrams for other readers: whoever connects gets them byte for byte as the meter sent them, from the next one on.
//!
//! What is passed on are telegrams with a beginning and an end, whether their CRC is right or not. It has no thread and never waits: it
//! works while the meter's task does. What a reader has not fetched waits in the kernel's buffer; when that is full the reader is dropped.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// At most this many readers at a time.
pub const MOST_READERS: usize = 8;

/// A listening socket and its readers.
#[derive(Debug)]
pub struct Forwarder {
    listener: TcpListener,
    readers: Vec<TcpStream>,
    /// The log says that somebody had no room, and since then nobody had: who tries all day long is one line.
    said_full: bool,
}

impl Forwarder {
    /// Listens. The error says where, and what to do.
    pub fn bind(address: SocketAddr) -> io::Result<Forwarder> {
        let listener = TcpListener::bind(address).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
        let listener = listener.map_err(|error| {
            let what_to_do = match error.kind() {
                ErrorKind::AddrInUse => "another program has this port; stop that, or choose another one",
                ErrorKind::AddrNotAvailable => "this computer does not have this address",
                ErrorKind::PermissionDenied => "ports below 1024 need a privilege; choose another one",
                _ => "check the address",
            };
            io::Error::new(error.kind(), format!("[meter] forward = \"{address}\" cannot be listened on ({error}): {what_to_do}"))
        })?;
        Ok(Forwarder { listener, readers: Vec::new(), said_full: false })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// How many readers there are.
    pub fn readers(&self) -> usize {
        self.readers.len()
    }

    /// Lets in those who knock; beyond [`MOST_READERS`] the connection is closed again.
    pub fn accept(&mut self) {
        // As many as may be there at all, and it ends.
        for _ in 0..2 * MOST_READERS {
            let Ok((reader, from)) = self.listener.accept() else { return };
            if self.readers.len() >= MOST_READERS {
                self.readers.retain_mut(is_there);
            }
            if self.readers.len() >= MOST_READERS {
                if !std::mem::replace(&mut self.said_full, true) {
                    log::warn!("meter: {from} gets no telegrams, there are {MOST_READERS} readers already");
                }
            } else if reader.set_nonblocking(true).and_then(|()| reader.set_nodelay(true)).is_ok() {
                self.readers.push(reader);
                self.said_full = false;
            }
        }
    }

    /// Passes on one telegram.
    pub fn pass_on(&mut self, telegram: &[u8]) {
        self.accept();
        self.readers.retain_mut(|reader| match reader.write(telegram) {
            Ok(written) if written == telegram.len() => true,
            // A part of a telegram is none: the reader would not know where the next one begins.
            Ok(_) => false,
            Err(error) => error.kind() == ErrorKind::Interrupted,
        });
    }
}

/// Whether a reader has not closed the connection. What it says is of no interest.
fn is_there(reader: &mut TcpStream) -> bool {
    match reader.read(&mut [0; 256]) {
        Ok(length) => length > 0,
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn reader(forwarder: &Forwarder) -> TcpStream {
        let reader = TcpStream::connect(forwarder.address().unwrap()).unwrap();
        reader.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        reader
    }

    fn local() -> Forwarder {
        Forwarder::bind("127.0.0.1:0".parse().unwrap()).unwrap()
    }

    fn read(reader: &mut TcpStream, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn readers_get_whole_telegrams_from_the_next_one_on() {
        let mut forwarder = local();
        forwarder.pass_on(b"/nobody!\r\n");
        let mut first = reader(&forwarder);
        forwarder.pass_on(b"/one!\r\n");
        let mut second = reader(&forwarder);
        forwarder.pass_on(b"/two!\r\n");
        assert_eq!(read(&mut first, 14), b"/one!\r\n/two!\r\n");
        assert_eq!(read(&mut second, 7), b"/two!\r\n");
    }

    #[test]
    fn a_reader_that_does_not_fetch_is_dropped_and_the_others_get_everything() {
        let mut forwarder = local();
        let (_lazy, mut eager) = (reader(&forwarder), reader(&forwarder));
        let telegram = vec![b'x'; 16_000];
        // The kernel takes a few megabytes for the lazy one.
        for _ in 0..4_000 {
            forwarder.pass_on(&telegram);
            assert_eq!(read(&mut eager, telegram.len()), telegram);
        }
        assert_eq!(forwarder.readers(), 1);
    }

    #[test]
    fn the_ninth_is_sent_away_until_one_has_gone() {
        let mut forwarder = local();
        let mut readers: Vec<_> = (0..MOST_READERS).map(|_| reader(&forwarder)).collect();
        forwarder.pass_on(b"/all!\r\n");
        let mut ninth = reader(&forwarder);
        forwarder.pass_on(b"/eight!\r\n");
        assert_eq!(ninth.read(&mut [0; 10]).unwrap_or(0), 0, "closed");
        assert_eq!(forwarder.readers(), MOST_READERS);
        assert!(readers.iter_mut().all(|r| read(r, 16) == b"/all!\r\n/eight!\r\n"));
        readers.pop();
        let mut tenth = reader(&forwarder);
        forwarder.pass_on(b"/ten!\r\n");
        assert_eq!(read(&mut tenth, 7), b"/ten!\r\n");
    }

    #[test]
    fn a_port_in_use_is_said_clearly() {
        let taken = local();
        let address = taken.address().unwrap();
        let error = Forwarder::bind(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with(&format!("[meter] forward = \"{address}\" cannot be listened on")), "{error}");
        assert!(error.to_string().ends_with("another program has this port; stop that, or choose another one"), "{error}");
    }
}
