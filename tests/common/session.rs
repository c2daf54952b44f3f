//! bash at a pseudo terminal, as if somebody typed.
#![allow(missing_docs)]

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serialport::{SerialPort, TTYPort};

/// Somebody at a terminal.
pub struct Session {
    bash: Child,
    terminal: TTYPort,
    pub shown: String,
}

impl Session {
    /// Starts bash, which finds our program first, and looks for completions in this folder if it loads bash-completion.
    pub fn start(completions: &Path) -> Session {
        let (terminal, slave) = TTYPort::pair().unwrap();
        let open = || OpenOptions::new().read(true).write(true).open(slave.name().unwrap()).unwrap();
        let mut command = Command::new("bash");
        command.args(["--norc", "--noprofile", "-i"]).stdin(open()).stdout(open()).stderr(open());
        command.env("PS1", "ready> ").env("TERM", "dumb").env("INPUTRC", "/dev/null").env("HISTFILE", "/dev/null");
        let path = format!("{}:{}", Path::new(crate::process::PROGRAM).parent().unwrap().display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).env("BASH_COMPLETION_USER_DIR", completions).env_remove("BASH_ENV");
        let mut session = Session { bash: command.spawn().unwrap(), terminal, shown: String::new() };
        session.until("ready> ");
        // Our terminal was made for raw bytes; readline echoes only where the terminal does.
        session.types("stty sane\n", "ready> ");
        session
    }

    /// Types, and waits until this is shown.
    #[track_caller]
    pub fn types(&mut self, keys: &str, expected: &str) {
        self.shown.clear();
        self.terminal.write_all(keys.as_bytes()).unwrap();
        self.until(expected);
    }

    #[track_caller]
    pub fn until(&mut self, expected: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        self.terminal.set_timeout(Duration::from_millis(100)).unwrap();
        let mut bytes = [0; 1000];
        while !self.shown.contains(expected) {
            assert!(Instant::now() < deadline, "not {expected:?} but: {:?}", self.shown);
            if let Ok(count) = self.terminal.read(&mut bytes) {
                self.shown += &String::from_utf8_lossy(&bytes[..count]);
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.bash.kill();
        let _ = self.bash.wait();
    }
}
