//! What the program says, in the form that the journal wants: no time stamps (journald adds them), one line each, and priorities that survive
//! as `<3>` … `<7>` (sd-daemon(3)). On any other stderr the same lines are plain text. It never writes to a file, and never waits for long for
//! a journal that hangs, with its disk for instance: lines are lost then, and the house is controlled.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::panic::{self, PanicHookInfo};
use std::time::Duration;

use log::{Level, LevelFilter};

use crate::config::LogLevel;
use crate::config::findings::printable;

/// The journal takes a line in this time, or loses it. The kernel keeps about three hundred lines for it.
const TAKES: Duration = Duration::from_millis(50);

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
    let journal = is_stderr();
    let mut builder = env_logger::Builder::new();
    builder.filter_level(filter).parse_default_env().format(move |out, record| {
        let text = printable(&record.args().to_string());
        if journal { writeln!(out, "<{}>{text}", priority(record.level())) } else { writeln!(out, "{:5} {text}", record.level()) }
    });
    // A second start in one process keeps the first logger, which is what tests want.
    let _ = builder.try_init();
}

/// Says why the program ends, before or without logging.
pub fn fail(text: &str) {
    let text = if is_stderr() { as_errors(text) } else { text.to_owned() };
    let _ = io::stderr().write_all(text.as_bytes());
}

/// From now on, where stderr is the journal, a panic is one line with the priority of an error; Rust prints several without one. And nobody
/// waits for the journal for longer than [`TAKES`].
pub fn prepare() {
    if is_stderr() {
        let stream = io::stderr().as_fd().try_clone_to_owned().map(UnixStream::from);
        let _ = stream.and_then(|stream| stream.set_write_timeout(Some(TAKES)));
        panic::set_hook(Box::new(|info| fail(&panic_line(info))));
    }
}

/// Whether stderr is the journal. A program that is started from a service inherits its JOURNAL_STREAM, but not always its stderr: the variable
/// tells device and inode of the stream (systemd.exec(5)).
pub fn is_stderr() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let own = io::stderr().as_fd().try_clone_to_owned().and_then(|stderr| File::from(stderr).metadata());
    own.is_ok_and(|own| stream == format!("{}:{}", own.dev(), own.ino()))
}

/// Each line with the priority of an error. Source lines and the marks below them are left out: `systemctl status` shows ten lines, and where
/// the mistakes are is worth more.
fn as_errors(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("    "));
    lines.map(|line| format!("<{}>{line}\n", priority(Level::Error))).collect()
}

fn panic_line(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let what = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let thread = std::thread::current();
    let said = format!("{} at {place} in thread {}", what.unwrap_or("no message"), thread.name().unwrap_or("without a name"));
    format!("panic, which is a mistake in the program: {}\n", printable(&said))
}

fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::as_errors;

    #[test]
    fn each_line_is_an_error_and_excerpts_are_left_out() {
        let text = "f.toml:7:3: fuse_a: 5 is too small.\n    fuse_a = 5\n             ^\n\nf.toml has one mistake.\n";
        assert_eq!(as_errors(text), "<3>f.toml:7:3: fuse_a: 5 is too small.\n<3>f.toml has one mistake.\n");
    }
}
