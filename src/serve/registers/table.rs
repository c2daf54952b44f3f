//! The list of registers as a table in Markdown, for the README.

use super::list::{BATTERY_REGISTERS, LIST};
use super::row::{Form, Read, Row};
use crate::balancer::Settings;

/// The table; a test holds the one in the README to it.
pub fn markdown() -> String {
    let mut text = String::from("| register | | type | unit | what | values | default |\n|---|---|---|---|---|---|---|\n");
    for row in LIST {
        let cells = [address(row), access(row).into(), form(row).into(), row.unit.into(), what(row), values(row), default(row)];
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

fn address(row: &Row) -> String {
    let last = row.address + row.form.words() - 1;
    let range = if last == row.address { last.to_string() } else { format!("{}–{last}", row.address) };
    if row.is_of_battery() { format!("{range} + {BATTERY_REGISTERS}·k") } else { range }
}

fn access(row: &Row) -> &'static str {
    match (row.read, &row.write) {
        (Read::Never, _) => "W",
        (_, Some(_)) => "RW",
        (_, None) => "R",
    }
}

fn form(row: &Row) -> &'static str {
    match row.form {
        Form::U16 => "u16",
        Form::U32 => "u32",
        Form::I32 => "i32",
    }
}

fn what(row: &Row) -> String {
    let codes: Vec<_> = row.codes.iter().enumerate().map(|(code, name)| format!("{code} {name}")).collect();
    if codes.is_empty() { row.name.into() } else { format!("{}: {}", row.name, codes.join(", ")) }
}

/// What may be written.
fn values(row: &Row) -> String {
    let Some(write) = &row.write else { return String::new() };
    let range = if write.least == write.most { write.least.to_string() } else { format!("{} to {}", write.least, write.most) };
    if write.or_none { format!("{range}; 0x{:X} is none", row.form.none()) } else { range }
}

/// What it is where the configuration says nothing.
fn default(row: &Row) -> String {
    match row.read {
        Read::Setting(setting) => setting.of(&Settings::default()).to_string(),
        _ => String::new(),
    }
}
