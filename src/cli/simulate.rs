//! `sax-controller simulate`: the controller against a simulated site, in virtual time or, with `--live`, as a process of its own.
//!
//! Only the arguments; the day is in [`simulate_day`](super::simulate_day), the live site in [`live`](super::live).

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use lexopt::Arg::{Long, Short};

use super::files::Files;
use super::simulate_files::same_place;
use super::simulate_site::{Firmware, built_in};
use super::{Failure, live, print, simulate_day, wrong};
use crate::plant::day::{Season, Sky};

pub(super) const USAGE: &str = "\
Usage: sax-controller simulate [--site FILE] [--hours N] [--season NAME] [--sky NAME] [--plot FILE] [OPTION...]
       sax-controller simulate --live [--site FILE] [--seconds N] [--keep] [OPTION...]

The first form runs the controller's tasks through a simulated day in virtual time and prints the figures of the day.
The second form starts simulated devices with real Modbus TCP ports on 127.0.0.x, serial buses and P1 ports on pseudo terminals,
and the real controller as a process of its own, and shows second by second what happens, until Ctrl-C.
Every device of a configuration is simulated by its profile, and nothing that it names is connected to.

  -c, --site FILE         a configuration of your own (also: --config)
      --no-car            the built-in configuration without its charger and the car
      --devices FOLDER    device profiles of your own, with --site [/etc/sax/devices]
      --bus-loss-permille N   frames on serial buses that get lost, in a thousand, each way, 0 to 500 [0]
      --noise-permille N  frames on serial buses with a wrong bit, and noise between as many, in a thousand, 0 to 500 [0]

      --hours N           how long, 1 to 168; the day repeats [24]
      --season NAME       spring, summer or winter [spring]
      --sky NAME          broken, clear or overcast [broken]
      --loss-permille N   replies that get lost, in a thousand, 0 to 500 [10]
      --faults            what goes wrong in a bad year, all on each day: lost replies, outages, a battery out of reach, dimming, ...
      --trace FILE        a recorded load in place of the generated day: CSV, a line per moment; it says how long
      --compare           the same day without a controller and with the laws that are common in the field, side by side
      --csv FILE          write the day, a line per second
      --plot FILE         draw the day: SVG
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
    /// Whether the built-in configuration has a charger.
    pub(super) car: bool,
    pub(super) csv: Option<PathBuf>,
    pub(super) plot: Option<PathBuf>,
    pub(super) compare: bool,
    pub(super) trace: Option<PathBuf>,
    pub(super) faults: bool,
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
            car: true,
            csv: None,
            plot: None,
            compare: false,
            trace: None,
            faults: false,
        }
    }
}

pub(super) fn run(arguments: Vec<OsString>) -> Result<(), Failure> {
    let mut given = Given::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    while given.take(&mut parser)? {}
    if given.help {
        return print(USAGE);
    }
    given.check().map_err(|said| Failure::Usage(said, USAGE))?;
    let options = &mut given.options;
    if given.show {
        return print(&built_in(options.poll_ms, options.car));
    }
    options.files = given.config.map(|config| {
        let files = Files { config: config.into(), ..Files::default() };
        given.devices.map(|devices| Files { devices: devices.into(), ..files.clone() }).unwrap_or(files)
    });
    if given.is_live { live::run(options) } else { simulate_day::run(options) }
}

/// What was given, and which options only make sense with others, as they were given last.
#[derive(Default)]
struct Given {
    options: Options,
    help: bool,
    is_live: bool,
    show: bool,
    config: Option<OsString>,
    devices: Option<OsString>,
    of_day: Option<&'static str>,
    of_live: Option<&'static str>,
    of_built_in: Option<&'static str>,
    /// Of the generated day.
    of_generated: Option<&'static str>,
    /// Of a day that is run, not only shown.
    of_run: Option<&'static str>,
}

impl Given {
    /// Takes the next argument; false when there is none, or when all that is wanted is help.
    fn take(&mut self, parser: &mut lexopt::Parser) -> Result<bool, Failure> {
        let options = &mut self.options;
        let Some(argument) = parser.next().map_err(wrong(USAGE))? else { return Ok(false) };
        match argument {
            Long("help") | Short('h') => self.help = true,
            Long("live") => self.is_live = true,
            Long("show-config") => self.show = true,
            Long("keep") => (options.keep, self.of_live) = (true, Some("--keep")),
            Long("seconds") => (options.seconds, self.of_live) = (Some(number(parser, "--seconds", 1..=86_400)?), Some("--seconds")),
            Long("hours") => (options.hours, self.of_generated) = (number(parser, "--hours", 1..=168)?, Some("--hours")),
            Long("season") => (options.season, self.of_generated) = (word(parser, "--season", &SEASONS)?, Some("--season")),
            Long("sky") => (options.sky, self.of_generated) = (word(parser, "--sky", &SKIES)?, Some("--sky")),
            Long("loss-permille") => {
                (options.loss_permille, self.of_day) = (number(parser, "--loss-permille", 0..=500)? as u16, Some("--loss-permille"));
            }
            Long("bus-loss-permille") => options.bus_loss_permille = number(parser, "--bus-loss-permille", 0..=500)? as u16,
            Long("noise-permille") => options.noise_permille = number(parser, "--noise-permille", 0..=500)? as u16,
            Long("site" | "config") | Short('c') => self.config = Some(parser.value().map_err(wrong(USAGE))?),
            Long("devices") => self.devices = Some(parser.value().map_err(wrong(USAGE))?),
            Long("number") => options.number = number(parser, "--number", 0..=u64::MAX)?,
            Long("latency-ms") => options.latency_ms = number(parser, "--latency-ms", 0..=15_000)?,
            Long("poll-ms") => (options.poll_ms, self.of_built_in) = (number(parser, "--poll-ms", 200..=5_000)?, Some("--poll-ms")),
            Long("no-car") => (options.car, self.of_built_in) = (false, Some("--no-car")),
            Long("firmware") => options.firmware = word(parser, "--firmware", &FIRMWARES)?,
            Long("csv") => (options.csv, self.of_run) = (Some(file(parser)?), Some("--csv")),
            Long("plot") => (options.plot, self.of_run) = (Some(file(parser)?), Some("--plot")),
            Long("trace") => (options.trace, self.of_run) = (Some(file(parser)?), Some("--trace")),
            Long("compare") => (options.compare, self.of_run) = (true, Some("--compare")),
            Long("faults") => (options.faults, self.of_run) = (true, Some("--faults")),
            other => return Err(wrong(USAGE)(other.unexpected())),
        }
        Ok(!self.help)
    }

    /// What does not go together, in a sentence.
    fn check(&self) -> Result<(), String> {
        let options = &self.options;
        let site = self.config.as_ref().map(PathBuf::from);
        let named = [("--csv", &options.csv), ("--plot", &options.plot), ("--trace", &options.trace), ("--site", &site)];
        let files: Vec<_> = named.iter().filter_map(|(option, path)| Some((option, path.as_ref()?))).collect();
        let pairs = (0..files.len()).flat_map(|a| (0..a).map(move |b| (b, a)));
        let same = pairs.map(|(b, a)| (files[b], files[a])).find(|(b, a)| same_place(b.1, a.1));
        let of_day = self.of_run.or(self.of_day).or(self.of_generated);
        match (of_day, self.of_live, self.of_built_in) {
            (Some(option), _, _) if self.is_live => Err(format!("{option} does not go together with --live.")),
            (_, Some(option), _) if !self.is_live => Err(format!("{option} needs --live.")),
            (_, _, Some(option)) if self.config.is_some() => Err(format!("{option} is not needed with --site: the file says it.")),
            _ if self.devices.is_some() && self.config.is_none() => Err("--devices needs --site.".into()),
            _ => match (self.of_generated, self.of_run, same) {
                (Some(option), _, _) if options.trace.is_some() => {
                    Err(format!("{option} does not go together with --trace: the file says it."))
                }
                (_, Some(option), _) if self.show => Err(format!("{option} does not go together with --show-config.")),
                (_, _, Some((a, b))) => Err(format!("{} and {} name the same file.", a.0, b.0)),
                _ => Ok(()),
            },
        }
    }
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

fn file(parser: &mut lexopt::Parser) -> Result<PathBuf, Failure> {
    parser.value().map(PathBuf::from).map_err(wrong(USAGE))
}

fn word<T: Copy>(parser: &mut lexopt::Parser, option: &str, words: &[(&str, T)]) -> Result<T, Failure> {
    let value = parser.value().map_err(wrong(USAGE))?;
    let found = words.iter().find(|(word, _)| value.to_str() == Some(*word)).map(|(_, means)| *means);
    found.ok_or_else(|| {
        let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        Failure::Usage(format!("{option} must be one of {known}, not \"{}\".", value.to_string_lossy()), USAGE)
    })
}
