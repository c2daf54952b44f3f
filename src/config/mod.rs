//! What may be written in `controller.toml`, and what it must mean.
//!
//! [`parse`] turns a text into a [`Config`] or into everything that is wrong with it, each with line and column. A key whose function
//! comes in a later release is known, checked and refused; nothing is ever ignored in silence. This module never reads a file.

mod battery;
mod bms;
mod bms_checks;
mod charger;
mod charging_checks;
mod check;
mod devices;
mod document;
mod effective;
pub mod findings;
mod ladder;
mod later;
mod link;
mod link_checks;
mod load_balancer;
mod meter;
mod nearest;
mod number;
pub mod reader;
mod schedule;
mod schedule_checks;
mod serve;
mod server;
mod server_checks;
mod settings;
mod site;
mod syntax;
mod tree;
mod words;

pub use battery::{Battery, ControlMode, Encoding, Phases, Role};
pub use bms::{Bms, BmsAges};
pub use charger::Charger;
pub use devices::{DeviceFacts, Devices};
pub use effective::effective;
pub use findings::{Finding, Findings};
pub use ladder::{Ages, Ladder};
pub use link::{Link, Rtu, Tcp};
pub use load_balancer::LoadBalancer;
pub use meter::{Meter, MeterSource, TelegramLink};
pub(crate) use nearest::nearest;
pub(crate) use number::{amperes, fixed_to_text};
pub use serve::{Log, LogLevel, Status};
pub use server::{Gateway, Network, RtuServer, Server, TcpServer};
pub use site::{Balance, Control, Fallback, Site, Strategy};

use crate::schedule::Schedule;
use reader::Document;

/// A configuration without a fault; what was left out has its default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// `[site]`
    pub site: Site,
    /// `[control]`
    pub control: Control,
    /// `[meter]`; only [`Strategy::Observe`] goes without, and not with a load balancer.
    pub meter: Option<Meter>,
    /// `[[battery]]`, in the order of the file, at most 250; only [`Strategy::Observe`] and a load balancer go without.
    pub batteries: Vec<Battery>,
    /// `[[schedule]]`, where there is one.
    pub schedule: Option<Schedule>,
    /// `[load_balancer]`, where there is one.
    pub load_balancer: Option<LoadBalancer>,
    /// `[[charger]]`, in the order of the file, at most 32; only with a load balancer.
    pub chargers: Vec<Charger>,
    /// `[server]`, where there is one.
    pub server: Option<Server>,
    /// `[status]`
    pub status: Status,
    /// `[log]`
    pub log: Log,
}

/// Reads a configuration. `devices` says which devices there are.
pub fn parse(text: &str, devices: &dyn Devices) -> Result<Config, Findings> {
    let document = Document::parse(text);
    let mut root = document.root();
    let site = site::read_site(&mut root);
    let mut control = site::read_control(&mut root);
    let meter = meter::read(&mut root, devices);
    let batteries = battery::read(&mut root, devices, site.strategy);
    let windows = schedule::read(&mut root);
    let status = serve::read_status(&mut root);
    let log = serve::read_log(&mut root);
    let load_balancer = load_balancer::read(&mut root);
    let chargers = charger::read(&mut root, devices);
    let server = server::read(&mut root);
    root.finish();

    check::check(&document, &site, &mut control, meter.as_ref(), &batteries);
    link_checks::check(&document, meter.as_ref(), &batteries, &chargers, server.as_ref(), devices);
    charging_checks::check(&document, &site, meter.as_ref(), &batteries, load_balancer.as_ref(), &chargers);
    if let Some(server) = &server {
        server_checks::check(&document, server, meter.as_ref());
    }
    server_checks::check_metrics(&document, &status, server.as_ref(), meter.as_ref());
    bms_checks::check(&document, &control, meter.as_ref(), &batteries);
    schedule_checks::check(&document, &site, &windows, &batteries);
    let config = Config {
        site: site.site,
        control: control.control,
        meter: meter.map(|draft| draft.resolve(&batteries)),
        batteries: batteries.into_iter().map(|draft| draft.battery).collect(),
        schedule: schedule::resolve(&windows),
        load_balancer: load_balancer.map(|draft| draft.load_balancer),
        chargers: chargers.into_iter().map(|draft| draft.charger).collect(),
        server: server.map(|draft| draft.server),
        status: status.status,
        log,
    };
    document.into_findings().or(Some(config))
}
