//! The library behind the `sax-controller` binary, so that tests, benchmarks and the simulator reach every part of it.
//!
//! Data flows one way: reading → decision → command. `balancer`, `control`, `modbus`, `p1`, `plant`, `schedule`, `serve::registers` and the
//! decoding half of `device` are pure: they do no I/O, read no clock, start no thread and write no log. `daemon`, `link` and the rest of
//! `serve` are the thin shell around them.

pub mod background;
pub mod balancer;
pub mod classic;
pub mod cli;
pub mod commission;
pub mod config;
pub mod control;
pub mod daemon;
pub mod device;
pub mod link;
pub mod modbus;
pub mod p1;
pub mod picture;
pub mod plant;
pub mod scan;
pub mod schedule;
pub mod serve;
pub mod simulate;
pub mod simulated_day;
pub mod simulated_devices;
pub mod units;
