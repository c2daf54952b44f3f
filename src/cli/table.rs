//! Tables for people: columns as wide as they must be, the last one wrapped, no line longer than 100 characters.

/// No line is longer, as long as a word fits.
const WIDTH: usize = 100;
/// Between columns.
const GAP: usize = 2;
/// The last column is at least so wide, whatever stands before it.
const LEAST: usize = 20;

/// A table with a line of headings, indented by two; nothing where there are no rows.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let all: Vec<Vec<String>> = std::iter::once(headings.iter().map(|h| (*h).to_owned()).collect()).chain(rows.iter().cloned()).collect();
    let last = headings.len().saturating_sub(1);
    let width = |column: usize| all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..last).map(width).collect();
    let indent = 2 + widths.iter().map(|w| w + GAP).sum::<usize>();
    let mut out = String::new();
    for row in &all {
        let mut line = "  ".to_owned();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width + GAP - cell.chars().count().min(*width)));
        }
        let text = wrap(row.get(last).map_or("", String::as_str), WIDTH.saturating_sub(indent).max(LEAST));
        for (k, part) in text.iter().enumerate() {
            let start = if k == 0 { line.clone() } else { " ".repeat(indent) };
            out.push_str(format!("{start}{part}").trim_end());
            out.push('\n');
        }
    }
    out
}

/// Lines of at most so many characters, as far as words are shorter; at least one.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_last_one_is_wrapped() {
        let long = "word ".repeat(40);
        let shown = table(&["A", "LONGER", "C"], &[vec!["1".into(), "2".into(), long], vec!["22".into(), String::new(), "x".into()]]);
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines[0], "  A   LONGER  C");
        assert!(lines[1].starts_with("  1   2       word word"), "{}", lines[1]);
        assert!(lines[2].starts_with("              word"), "{}", lines[2]);
        assert_eq!(lines.last(), Some(&"  22          x"));
        assert!(lines.iter().all(|l| l.chars().count() <= WIDTH));
        assert_eq!(table(&["A"], &[]), "");
    }
}
