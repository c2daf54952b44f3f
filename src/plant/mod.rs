//! The simulated site: batteries, meter, house, faults and the reference day, for tests, for trying out and for the virtual day.
//!
//! Everything follows from a number; integers only; time comes in as milliseconds. [`Site`](site::Site) with
//! [`SimLink`](client::SimLink) runs in virtual time without sockets, [`LiveSite`](serve::LiveSite) serves the same site over Modbus
//! TCP on loopback and over pseudo terminals. Only `serve` and its parts (`port`, `bus`, `pty`) do I/O. Signs as everywhere: grid import and battery discharge are positive.

mod appliances;
pub mod battery;
pub mod battery_params;
mod bus;
pub mod car;
pub mod charger;
pub mod client;
pub mod day;
mod demo;
pub mod device;
mod device_image;
pub mod faults;
pub mod house;
pub mod kpi;
pub mod kpi_control;
pub mod kpi_fuse;
pub mod kpi_oracle;
pub mod kpi_report;
pub mod kpi_steps;
mod lies;
pub mod line;
pub mod meter;
mod port;
mod pty;
pub mod rng;
pub mod sax;
mod sax_images;
mod sender;
pub mod serve;
pub mod site;
mod sun;
pub mod telegram;
mod wire;
