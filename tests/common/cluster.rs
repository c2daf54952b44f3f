//! Three controllers, each with a house and batteries of its own, under a fourth one that has them as batteries and a meter in front of
//! all: the real tasks in virtual time. What the upper one asks of a lower one goes straight to that one's registers.
#![allow(dead_code, missing_docs)]

#[path = "exchange_link.rs"]
mod exchange_link;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::bounded;
use exchange_link::ExchangeLink;
use sax_controller::config::Config;
use sax_controller::daemon::director::Director;
use sax_controller::daemon::wiring::plan;
use sax_controller::link::Link;
use sax_controller::link::fault::exception_error;
use sax_controller::modbus::pdu::Reply;
use sax_controller::plant::house::House;
use sax_controller::plant::site::SiteParams;
use sax_controller::serve::ask::{Answer, Asked};
use sax_controller::serve::judge::{Judged, judge};
use sax_controller::simulate::Simulation;
use sax_controller::simulated_devices::devices;
use sax_controller::units::Time;

use super::house;

/// How far the simulations run apart, ms.
const STEP_MS: u64 = 100;

/// A lower controller, shared with whoever asks its registers.
pub type Lower = Arc<Mutex<Simulation>>;

pub fn lock(lower: &Lower) -> MutexGuard<'_, Simulation> {
    lower.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection to the registers of a lower controller.
fn registers(lower: Lower) -> impl Link {
    ExchangeLink::new(move |unit, request| match serve(&lower, unit, &request.encode()) {
        Reply::Exception { code, .. } => Err(exception_error(code)),
        reply => Ok(reply),
    })
}

/// As the server's threads do it: reads from the image, writes through the control task, the answer behind the new registers.
pub fn serve(lower: &Lower, unit: u8, pdu: &[u8]) -> Reply {
    let mut sim = lock(lower);
    let now = sim.now();
    let image = sim.control().image(now).expect("it has registers");
    if unit != image.unit {
        return Reply::Exception { function: pdu[0] & 0x7f, code: 0x0B };
    }
    match judge(&image, true, pdu) {
        Judged::Reply(reply) => reply,
        Judged::Ask { ask, done } => {
            let (reply, answer) = bounded(1);
            sim.director().asked(Asked { ask, reply }, now);
            Director::answer(sim.director());
            match answer.try_recv() {
                Ok(Answer::Done) => done,
                Ok(Answer::Refused(code)) => Reply::Exception { function: pdu[0] & 0x7f, code },
                other => panic!("{other:?}"),
            }
        }
    }
}

/// All of them.
pub struct Cluster {
    pub lowers: Vec<Lower>,
    /// `None`: it is not running.
    pub upper: Option<Simulation>,
    upper_text: String,
    /// When the upper one was started.
    started_ms: u64,
    now_ms: u64,
}

impl Cluster {
    /// Lower controllers with these loads, W, and these further lines in `[site]`.
    pub fn new(lowers: &[([i64; 3], &str)], upper_site: &str) -> Cluster {
        let lower = |(k, (load_w, site)): (usize, &([i64; 3], &str))| {
            let text = house::config_text(1000, "", "")
                .replace("fuse_a = 25", &if site.is_empty() { "fuse_a = 25".into() } else { (*site).to_owned() });
            let text = format!("{text}[server]\ntcp = {{ listen = \"127.0.0.1:5020\", writable = true }}\n");
            let params = house::params(k as u64 + 1, House::Fixed(*load_w), 600);
            Arc::new(Mutex::new(Simulation::new(&house::parse(&text), &house::library(), params)))
        };
        let lowers: Vec<Lower> = lowers.iter().enumerate().map(lower).collect();
        let mut upper_text = format!(
            "[site]\nstrategy = \"self-consumption\"\nbalance = \"sum\"\nfuse_a = 100\n{upper_site}\n[control]\nfallback = \"release\"\n\
             [meter]\ndevice = \"acuvim2-float\"\npoll_ms = 1000\nphase_poll_ms = 1000\nlink.tcp = {{ host = \"192.0.2.100\" }}\n"
        );
        for k in 0..lowers.len() {
            upper_text += &format!(
                "[[battery]]\nname = \"{}\"\ndevice = \"cluster\"\nphase = \"all\"\npoll_ms = 1000\ncapacity_wh = 23100\n\
                 max_charge_w = 10500\nmax_discharge_w = 13800\nlink.tcp = {{ host = \"192.0.2.{k}\" }}\n",
                ["X", "Y", "Z"][k]
            );
        }
        let mut cluster = Cluster { lowers, upper: None, upper_text, started_ms: 0, now_ms: 0 };
        cluster.start_upper();
        cluster
    }

    /// Starts the upper controller, with nothing remembered.
    pub fn start_upper(&mut self) {
        let config = house::parse(&self.upper_text);
        self.upper = Some(self.upper_of(&config));
        self.started_ms = self.now_ms;
    }

    fn upper_of(&self, config: &Config) -> Simulation {
        let library = house::library();
        let plan = plan(config, &library);
        let mut params = SiteParams::new(9, House::Fixed([0; 3]), &[]);
        params.meter = house::params(9, House::Fixed([0; 3]), 300).meter;
        params.devices = devices(config, &plan, &library);
        params.devices.retain(|d| d.serves == sax_controller::plant::device::Serves::Meter);
        let place_of = |k: usize| config.batteries[k].link.place();
        Simulation::with_links(config, &library, params, &mut |e| {
            let k = (0..self.lowers.len()).find(|k| place_of(*k) == plan.endpoints[e].place)?;
            Some(Box::new(registers(Arc::clone(&self.lowers[k]))))
        })
    }

    /// Lets time pass.
    pub fn run_s(&mut self, seconds: u64) {
        for _ in 0..seconds * 1000 / STEP_MS {
            self.step();
        }
    }

    pub fn step(&mut self) {
        self.now_ms += STEP_MS;
        let mut grid_w = [0; 3];
        for lower in &self.lowers {
            let mut sim = lock(lower);
            sim.run_until(Time::from_ms(self.now_ms));
            grid_w.iter_mut().zip(sim.site().grid_w()).for_each(|(sum, w)| *sum += w);
        }
        if let Some(upper) = &mut self.upper {
            upper.site().set_extra_load_w(grid_w);
            upper.run_until(Time::from_ms(self.now_ms - self.started_ms));
        }
    }

    /// What the grid delivers to a lower site, W.
    pub fn grid_w(&self, k: usize) -> i64 {
        lock(&self.lowers[k]).site().grid_w().iter().sum()
    }

    /// What it delivers to all.
    pub fn total_w(&self) -> i64 {
        (0..self.lowers.len()).map(|k| self.grid_w(k)).sum()
    }

    /// What the batteries of a lower site deliver, W.
    pub fn batteries_w(&self, k: usize) -> i64 {
        let sim = lock(&self.lowers[k]);
        let site = sim.site();
        (0..site.batteries()).map(|b| site.battery_w(b)).sum()
    }

    /// What a lower controller is asked for.
    pub fn asked_w(&self, k: usize) -> Option<i64> {
        lock(&self.lowers[k]).control().remote_command().expect("it has a server").in_force().setpoint_w
    }

    pub fn upper(&self) -> &Simulation {
        self.upper.as_ref().expect("it runs")
    }
}
