//! libFuzzer's entry to targets/rtu.rs.
#![no_main]

#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| targets::rtu::run(input));
