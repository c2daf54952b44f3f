//! The command line: one file per command. Exit codes: 0 done, 1 failed, 2 wrong usage, 78 the configuration has mistakes or cannot be read
//! (EX_CONFIG).

mod charging_text;
mod check;
mod commission;
mod devices;
mod devices_text;
mod files;
mod keys;
mod live;
mod live_child;
mod live_config;
mod live_summary;
mod live_view;
mod plan_text;
mod policy_text;
mod read;
mod read_text;
mod run;
mod scan;
mod scan_text;
mod simulate;
mod simulate_compare;
mod simulate_day;
mod simulate_files;
mod simulate_plot;
mod simulate_site;
mod status;
mod status_charging;
mod status_text;
mod table;
mod target;
mod target_registers;
mod target_trouble;
mod value;
mod write;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::process::ExitCode;

use crate::daemon::journal;

const USAGE: &str = "\
Usage: sax-controller COMMAND [OPTION...]

Commands:
  run        control the site that the configuration describes
  check      check a configuration, and print what it means and what would run
  commission move every battery a little, and find out whether the configuration is right
  status     show what the running controller reads, decides and writes
  devices    list the devices that are known, and what their profiles say
  scan       find Modbus devices on a network or a serial bus
  read       read registers of a Modbus device
  write      write registers of a Modbus device
  simulate   run the controller against a simulated site
  help       print this, and with a COMMAND what that one does; 'sax-controller COMMAND --help' is the same
  version    print the version
";

/// A command: its name, what does it, and how it is written.
type Command = (&'static str, fn(Vec<OsString>) -> Result<(), Failure>, &'static str);

/// The commands, in the order of [`USAGE`].
const COMMANDS: [Command; 9] = [
    ("run", run::run, run::USAGE),
    ("check", check::run, check::USAGE),
    ("commission", commission::run, commission::USAGE),
    ("status", status::run, status::USAGE),
    ("devices", devices::run, devices::USAGE),
    ("scan", scan::run, scan::USAGE),
    ("read", read::run, read::USAGE),
    ("write", write::run, write::USAGE),
    ("simulate", simulate::run, simulate::USAGE),
];

/// A usage of more lines is not printed for a mistake in the arguments.
const LONGEST_USAGE: usize = 10;

/// Why a command did not do what was asked.
pub(crate) enum Failure {
    /// The arguments are wrong; with the usage of the command.
    Usage(String, &'static str),
    /// The configuration has mistakes, which are described.
    Configuration(String),
    /// Anything else, in a whole sentence.
    Failed(String),
}

impl Failure {
    fn failed(said: impl fmt::Display) -> Failure {
        Failure::Failed(said.to_string())
    }
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    journal::prepare();
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next().unwrap_or_default();
    let arguments: Vec<_> = arguments.collect();
    let outcome = match command.to_str() {
        Some("help" | "--help" | "-h") => help(&arguments),
        Some("version" | "--version" | "-V") => print(concat!("sax-controller ", env!("CARGO_PKG_VERSION"), "\n")),
        Some("") => Err(Failure::Usage("A command is missing.".into(), USAGE)),
        _ => find(&command).and_then(|(_, run, _)| run(arguments)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(said, usage)) => complain(&misused(&said, usage), 2),
        Err(Failure::Configuration(said)) => complain(&said, 78),
        Err(Failure::Failed(said)) => complain(&format!("{said}\n"), 1),
    }
}

/// What every command's `--help` prints, by name; the manual page is made of it.
pub fn usages() -> impl Iterator<Item = (&'static str, &'static str)> {
    COMMANDS.iter().map(|(name, _, usage)| (*name, *usage))
}

fn find(name: &OsStr) -> Result<&'static Command, Failure> {
    let command = COMMANDS.iter().find(|(known, ..)| name == *known);
    command.ok_or_else(|| Failure::Usage(format!("There is no command \"{}\".", name.to_string_lossy()), USAGE))
}

/// The commands, or how one of them is written.
fn help(arguments: &[OsString]) -> Result<(), Failure> {
    match arguments {
        [] => print(USAGE),
        [name] if ["help", "version", "--help", "-h"].iter().any(|own| name == own) => print(USAGE),
        [name] => find(name).and_then(|(_, _, usage)| print(usage)),
        _ => Err(Failure::Usage("help takes one command.".into(), USAGE)),
    }
}

/// What is wrong with the arguments, and how they are written: a long usage would hide the sentence, so it is only pointed at. The list of
/// commands is always shown, for who has named none.
fn misused(said: &str, usage: &str) -> String {
    match usage.split_whitespace().nth(2) {
        Some(command) if usage != USAGE && usage.lines().count() > LONGEST_USAGE => {
            format!("{said}\nSee 'sax-controller {command} --help'.\n")
        }
        _ => format!("{said}\n\n{usage}"),
    }
}

fn complain(text: &str, code: u8) -> ExitCode {
    journal::fail(text);
    ExitCode::from(code)
}

/// Writes to standard output; a reader that went away is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("The output cannot be written: {error}.")))
        }
        _ => Ok(()),
    }
}

/// Turns a mistake in the arguments into a failure with the usage of the command.
pub(crate) fn wrong(usage: &'static str) -> impl Fn(lexopt::Error) -> Failure {
    move |error| Failure::Usage(format!("{}.", capitalised(&error.to_string())), usage)
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
