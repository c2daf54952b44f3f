//! A client of the metrics.
#![allow(dead_code, missing_docs)]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::exposition::Page;

pub const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Everything that comes back; an error where the connection is reset.
pub fn ask(address: SocketAddr, request: &[u8]) -> Result<String, ErrorKind> {
    let mut stream = connect(address);
    let (mut sent, mut back) = (stream.write_all(request), String::new());
    if sent.is_ok() {
        sent = stream.read_to_string(&mut back).map(drop);
    }
    sent.map(|()| back).map_err(|error| error.kind())
}

pub fn page(address: SocketAddr) -> Result<Page, String> {
    let reply = ask(address, GET).map_err(|kind| kind.to_string())?;
    let (head, body) = reply.split_once("\r\n\r\n").ok_or(format!("no head: {reply:?}"))?;
    let right = head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    let length = format!("Content-Length: {}\r\n", body.len());
    if right && head.contains(&length) { Ok(Page::read(body)) } else { Err(head.to_owned()) }
}
