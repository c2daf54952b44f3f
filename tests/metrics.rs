//! The server of the metrics: clients of every kind against it alone, and against the whole program on a simulated site.
#![allow(missing_docs)]

#[path = "common/exposition.rs"]
mod exposition;
#[path = "common/process.rs"]
mod process;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use exposition::Page;
use process::{Folder, Running, config, live};
use sax_controller::serve::document::{Battery, Document};
use sax_controller::serve::metrics::{MOST_CLIENTS, MetricsServer, Patience};
use sax_controller::serve::socket::Published;
use serde_json::Value;

const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

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

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Everything that comes back; an error where the connection is reset.
fn ask(address: SocketAddr, request: &[u8]) -> Result<String, ErrorKind> {
    let mut stream = connect(address);
    let (mut sent, mut back) = (stream.write_all(request), String::new());
    if sent.is_ok() {
        sent = stream.read_to_string(&mut back).map(drop);
    }
    sent.map(|()| back).map_err(|error| error.kind())
}

fn page(address: SocketAddr) -> Result<Page, String> {
    let reply = ask(address, GET).map_err(|kind| kind.to_string())?;
    let (head, body) = reply.split_once("\r\n\r\n").ok_or(format!("no head: {reply:?}"))?;
    let right = head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    let length = format!("Content-Length: {}\r\n", body.len());
    if right && head.contains(&length) { Ok(Page::read(body)) } else { Err(head.to_owned()) }
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
fn a_port_that_is_taken_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let said = |listen: SocketAddr| MetricsServer::bind(listen).unwrap_err().to_string();
    let expected =
        format!("The server of the metrics cannot listen on {listen}: another program does; [status] metrics names another port.");
    assert_eq!(said(listen), expected);
    assert!(said("192.0.2.1:9464".parse().unwrap()).contains("this machine does not have the address 192.0.2.1"));
    let (live, folder) = (live([0, 0, 0]), Folder::new("metrics-port"));
    let mut program = Running::start(&folder, &with_metrics(&config(&folder, &live, 1000), listen));
    let status = program.wait(Duration::from_secs(10)).expect("it ends");
    let begun = Instant::now();
    while !program.said().contains("cannot listen") && begun.elapsed() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(!status.success() && program.said().contains(&expected), "{}", program.said());
}

fn with_metrics(text: &str, listen: SocketAddr) -> String {
    text.replacen("[status]\n", &format!("[status]\nmetrics = \"{listen}\"\n"), 1)
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// What the status says that stays for a moment, as the page has it.
fn expected(status: &Value) -> Vec<(String, Option<f64>)> {
    let mut all = vec![
        ("sax_grid_power_watts".to_owned(), status["meter"]["power_w"].as_f64()),
        ("sax_grid_frequency_hertz".to_owned(), status["meter"]["frequency_hz"].as_f64()),
        ("sax_grid_import_joules_total".to_owned(), status["meter"]["import_wh"].as_f64().map(|wh| wh * 3600.0)),
        (format!("sax_site_state{{state={}}}", status["site"]["state"]), Some(1.0)),
        ("sax_import_limit_watts".to_owned(), status["site"]["limits"]["import_w"].as_f64()),
        ("sax_alarms".to_owned(), status["alarms"].as_array().map(|alarms| alarms.len() as f64)),
    ];
    for phase in status["meter"]["phases"].as_array().into_iter().flatten() {
        for (name, key) in [("power_watts", "power_w"), ("current_amperes", "current_a"), ("fuse_headroom_amperes", "fuse_headroom_a")] {
            all.push((format!("sax_phase_{name}{{phase={}}}", phase["phase"]), phase[key].as_f64()));
        }
    }
    for battery in status["batteries"].as_array().into_iter().flatten() {
        let soc = battery["soc_pct"].as_f64().map(|pct| (pct * 10.0).round() / 1000.0);
        all.push((format!("sax_battery_soc_ratio{{battery={}}}", battery["name"]), soc));
        let learned = battery["learned"]["response_ms"].as_f64().map(|ms| ms / 1000.0);
        all.push((format!("sax_battery_response_seconds{{battery={}}}", battery["name"]), learned));
        for (name, key) in [("power_watts", "power_w"), ("setpoint_watts", "setpoint_w"), ("writes_total", "writes")] {
            all.push((format!("sax_battery_{name}{{battery={}}}", battery["name"]), battery[key].as_f64()));
        }
    }
    for (link, errors) in status["errors"].as_object().into_iter().flatten() {
        let link = link.trim_start_matches("link ");
        all.push((format!("sax_errors_total{{link=\"{link}\",kind=\"timeout\"}}"), errors["timeout"].as_f64()));
    }
    all
}

#[test]
fn the_program_serves_what_its_status_says() {
    let (live, folder, listen) = (live([500, 300, 200]), Folder::new("metrics"), free_port());
    let mut program = Running::start(&folder, &with_metrics(&config(&folder, &live, 1000), listen));
    program.until("control", |status| status["site"]["state"] == "run");
    let begun = Instant::now();
    let (status, page) = loop {
        // Between two equal ones nothing has changed.
        let (before, page) = (program.status().unwrap(), page(listen).unwrap());
        if expected(&program.status().unwrap()) == expected(&before) {
            break (before, page);
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
    };
    for (series, value) in expected(&status) {
        assert_eq!(page.get(&series), value, "{series}");
    }
    assert!(expected(&status).iter().any(|(_, value)| value.is_none()), "something is unknown");
    assert!(
        page.names().all(|name| !name.starts_with("sax_load_balancer") && !name.starts_with("sax_bms") && !name.starts_with("sax_charger"))
    );
    assert_eq!(page.get("sax_build_info{version=\"0.1.0\"}").is_some(), status["version"] == "0.1.0");
    program.signal("TERM");
    assert!(program.wait(Duration::from_secs(5)).is_some_and(|status| status.success()), "{}", program.said());
}

/// Silent ones, slow ones, some that take no reply and some that send noise, all at once for seconds.
#[test]
fn bad_clients_disturb_neither_a_good_one_nor_the_controller() {
    let (live, folder, listen) = (live([500, 300, 200]), Folder::new("metrics-load"), free_port());
    let mut program = Running::start(&folder, &with_metrics(&config(&folder, &live, 1000), listen));
    program.until("control", |status| status["site"]["state"] == "run");
    let resident = |page: &Page| page.get("process_resident_memory_bytes").unwrap();
    // The threads of all places have been there once.
    let together: Vec<_> = (0..MOST_CLIENTS).map(|_| thread::spawn(move || (0..20).for_each(|_| drop(page(listen))))).collect();
    together.into_iter().for_each(|thread| thread.join().unwrap());
    let first = resident(&page(listen).unwrap());
    let over = AtomicBool::new(false);
    let (mut served, mut slowest, mut refused) = (0, Duration::ZERO, 0);
    thread::scope(|scope| {
        for k in 0..24 {
            let over = &over;
            scope.spawn(move || bad(k, listen, over));
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(8) {
            let asked = Instant::now();
            match page(listen) {
                Ok(page) => {
                    served += 1;
                    slowest = slowest.max(asked.elapsed());
                    assert_eq!(page.get("sax_control_stalled"), Some(0.0));
                    assert!(page.get("sax_control_age_seconds") < Some(2.0));
                }
                Err(_) => refused += 1,
            }
            thread::sleep(Duration::from_millis(20));
        }
        over.store(true, Ordering::Relaxed);
    });
    let begun = Instant::now();
    let page = loop {
        match page(listen) {
            Ok(page) => break page,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(10), "{error}"),
        }
    };
    println!("served {served}, refused {refused}, slowest {slowest:?}; memory {first} -> {}", resident(&page));
    assert!(served >= 50 && served > 4 * refused && slowest < Duration::from_secs(3), "{served} {refused} {slowest:?}");
    assert!(resident(&page) < first + 1_048_576.0, "{first} -> {}", resident(&page));
    assert!(program.is_alive() && program.status().is_ok_and(|status| status["site"]["state"] == "run"), "{}", program.said());
    assert!(program.said().matches("is refused").count() <= 1, "{}", program.said());
}

fn bad(k: usize, listen: SocketAddr, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(listen) else { continue };
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        match k % 3 {
            // Silent until it is closed.
            0 => {}
            // A byte now and then, for as long as it is taken.
            1 => {
                for byte in GET.iter().take(20) {
                    thread::sleep(Duration::from_millis(50));
                    if over.load(Ordering::Relaxed) || stream.write_all(&[*byte]).is_err() {
                        break;
                    }
                }
            }
            // Noise, and it leaves without the answer.
            _ => {
                let noise: Vec<u8> = (0..20_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
                let _ = stream.write_all(&noise);
                thread::sleep(Duration::from_millis(20));
                continue;
            }
        }
        while !over.load(Ordering::Relaxed) {
            match stream.read(&mut [0; 256]) {
                Ok(0) => break,
                Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                _ => {}
            }
        }
    }
}
