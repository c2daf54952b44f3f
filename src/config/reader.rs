//! Reads TOML with the place of every key and value, and collects everything that is wrong instead of stopping at the first error.
//!
//! It answers for types, ranges, missing and unknown keys. What the keys mean is the business of its users: the configuration and the
//! device profiles. It never reads a file.
//!
//! ```
//! use sax_controller::config::reader::Document;
//!
//! let document = Document::parse("[meter]\npoll_ms = 5\npol = 1\n");
//! let mut root = document.root();
//! if let Some(mut meter) = root.section("meter") {
//!     let _poll_ms = meter.integer("poll_ms", 200..=60_000u32);
//!     meter.finish();
//! }
//! root.finish();
//! assert_eq!(document.into_findings().len(), 2);
//! ```

use std::fmt::Display;
use std::ops::RangeInclusive;

pub use super::document::Document;
use super::findings::MOST_FINDINGS;
pub use super::findings::{At, Finding, Findings, Spanned};
use super::nearest::nearest;
use super::number::{NotANumber, fixed_from_text, fixed_to_text};
use super::tree::{Kind, Node, Table};

/// A table of a [`Document`] that is being read key by key; [`Section::finish`] reports the keys that nobody asked for.
pub struct Section<'d> {
    document: &'d Document,
    table: &'d Table,
    at: At,
    name: String,
    prefix: String,
    asked: Vec<String>,
}

impl<'d> Section<'d> {
    /// The top of a document.
    pub(super) fn top(document: &'d Document, table: &'d Table) -> Section<'d> {
        Section { document, table, at: At::default(), name: String::new(), prefix: String::new(), asked: Vec::new() }
    }

    /// Whether the key is there, whatever its value.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether a list without an element is there.
    pub fn has_empty_list(&self, key: &str) -> bool {
        matches!(self.table.get(key).map(|(_, node)| &node.kind), Some(Kind::Array(items)) if items.is_empty())
    }

    /// All keys that are there, in the order of the text; for tables whose keys are names. Asks for none of them.
    pub fn keys(&self) -> Vec<Spanned<String>> {
        let mut keys: Vec<_> = self.table.iter().map(|(key, (at, _))| Spanned { value: key.clone(), at: *at }).collect();
        keys.sort_unstable_by_key(|key| key.at);
        keys
    }

    /// Where the table stands: its header, or all of an inline table.
    pub fn at(&self) -> At {
        self.at
    }

    /// What findings call this table, for example `battery "A"`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The document this belongs to.
    pub fn document(&self) -> &'d Document {
        self.document
    }

    /// What findings call a key of this table, for example `battery "A" max_charge_w`.
    pub fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Notes something that is wrong with a key of this table.
    pub fn add(&self, at: At, key: &str, message: impl Into<String>) {
        self.document.add(at, &self.full(key), message);
    }

    /// Notes something that is wrong with a key of this table, and what to do about it.
    pub fn add_with_help(&self, at: At, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.document.add_with_help(at, &self.full(key), message, help);
    }

    /// Reads a key that must be there, with one of the other methods: `section.required("name", Section::string)`.
    pub fn required<T>(&mut self, key: &str, read: impl FnOnce(&mut Self, &str) -> Option<T>) -> Option<T> {
        if self.has(key) {
            return read(self, key);
        }
        self.asked.push(key.to_owned());
        self.document.add_missing(self.at, &self.full(key), key, "this key is missing.");
        None
    }

    /// A string.
    pub fn string(&mut self, key: &str) -> Option<Spanned<String>> {
        let node = self.node(key)?;
        match &node.kind {
            Kind::Text(text) => Some(Spanned { value: text.clone(), at: node.at }),
            _ => self.wrong(key, node, "a string"),
        }
    }

    /// One of several words, each standing for a value.
    pub fn choice<T: Clone>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<Spanned<T>> {
        let word = self.string(key)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word.value) {
            return Some(Spanned { value: value.clone(), at: word.at });
        }
        let list: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let message = format!("{} is not one of {}.", shorten(&format!("\"{}\"", word.value)), list.join(", "));
        self.add_nearest(word.at, key, message, &word.value, choices.iter().map(|(name, _)| *name), "\"");
        None
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &str) -> Option<Spanned<bool>> {
        let node = self.node(key)?;
        match node.kind {
            Kind::Boolean(value) => Some(Spanned { value, at: node.at }),
            _ => self.wrong(key, node, "true or false"),
        }
    }

    /// A whole number in this range.
    pub fn integer<T>(&mut self, key: &str, range: RangeInclusive<T>) -> Option<Spanned<T>>
    where
        T: Copy + Into<i64> + TryFrom<i64>,
    {
        let node = self.node(key)?;
        self.integer_of(key, node, &range)
    }

    /// A list of whole numbers, each in this range.
    pub fn integers<T>(&mut self, key: &str, range: RangeInclusive<T>) -> Option<Vec<Spanned<T>>>
    where
        T: Copy + Into<i64> + TryFrom<i64>,
    {
        let items = self.list(key)?;
        Some(items.iter().filter_map(|item| self.integer_of(key, item, &range)).collect())
    }

    /// A number with at most this many decimals, in units of the last one: with three, `25.0` is 25000. The range is in those units too.
    pub fn decimal<T>(&mut self, key: &str, decimals: u32, range: RangeInclusive<T>) -> Option<Spanned<T>>
    where
        T: Copy + Into<i64> + TryFrom<i64>,
    {
        let node = self.node(key)?;
        let read = match &node.kind {
            Kind::Float(literal) => fixed_from_text(literal, decimals),
            Kind::Integer { digits, radix: 10 } => fixed_from_text(digits, decimals),
            Kind::Integer { .. } => return self.wrong(key, node, "a number in decimal notation"),
            _ => return self.wrong(key, node, "a number"),
        };
        let show = |value: i64| fixed_to_text(value, decimals);
        let said = self.literal(node.at);
        let message = match read {
            Ok(value) => return self.in_range(key, node.at, Some(value), &range, show),
            Err(NotANumber::TooLarge) => return self.in_range(key, node.at, None, &range, show),
            Err(NotANumber::NotFinite) => format!("{said} is not a number that can be used here."),
            Err(NotANumber::Exponent) => format!("{said} must be written without an exponent."),
            Err(NotANumber::TooFine) if decimals == 0 => format!("{said} must be a whole number."),
            Err(NotANumber::TooFine) if decimals == 1 => format!("{said} has more than one decimal."),
            Err(NotANumber::TooFine) => format!("{said} has more than {decimals} decimals."),
        };
        self.add(node.at, key, message);
        None
    }

    /// A list of strings.
    pub fn strings(&mut self, key: &str) -> Option<Vec<Spanned<String>>> {
        let items = self.list(key)?;
        let text = |item: &'d Node| match &item.kind {
            Kind::Text(text) => Some(Spanned { value: text.clone(), at: item.at }),
            _ => self.wrong(key, item, "a string"),
        };
        Some(items.iter().filter_map(text).collect())
    }

    /// A section of its own, an inline table, or dotted keys.
    pub fn section(&mut self, key: &str) -> Option<Section<'d>> {
        let node = self.node(key)?;
        match &node.kind {
            Kind::Table(table) => Some(self.below(table, node.at, key.to_owned())),
            Kind::Array(items) if self.header(node.at) => {
                let at = items.first().map_or(node.at, |item| item.at);
                self.add(at, key, format!("there is only one of these: it is written [{}], with one pair of brackets.", self.path(key)));
                None
            }
            _ => self.wrong(key, node, "a section"),
        }
    }

    /// As [`Section::section`], for one that is mostly written on one line: where something else stands there, the finding shows `example`.
    pub fn section_as(&mut self, key: &str, example: &str) -> Option<Section<'d>> {
        match self.table.get(key).map(|(_, node)| node) {
            Some(node) if !matches!(node.kind, Kind::Table(_)) && !self.header(node.at) => {
                self.asked.push(key.to_owned());
                let message = format!("must be a section, this is {}.", node.kind.says());
                self.add_with_help(node.at, key, message, format!("It is written as in {example}."));
                None
            }
            _ => self.section(key),
        }
    }

    /// A list of sections, `[[key]]`. Findings call each by its `name`, or by its number where it has none.
    pub fn sections(&mut self, key: &str) -> Option<Vec<Section<'d>>> {
        let node = self.node(key)?;
        let items = match &node.kind {
            Kind::Array(items) => items,
            Kind::Table(_) if self.header(node.at) => {
                self.add(node.at, key, format!("there may be several: it is written [[{}]], with two pairs of brackets.", self.path(key)));
                return None;
            }
            _ => return self.wrong(key, node, "a list of sections"),
        };
        let mut sections = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match &item.kind {
                Kind::Table(table) => sections.push(self.below(table, item.at, label(key, index, table))),
                _ => self.wrong(key, item, "a section").unwrap_or_default(),
            }
        }
        Some(sections)
    }

    /// Reports the keys that nobody asked for.
    pub fn finish(self) {
        for key in self.keys().iter().filter(|key| !self.asked.contains(&key.value)).take(MOST_FINDINGS) {
            let known = self.asked.iter().map(String::as_str);
            self.add_nearest(key.at, &shorten(&key.value), "this key is not known here.".to_owned(), &key.value, known, "");
        }
    }

    /// The value of a key, which counts as asked for.
    fn node(&mut self, key: &str) -> Option<&'d Node> {
        self.asked.push(key.to_owned());
        self.table.get(key).map(|(_, node)| node)
    }

    fn list(&mut self, key: &str) -> Option<&'d Vec<Node>> {
        let node = self.node(key)?;
        match &node.kind {
            Kind::Array(items) => Some(items),
            _ => self.wrong(key, node, "a list, in square brackets"),
        }
    }

    fn integer_of<T>(&self, key: &str, node: &Node, range: &RangeInclusive<T>) -> Option<Spanned<T>>
    where
        T: Copy + Into<i64> + TryFrom<i64>,
    {
        match &node.kind {
            Kind::Integer { digits, radix } => {
                self.in_range(key, node.at, i64::from_str_radix(digits, *radix).ok(), range, |value| value.to_string())
            }
            _ => self.wrong(key, node, "an integer"),
        }
    }

    /// `value` is `None` when it does not even fit an `i64`.
    fn in_range<T>(
        &self,
        key: &str,
        at: At,
        value: Option<i64>,
        range: &RangeInclusive<T>,
        show: impl Fn(i64) -> String,
    ) -> Option<Spanned<T>>
    where
        T: Copy + Into<i64> + TryFrom<i64>,
    {
        let (low, high): (i64, i64) = ((*range.start()).into(), (*range.end()).into());
        let fitting = value.filter(|value| (low..=high).contains(value)).and_then(|value| T::try_from(value).ok());
        if fitting.is_none() {
            let message = format!("{} is out of range, it must be {} to {}.", self.literal(at), show(low), show(high));
            self.add(at, key, message);
        }
        fitting.map(|value| Spanned { value, at })
    }

    fn wrong<T>(&self, key: &str, node: &Node, wanted: &str) -> Option<T> {
        self.add(node.at, key, format!("must be {wanted}, this is {}.", node.kind.says()));
        None
    }

    fn below(&self, table: &'d Table, at: At, name: String) -> Section<'d> {
        let own = format!("{}{name}", self.prefix);
        let separator = if self.prefix.is_empty() { ' ' } else { '.' };
        let prefix = format!("{own}{separator}");
        Section { document: self.document, table, at, name: own, prefix, asked: Vec::new() }
    }

    fn add_nearest<'c>(
        &self,
        at: At,
        key: &str,
        message: String,
        word: &str,
        known: impl IntoIterator<Item = &'c str>,
        quote: impl Display,
    ) {
        match nearest(word, known) {
            Some(meant) => self.add_with_help(at, key, message, format!("Did you mean {quote}{meant}{quote}?")),
            None => self.add(at, key, message),
        }
    }

    /// How the value is written in the text.
    pub(super) fn literal(&self, at: At) -> String {
        shorten(self.document.text().get(at.start..at.end).unwrap_or_default())
    }

    /// Whether this place is a header in brackets, not an inline value.
    fn header(&self, at: At) -> bool {
        let before = self.document.text().get(..at.start).unwrap_or_default();
        before.rsplit('\n').next().is_some_and(|line| line.trim().is_empty()) && self.literal(at).starts_with('[')
    }

    /// How the key stands in a header: `battery.bms`.
    fn path(&self, key: &str) -> String {
        let parents = self.name.split(|c: char| !c.is_ascii_alphanumeric() && !"_-.".contains(c)).next().unwrap_or_default();
        if parents.is_empty() { key.to_owned() } else { format!("{parents}.{key}") }
    }
}

/// What an element of a list of sections is called.
fn label(key: &str, index: usize, table: &Table) -> String {
    match table.get("name").map(|(_, node)| &node.kind) {
        Some(Kind::Text(name)) if !name.is_empty() => format!("{key} {}", shorten(&format!("\"{name}\""))),
        _ => format!("{key} {}", index + 1),
    }
}

/// At most 48 characters of what the file says.
fn shorten(text: &str) -> String {
    if text.chars().count() <= 48 {
        return text.to_owned();
    }
    text.chars().take(45).chain("...".chars()).collect()
}
