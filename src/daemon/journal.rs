//! Log lines for the journal: no time stamps (journald adds them), and priorities that survive as `<3>` … `<7>` under systemd.

use std::io::Write;

use log::{Level, LevelFilter};

use crate::config::LogLevel;
use crate::config::findings::printable;

/// Starts logging to stderr. `RUST_LOG` overrides the level of the configuration.
pub fn start(level: LogLevel) {
    let filter = match level {
        LogLevel::Off => LevelFilter::Off,
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
        LogLevel::Trace => LevelFilter::Trace,
    };
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let mut builder = env_logger::Builder::new();
    builder.filter_level(filter).parse_default_env().format(move |out, record| {
        let text = printable(&record.args().to_string());
        if journal { writeln!(out, "<{}>{text}", priority(record.level())) } else { writeln!(out, "{:5} {text}", record.level()) }
    });
    // A second start in one process keeps the first logger, which is what tests want.
    let _ = builder.try_init();
}

fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}
