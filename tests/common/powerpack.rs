//! A PowerPack of 20 kW, which is told whole kilowatts, behind an Acuvim II, in virtual time.
#![allow(missing_docs)]

use sax_controller::config;
use sax_controller::daemon::wiring::plan;
use sax_controller::device::library::Library;
use sax_controller::plant::battery_params::{BatteryParams, SaxParams, Wiring};
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::site::SiteParams;
use sax_controller::simulate::Simulation;
use sax_controller::simulated_devices::{devices, like_its_profile};

/// `site`: what `[site]` says, beside the fuse.
pub fn simulation(site: &str, house: House, meter: MeterParams) -> Simulation {
    let library = Library::built_in().unwrap();
    let text = format!(
        "[site]\n{site}fuse_a = 63\n[meter]\ndevice = \"acuvim2-float\"\npoll_ms = 1000\nphase_poll_ms = 1000\n\
         link.tcp = {{ host = \"192.0.2.1\" }}\n[[battery]]\nname = \"A\"\ndevice = \"powerpack\"\nphase = \"all\"\npoll_ms = 1000\n\
         link.tcp = {{ host = \"192.0.2.2\" }}\ncapacity_wh = 100000\nmax_charge_w = 20000\nmax_discharge_w = 20000\n"
    );
    let config = config::parse(&text, &library).unwrap_or_else(|f| panic!("{}", f.render("site")));
    let mut params = SiteParams::new(7, house, &[]);
    params.meter = meter;
    let battery = BatteryParams {
        capacity_wh: 100_000,
        max_charge_w: 20_000,
        max_discharge_w: 20_000,
        soc_pm: 600,
        ..BatteryParams::on(Wiring::All)
    };
    params.batteries = vec![(like_its_profile(battery, "powerpack", &library), SaxParams::default())];
    params.devices = devices(&config, &plan(&config, &library), &library);
    Simulation::new(&config, &library, params)
}
