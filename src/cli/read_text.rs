//! What was read, for people and for programs.

use std::time::Duration;

use serde_json::json;

use super::target::Target;
use super::target_registers::Numbering;
use super::value::{Type, Value, WordOrder, decode};

/// What the registers are.
pub(super) struct Show {
    pub function: u8,
    pub address: u16,
    pub numbering: Numbering,
    pub kind: Type,
    pub order: WordOrder,
}

/// One value, with the registers it was made of.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Shown {
    address: u32,
    registers: Vec<u16>,
    value: Value,
}

/// One reading.
pub(super) struct Round<'r> {
    pub elapsed: Duration,
    /// The values, or what went wrong.
    pub values: Result<&'r [Shown], &'r String>,
    /// The values of the reading before.
    pub before: Option<&'r [Shown]>,
}

impl Round<'_> {
    /// The value before, where it was another one. Compared by registers: a float that is no number is not equal to itself.
    fn was(&self, index: usize, now: &Shown) -> Option<&Value> {
        self.before.and_then(|before| before.get(index)).filter(|before| before.registers != now.registers).map(|before| &before.value)
    }
}

impl Show {
    /// The values in `registers`.
    pub(super) fn values(&self, registers: &[u16]) -> Vec<Shown> {
        let words = if self.kind == Type::Text { registers.len().max(1) } else { usize::from(self.kind.words()) };
        let address = |index: usize| u16::try_from(usize::from(self.address) + index * words).unwrap_or(u16::MAX);
        let one = |(index, registers): (usize, &[u16])| {
            let value = decode(self.kind, self.order, registers).into_iter().next()?;
            Some(Shown { address: self.numbering.show(address(index)), registers: registers.to_vec(), value })
        };
        registers.chunks(words).enumerate().filter_map(one).collect()
    }

    /// For people: a line for every value.
    pub(super) fn text(&self, target: &Target, round: &Round<'_>, watching: bool) -> String {
        let base = if self.numbering.one_based { ", counted from 1" } else { "" };
        let after = if watching { format!(", after {:.1} s", round.elapsed.as_secs_f64()) } else { String::new() };
        let mut out = format!("{}, unit {}, {}{base}, {}{after}\n", target.place, target.unit, self.what(), self.kind.name());
        let values = match round.values {
            Ok(values) => values,
            Err(said) => return format!("{out}  {said}\n"),
        };
        let width = values.iter().map(|shown| shown.value.shown().chars().count()).max().unwrap_or(0);
        for (index, shown) in values.iter().enumerate() {
            let mark = round.was(index, shown).map_or_else(String::new, |was| format!("  * was {}", was.shown()));
            out += &format!("  {:>5}{}  {:>width$}{mark}\n", shown.address, self.raw(shown), shown.value.shown());
        }
        out
    }

    /// For programs: one document in one line.
    pub(super) fn json(&self, target: &Target, round: &Round<'_>) -> String {
        let mut document = json!({
            "target": target.place.to_string(),
            "unit": target.unit,
            "function": self.function,
            "type": self.kind.name(),
            "word_order": self.order.name(),
            "one_based": self.numbering.one_based,
            "elapsed_ms": u64::try_from(round.elapsed.as_millis()).unwrap_or(u64::MAX),
        });
        match round.values {
            Ok(values) => {
                let one = |(index, shown): (usize, &Shown)| {
                    json!({
                        "address": shown.address,
                        "registers": shown.registers,
                        "value": shown.value.json(),
                        "changed": round.was(index, shown).is_some(),
                    })
                };
                document["values"] = values.iter().enumerate().map(one).collect();
            }
            Err(said) => document["error"] = said.as_str().into(),
        }
        format!("{document}\n")
    }

    fn what(&self) -> &'static str {
        match self.function {
            1 => "coils (function 1)",
            2 => "discrete inputs (function 2)",
            4 => "input registers (function 4)",
            _ => "holding registers (function 3)",
        }
    }

    /// The registers in hexadecimal, where the value does not show them already.
    fn raw(&self, shown: &Shown) -> String {
        if matches!(self.kind, Type::Bool | Type::Hex | Type::Text) {
            return String::new();
        }
        shown.registers.iter().map(|word| format!("  0x{word:04x}")).collect()
    }
}
