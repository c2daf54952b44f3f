//! `sax-controller check`: is this configuration right, what does it mean, and what would run.

use std::ffi::OsString;

use lexopt::Arg::{Long, Short, Value};

use super::files::Files;
use super::plan_text::plan_text;
use super::{Failure, print, wrong};
use crate::config::effective;
use crate::daemon::clock::{Clock, Monotonic};
use crate::daemon::wiring::plan;

pub(super) const USAGE: &str = "\
Usage: sax-controller check [FILE] [--quiet] [--devices FOLDER]

Checks a configuration and prints what it means: every key with its value in force, then the strategy, limits and next
windows of the schedule, and the threads, links, poll schedule and registers.
Ends with 0 when the configuration is right and with 78 when it has mistakes, all of which are listed.

      FILE, -c, --config FILE   configuration [/etc/sax/controller.toml]
  -q, --quiet                   print mistakes only
      --devices FOLDER          device profiles of your own [/etc/sax/devices]
";

pub(super) fn run(arguments: Vec<OsString>) -> Result<(), Failure> {
    let mut files = Files::default();
    let (mut quiet, mut named) = (false, false);
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(wrong(USAGE))? {
        match argument {
            Value(path) if !named => (files.config, named) = (path.into(), true),
            Long("config") | Short('c') => files.config = parser.value().map_err(wrong(USAGE))?.into(),
            Long("devices") => files.devices = parser.value().map_err(wrong(USAGE))?.into(),
            Long("quiet") | Short('q') => quiet = true,
            Long("help") | Short('h') => return print(USAGE),
            other => return Err(wrong(USAGE)(other.unexpected())),
        }
    }
    let library = files.library()?;
    let config = files.config(&library)?;
    if quiet {
        return Ok(());
    }
    let plan = plan_text(&config, &plan(&config, &library), Monotonic::start().wall_s());
    print(&format!("{}\n{plan}\n{} is right.\n", effective(&config), files.config.display()))
}
