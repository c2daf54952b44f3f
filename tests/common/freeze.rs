//! Stops single threads of a child process, as a thread stops that hangs: the others go on.
#![allow(dead_code, missing_docs, unsafe_code)]

use std::fs;
use std::io;
use std::ptr::null_mut;
use std::time::{Duration, Instant};

/// A thread that stands still until this is dropped, or its process is killed.
pub struct Frozen(libc::pid_t);

/// Stops the thread of this name. Only the calling thread can let it go on again.
pub fn freeze(pid: u32, name: &str) -> Frozen {
    let thread = find(pid, name);
    trace(libc::PTRACE_SEIZE, thread);
    trace(libc::PTRACE_INTERRUPT, thread);
    // SAFETY: nothing is written through the null pointer.
    let stopped = unsafe { libc::waitpid(thread, null_mut(), libc::__WALL) };
    assert_eq!(stopped, thread, "{name}: {}", io::Error::last_os_error());
    Frozen(thread)
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            trace(libc::PTRACE_DETACH, self.0);
        }
    }
}

fn trace(request: libc::c_uint, thread: libc::pid_t) {
    // SAFETY: these three requests take a number and two null pointers, and touch no memory of ours.
    let done = unsafe { libc::ptrace(request, thread, null_mut::<libc::c_void>(), null_mut::<libc::c_void>()) };
    assert_eq!(done, 0, "ptrace {request} of {thread}: {}", io::Error::last_os_error());
}

/// The number of the thread with this name; `main` is the first one.
fn find(pid: u32, name: &str) -> libc::pid_t {
    let begun = Instant::now();
    let has_it = |thread: &u32| match name {
        "main" => *thread == pid,
        _ => fs::read_to_string(format!("/proc/{pid}/task/{thread}/comm")).is_ok_and(|comm| comm.trim_end() == name),
    };
    loop {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("a process").flatten();
        let mut numbers = threads.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        if let Some(thread) = numbers.find(has_it) {
            return libc::pid_t::try_from(thread).expect("a thread");
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "no thread {name}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
