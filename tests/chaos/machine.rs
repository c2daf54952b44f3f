//! How late this machine is: a thread that sleeps for a moment, again and again, and measures when it wakes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(50);

static LATE_MS: AtomicU64 = AtomicU64::new(0);

/// The latest that it was, so far.
pub fn late_ms() -> u64 {
    LATE_MS.load(Ordering::Relaxed)
}

/// Begins to watch.
pub fn watch() {
    std::thread::spawn(|| {
        loop {
            let begun = Instant::now();
            std::thread::sleep(EVERY);
            let late = begun.elapsed().saturating_sub(EVERY).as_millis() as u64;
            LATE_MS.fetch_max(late, Ordering::Relaxed);
        }
    });
}
