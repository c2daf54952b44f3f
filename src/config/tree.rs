//! The parsed text as owned values with their places. Nothing here knows what the keys mean.

use std::collections::BTreeMap;

use toml::Spanned as TomlSpanned;
use toml::de::{DeTable, DeValue};

use super::findings::At;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The whole value; of a section, its header.
    pub at: At,
    /// What it is.
    pub kind: Kind,
}

/// What a value is. Numbers stay text, so that nothing is rounded.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Text(String),
    Integer { digits: String, radix: u32 },
    Float(String),
    Boolean(bool),
    Date,
    Array(Vec<Node>),
    Table(Table),
}

/// The entries of a section or an inline table, each with the place of its key.
pub(super) type Table = BTreeMap<String, (At, Node)>;

/// The tree of a text that parses.
pub(super) fn parse(text: &str) -> Table {
    let (root, _) = DeTable::parse_recoverable(text);
    table(root.get_ref())
}

fn table(entries: &DeTable<'_>) -> Table {
    let mut table = Table::new();
    table.extend(entries.iter().map(|(key, value)| (key.get_ref().to_string(), (place(key), node(value)))));
    table
}

/// The parser limits the depth to 80, so this recursion is shallow.
fn node(value: &TomlSpanned<DeValue<'_>>) -> Node {
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(number) => Kind::Integer { digits: number.as_str().to_owned(), radix: number.radix() },
        DeValue::Float(number) => Kind::Float(number.as_str().to_owned()),
        DeValue::Boolean(yes) => Kind::Boolean(*yes),
        DeValue::Datetime(_) => Kind::Date,
        DeValue::Array(items) => Kind::Array(items.iter().map(node).collect()),
        DeValue::Table(entries) => Kind::Table(table(entries)),
    };
    Node { at: place(value), kind }
}

fn place<T>(spanned: &TomlSpanned<T>) -> At {
    let span = spanned.span();
    At { start: span.start, end: span.end.max(span.start) }
}

impl Kind {
    /// What a person calls it.
    pub fn says(&self) -> &'static str {
        match self {
            Kind::Text(_) => "a string",
            Kind::Integer { .. } => "an integer",
            Kind::Float(_) => "a decimal number",
            Kind::Boolean(_) => "true or false without quotes",
            Kind::Date => "a date or time",
            Kind::Array(_) => "a list",
            Kind::Table(_) => "a section",
        }
    }
}
