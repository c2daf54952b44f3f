//! From text to a TOML tree, with every syntax error of the text found in one run.
//!
//! The parser stops making sense after some errors, so each faulty line is blanked and the rest parsed again. What a finding says is
//! then about the file and not about the parser's confusion. This module knows nothing of what the keys mean.

use std::ops::Range;

use toml::Spanned as TomlSpanned;
use toml::de::DeTable;

use super::findings::{At, Findings};

/// No configuration is longer than this, in bytes.
const LONGEST_TEXT: usize = 512 * 1024;

/// After this many syntax errors the rest is not looked at.
const MOST_ROUNDS: usize = 40;

/// A text without its faulty lines, and what was wrong with those.
pub(super) struct Repaired {
    /// As long as the original, so that places in it are places in the original.
    pub text: String,
    /// The syntax errors.
    pub findings: Findings,
    /// Whether parsing gave up before the end.
    pub gave_up: bool,
}

/// Blanks faulty lines until the rest parses.
pub(super) fn repair(original: &str) -> Repaired {
    let mut findings = Findings::new(original);
    if original.len() > LONGEST_TEXT {
        findings.add(At::default(), "", format!("The file is longer than {} KiB.", LONGEST_TEXT / 1024));
        return Repaired { text: String::new(), findings, gave_up: true };
    }
    let mut text = original.to_owned();
    for _ in 0..MOST_ROUNDS {
        let Some((at, message)) = first_error(&text) else {
            return Repaired { text, findings, gave_up: false };
        };
        let mut line = line_around(&text, at.start);
        let duplicate = message == "duplicate key";
        if !duplicate && parses_alone(&text[line.clone()]) {
            // The line is fine by itself: an earlier value was opened and not closed.
            match unclosed_above(&text, line.start) {
                Some(above) => {
                    add_fault_of(&mut findings, &text, above.clone());
                    line = above;
                }
                None => findings.add(at, "", sentence(&message)),
            }
        } else if duplicate {
            let key = text.get(at.start..at.end).unwrap_or_default().to_owned();
            findings.add(at, "", format!("{key} stands here a second time."));
        } else {
            findings.add(at, "", sentence(&message));
        }
        if text[line.clone()].trim_start().starts_with('[') && !within_array(&text, line.start) {
            // Without its header a section would fall into the one above.
            line.end = next_header(&text, line.end);
        }
        if text[line.clone()].trim().is_empty() {
            return Repaired { text: String::new(), findings, gave_up: true };
        }
        blank(&mut text, line);
    }
    Repaired { text: String::new(), findings, gave_up: true }
}

/// Notes what is wrong with a line that a later one suffers from.
fn add_fault_of(findings: &mut Findings, text: &str, line: Range<usize>) {
    let content = &text[line.clone()];
    let start = line.start + content.len() - content.trim_start().len();
    let message = if content.contains(['[', '{', '"', '\'']) {
        "What is opened here (a bracket, a brace or a quote) is not closed.".to_owned()
    } else {
        first_error(content).map(|(_, message)| sentence(&message)).unwrap_or_default()
    };
    findings.add(At { start, end: line.end }, "", message);
}

/// The first syntax error, in the order of the text.
fn first_error(text: &str) -> Option<(At, String)> {
    let (_, errors): (TomlSpanned<DeTable<'_>>, _) = DeTable::parse_recoverable(text);
    errors
        .into_iter()
        .map(|error| {
            let span = error.span().unwrap_or(text.len()..text.len());
            (At { start: span.start, end: span.end.max(span.start) }, error.message().to_owned())
        })
        .min_by_key(|(at, _)| *at)
}

fn parses_alone(line: &str) -> bool {
    DeTable::parse_recoverable(line).1.is_empty()
}

/// The nearest earlier line that does not stand alone.
fn unclosed_above(text: &str, before: usize) -> Option<Range<usize>> {
    let mut end = before;
    while end > 0 {
        let line = line_around(text, end - 1);
        if !parses_alone(&text[line.clone()]) {
            return Some(line);
        }
        end = line.start;
    }
    None
}

/// Whether a line that begins with a bracket is an element of an array that an earlier line opened.
fn within_array(text: &str, at: usize) -> bool {
    let above = text[..at].trim_end();
    above.ends_with(['[', ','])
}

/// Where the next line after the one that ends at `from` begins whose first character is a bracket.
fn next_header(text: &str, from: usize) -> usize {
    let mut at = from + 1;
    while at < text.len() {
        let line = line_around(text, at);
        if text[line.clone()].trim_start().starts_with('[') {
            return line.start;
        }
        at = line.end + 1;
    }
    text.len()
}

/// The line that holds this byte, without its newline.
fn line_around(text: &str, at: usize) -> Range<usize> {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    start..end
}

/// Replaces everything in the range but newlines by as many blanks as it has bytes.
fn blank(text: &mut String, range: Range<usize>) {
    let blanks: String = text[range.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
    text.replace_range(range, &blanks);
}

/// The parser's words as a sentence.
fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase()).into_iter();
    format!("This is not valid TOML: {}.", first.chain(chars).collect::<String>().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<(usize, usize)> {
        repair(text).findings.iter().map(|f| (f.line, f.column)).collect()
    }

    #[test]
    fn every_faulty_line_is_reported_once_and_the_rest_survives() {
        let text = "a = 1\nb 2\nc = \nd = \"x\ne = 5\n[f\ng = 1\n[h]\ni = 1\ni = 2\n";
        let repaired = repair(text);
        let lines: Vec<_> = repaired.findings.iter().map(|f| f.line).collect();
        assert_eq!(lines, [2, 3, 4, 6, 10]);
        assert_eq!(repaired.text.len(), text.len());
        assert_eq!(repaired.text.split_whitespace().collect::<Vec<_>>().join(" "), "a = 1 e = 5 [h] i = 1");
    }

    #[test]
    fn an_unclosed_value_is_reported_where_it_was_opened() {
        assert_eq!(places("a = [1,\nb = 2\nc = 3\n[d]\n"), [(1, 1)]);
        assert_eq!(places("a = 1\n  b = \"\"\"\nc = 3\n[d]\ne = 1\n"), [(2, 3)]);
    }

    #[test]
    fn an_endless_supply_of_errors_ends() {
        assert!(repair(&"=\n".repeat(5000)).gave_up);
        assert!(repair(&" ".repeat(LONGEST_TEXT + 1)).gave_up);
    }
}
