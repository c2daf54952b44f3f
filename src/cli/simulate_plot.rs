//! `--plot`: a simulated day, or several beside each other, as a picture in a file.

use std::path::Path;

use super::Failure;
use super::simulate_files::write_whole;
use crate::picture::{Pane, Table, draw};
use crate::plant::kpi::Kpi;

/// Draws it. The first line of `head` is the title up to its colon; the rest stands below.
pub(super) fn write(file: &Path, head: &str, panes: &[Pane], table: &Table) -> Result<(), Failure> {
    let (title, rest) = head.split_once(": ").unwrap_or((head.trim_end(), ""));
    let mut notes: Vec<String> = Vec::new();
    for line in rest.lines() {
        match notes.last_mut() {
            // The batteries of a list stand behind one another.
            Some(last) if line.starts_with("  ") => *last += &format!("{}{}", if last.ends_with(':') { " " } else { "; " }, line.trim()),
            _ => notes.push(first_capital(line)),
        }
    }
    let picture = draw(title, &notes, panes, table);
    write_whole(file, |out| out.write_all(picture.as_bytes()))
}

fn first_capital(line: &str) -> String {
    let mut rest = line.trim_start().chars();
    rest.next().map_or(String::new(), |c| c.to_uppercase().chain(rest).collect())
}

/// The figures of one day beside those of the same day with batteries at rest.
pub(super) fn figures(with: &Kpi, without: &Kpi) -> Table {
    let mut table = Table { head: vec!["with the controller".into(), "batteries at rest".into()], rows: Vec::new() };
    for ((what, a), (_, b)) in with.grid_rows().into_iter().zip(without.grid_rows()) {
        table.rows.push((what, vec![a, b]));
    }
    if !with.writes.is_empty() {
        table.rows.extend(with.battery_rows().into_iter().map(|(what, a)| (what, vec![a])));
    }
    table
}
