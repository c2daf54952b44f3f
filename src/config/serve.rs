//! `[status]` and `[log]`.

use std::net::SocketAddr;

use super::reader::{At, Section, Spanned};
use super::site::keep;
use super::words;

/// `[status]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// The Unix socket that `sax-controller status` reads; default `/run/sax/controller.sock`.
    pub socket: String,
    /// Where the page for Prometheus is served; none by default.
    pub metrics: Option<SocketAddr>,
}

/// `[status]` with the places that checks need.
pub(super) struct StatusDraft {
    pub status: Status,
    pub metrics_at: Option<At>,
}

/// `[log]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// Default [`LogLevel::Info`]; the environment variable `RUST_LOG` overrides it.
    pub level: LogLevel,
    /// A file with one line per communication fault; none by default.
    pub comm_log: Option<String>,
}

/// What is worth a line in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What failed.
    Error,
    /// Also what may fail.
    Warn,
    /// Also what changed.
    Info,
    /// Also what happens.
    Debug,
    /// Also every frame.
    Trace,
}

impl LogLevel {
    /// Every level and its name.
    const NAMES: [(&'static str, LogLevel); 6] = [
        ("off", LogLevel::Off),
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];

    /// The name in the configuration, which `env_logger` understands too.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }
}

pub(super) fn read_status(root: &mut Section<'_>) -> StatusDraft {
    let mut status = Status { socket: "/run/sax/controller.sock".to_owned(), metrics: None };
    let Some(mut section) = root.section("status") else { return StatusDraft { status, metrics_at: None } };
    keep(words::socket(&mut section, "socket"), &mut status.socket);
    let metrics = words::listener(&mut section, "metrics");
    status.metrics = metrics.map(Spanned::get);
    section.finish();
    StatusDraft { status, metrics_at: metrics.map(|metrics| metrics.at) }
}

pub(super) fn read_log(root: &mut Section<'_>) -> Log {
    let mut log = Log { level: LogLevel::Info, comm_log: None };
    let Some(mut section) = root.section("log") else { return log };
    keep(section.choice("level", &LogLevel::NAMES), &mut log.level);
    log.comm_log = words::path(&mut section, "comm_log").map(Spanned::get);
    section.finish();
    log
}
