//! Values as people write them, and registers: the types of `read` and `write`.

use std::fmt::Write;

/// How registers are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Type {
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Hex,
    Text,
}

const NAMES: [(&str, Type); 8] = [
    ("u16", Type::U16),
    ("i16", Type::I16),
    ("u32", Type::U32),
    ("i32", Type::I32),
    ("f32", Type::F32),
    ("bool", Type::Bool),
    ("hex", Type::Hex),
    ("string", Type::Text),
];

/// Which register of two holds the upper half.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum WordOrder {
    #[default]
    HighFirst,
    LowFirst,
}

impl Type {
    pub(super) fn parse(text: &str) -> Result<Type, String> {
        NAMES.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind).ok_or_else(|| {
            let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            format!("\"{text}\" is no type: it is one of {}.", names.join(", "))
        })
    }

    pub(super) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Registers of one value; of a string, two characters.
    pub(super) fn words(self) -> u16 {
        match self {
            Type::U32 | Type::I32 | Type::F32 => 2,
            _ => 1,
        }
    }
}

impl WordOrder {
    pub(super) fn parse(text: &str) -> Result<WordOrder, String> {
        match text {
            "high-first" => Ok(WordOrder::HighFirst),
            "low-first" => Ok(WordOrder::LowFirst),
            other => Err(format!("\"{other}\" is no word order: it is high-first or low-first.")),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            WordOrder::HighFirst => "high-first",
            WordOrder::LowFirst => "low-first",
        }
    }

    fn join(self, words: [u16; 2]) -> u32 {
        let [high, low] = if self == WordOrder::HighFirst { words } else { [words[1], words[0]] };
        u32::from(high) << 16 | u32::from(low)
    }

    fn split(self, value: u32) -> [u16; 2] {
        let [high, low] = [(value >> 16) as u16, value as u16];
        if self == WordOrder::HighFirst { [high, low] } else { [low, high] }
    }
}

/// One value.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    Integer(i64),
    Float(f32),
    Bool(bool),
    Hex(u16),
    Text(String),
}

impl Value {
    /// As people read it. What does not print in a text is escaped.
    pub(super) fn shown(&self) -> String {
        match self {
            Value::Integer(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Bool(value) => u8::from(*value).to_string(),
            Value::Hex(value) => format!("0x{value:04x}"),
            Value::Text(text) => format!("\"{}\"", crate::config::findings::printable(text)),
        }
    }

    /// As programs read it; a float that is no number is null.
    pub(super) fn json(&self) -> serde_json::Value {
        match self {
            Value::Integer(value) => (*value).into(),
            // The digits of the float, not those of the nearest double.
            Value::Float(value) => value.to_string().parse::<f64>().ok().filter(|v| v.is_finite()).into(),
            Value::Bool(value) => (*value).into(),
            Value::Hex(_) => self.shown().into(),
            Value::Text(text) => text.as_str().into(),
        }
    }
}

/// The values in `registers`; what is left over is not looked at. A string is one value.
pub(super) fn decode(kind: Type, order: WordOrder, registers: &[u16]) -> Vec<Value> {
    let doubles = |make: fn(u32) -> Value| registers.chunks_exact(2).map(|w| make(order.join([w[0], w[1]]))).collect();
    match kind {
        Type::U16 => registers.iter().map(|word| Value::Integer(i64::from(*word))).collect(),
        Type::I16 => registers.iter().map(|word| Value::Integer(i64::from(*word as i16))).collect(),
        Type::Hex => registers.iter().map(|word| Value::Hex(*word)).collect(),
        Type::Bool => registers.iter().map(|word| Value::Bool(*word != 0)).collect(),
        Type::U32 => doubles(|value| Value::Integer(i64::from(value))),
        Type::I32 => doubles(|value| Value::Integer(i64::from(value as i32))),
        Type::F32 => doubles(|value| Value::Float(f32::from_bits(value))),
        Type::Text => vec![Value::Text(text(registers))],
    }
}

/// Up to the first NUL; what is no UTF-8 becomes a replacement character.
fn text(registers: &[u16]) -> String {
    let bytes: Vec<u8> = registers.iter().flat_map(|word| word.to_be_bytes()).collect();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// The registers of one value. `any_float`: also infinity and what is no number.
pub(super) fn encode(kind: Type, order: WordOrder, text: &str, any_float: bool) -> Result<Vec<u16>, String> {
    match kind {
        Type::U16 => Ok(vec![integer(text, kind, 0, u16::MAX.into())? as u16]),
        Type::I16 => Ok(vec![integer(text, kind, i16::MIN.into(), i16::MAX.into())? as i16 as u16]),
        Type::U32 => Ok(order.split(integer(text, kind, 0, u32::MAX.into())? as u32).into()),
        Type::I32 => Ok(order.split(integer(text, kind, i32::MIN.into(), i32::MAX.into())? as i32 as u32).into()),
        Type::F32 => Ok(order.split(float(text, any_float)?.to_bits()).into()),
        Type::Hex => hex(text),
        Type::Text => string(text),
        Type::Bool => Err("A bool is written to a coil, with --function 5 or 15.".into()),
    }
}

fn integer(text: &str, kind: Type, min: i64, max: i64) -> Result<i64, String> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let magnitude = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) if !hex.starts_with(['+', '-']) => i128::from_str_radix(hex, 16).ok(),
        Some(_) => None,
        None if digits.starts_with(['+', '-']) => None,
        None => digits.parse::<i128>().ok(),
    };
    let Some(magnitude) = magnitude else {
        let float = if text.parse::<f64>().is_ok() { " For numbers with decimals there is --type f32." } else { "" };
        return Err(format!("\"{text}\" is no whole number.{float}"));
    };
    let value = sign * magnitude;
    match i64::try_from(value).ok().filter(|value| (min..=max).contains(value)) {
        Some(value) => Ok(value),
        None => {
            let signed = if value < 0 && min == 0 {
                format!(" For negative values there is --type {}.", kind.name().replace('u', "i"))
            } else {
                String::new()
            };
            Err(format!("{text} is out of the range of {}: {min} to {max}.{signed}", kind.name()))
        }
    }
}

fn float(text: &str, any: bool) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| format!("\"{text}\" is no number."))?;
    if value.is_finite() || (any && text.contains(['n', 'N'])) {
        return Ok(value);
    }
    if text.contains(['n', 'N']) {
        return Err(format!("{text} is no value that a device expects. If it must be written: --not-finite."));
    }
    Err(format!("{text} is out of the range of f32: about -3.4e38 to 3.4e38."))
}

/// Four digits to a register, fewer for a single one.
fn hex(text: &str) -> Result<Vec<u16>, String> {
    let digits: String = text.strip_prefix("0x").unwrap_or(text).chars().filter(|c| !matches!(c, ' ' | '_')).collect();
    let fits = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit()) && (digits.len() <= 4 || digits.len() % 4 == 0);
    if !fits {
        return Err(format!("\"{text}\" is not hexadecimal: four digits to a register, as 0x00ff or 53756e53."));
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for digit in digits.chars() {
        let _ = word.write_char(digit);
        if word.len() == 4 {
            words.extend(u16::from_str_radix(&word, 16));
            word.clear();
        }
    }
    words.extend(u16::from_str_radix(&word, 16));
    Ok(words)
}

/// Two characters to a register, the last one filled with NUL.
fn string(text: &str) -> Result<Vec<u16>, String> {
    if text.is_empty() {
        return Err("An empty string is nothing to write.".into());
    }
    Ok(text.as_bytes().chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])).collect())
}

/// The state of a coil.
pub(super) fn coil(text: &str) -> Result<bool, String> {
    match text {
        "1" | "on" | "true" => Ok(true),
        "0" | "off" | "false" => Ok(false),
        other => Err(format!("\"{other}\" is no state of a coil: it is 1 or 0, on or off, true or false.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_comes_back() {
        let cases = [
            (Type::U16, "65535", vec![0xffff]),
            (Type::U16, "0x7d0", vec![2000]),
            (Type::I16, "-50", vec![0xffce]),
            (Type::I16, "-32768", vec![0x8000]),
            (Type::U32, "4294967295", vec![0xffff, 0xffff]),
            (Type::U32, "65536", vec![1, 0]),
            (Type::I32, "-2", vec![0xffff, 0xfffe]),
            (Type::F32, "230.1", vec![0x4366, 0x199a]),
            (Type::F32, "-0.5", vec![0xbf00, 0]),
            (Type::Hex, "0x53756e53", vec![0x5375, 0x6e53]),
            (Type::Hex, "ff", vec![0xff]),
            (Type::Text, "SAX", vec![0x5341, 0x5800]),
        ];
        for (kind, text, words) in cases {
            assert_eq!(encode(kind, WordOrder::HighFirst, text, false).unwrap(), words, "{text}");
            let mut swapped = words.clone();
            if kind.words() == 2 {
                swapped.reverse();
                assert_eq!(encode(kind, WordOrder::LowFirst, text, false).unwrap(), swapped, "{text}");
            }
            let shown: Vec<_> = decode(kind, WordOrder::HighFirst, &words).iter().map(Value::shown).collect();
            let again = match kind {
                Type::U16 if text.starts_with("0x") => vec!["2000".to_owned()],
                Type::Hex if words.len() == 2 => vec!["0x5375".into(), "0x6e53".into()],
                Type::Hex => vec!["0x00ff".into()],
                Type::Text => vec!["\"SAX\"".into()],
                _ => vec![text.to_owned()],
            };
            assert_eq!(shown, again);
        }
        assert_eq!(decode(Type::Bool, WordOrder::HighFirst, &[0, 1]), [Value::Bool(false), Value::Bool(true)]);
    }

    #[test]
    fn out_of_range_is_named() {
        let said = |kind, text: &str| encode(kind, WordOrder::HighFirst, text, false).unwrap_err();
        assert_eq!(said(Type::U16, "65536"), "65536 is out of the range of u16: 0 to 65535.");
        assert_eq!(said(Type::U16, "-50"), "-50 is out of the range of u16: 0 to 65535. For negative values there is --type i16.");
        assert_eq!(said(Type::I16, "32768"), "32768 is out of the range of i16: -32768 to 32767.");
        assert_eq!(said(Type::U32, "99999999999999999999"), "99999999999999999999 is out of the range of u32: 0 to 4294967295.");
        assert!(said(Type::I32, "2147483648").contains("-2147483648 to 2147483647"));
        assert!(said(Type::F32, "1e39").contains("out of the range of f32"));
        assert!(said(Type::U16, "230.5").contains("--type f32"));
        for bad in ["", "x", "0x", "--5", "-+5", "+-5", "0x-5"] {
            assert!(said(Type::I32, bad).contains("no whole number"), "{bad}");
        }
        for bad in ["", "0x", "12345", "xyz", "+1"] {
            assert!(said(Type::Hex, bad).contains("hexadecimal"), "{bad}");
        }
    }

    #[test]
    fn what_is_no_number_is_written_only_on_purpose() {
        for text in ["nan", "NaN", "inf", "-inf", "-Infinity"] {
            assert!(encode(Type::F32, WordOrder::HighFirst, text, false).unwrap_err().contains("--not-finite"), "{text}");
            assert!(encode(Type::F32, WordOrder::HighFirst, text, true).is_ok(), "{text}");
        }
        assert!(encode(Type::F32, WordOrder::HighFirst, "1e39", true).is_err());
        assert_eq!(Value::Float(f32::NAN).json(), serde_json::Value::Null);
        assert_eq!(Value::Float(230.1).json().to_string(), "230.1");
    }
}
