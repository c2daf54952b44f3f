//! A TOML text that is being read, and the list of what is wrong with it. It never reads a file.

use std::cell::RefCell;

use super::findings::{At, Findings};
use super::reader::Section;
use super::syntax::{self, Repaired};
use super::tree::{self, Table};

/// A text that is being read, and what was found wrong with it so far.
pub struct Document {
    text: String,
    blanked: Vec<String>,
    gave_up: bool,
    root: Table,
    findings: RefCell<Findings>,
}

impl Document {
    /// Parses a text and notes its syntax errors.
    pub fn parse(text: &str) -> Document {
        let Repaired { text: repaired, findings, gave_up } = syntax::repair(text);
        let faulty = findings.iter().filter_map(|finding| text.lines().nth(finding.line - 1));
        let blanked = faulty.map(str::to_owned).collect();
        let root = tree::parse(&repaired);
        // Of a text that is no TOML at all nothing is left, and nobody wants to read what else it does not say.
        let gave_up = gave_up || (root.is_empty() && !findings.is_empty());
        Document { text: text.to_owned(), blanked, gave_up, root, findings: RefCell::new(findings) }
    }

    /// The top of the text.
    pub fn root(&self) -> Section<'_> {
        Section::top(self, &self.root)
    }

    /// Notes something that is wrong at this place; `key` says what it is about.
    pub fn add(&self, at: At, key: &str, message: impl Into<String>) {
        self.findings.borrow_mut().add(at, key, message);
    }

    /// Notes something that is wrong at this place, and what to do about it.
    pub fn add_with_help(&self, at: At, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.findings.borrow_mut().add_with_help(at, key, message, Some(help.into()));
    }

    /// Notes that something is not there, unless a syntax error may have hidden it.
    pub fn add_missing(&self, at: At, key: &str, word: &str, message: impl Into<String>) {
        if !self.gave_up && !self.blanked.iter().any(|line| line.contains(word)) {
            self.add(at, key, message);
        }
    }

    /// Whether this key stands at the top of the text, whatever its value.
    pub fn has(&self, key: &str) -> bool {
        self.root.contains_key(key)
    }

    /// The line of a place, from 1.
    pub(super) fn line_of(&self, at: At) -> usize {
        self.text.bytes().take(at.start).filter(|byte| *byte == b'\n').count() + 1
    }

    /// The text as it was given.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Everything that was found wrong.
    pub fn into_findings(self) -> Findings {
        self.findings.into_inner()
    }
}
