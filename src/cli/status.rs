//! `sax-controller status`: what the running controller reads, decides and writes.

use std::ffi::OsString;
use std::io::{IsTerminal, Read};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg::{Long, Short};
use serde_json::Value;

use super::files::Files;
use super::status_text::describe;
use super::{Failure, print, wrong};

pub(super) const USAGE: &str = "\
Usage: sax-controller status [--json] [--watch] [--socket PATH | --config FILE]

Shows what the running controller reads, decides and writes, and why.

      --json             one JSON document, for programs
  -w, --watch            again every second, until Ctrl-C
      --socket PATH      the controller's status socket [that of the configuration]
  -c, --config FILE      configuration [/etc/sax/controller.toml]
      --devices FOLDER   device profiles of your own [/etc/sax/devices]
";

/// Where the socket is unless a configuration says otherwise.
const SOCKET: &str = "/run/sax/controller.sock";
/// Longest document that is read, bytes.
const LONGEST: u64 = 4 << 20;
const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn run(arguments: Vec<OsString>) -> Result<(), Failure> {
    let (mut json, mut watch, mut socket, mut files, mut named) = (false, false, None, Files::default(), false);
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(wrong(USAGE))? {
        match argument {
            Long("json") => json = true,
            Long("watch") | Short('w') => watch = true,
            Long("socket") => socket = Some(PathBuf::from(parser.value().map_err(wrong(USAGE))?)),
            Long("config") | Short('c') => (files.config, named) = (parser.value().map_err(wrong(USAGE))?.into(), true),
            Long("devices") => files.devices = parser.value().map_err(wrong(USAGE))?.into(),
            Long("help") | Short('h') => return print(USAGE),
            other => return Err(wrong(USAGE)(other.unexpected())),
        }
    }
    let socket = match socket {
        Some(socket) => socket,
        None => match files.library().and_then(|library| files.config(&library)) {
            Ok(config) => config.status.socket.into(),
            Err(failure) if named => return Err(failure),
            Err(_) => SOCKET.into(),
        },
    };
    loop {
        let text = fetch(&socket)?;
        let shown = if json { text } else { describe(&parse(&text)?) };
        let clear = watch && !json && std::io::stdout().is_terminal();
        print(&format!("{}{shown}", if clear { "\x1b[H\x1b[J" } else { "" }))?;
        if !watch {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// The document of the controller that serves `socket`.
pub(super) fn fetch(socket: &std::path::Path) -> Result<String, Failure> {
    let shown = socket.display();
    let no_answer = |error| {
        Failure::failed(format!(
            "No controller answers at {shown}: {error}. Is it running (systemctl status sax-controller), is its configuration right \
             (sax-controller check), and does [status] socket name this path?"
        ))
    };
    let stream = UnixStream::connect(socket).map_err(no_answer)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(no_answer)?;
    let mut text = String::new();
    stream.take(LONGEST).read_to_string(&mut text).map_err(no_answer)?;
    Ok(text)
}

pub(super) fn parse(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|e| Failure::failed(format!("The controller's answer is no status document: {e}.")))
}
