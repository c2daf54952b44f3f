//! `sax-controller write`: writes registers or coils of a device, once.

use std::ffi::OsString;

use lexopt::Arg::{Long, Short, Value};
use serde_json::json;

use super::target::{Options, Target, negative, number, text};
use super::target_registers::{Numbering, check_end, exchange};
use super::target_trouble::explain;
use super::value::{Type, WordOrder, coil, encode};
use super::{Failure, print, wrong};
use crate::link::fault::Fault;
use crate::modbus::pdu::{Reply, Request, WRITE_BITS_MAX, WRITE_REGISTERS_MAX};
use crate::scan::bus::Bus;

pub(super) const USAGE: &str = "\
Usage: sax-controller write TARGET ADDRESS VALUE... [OPTION...]

Writes registers or coils of a Modbus device: at once, once, without asking. A write without an answer is not repeated; it may
have happened. TARGET is a host, host:port, [IPv6]:port or a serial port (/dev/ttyUSB0). ADDRESS is as on the wire, decimal or
hexadecimal (0x7d8). Many documents and programs count from 1 instead: 'modpoll -r 2008' writes address 2007 on the wire.
--one-based does the same.

      --unit N             unit id of the device [1]; SAX batteries have 64 and 100
      --function N         5 one coil, 6 one register, 15 coils, 16 registers [6 for one register, 16 for more; 5 and 15 with
                           --type bool]. SAX batteries want 16 on unit 64, also for one register
      --type TYPE          u16 i16 u32 i32 f32 bool hex string [u16]; negative numbers need i16, i32 or f32
      --word-order ORDER   high-first or low-first, of u32, i32 and f32 [high-first]
      --one-based          ADDRESS counts from 1: register 1 is address 0 on the wire
      --not-finite         write NaN or infinity as f32 all the same
      --verify             read back, and fail where it is not what was written
      --timeout-ms MS      until an answer must be there, 10 to 60000 [3000]
      --raw                show the bytes of requests and replies on standard error; of TCP the unit and what follows it
      --json               one JSON document
      --baud N --parity none|even|odd --data-bits 7|8 --stop-bits 1|2
                           of a serial port [9600 none 8 1]
      --socket PATH        status socket of the controller that may be running [/run/sax/controller.sock]
";

/// What to write.
struct Writing {
    options: Options,
    numbering: Numbering,
    kind: Type,
    values: Vec<String>,
    request: Request,
    verify: bool,
    raw: bool,
    json: bool,
}

/// The arguments as they come.
#[derive(Default)]
struct Given {
    address: Option<String>,
    values: Vec<String>,
    function: Option<u8>,
    kind: Option<Type>,
    order: WordOrder,
    one_based: bool,
    not_finite: bool,
    verify: bool,
    raw: bool,
    json: bool,
}

pub(super) fn run(arguments: Vec<OsString>) -> Result<(), Failure> {
    let Some(writing) = arguments_of(arguments)? else { return print(USAGE) };
    let target = writing.options.target(USAGE)?;
    target.warn_if_in_use(&writing.options);
    let mut link = target.open();
    let outcome = exchange(link.as_mut(), &target.place, target.unit, writing.raw, &writing.request);
    let reached = link.generation() > 0;
    outcome.map_err(|fault| Failure::Failed(explain(&fault, &writing.request, target.unit, &target.place, reached)))?;
    if !writing.json {
        print(&written(&target, &writing))?;
    }
    let verified = if writing.verify { Some(verify(link.as_mut(), &target, &writing)) } else { None };
    if writing.json {
        print(&document(&target, &writing, verified.as_ref()))?;
    }
    match verified {
        None => Ok(()),
        Some(Ok(())) if writing.json => Ok(()),
        Some(Ok(())) => print("Read back: it is there.\n"),
        Some(Err(said)) => Err(Failure::Failed(said)),
    }
}

fn arguments_of(arguments: Vec<OsString>) -> Result<Option<Writing>, Failure> {
    let mut options = Options::default();
    let mut given = Given::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    let failed = |said: String| Failure::Usage(said, USAGE);
    let textual = |value: OsString| value.into_string().map_err(|value| failed(format!("\"{}\" is no text.", value.to_string_lossy())));
    loop {
        if let Some(value) = negative(&mut parser) {
            if given.address.is_none() {
                return Err(failed(format!("\"{}\" stands before the target and the address.", value.to_string_lossy())));
            }
            given.values.push(textual(value)?);
            continue;
        }
        let Some(argument) = parser.next().map_err(wrong(USAGE))? else { break };
        match argument {
            Long("help") | Short('h') => return Ok(None),
            Long("one-based") => given.one_based = true,
            Long("not-finite") => given.not_finite = true,
            Long("verify") => given.verify = true,
            Long("raw") => given.raw = true,
            Long("json") => given.json = true,
            Long("function") => {
                let function = number(&mut parser, "function", 5..=16, USAGE)? as u8;
                if !matches!(function, 5 | 6 | 15 | 16) {
                    return Err(failed(format!("Function {function} does not write: it is 5, 6, 15 or 16.")));
                }
                given.function = Some(function);
            }
            Long("type") => given.kind = Some(Type::parse(&text(&mut parser, USAGE)?).map_err(failed)?),
            Long("word-order") => given.order = WordOrder::parse(&text(&mut parser, USAGE)?).map_err(failed)?,
            Long(name) => {
                let name = name.to_owned();
                if !options.take(&name, &mut parser, USAGE)? {
                    return Err(failed(format!("There is no option --{name}.")));
                }
            }
            Value(value) if !options.is_named() => options.name(textual(value)?),
            Value(value) if given.address.is_none() => given.address = Some(textual(value)?),
            Value(value) => given.values.push(textual(value)?),
            other => return Err(wrong(USAGE)(other.unexpected())),
        }
    }
    writing(options, given).map(Some).map_err(failed)
}

fn writing(options: Options, given: Given) -> Result<Writing, String> {
    if !options.is_named() {
        return Err("The target is missing: a host or a serial port.".into());
    }
    let numbering = Numbering { one_based: given.one_based };
    let address = numbering.parse(given.address.as_deref().ok_or("The address is missing.")?)?;
    if given.values.is_empty() {
        return Err("The value is missing.".into());
    }
    let bits = matches!(given.function, Some(5 | 15)) || (given.function.is_none() && given.kind == Some(Type::Bool));
    let kind = given.kind.unwrap_or(if bits { Type::Bool } else { Type::U16 });
    if bits != (kind == Type::Bool) {
        return Err("Coils are written with --type bool and function 5 or 15, registers with every other type and function 6 or 16.".into());
    }
    let request = if bits { coils(address, &given)? } else { registers(address, kind, &given)? };
    let Given { values, verify, raw, json, .. } = given;
    Ok(Writing { options, numbering, kind, values, request, verify, raw, json })
}

fn coils(address: u16, given: &Given) -> Result<Request, String> {
    let states = given.values.iter().map(|value| coil(value)).collect::<Result<Vec<bool>, String>>()?;
    let count = u16::try_from(states.len()).ok().filter(|count| *count <= WRITE_BITS_MAX);
    let count = count.ok_or_else(|| format!("{} coils are too many: one request writes at most {WRITE_BITS_MAX}.", states.len()))?;
    check_end(address, count.into())?;
    match (given.function, states.as_slice()) {
        (Some(5) | None, [on]) => Ok(Request::WriteSingleCoil { address, on: *on }),
        (Some(5), _) => Err("Function 5 writes one coil. --function 15 writes several.".into()),
        _ => {
            let packed = states.chunks(8).map(|byte| byte.iter().rev().fold(0, |packed, on| packed << 1 | u8::from(*on))).collect();
            Ok(Request::WriteMultipleCoils { address, count, packed })
        }
    }
}

fn registers(address: u16, kind: Type, given: &Given) -> Result<Request, String> {
    let mut values = Vec::new();
    for value in &given.values {
        values.extend(encode(kind, given.order, value, given.not_finite)?);
    }
    let most = usize::from(WRITE_REGISTERS_MAX);
    if values.len() > most {
        return Err(format!(
            "{} registers are too many: one request writes at most {most}, and several would not be written at the same moment.",
            values.len()
        ));
    }
    check_end(address, values.len() as u32)?;
    match (given.function, values.as_slice()) {
        (Some(6) | None, [value]) => Ok(Request::WriteSingleRegister { address, value: *value }),
        (Some(6), _) => Err(format!("Function 6 writes one register, and this takes {}. --function 16 writes several.", values.len())),
        _ => Ok(Request::WriteMultipleRegisters { address, values }),
    }
}

/// Reads back what was written; else says, in whole sentences, what is there instead.
fn verify(link: &mut dyn Bus, target: &Target, writing: &Writing) -> Result<(), String> {
    let (address, expected) = content(&writing.request);
    let count = u16::try_from(expected.len()).unwrap_or(u16::MAX);
    let bits = writing.request.function() == 5 || writing.request.function() == 15;
    let request = if bits { Request::ReadCoils { address, count } } else { Request::ReadHoldingRegisters { address, count } };
    let found = match exchange(link, &target.place, target.unit, writing.raw, &request) {
        Ok(Reply::HoldingRegisters { values }) => values,
        Ok(Reply::Coils { packed }) => {
            let bits = packed.iter().flat_map(|byte| (0..8).map(move |bit| u16::from(byte >> bit & 1)));
            bits.take(expected.len()).collect()
        }
        Ok(_) => return Err(unreadable(&Fault::Invalid("not an answer to the request".into()), &request, target)),
        Err(fault) => return Err(unreadable(&fault, &request, target)),
    };
    if found == expected {
        return Ok(());
    }
    let what = if bits { "coils" } else { "registers" };
    Err(format!(
        "Written, but not there: the {what} hold {}, not {}. The device may have changed the value, may need time to take it, or may not show what is written there.",
        hex(&found),
        hex(&expected)
    ))
}

fn unreadable(fault: &Fault, request: &Request, target: &Target) -> String {
    format!("Written, but not read back: {}", explain(fault, request, target.unit, &target.place, true))
}

/// First address and what is written there; of coils 0 or 1 each.
fn content(request: &Request) -> (u16, Vec<u16>) {
    match request {
        Request::WriteSingleCoil { address, on } => (*address, vec![u16::from(*on)]),
        Request::WriteMultipleCoils { address, count, packed } => {
            let bits = packed.iter().flat_map(|byte| (0..8).map(move |bit| u16::from(byte >> bit & 1)));
            (*address, bits.take(usize::from(*count)).collect())
        }
        Request::WriteSingleRegister { address, value } => (*address, vec![*value]),
        Request::WriteMultipleRegisters { address, values } => (*address, values.clone()),
        _ => (0, Vec::new()),
    }
}

fn hex(words: &[u16]) -> String {
    words.iter().map(|word| format!("0x{word:04x}")).collect::<Vec<_>>().join(" ")
}

fn written(target: &Target, writing: &Writing) -> String {
    let (address, words) = content(&writing.request);
    let function = writing.request.function();
    let coils = matches!(function, 5 | 15);
    let what = match (coils, words.len()) {
        (true, 1) => "coil",
        (true, _) => "coils from",
        (false, 1) => "register",
        (false, _) => "registers from",
    };
    let raw = if coils { String::new() } else { format!(" ({})", hex(&words)) };
    let base = if writing.numbering.one_based { " (counted from 1)" } else { "" };
    let values = writing.values.join(" ");
    let values = crate::config::findings::printable(&values);
    format!(
        "Wrote {} {values}{raw} to {what} {}{base} of unit {} at {}, with function {function}.\n",
        writing.kind.name(),
        writing.numbering.show(address),
        target.unit,
        target.place
    )
}

fn document(target: &Target, writing: &Writing, verified: Option<&Result<(), String>>) -> String {
    let (address, words) = content(&writing.request);
    let mut document = json!({
        "target": target.place.to_string(),
        "unit": target.unit,
        "function": writing.request.function(),
        "type": writing.kind.name(),
        "one_based": writing.numbering.one_based,
        "address": writing.numbering.show(address),
        "registers": words,
        "verified": verified.map(Result::is_ok),
    });
    if let Some(Err(said)) = verified {
        document["error"] = said.as_str().into();
    }
    format!("{document}\n")
}
