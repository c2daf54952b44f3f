//! What is wrong with a file: every finding with its line and column, in the order of the file.
//!
//! Control characters that come from the file are never printed as such, so that a file cannot repaint a terminal or forge a log line.

use std::fmt;
use std::fmt::Write as _;

/// No more findings than this are kept; a file with more of them is no configuration.
pub(super) const MOST_FINDINGS: usize = 200;

/// Source lines are shown up to this many characters, cut around the finding.
const WIDEST_LINE: usize = 160;

/// A place in the text: bytes from `start` up to, not including, `end`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct At {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A value and the place where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where the file says so.
    pub at: At,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters of that line are meant, at least 1.
    pub length: usize,
    /// What it is about, for example `battery "A" max_charge_w`; empty when it is about the file.
    pub key: String,
    /// One or more whole sentences.
    pub message: String,
    /// What to do about it, where that is known.
    pub help: Option<String>,
}

/// All findings of one text, sorted by position.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings {
    text: String,
    list: Vec<Finding>,
    left_out: usize,
}

impl<T> Spanned<T> {
    /// The value alone.
    pub fn get(self) -> T {
        self.value
    }

    /// The same place with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: change(self.value), at: self.at }
    }
}

impl Findings {
    /// No findings yet about this text.
    pub fn new(text: &str) -> Findings {
        Findings { text: text.to_owned(), list: Vec::new(), left_out: 0 }
    }

    /// Notes that `message` holds at this place.
    pub fn add(&mut self, at: At, key: &str, message: impl Into<String>) {
        self.add_with_help(at, key, message, None);
    }

    /// Notes that `message` holds at this place, and what to do about it.
    pub fn add_with_help(&mut self, at: At, key: &str, message: impl Into<String>, help: Option<String>) {
        if self.list.len() >= MOST_FINDINGS {
            self.left_out += 1;
            return;
        }
        let (line, column, length) = self.place(at);
        let finding =
            Finding { line, column, length, key: printable(key), message: printable(&message.into()), help: help.map(|h| printable(&h)) };
        let spot = self.list.partition_point(|other| (other.line, other.column) <= (line, column));
        self.list.insert(spot, finding);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many findings there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The findings in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.list.iter()
    }

    /// The value, unless something was found wrong.
    pub fn or<T>(self, value: Option<T>) -> Result<T, Findings> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            _ => Err(self),
        }
    }

    /// All findings as plain text, each with the source line and a mark below; `path` is what the file is called.
    pub fn render(&self, path: &str) -> String {
        let mut out = String::new();
        for finding in &self.list {
            let _ = writeln!(out, "{}:{finding}", printable(path));
            out.push_str(&self.excerpt(finding));
        }
        if self.left_out > 0 {
            let _ = writeln!(out, "{}: {} more findings are not shown.", printable(path), self.left_out);
        }
        out
    }

    /// Line and column, both from 1, and the length within that line.
    fn place(&self, at: At) -> (usize, usize, usize) {
        let start = floor_boundary(&self.text, at.start);
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = count_chars(&self.text[line_start..start]) + 1;
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |length| start + length);
        let end = floor_boundary(&self.text, at.end.min(line_end)).max(start);
        (line, column, self.text[start..end].trim_end().chars().count().max(1))
    }

    /// The source line of a finding and the mark below it.
    fn excerpt(&self, finding: &Finding) -> String {
        let line = self.text.split('\n').nth(finding.line - 1).unwrap_or_default();
        let chars: Vec<char> = line.strip_prefix('\u{feff}').unwrap_or(line).trim_end().chars().collect();
        let column = finding.column - 1;
        let from = if chars.len() > WIDEST_LINE { column.saturating_sub(WIDEST_LINE / 2).min(chars.len()) } else { 0 };
        let to = chars.len().min(from + WIDEST_LINE);
        let lead = printable(&chars[from..column.clamp(from, to)].iter().collect::<String>());
        let shown = printable(&chars[from..to].iter().collect::<String>());
        if shown.is_empty() {
            return String::new();
        }
        let end = (column + finding.length).clamp(from, to);
        let marked = printable(&chars[column.clamp(from, end)..end].iter().collect::<String>()).chars().count();
        let indent = " ".repeat(lead.chars().count());
        format!("    {shown}\n    {indent}^{}\n", "~".repeat(marked.saturating_sub(1)))
    }
}

impl<'a> IntoIterator for &'a Findings {
    type Item = &'a Finding;
    type IntoIter = std::slice::Iter<'a, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.iter().try_for_each(|finding| writeln!(f, "{finding}"))
    }
}

impl std::error::Error for Findings {}

/// The text with everything escaped that does not print: control characters, direction marks, zero-width characters. A tab becomes a space.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(' '),
            '"' | '\'' | '\\' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    out
}

/// Characters before a place in a line; a byte order mark is not one that a person sees.
fn count_chars(text: &str) -> usize {
    text.strip_prefix('\u{feff}').unwrap_or(text).chars().count()
}

/// The nearest character boundary at or before `index`, within the text.
fn floor_boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_below_the_value_even_behind_tabs_and_escapes() {
        let text = "a = 1\n\tx\u{1b}\u{202e} = 99999 # c\n";
        let mut findings = Findings::new(text);
        let start = text.find("99999").unwrap();
        findings.add(At { start, end: start + 5 }, "x", "99999 is out of range, it must be 0 to 5.");
        let expected = "f.toml:2:8: x: 99999 is out of range, it must be 0 to 5.\n     x\\u{1b}\\u{202e} = 99999 # c\n                         ^~~~~\n";
        let shown = findings.render("f.toml");
        assert_eq!(shown.lines().next(), expected.lines().next());
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines[1].find("99999"), lines[2].find("^~~~~"));
        assert!(!shown.contains(['\u{1b}', '\u{202e}']));
    }

    #[test]
    fn places_outside_the_text_and_inside_characters_are_harmless() {
        let mut findings = Findings::new("ä\nö");
        findings.add(At { start: 1, end: 99 }, "", "one.");
        findings.add(At { start: 99, end: 3 }, "", "two.");
        let places: Vec<_> = findings.iter().map(|f| (f.line, f.column)).collect();
        assert_eq!(places, [(1, 1), (2, 2)]);
        assert!(!findings.render("x").is_empty());
    }

    #[test]
    fn a_very_long_line_is_cut_around_the_finding() {
        let text = format!("{}XYZ{}", "a".repeat(500), "b".repeat(500));
        let mut findings = Findings::new(&text);
        findings.add(At { start: 500, end: 503 }, "", "here.");
        let shown = findings.render("x");
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[1].len() < 200);
        assert_eq!(lines[1].find("XYZ"), lines[2].find("^~~"));
    }

    #[test]
    fn the_number_of_findings_is_limited() {
        let mut findings = Findings::new("x");
        (0..500).for_each(|_| findings.add(At::default(), "", "again."));
        assert_eq!(findings.len(), MOST_FINDINGS);
        assert!(findings.render("x").ends_with("x: 300 more findings are not shown.\n"));
    }
}
