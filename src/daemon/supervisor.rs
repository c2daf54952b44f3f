//! Tells systemd in one line how the site is, for `systemctl status`, whenever that line changes: never twice the same, and no ages or powers,
//! which change each second. It only looks at what is published, and never holds anyone up.

use std::io;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::status::NO_METER_DATA;
use crate::background;
use crate::config::findings::printable;
use crate::serve::document::Document;
use crate::serve::socket::{Published, STALLED};

/// How often it looks.
const LOOK: Duration = Duration::from_secs(1);
/// So many alarms are named, the others are counted.
const NAMED: usize = 3;

/// Tells systemd these states; without systemd nothing happens.
pub fn tell(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("systemd cannot be told: {error}");
    }
}

/// Starts to look, where systemd is listening, until what is returned is dropped. A thread of its own, because systemd may be slow to take it.
pub fn start(published: Published) -> io::Result<Option<Sender<()>>> {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return Ok(None);
    }
    let (stop, stopped) = bounded::<()>(0);
    background::start("systemd", move || {
        let mut told = String::new();
        loop {
            let line = line(&published.newest());
            if line != told {
                tell(&[sd_notify::NotifyState::Status(&line)]);
                told = line;
            }
            if stopped.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    })?;
    Ok(Some(stop))
}

/// State, reason and alarms, in one line: what begins a new one there would be an order to systemd (sd_notify(3)).
fn line(document: &Document) -> String {
    let site = &document.site;
    let reason = match site.reason.as_str() {
        _ if site.state == STALLED => "the control thread gives no sign of life",
        // The rest of it tells its age.
        reason if reason.starts_with(NO_METER_DATA) => NO_METER_DATA,
        reason => reason,
    };
    let mut line = match (site.state, reason) {
        // Before the first step.
        ("", _) => "init".to_owned(),
        (state, "") => state.to_owned(),
        ("observe", reason) => reason.to_owned(),
        (state, reason) => format!("{state}: {reason}"),
    };
    let names: Vec<&str> = document.alarms.iter().map(|alarm| alarm.name.as_str()).collect();
    for name in names.iter().take(NAMED) {
        line += &format!("; alarm: {name}");
    }
    if names.len() > NAMED {
        line += &format!("; and {} more", names.len() - NAMED);
    }
    printable(&line)
}

#[cfg(test)]
mod tests {
    use super::line;
    use crate::serve::document::{Alarm, Document};

    fn document(state: &'static str, reason: &str, alarms: &[&str]) -> Document {
        let mut document = Document::default();
        (document.site.state, document.site.reason) = (state, reason.to_owned());
        document.alarms = alarms.iter().map(|name| Alarm { name: (*name).to_owned(), ..Alarm::default() }).collect();
        document
    }

    #[test]
    fn the_line_names_state_reason_and_alarms_and_no_age() {
        assert_eq!(line(&document("run", "", &[])), "run");
        let age = |s: u32| {
            line(&document("hold", &format!("no good meter data for {s} s: commands are kept (Timeout)"), &["meter: no good data"]))
        };
        assert_eq!(age(4), "hold: no good meter data; alarm: meter: no good data");
        assert_eq!(age(4), age(5));
        assert_eq!(line(&document("observe", "strategy \"observe\": nothing is written", &[])), "strategy \"observe\": nothing is written");
        let stalled = line(&document("stalled", "the control thread has given no sign of life for 7 s; all values are of then", &[]));
        assert_eq!(stalled, "stalled: the control thread gives no sign of life");
        assert_eq!(line(&document("run", "", &["a", "b", "c", "d", "e"])), "run; alarm: a; alarm: b; alarm: c; and 2 more");
        assert_eq!(line(&Document::default()), "init");
        assert_eq!(line(&document("run", "", &["a device says\nWATCHDOG=trigger"])), "run; alarm: a device says\\nWATCHDOG=trigger");
    }
}
