//! `sax-controller simulate`: the controller against a simulated site, in virtual time or, with `--live`, as a process of its own.
//!
//! Only the arguments; the day is in [`simulate_day`](super::simulate_day), the live site in [`live`](super::live).

use std::ffi::OsString;
use std::ops::RangeInclusive;

use lexopt::Arg::{Long, Short};

use super::files::Files;
use super::simulate_site::{Firmware, built_in};
use super::{Failure, live, print, simulate_day, wrong};
use crate::plant::day::{Season, Sky};

pub(super) const USAGE: &str = "\
Usage: sax-controller simulate [--site FILE] [--hours N] [--season NAME] [--sky NAME] [--loss-permille N] [OPTION...]
       sax-controller simulate --live [--site FILE] [--seconds N] [--keep] [OPTION...]

The first form runs the controller's tasks through a simulated day in virtual time and prints the figures of the day.
The second form starts simulated devices with real Modbus TCP ports on 127.0.0.x, serial buses and P1 ports on pseudo terminals,
and the real controller as a process of its own, and shows second by second what happens, until Ctrl-C.
Every device of a configuration is simulated by its profile, and nothing that it names is connected to.

  -c, --site FILE         a configuration of your own (also: --config)
      --devices FOLDER    device profiles of your own, with --site [/etc/sax/devices]
      --bus-loss-permille N   frames on serial buses that get lost, in a thousand, each way, 0 to 500 [0]
      --noise-permille N  frames on serial buses with a wrong bit, and noise between as many, in a thousand, 0 to 500 [0]

      --hours N           how long, 1 to 168; the day repeats [24]
      --season NAME       spring, summer or winter [spring]
      --sky NAME          broken, clear or overcast [broken]
      --loss-permille N   replies that get lost, in a thousand, 0 to 500 [10]
      --show-config       print the built-in configuration and end

      --live              in real time, over TCP and pseudo terminals
      --seconds N         how long, 1 to 86400 [until Ctrl-C]
      --keep              keep the temporary folder with the configuration

      --number N          everything random follows from this number [1]
      --latency-ms N      how late the meter is, 0 to 15000 [600]
      --poll-ms N         how often meter and batteries are polled in the built-in configuration, 200 to 5000 [1000]
      --firmware NAME     old: units 64 and 40; new: units 64 and 100 [old]
";

/// What to simulate.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) hours: u64,
    pub(super) season: Season,
    pub(super) sky: Sky,
    pub(super) loss_permille: u16,
    pub(super) bus_loss_permille: u16,
    pub(super) noise_permille: u16,
    pub(super) files: Option<Files>,
    pub(super) seconds: Option<u64>,
    pub(super) keep: bool,
    pub(super) number: u64,
    pub(super) latency_ms: u64,
    pub(super) poll_ms: u64,
    pub(super) firmware: Firmware,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            hours: 24,
            season: Season::Spring,
            sky: Sky::Broken,
            loss_permille: 10,
            bus_loss_permille: 0,
            noise_permille: 0,
            files: None,
            seconds: None,
            keep: false,
            number: 1,
            latency_ms: 600,
            poll_ms: 1000,
            firmware: Firmware::Old,
        }
    }
}

pub(super) fn run(arguments: Vec<OsString>) -> Result<(), Failure> {
    let mut options = Options::default();
    let (mut is_live, mut show) = (false, false);
    // Options that only one of the forms has, as they were given.
    let (mut of_day, mut of_live, mut of_built_in) = (None, None, None);
    let (mut config, mut devices) = (None, None);
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(wrong(USAGE))? {
        match argument {
            Long("help") | Short('h') => return print(USAGE),
            Long("live") => is_live = true,
            Long("show-config") => show = true,
            Long("keep") => (options.keep, of_live) = (true, Some("--keep")),
            Long("seconds") => (options.seconds, of_live) = (Some(number(&mut parser, "--seconds", 1..=86_400)?), Some("--seconds")),
            Long("hours") => (options.hours, of_day) = (number(&mut parser, "--hours", 1..=168)?, Some("--hours")),
            Long("season") => (options.season, of_day) = (word(&mut parser, "--season", &SEASONS)?, Some("--season")),
            Long("sky") => (options.sky, of_day) = (word(&mut parser, "--sky", &SKIES)?, Some("--sky")),
            Long("loss-permille") => {
                (options.loss_permille, of_day) = (number(&mut parser, "--loss-permille", 0..=500)? as u16, Some("--loss-permille"));
            }
            Long("bus-loss-permille") => options.bus_loss_permille = number(&mut parser, "--bus-loss-permille", 0..=500)? as u16,
            Long("noise-permille") => options.noise_permille = number(&mut parser, "--noise-permille", 0..=500)? as u16,
            Long("site" | "config") | Short('c') => config = Some(parser.value().map_err(wrong(USAGE))?),
            Long("devices") => devices = Some(parser.value().map_err(wrong(USAGE))?),
            Long("number") => options.number = number(&mut parser, "--number", 0..=u64::MAX)?,
            Long("latency-ms") => options.latency_ms = number(&mut parser, "--latency-ms", 0..=15_000)?,
            Long("poll-ms") => (options.poll_ms, of_built_in) = (number(&mut parser, "--poll-ms", 200..=5_000)?, Some("--poll-ms")),
            Long("firmware") => options.firmware = word(&mut parser, "--firmware", &FIRMWARES)?,
            other => return Err(wrong(USAGE)(other.unexpected())),
        }
    }
    let usage = |said: String| Err(Failure::Usage(said, USAGE));
    match (of_day, of_live, of_built_in) {
        (Some(option), _, _) if is_live => return usage(format!("{option} does not go together with --live.")),
        (_, Some(option), _) if !is_live => return usage(format!("{option} needs --live.")),
        (_, _, Some(option)) if config.is_some() => return usage(format!("{option} is not needed with --site: the file says it.")),
        _ if devices.is_some() && config.is_none() => return usage("--devices needs --site.".into()),
        _ => {}
    }
    if show {
        return print(&built_in(options.poll_ms));
    }
    options.files = config.map(|config| {
        let files = Files { config: config.into(), ..Files::default() };
        devices.map(|devices| Files { devices: devices.into(), ..files.clone() }).unwrap_or(files)
    });
    if is_live { live::run(&options) } else { simulate_day::run(&options) }
}

pub(super) const SEASONS: [(&str, Season); 3] = [("spring", Season::Spring), ("summer", Season::Summer), ("winter", Season::Winter)];
pub(super) const SKIES: [(&str, Sky); 3] = [("broken", Sky::Broken), ("clear", Sky::Clear), ("overcast", Sky::Overcast)];
const FIRMWARES: [(&str, Firmware); 2] = [("old", Firmware::Old), ("new", Firmware::New)];

fn number(parser: &mut lexopt::Parser, option: &str, range: RangeInclusive<u64>) -> Result<u64, Failure> {
    let value = parser.value().map_err(wrong(USAGE))?;
    let found = value.to_str().and_then(|text| text.parse().ok()).filter(|n| range.contains(n));
    found.ok_or_else(|| {
        let (low, high) = (range.start(), range.end());
        Failure::Usage(format!("{option} must be a whole number from {low} to {high}, not \"{}\".", value.to_string_lossy()), USAGE)
    })
}

fn word<T: Copy>(parser: &mut lexopt::Parser, option: &str, words: &[(&str, T)]) -> Result<T, Failure> {
    let value = parser.value().map_err(wrong(USAGE))?;
    let found = words.iter().find(|(word, _)| value.to_str() == Some(*word)).map(|(_, means)| *means);
    found.ok_or_else(|| {
        let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        Failure::Usage(format!("{option} must be one of {known}, not \"{}\".", value.to_string_lossy()), USAGE)
    })
}
