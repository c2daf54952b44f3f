//! `sax-controller run`: the daemon.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg::{Long, Short};

use super::files::Files;
use super::{Failure, print, wrong};
use crate::daemon::{journal, memory, run as daemon, supervisor};

/// Where Linux has them.
const LEDS: &str = "/sys/class/leds";

pub(super) const USAGE: &str = "\
Usage: sax-controller run [--config FILE] [--devices FOLDER] [--state FOLDER] [--leds FOLDER]

Controls the site until SIGTERM, then hands the batteries back. SIGHUP tells what a restart would change.

  -c, --config FILE      configuration [/etc/sax/controller.toml]
      --devices FOLDER   device profiles of your own [/etc/sax/devices]
      --state FOLDER     where is kept what is learned, and what Modbus clients save [$STATE_DIRECTORY, else /var/lib/sax]
      --leds FOLDER      where the LED of [load_balancer] is [/sys/class/leds]
";

pub(super) fn run(arguments: Vec<OsString>) -> Result<(), Failure> {
    control(arguments).inspect_err(tell_systemd)
}

fn control(arguments: Vec<OsString>) -> Result<(), Failure> {
    let (mut files, mut state, mut leds) = (Files::default(), None, PathBuf::from(LEDS));
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(wrong(USAGE))? {
        match argument {
            Long("config") | Short('c') => files.config = parser.value().map_err(wrong(USAGE))?.into(),
            Long("devices") => files.devices = parser.value().map_err(wrong(USAGE))?.into(),
            Long("state") => state = Some(parser.value().map_err(wrong(USAGE))?.into()),
            Long("leds") => leds = parser.value().map_err(wrong(USAGE))?.into(),
            Long("help") | Short('h') => return print(USAGE),
            other => return Err(wrong(USAGE)(other.unexpected())),
        }
    }
    let library = files.library()?;
    let config = files.config(&library)?;
    journal::start(config.log.level);
    let reload = || {
        files.library().and_then(|library| files.config(&library)).map_err(|failure| match failure {
            Failure::Usage(said, _) | Failure::Configuration(said) | Failure::Failed(said) => said,
        })
    };
    let state = memory::directory(state, std::env::var_os("STATE_DIRECTORY"));
    daemon::run(&config, &library, daemon::Folders { state: &state, leds: &leds }, &reload).map_err(Failure::failed)
}

/// `systemctl status` shows the first mistake, with line and column, beside the state of the service.
fn tell_systemd(failure: &Failure) {
    let (Failure::Usage(said, _) | Failure::Configuration(said) | Failure::Failed(said)) = failure;
    supervisor::tell(&[sd_notify::NotifyState::Status(said.lines().next().unwrap_or_default())]);
}
