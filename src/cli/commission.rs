//! `sax-controller commission`: moves every battery a little and says what does not fit the configuration.
//!
//! Any key ends it, and Ctrl-C and SIGTERM do.

use std::ffi::OsString;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use lexopt::Arg::{Long, Short};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::files::Files;
use super::keys::Keys;
use super::{Failure, print, wrong};
use crate::background;
use crate::commission::finding::Outcome;
use crate::commission::machine::Commission;
use crate::commission::report::report;
use crate::commission::setup::{Setup, planned, prepared};
use crate::config::{Config, LogLevel, Strategy, fixed_to_text};
use crate::daemon::clock::Monotonic;
use crate::daemon::director::Director;
use crate::daemon::journal;
use crate::daemon::memory::{Memory, directory};
use crate::daemon::message::{Event, Instruction};
use crate::daemon::run::RunError;
use crate::daemon::threads::Threads;
use crate::serve::document::Document;
use crate::serve::socket::{Published, StatusSocket};
use crate::units::Time;

pub(super) const USAGE: &str = "\
Usage: sax-controller commission [--yes] [--power WATTS] [--config FILE] [--devices FOLDER] [--state FOLDER]

Finds out whether the configuration is right: moves one battery after the other by some hundred watts, up, down and back, and watches
battery and meter. Says for every battery whether it follows, its sign, phase, dead time, lag, scale and setpoint encoding, how old the
meter's values are, and which lines of the configuration to change. Asks before it begins. Three batteries take less than a
minute. A battery that takes only limits, or is told so by control = \"limits\", balances by itself and is not moved.

Ends at once, with all batteries handed back, when any key is pressed, when a fuse comes near its limit, when a device does not
answer for 5 s, and when a battery does what it was not told. Does not start beside a running controller.
Ends with 0 when everything that can be tested fits, with 1 when something is to be changed, is not clear, or failed.

  -y, --yes              begin without asking
      --power WATTS      by how much each battery is moved, 300 to 500 [400]
  -c, --config FILE      configuration [/etc/sax/controller.toml]
      --devices FOLDER   device profiles of your own [/etc/sax/devices]
      --state FOLDER     what is learned is kept there [$STATE_DIRECTORY, else /var/lib/sax]
";

/// Power of the probe, W, and what may be asked for (`spec/control.md` 2.2: 300 to 500).
const POWER_W: i64 = 400;
const POWERS_W: std::ops::RangeInclusive<i64> = 300..=500;
/// The batteries get this long to acknowledge their release when the machine has said its last word.
const STOP_WITHIN: Duration = Duration::from_millis(2900);
/// … and the machine this long to say it after it was told to stop: a write may have to wait for its budget.
const ENDS_WITHIN: Duration = Duration::from_secs(9);
/// Lines on their way to the terminal.
const LINES_MOST: usize = 1000;

struct Options {
    files: Files,
    yes: bool,
    power_w: i64,
    /// Where what is learned is kept.
    state: PathBuf,
}

/// What happens while it runs.
enum News {
    Line(String),
    Over(Box<Outcome>),
}

pub(super) fn run(arguments: Vec<OsString>) -> Result<(), Failure> {
    let Some(options) = options(arguments)? else { return print(USAGE) };
    let library = options.files.library()?;
    let file = options.files.config(&library)?;
    if file.meter.is_none() || file.batteries.is_empty() {
        return Err(Failure::failed("There is nothing to commission: the configuration has no [meter] or no [[battery]]."));
    }
    journal::start(if file.log.level == LogLevel::Off { LogLevel::Off } else { LogLevel::Warn });
    let path = Path::new(&file.status.socket);
    let socket = StatusSocket::bind(path).map_err(|error| Failure::failed(RunError::Socket { path: path.to_owned(), error }))?;
    print(&introduction(&file, &options))?;
    if !options.yes && !confirmed()? {
        return Err(Failure::failed("Nothing was done."));
    }
    let config = prepared(&file);
    let plan = planned(&config, &library);
    let setup = Setup::new(&config, &plan, options.power_w);
    let (stops, _keys) = stops()?;
    let (news_sender, news) = bounded(LINES_MOST);
    let (stop_sender, stop) = bounded(1);
    let show = Show { machine: Commission::new(setup), news: news_sender, stop, over: false };
    let published = Published::default();
    let failed = |error| Failure::failed(RunError::Threads(error));
    let threads = Threads::start(plan, Box::new(show), published.clone(), Monotonic::start()).map_err(failed)?;
    let serving = socket.try_clone().map_err(failed)?;
    background::start("status", move || serving.serve(&published, &())).map_err(failed)?;
    let outcome = watch(&news, &stops, &stop_sender);
    let released = threads.stop(STOP_WITHIN);
    drop(socket);
    finish(&file, &options.state, outcome, released)
}

fn options(arguments: Vec<OsString>) -> Result<Option<Options>, Failure> {
    let state = directory(None, std::env::var_os("STATE_DIRECTORY"));
    let mut options = Options { files: Files::default(), yes: false, power_w: POWER_W, state };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(wrong(USAGE))? {
        match argument {
            Long("yes") | Short('y') => options.yes = true,
            Long("power") => {
                let value = parser.value().map_err(wrong(USAGE))?;
                let watts = value.to_str().and_then(|v| v.parse().ok()).filter(|w| POWERS_W.contains(w));
                let said = || format!("--power must be a whole number from 300 to 500, not \"{}\".", value.to_string_lossy());
                options.power_w = watts.ok_or_else(|| Failure::Usage(said(), USAGE))?;
            }
            Long("state") => options.state = parser.value().map_err(wrong(USAGE))?.into(),
            Long("config") | Short('c') => options.files.config = parser.value().map_err(wrong(USAGE))?.into(),
            Long("devices") => options.files.devices = parser.value().map_err(wrong(USAGE))?.into(),
            Long("help") | Short('h') => return Ok(None),
            other => return Err(wrong(USAGE)(other.unexpected())),
        }
    }
    Ok(Some(options))
}

fn introduction(config: &Config, options: &Options) -> String {
    let names: Vec<_> = config.batteries.iter().map(|b| b.name.as_str()).collect();
    let observes = config.site.strategy == Strategy::Observe;
    let writes =
        if observes { "Strategy \"observe\" writes nothing, but commissioning does: it cannot find out anything else.\n" } else { "" };
    let (power_w, fuse_a) = (options.power_w, fixed_to_text(config.site.fuse_ma.into(), 3));
    format!(
        "Commissioning of \"{}\": battery {}.\n\
         All batteries are brought to 0 W. Then one after the other discharges with {power_w} W, charges with {power_w} W and rests again,\n\
         each for a few seconds; {fuse_a} A per phase are kept. At the end all batteries are handed back to their own control.\n\
         Powers: from the grid +, into the grid -; a battery discharges +, charges -.\n{writes}",
        config.site.name,
        names.join(", ")
    )
}

/// Asks. Without a terminal nobody can answer.
fn confirmed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::failed("There is no terminal to ask on; --yes begins without asking. Nothing was done."));
    }
    print("Begin? (y/N) ")?;
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|e| Failure::failed(format!("The answer cannot be read: {e}.")))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Gets a reason for every request to stop: a signal, or a key at the terminal, which is as it was when the keys are dropped.
fn stops() -> Result<(Receiver<&'static str>, Option<Keys>), Failure> {
    let (sender, stops) = bounded(4);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(|e| Failure::failed(RunError::Signals(e)))?;
    let of_signals = sender.clone();
    let threads = |error| Failure::failed(RunError::Threads(error));
    let signalled = move || {
        for _ in signals.forever() {
            let _ = of_signals.try_send("a signal came");
        }
    };
    background::start("signals", signalled).map_err(threads)?;
    let keys = Keys::listen();
    if let Some(keys) = &keys {
        let pressed = move || {
            if Keys::wait() {
                let _ = sender.try_send("a key was pressed");
            }
        };
        background::start("keys", pressed).map_err(threads)?;
        print(&format!("{} ends it at once.\n", keys.name()))?;
    }
    Ok((stops, keys))
}

/// Shows what happens until it is over. A second request to stop, or one that takes too long, ends it without an outcome.
fn watch(news: &Receiver<News>, stops: &Receiver<&'static str>, stop: &Sender<&'static str>) -> Option<Outcome> {
    let mut asked: Option<Instant> = None;
    loop {
        let wait = asked.map_or(Duration::from_secs(1), |at| ENDS_WITHIN.saturating_sub(at.elapsed()));
        crossbeam_channel::select! {
            recv(news) -> item => match item {
                // A reader of the output that went away is no reason to stop half-way, but a request to stop is heard.
                Ok(News::Line(line)) => drop(print(&format!("{line}\n"))),
                Ok(News::Over(outcome)) => return Some(*outcome),
                Err(_) => return None,
            },
            recv(stops) -> why => match (why, asked) {
                (Ok(why), None) => {
                    asked = Some(Instant::now());
                    let _ = stop.try_send(why);
                }
                _ => return None,
            },
            default(wait) => if asked.is_some_and(|at| at.elapsed() >= ENDS_WITHIN) { return None },
        }
    }
}

fn finish(config: &Config, state: &Path, outcome: Option<Outcome>, released: bool) -> Result<(), Failure> {
    let unreleased = outcome.as_ref().map_or(&[][..], |o| &o.unreleased);
    let complete = outcome.as_ref().filter(|o| o.stopped.is_none());
    if let Some(outcome) = complete {
        print(&format!("\n{}\n", report(outcome)))?;
        print(&format!("{}\nIt took {}. ", kept(state, config, outcome), outcome.took))?;
    }
    if released && outcome.is_some() && unreleased.is_empty() {
        let left = outcome.as_ref().map_or(&[][..], |o| &o.left);
        left.iter().try_for_each(|sentence| print(&format!("{sentence}.\n")))?;
        print(if left.is_empty() { "All batteries are released.\n" } else { "All others are released.\n" })?;
    } else {
        let who = if unreleased.is_empty() { "a battery".to_owned() } else { format!("battery {}", unreleased.join(", ")) };
        print(&format!(
            "The release of {who} was not acknowledged; its own timeout releases it within five minutes. Please look at it.\n"
        ))?;
    }
    match outcome {
        Some(outcome) if outcome.fits() && outcome.leaves_open() => print("Nothing to change, but not everything could be tested.\n"),
        Some(outcome) if outcome.fits() => Ok(()),
        Some(Outcome { stopped: Some(why), .. }) => Err(Failure::failed(format!("The commissioning was stopped: {why}."))),
        Some(_) => Err(Failure::failed("Not everything fits: see the table above.")),
        None => Err(Failure::failed("The commissioning was stopped.")),
    }
}

/// Keeps what was learned for the controller, and says so in a sentence.
fn kept(directory: &Path, config: &Config, outcome: &Outcome) -> String {
    if outcome.window.is_none() {
        return "How old the meter's values are is not clear: what was known of it stays as it was.".into();
    }
    let memory = Memory::open(directory, config);
    match memory.save(&outcome.learned) {
        Ok(()) if !outcome.fits() => {
            format!(
                "What was learned is kept in {}. It belongs to this configuration: run this again after the change.",
                memory.path().display()
            )
        }
        Ok(()) => format!("What was learned about the meter and the batteries is kept in {}.", memory.path().display()),
        Err(error) => format!("What was learned about the meter and the batteries is not kept: {error}"),
    }
}

/// The commissioning as director of the threads: passes on what it says, and requests to stop.
struct Show {
    machine: Commission,
    news: Sender<News>,
    stop: Receiver<&'static str>,
    over: bool,
}

impl Director for Show {
    fn take(&mut self, event: Event) -> bool {
        self.machine.take(event)
    }

    fn step(&mut self, now: Time, wall_s: i64, instruct: &mut dyn FnMut(usize, Instruction)) {
        if let Ok(why) = self.stop.try_recv() {
            self.machine.stop(why, now);
        }
        self.machine.step(now, wall_s, instruct);
        while let Some(line) = self.machine.line() {
            let _ = self.news.try_send(News::Line(line));
        }
        if let Some(outcome) = self.machine.outcome().filter(|_| !self.over) {
            self.over = self.news.try_send(News::Over(Box::new(outcome.clone()))).is_ok();
        }
    }

    fn wake_at(&self) -> Option<Time> {
        self.machine.wake_at()
    }

    fn document(&self, now: Time) -> Document {
        self.machine.document(now)
    }
}
