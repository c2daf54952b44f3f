//! The metrics of the whole program on a simulated site: what they say, and that no client disturbs it.
#![allow(missing_docs)]

#[path = "common/exposition.rs"]
mod exposition;
#[path = "common/freeze.rs"]
mod freeze;
#[path = "common/process.rs"]
mod process;
#[path = "common/scrape.rs"]
mod scrape;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use exposition::Page;
use freeze::freeze;
use process::{Folder, Running, config, live};
use sax_controller::serve::metrics::MOST_CLIENTS;
use scrape::{GET, page};
use serde_json::Value;

#[test]
fn a_port_that_is_taken_is_said_and_used_when_it_is_free() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let expected =
        format!("The server of the metrics cannot listen on {listen}: another program does; [status] metrics names another port.");
    let (live, folder) = (live([0, 0, 0]), Folder::new("metrics-port"));
    let mut program = Running::start(&folder, &with_metrics(&config(&folder, &live, 1000), listen));
    program.until_said(&expected);
    drop(taken);
    program.until_said(&format!("metrics: http://{listen}/metrics"));
    assert!(page(listen).is_ok());
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

/// Waits until the page is as wished.
fn until(listen: SocketAddr, what: &str, done: impl Fn(&Page) -> bool) -> Page {
    let begun = Instant::now();
    loop {
        let page = page(listen).unwrap();
        if done(&page) {
            return page;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {page:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_control_thread_that_hangs_shows() {
    let (live, folder, listen) = (live([500, 300, 200]), Folder::new("metrics-stalled"), free_port());
    let mut program = Running::start(&folder, &with_metrics(&config(&folder, &live, 1000), listen));
    program.until("control", |status| status["site"]["state"] == "run");
    let before = until(listen, "all is well", |page| page.get("sax_grid_power_watts").is_some());
    let frozen = freeze(program.pid(), "control");
    let page = until(listen, "stalled", |page| page.get("sax_control_stalled") == Some(1.0));
    assert_eq!(page.get("sax_site_state{state=\"stalled\"}"), Some(1.0));
    assert!(page.get("sax_control_age_seconds") >= Some(5.0));
    assert!(page.get("sax_uptime_seconds") >= before.get("sax_uptime_seconds").map(|s| s + 4.0), "it goes on");
    assert!(page.names().all(|name| !name.ends_with("_watts") && !name.ends_with("_ratio")), "measured values are of then");
    drop(frozen);
    until(listen, "it goes on", |page| page.get("sax_control_stalled") == Some(0.0) && page.get("sax_grid_power_watts").is_some());
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
