//! What the kernel says of this process: memory, threads and open files. A page of `/proc/self`, which `ProcSubset=pid` leaves readable.

use std::fs;

/// `None`: the kernel does not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Process {
    /// Memory that is really there.
    pub resident_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open files and sockets.
    pub open_fds: Option<u64>,
}

impl Process {
    /// As it is now.
    pub fn read() -> Process {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        // The folder itself is open while it is read.
        let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1));
        Process { open_fds: open.and_then(|count| u64::try_from(count).ok()), ..parse(&status) }
    }
}

/// `VmRSS: 4711 kB` and `Threads: 12` (proc_pid_status(5); its kB are 1024 bytes).
fn parse(status: &str) -> Process {
    let value = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Process { resident_bytes: value("VmRSS").and_then(|kb| kb.checked_mul(1024)), threads: value("Threads"), open_fds: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_the_kernel_writes() {
        let parsed = parse("Name:\tsax\nVmRSS:\t    3180 kB\nThreads:\t9\n");
        assert_eq!((parsed.resident_bytes, parsed.threads), (Some(3180 * 1024), Some(9)));
        assert_eq!(parse("VmRSS: many kB\nVmRSSx: 1"), Process::default());
        let now = Process::read();
        assert!(now.resident_bytes > Some(100_000) && now.threads >= Some(1) && now.open_fds >= Some(3), "{now:?}");
    }
}
