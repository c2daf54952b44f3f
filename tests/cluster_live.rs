//! Three controllers under one with real programs, real sockets and real time: the setpoint reaches the batteries, and the stop lets go.
#![allow(missing_docs)]

#[path = "common/process.rs"]
mod process;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use process::{Folder, PROGRAM, Running, config, live};
use sax_controller::device::library::Library;
use sax_controller::plant::device::{DeviceParams, Serves};
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::serve::{LiveSite, Reached};
use sax_controller::plant::site::SiteParams;

const LOADS: [[i64; 3]; 3] = [[2400, 500, 300], [200, 300, 100], [300, 900, 600]];
const TARGET_W: i64 = 1500;

/// A port that nobody uses at this moment.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The meter in front of all of them.
fn common_meter() -> LiveSite {
    let mut params = SiteParams::new(9, House::Fixed([0; 3]), &[]);
    params.meter = MeterParams { period_ms: 100, phase_ms: 0, latency_ms: 100, window_ms: 0, noise_w: 3, ..MeterParams::default() };
    let profile = Library::built_in().unwrap().profile("acuvim2-float").expect("built in").with_settings(&Vec::new());
    let (unit, profile) = (profile.unit, Arc::new(profile));
    params.devices = vec![DeviceParams { host: 0, unit, profile, serves: Serves::Meter, offset: 0, patience_ms: 0 }];
    LiveSite::start_hosts(params, 1, &[Reached::Tcp(Ipv4Addr::LOCALHOST)]).unwrap()
}

fn upper_text(folder: &Folder, meter: &LiveSite, lowers: &[SocketAddr]) -> String {
    let mut text = format!(
        "[site]\nname = \"All\"\nstrategy = \"self-consumption\"\nbalance = \"sum\"\nfuse_a = 100\ngrid_target_w = {TARGET_W}\n\
         [status]\nsocket = \"{}\"\n[meter]\ndevice = \"acuvim2-float\"\npoll_ms = 500\nphase_poll_ms = 1000\n\
         link.tcp = {{ host = \"127.0.0.1\", port = {} }}\n",
        folder.file("s").display(),
        meter.ports()[0]
    );
    for (name, at) in ["X", "Y", "Z"].iter().zip(lowers) {
        text += &format!(
            "[[battery]]\nname = \"{name}\"\ndevice = \"cluster\"\nphase = \"all\"\npoll_ms = 500\ncapacity_wh = 23100\n\
             max_charge_w = 10500\nmax_discharge_w = 13800\nlink.tcp = {{ host = \"127.0.0.1\", port = {} }}\n",
            at.port()
        );
    }
    text
}

/// What the grid delivers to all of them, per phase.
fn grid_w(sites: &[LiveSite]) -> [i64; 3] {
    let mut sum = [0; 3];
    for site in sites {
        sum.iter_mut().zip(site.with(|s| s.grid_w())).for_each(|(sum, w)| *sum += w);
    }
    sum
}

#[test]
fn three_programs_under_a_fourth() {
    let (sites, meter) = (LOADS.map(live), common_meter());
    let folders = [0, 1, 2].map(|k| Folder::new(&format!("lower{k}")));
    let ports = [0; 3].map(|_| free_port());
    let mut lowers: Vec<_> = (0..3)
        .map(|k| {
            let server = format!("[server]\ntcp = {{ listen = \"{}\", writable = true }}\n", ports[k]);
            Running::start(&folders[k], &format!("{}{server}", config(&folders[k], &sites[k], 500)))
        })
        .collect();
    let folder = Folder::new("upper");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let w = grid_w(&sites);
                meter.with(|site| site.set_extra_load_w(w));
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut upper = Running::start(&folder, &upper_text(&folder, &meter, &ports));
            let total_w = || grid_w(&sites).iter().sum::<i64>();
            upper.until("the target", |status| status["site"]["state"] == "run" && (total_w() - TARGET_W).abs() <= 150);
            for lower in &mut lowers {
                let status = lower.until("a command", |status| status["batteries"][0]["reason"] == "commanded by another controller");
                let remote = &status["site"]["remote"];
                assert!(remote["state"] == "active" && remote["setpoint_w"].is_i64() && remote["heartbeat_age_s"].is_u64(), "{remote}");
            }
            let shown = Command::new(PROGRAM).args(["status", "--socket"]).arg(&lowers[0].socket).output().unwrap();
            assert!(String::from_utf8_lossy(&shown.stdout).contains("Remote command: active, power "), "{shown:?}");
            upper.signal("TERM");
            assert!(upper.wait(Duration::from_secs(10)).is_some_and(|status| status.success()), "{}", upper.said());
            for lower in &mut lowers {
                lower.until("let go", |status| status["site"]["remote"]["state"] == "none");
            }
            lowers[0].until("its own strategy", |_| total_w().abs() <= 200);
        }));
        over.store(true, Ordering::Relaxed);
        if let Err(panicked) = ended {
            std::panic::resume_unwind(panicked);
        }
    });
}
