//! Ends a scan early, from another thread or a signal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::link::deadline::Hurry;

/// How often someone who waits looks whether it is over.
const SLICE: Duration = Duration::from_millis(50);

/// A switch that ends a scan: what was found so far counts.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    hurry: Hurry,
}

impl Stop {
    /// The flag, for a signal handler, which may do nothing but set it.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }

    /// Ends the scan.
    pub fn call(&self) {
        self.flag.store(true, Ordering::Relaxed);
        self.hurry.call();
    }

    /// Whether it is to end. Whoever finds that it is calls off the requests under way.
    pub fn is_called(&self) -> bool {
        let called = self.flag.load(Ordering::Relaxed);
        if called {
            self.hurry.call();
        }
        called
    }

    /// For links.
    pub(super) fn hurry(&self) -> Hurry {
        self.hurry.clone()
    }

    /// Waits, but not beyond the end of the scan.
    pub(super) fn wait(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.is_called() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(SLICE));
        }
    }
}
