//! What the controller writes into its journal, at info level and above, as this thread hears it: a simulation is one thread.
#![allow(missing_docs)]

use std::cell::RefCell;

thread_local! {
    static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Collector;

impl log::Log for Collector {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Info
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            SAID.with(|said| said.borrow_mut().push(format!("{} {}", record.level(), record.args())));
        }
    }

    fn flush(&self) {}
}

/// From now on what this thread says is collected.
pub fn listen() {
    if log::set_boxed_logger(Box::new(Collector)).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
    }
    SAID.take();
}

/// The lines since the last call.
pub fn take() -> Vec<String> {
    SAID.take()
}
