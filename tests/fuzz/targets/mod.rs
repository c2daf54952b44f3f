//! What is fuzzed: functions that take any bytes and panic where something is wrong. Compiled for libFuzzer (`fuzz_targets`), and by
//! `tests/fuzz_corpus.rs`, which gives each of them its corpus with every `make test`.
#![allow(dead_code, missing_docs)]

mod bytes;
pub mod codec;
#[path = "../../common/mod.rs"]
mod common;
pub mod config;
pub mod control;
pub mod doors;
mod messages;
pub mod p1;
pub mod profile;
pub mod rtu;
#[path = "../../common/served.rs"]
mod served;
pub mod server;
pub mod state;
#[path = "../../common/storm.rs"]
mod storm;
pub mod tcp;
