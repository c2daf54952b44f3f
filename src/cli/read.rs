//! `sax-controller read`: what registers or coils of a device hold.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use lexopt::Arg::{Long, Short, Value};

use super::read_text::{Round, Show};
use super::target::{Options, Target, number, text};
use super::target_registers::{Numbering, check_end, exchange};
use super::target_trouble::explain;
use super::value::{Type, WordOrder};
use super::{Failure, print, wrong};
use crate::link::fault::Fault;
use crate::modbus::pdu::{READ_BITS_MAX, READ_REGISTERS_MAX, Reply, Request};
use crate::scan::bus::Bus;

pub(super) const USAGE: &str = "\
Usage: sax-controller read TARGET ADDRESS [COUNT] [OPTION...]

Reads registers or coils of a Modbus device. TARGET is a host, host:port, [IPv6]:port or a serial port (/dev/ttyUSB0).
ADDRESS is as on the wire, decimal or hexadecimal (0x7d0). Many documents and programs count from 1 instead: 'modpoll -r 2026'
reads address 2025 on the wire. --one-based does the same: 'read HOST 2026 --one-based'. (modpoll -0 counts from 0, as here.)

      --unit N             unit id of the device [1]; SAX batteries have 64, 40 and 100
      --function N         1 coils, 2 discrete inputs, 3 holding registers, 4 input registers [3]
      --type TYPE          u16 i16 u32 i32 f32 bool hex string [u16; bool for functions 1 and 2]
      --word-order ORDER   high-first or low-first, of u32, i32 and f32 [high-first]
      --count N            how many values, like COUNT [1]; of a string, registers of two characters
      --one-based          ADDRESS counts from 1: register 1 is address 0 on the wire
      --watch [SECONDS]    again and again, with changes marked, until Ctrl-C [1]
      --times N            with --watch: so many times
      --timeout-ms MS      until an answer must be there, 10 to 60000 [3000]
      --raw                show the bytes of requests and replies on standard error; of TCP the unit and what follows it
      --json               one JSON document per reading
      --baud N --parity none|even|odd --data-bits 7|8 --stop-bits 1|2
                           of a serial port [9600 none 8 1]
      --socket PATH        status socket of the controller that may be running [/run/sax/controller.sock]
";

/// What to read, and how to show it.
struct Reading {
    options: Options,
    address: u16,
    count: u32,
    function: u8,
    watch: Option<Duration>,
    times: Option<u32>,
    raw: bool,
    json: bool,
    show: Show,
}

/// The arguments as they come.
#[derive(Default)]
struct Given {
    address: Option<String>,
    count: Option<String>,
    function: Option<u8>,
    kind: Option<Type>,
    order: WordOrder,
    one_based: bool,
    watch: Option<Duration>,
    times: Option<u32>,
    raw: bool,
    json: bool,
}

pub(super) fn run(arguments: Vec<OsString>) -> Result<(), Failure> {
    let Some(reading) = arguments_of(arguments)? else { return print(USAGE) };
    let target = reading.options.target(USAGE)?;
    target.warn_if_in_use(&reading.options);
    let mut link = target.open();
    let start = Instant::now();
    let (mut before, mut failed, mut round) = (None, 0_u32, 0_u32);
    loop {
        round = round.saturating_add(1);
        let outcome = registers(link.as_mut(), &target, &reading);
        let last = reading.watch.is_none() || reading.times == Some(round);
        let values = match outcome {
            Ok(registers) => Ok(reading.show.values(&registers)),
            Err((fault, request)) => Err(explain(&fault, &request, target.unit, &target.place, link.generation() > 0)),
        };
        failed += u32::from(values.is_err());
        let shown = Round { elapsed: start.elapsed(), values: values.as_ref().map(Vec::as_slice), before: before.as_deref() };
        let text =
            if reading.json { reading.show.json(&target, &shown) } else { reading.show.text(&target, &shown, reading.watch.is_some()) };
        let clear = reading.watch.is_some() && !reading.json && std::io::stdout().is_terminal();
        // One reading that failed is a failure, not an output.
        let wanted = reading.watch.is_some() || values.is_ok() || reading.json;
        if wanted && !shown_to_someone(&format!("{}{text}", if clear { "\x1b[H\x1b[J" } else { "" }))? {
            return Ok(());
        }
        match values {
            Ok(values) => before = Some(values),
            Err(said) if reading.watch.is_none() => return Err(Failure::Failed(said)),
            Err(_) => {}
        }
        if last {
            break;
        }
        std::thread::sleep(reading.watch.unwrap_or_default());
    }
    if failed > 0 { Err(Failure::Failed(format!("{failed} of {round} readings failed."))) } else { Ok(()) }
}

/// Writes to standard output; `false` when its reader has gone.
fn shown_to_someone(text: &str) -> Result<bool, Failure> {
    use std::io::{ErrorKind, Write};
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::Failed(format!("The output cannot be written: {error}."))),
    }
}

fn arguments_of(arguments: Vec<OsString>) -> Result<Option<Reading>, Failure> {
    let mut options = Options::default();
    let mut given = Given::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    let failed = |said: String| Failure::Usage(said, USAGE);
    while let Some(argument) = parser.next().map_err(wrong(USAGE))? {
        match argument {
            Long("help") | Short('h') => return Ok(None),
            Long("one-based") => given.one_based = true,
            Long("raw") => given.raw = true,
            Long("json") => given.json = true,
            Long("function") => given.function = Some(number(&mut parser, "function", 1..=4, USAGE)? as u8),
            Long("type") => given.kind = Some(Type::parse(&text(&mut parser, USAGE)?).map_err(failed)?),
            Long("word-order") => given.order = WordOrder::parse(&text(&mut parser, USAGE)?).map_err(failed)?,
            Long("count") => given.count = Some(text(&mut parser, USAGE)?),
            Long("times") => given.times = Some(number(&mut parser, "times", 1..=1_000_000, USAGE)?),
            Long("watch") => given.watch = Some(watch(&mut parser, given.address.is_some())?),
            Long(name) => {
                let name = name.to_owned();
                if !options.take(&name, &mut parser, USAGE)? {
                    return Err(failed(format!("There is no option --{name}.")));
                }
            }
            Value(value) => {
                let value = value.into_string().map_err(|value| failed(format!("\"{}\" is no text.", value.to_string_lossy())))?;
                match (options.is_named(), &given.address, &given.count) {
                    (false, ..) => options.name(value),
                    (true, None, _) => given.address = Some(value),
                    (true, Some(_), None) => given.count = Some(value),
                    _ => return Err(failed(format!("\"{value}\" is one argument too many."))),
                }
            }
            other => return Err(wrong(USAGE)(other.unexpected())),
        }
    }
    reading(options, given).map(Some).map_err(failed)
}

/// `--watch`, `--watch=5`, and, where no address could be meant, `--watch 5`.
fn watch(parser: &mut lexopt::Parser, address_is_known: bool) -> Result<Duration, Failure> {
    let mut said = parser.optional_value();
    if said.is_none() && address_is_known {
        said = parser.try_raw_args().and_then(|mut raw| raw.next_if(|next| next.to_str().is_some_and(|text| text.parse::<f64>().is_ok())));
    }
    let Some(said) = said else { return Ok(Duration::from_secs(1)) };
    let seconds = said.to_str().and_then(|text| text.parse::<f64>().ok()).filter(|s| (0.05..=86_400.0).contains(s));
    let wrong = || Failure::Usage(format!("--watch takes seconds from 0.05 to 86400, not \"{}\".", said.to_string_lossy()), USAGE);
    seconds.map(Duration::from_secs_f64).ok_or_else(wrong)
}

fn reading(options: Options, given: Given) -> Result<Reading, String> {
    let function = given.function.unwrap_or(if given.kind == Some(Type::Bool) { 1 } else { 3 });
    let bits = function <= 2;
    let kind = given.kind.unwrap_or(if bits { Type::Bool } else { Type::U16 });
    if bits != (kind == Type::Bool) {
        let what = if bits { "reads bits, which have --type bool only" } else { "reads registers, which are no bool" };
        return Err(format!("Function {function} {what}."));
    }
    let numbering = Numbering { one_based: given.one_based };
    if !options.is_named() {
        return Err("The target is missing: a host or a serial port.".into());
    }
    let address = given.address.ok_or("The address is missing.")?;
    let address = numbering.parse(&address)?;
    let count = given.count.as_deref().unwrap_or("1");
    let count = count.parse::<u32>().ok().filter(|count| (1..=65_536).contains(count));
    let count = count.ok_or("The count is a whole number from 1 to 65536.")? * u32::from(kind.words());
    check_end(address, count)?;
    if given.times.is_some() && given.watch.is_none() {
        return Err("--times is of use with --watch only.".into());
    }
    let show = Show { function, address, numbering, kind, order: given.order };
    let Given { watch, times, raw, json, .. } = given;
    Ok(Reading { options, address, count, function, watch, times, raw, json, show })
}

/// All registers, in as many requests as it takes; of bits 0 or 1 each. A value never spans two requests.
fn registers(link: &mut dyn Bus, target: &Target, reading: &Reading) -> Result<Vec<u16>, (Fault, Request)> {
    let most = match reading.function {
        1 | 2 => READ_BITS_MAX,
        _ => READ_REGISTERS_MAX - READ_REGISTERS_MAX % reading.show.kind.words(),
    };
    let mut all = Vec::new();
    let mut left = reading.count;
    while left > 0 {
        let count = most.min(u16::try_from(left).unwrap_or(u16::MAX));
        // `check_end` made sure that there is such an address.
        let address = u16::try_from(u32::from(reading.address) + (reading.count - left)).unwrap_or(u16::MAX);
        let request = match reading.function {
            1 => Request::ReadCoils { address, count },
            2 => Request::ReadDiscreteInputs { address, count },
            4 => Request::ReadInputRegisters { address, count },
            _ => Request::ReadHoldingRegisters { address, count },
        };
        match exchange(link, &target.place, target.unit, reading.raw, &request) {
            Ok(Reply::HoldingRegisters { values } | Reply::InputRegisters { values }) => all.extend(values),
            Ok(Reply::Coils { packed } | Reply::DiscreteInputs { packed }) => {
                let bits = packed.iter().flat_map(|byte| (0..8).map(move |bit| u16::from(byte >> bit & 1)));
                all.extend(bits.take(usize::from(count)));
            }
            Ok(_) => return Err((Fault::Invalid("not an answer to the request".into()), request)),
            Err(fault) => return Err((fault, request)),
        }
        left -= u32::from(count);
    }
    Ok(all)
}
