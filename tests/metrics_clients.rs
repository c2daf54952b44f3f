//! The server of the metrics alone: requests of every kind, and clients that are slow, silent or many.
#![allow(missing_docs)]

#[path = "common/exposition.rs"]
mod exposition;
#[path = "common/scrape.rs"]
mod scrape;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use sax_controller::serve::document::{Battery, Document};
use sax_controller::serve::metrics::{MOST_CLIENTS, MetricsServer, Patience};
use sax_controller::serve::socket::Published;
use scrape::{GET, ask, connect, page};

fn quick() -> Patience {
    Patience { request: Duration::from_millis(300), reply: Duration::from_millis(300), stale: Duration::from_millis(100) }
}

/// A server of this status, on a port of the kernel's choosing.
fn serve(document: Document, patience: Patience) -> SocketAddr {
    let published = Published::default();
    published.publish(document, None);
    let server = MetricsServer::bind_with("127.0.0.1:0".parse().unwrap(), patience).unwrap();
    let address = server.address().unwrap();
    thread::spawn(move || server.serve(&published, &()));
    address
}

fn small() -> Document {
    Document { version: "0.1.0", ..Document::default() }
}

#[test]
fn every_request_gets_its_answer() {
    let address = serve(small(), Patience::default());
    let first_line = |request: &[u8]| ask(address, request).map(|reply| reply.lines().next().unwrap_or_default().to_owned());
    let long = [b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: ".to_vec(), vec![b'a'; 60_000]].concat();
    for (request, status) in [
        (GET, "200 OK"),
        (b"GET / HTTP/1.0\r\n\r\n", "404 Not Found"),
        (b"GET /favicon.ico HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "405 Method Not Allowed"),
        (b"GET /metrics HTTP/1.1\r\n\r\n", "400 Bad Request"),
        (&[0x16, 3, 1, 2, 0, 1, 0, 1], "400 Bad Request"),
        (b"\0", "400 Bad Request"),
        (b"GET /metrics HTTP/2.0\r\n\r\n", "505 HTTP Version Not Supported"),
        (&long, "431 Request Header Fields Too Large"),
    ] {
        assert_eq!(
            first_line(request),
            Ok(format!("HTTP/1.1 {status}")),
            "{:?}",
            String::from_utf8_lossy(&request[..request.len().min(80)])
        );
    }
    let head = ask(address, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(head.ends_with("\r\n\r\n") && head.contains("Content-Length: ") && !head.contains("Content-Length: 0"), "{head}");
    assert!(ask(address, b"PUT / HTTP/1.0\r\n\r\n").unwrap().contains("\r\nAllow: GET, HEAD\r\n"));
    assert!(
        ask(address, b"GET / HTTP/1.0\r\n\r\n")
            .unwrap()
            .ends_with("This is sax-controller.\nIts figures for Prometheus are at /metrics.\n")
    );
}

#[test]
fn who_asks_too_slowly_is_told_so_and_let_go() {
    let address = serve(small(), quick());
    let (begun, mut slow) = (Instant::now(), connect(address));
    slow.write_all(b"GET /").unwrap();
    while begun.elapsed() < Duration::from_millis(400) {
        // The kernel takes it even when nobody will read it any more.
        let _ = slow.write_all(b"a");
        assert!(page(address).is_ok(), "others are served");
        thread::sleep(Duration::from_millis(20));
    }
    let mut back = String::new();
    let _ = slow.read_to_string(&mut back);
    assert!(back.starts_with("HTTP/1.1 408 Request Timeout"), "{back:?}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let silent = Instant::now();
    assert_eq!(ask(address, b""), Ok(String::new()));
    assert!((250..3_000).contains(&silent.elapsed().as_millis()), "{:?}", silent.elapsed());
}

#[test]
fn who_does_not_take_its_page_is_let_go() {
    // More than fits into the buffers of the kernel.
    let batteries = vec![Battery { name: "b".repeat(4 << 20), ..Battery::default() }];
    let address = serve(Document { batteries, ..small() }, quick());
    let mut lazy = connect(address);
    lazy.write_all(GET).unwrap();
    let (begun, mut taken) = (Instant::now(), 0);
    // A little now and then does not keep it.
    while begun.elapsed() < Duration::from_millis(600) {
        taken += lazy.read(&mut [0; 64]).unwrap_or(0);
        thread::sleep(Duration::from_millis(5));
    }
    assert!(taken > 0 && page(address).is_ok());
    // What is still in the buffers of the kernel is not all of it.
    let mut rest = Vec::new();
    let _ = lazy.read_to_end(&mut rest);
    assert!(taken + rest.len() < (4 << 20) * 5, "{}", taken + rest.len());
}

#[test]
fn a_crowd_of_silent_clients_makes_room() {
    let address = serve(small(), Patience { request: Duration::from_secs(60), ..quick() });
    let crowd: Vec<_> = (0..10 * MOST_CLIENTS).map(|_| connect(address)).collect();
    let begun = Instant::now();
    let served = (0..50).any(|_| page(address).is_ok());
    assert!(served && begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    drop(crowd);
}

#[test]
fn why_a_port_cannot_be_bound_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let said = |listen: SocketAddr| MetricsServer::bind(listen).unwrap_err().to_string();
    let expected =
        format!("The server of the metrics cannot listen on {listen}: another program does; [status] metrics names another port.");
    assert_eq!(said(listen), expected);
    assert!(said("192.0.2.1:9464".parse().unwrap()).contains("this machine does not have the address 192.0.2.1"));
}
