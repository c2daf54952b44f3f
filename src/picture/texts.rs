//! What stands around the panels: title, legend, times, key figures, and what the pointer shows.

use super::axis::{moment, thousandths, time_step};
use super::reduce::{Band, View};
use super::strips::{mode_class, mode_name};
use super::svg::{Anchor, Svg};
use super::{Layout, Pane, Table};
use crate::plant::kpi::Mode;

/// Width of a character of ordinary text, tenths of a pixel; letters of all fonts that may be used are narrower on average.
const CHARACTER: i64 = 66;
pub(super) const LEGEND_HEIGHT: i64 = 170;
const ROW: i64 = 150;
/// Room for the label of a time.
pub(super) const TIME_LABEL: i64 = 600;

/// How much room a text needs.
pub(super) fn text_width(text: &str) -> i64 {
    text.chars().count() as i64 * CHARACTER
}

/// A text of at most `most` characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

/// Lines that fit this width, cut between words; a word that is too long is cut.
pub(super) fn wrapped(lines: &[String], width: i64) -> Vec<String> {
    let most = ((width - 120) / CHARACTER).max(20) as usize;
    let mut out = Vec::new();
    for line in lines {
        let mut row = String::new();
        for word in line.split_whitespace().map(|word| shortened(word, most)) {
            if !row.is_empty() && row.chars().count() + 1 + word.chars().count() > most {
                out.push(std::mem::take(&mut row));
            }
            row += if row.is_empty() { "" } else { " " };
            row += &word;
        }
        out.push(row);
    }
    out
}

pub(super) fn head(svg: &mut Svg, title: &str, lines: &[String]) {
    svg.text("title", (60, 230), Anchor::Start, title);
    for (k, line) in (0..).zip(lines) {
        svg.text("note", (60, 400 + k * ROW), Anchor::Start, line);
    }
}

/// Classes and meanings; lines are drawn as lines.
fn legend_entries(panes: &[Pane]) -> Vec<(&'static str, bool, String)> {
    let any = |of: &dyn Fn(&View) -> bool| panes.iter().any(|p| of(&p.view));
    let mut list = vec![
        ("load", false, if any(&|v| !v.chargers.is_empty()) { "house with car" } else { "house" }.to_owned()),
        ("sun", false, "sun (a third)".to_owned()),
        ("net", false, "grid: import above 0, export below".to_owned()),
        ("fuse", true, "rating of the fuse".to_owned()),
        ("l1", true, "left of it, least: L1".to_owned()),
        ("l2", true, "L2".to_owned()),
        ("l3", true, "L3".to_owned()),
    ];
    if any(&|v| !v.columns.lanes.is_empty()) {
        list.push(("battery", false, "battery: discharge above 0, charge below".to_owned()));
        list.push(("soc", true, "state of charge".to_owned()));
    }
    if any(&|v| !v.chargers.is_empty()) {
        list.push(("car", false, "drawn by the car".to_owned()));
        list.push(("limit", true, "limit of the charger".to_owned()));
    }
    for mode in Mode::ALL.into_iter().filter(|mode| any(&|v| v.columns.modes.contains(mode))) {
        list.push((mode_class(mode), false, mode_name(mode)));
    }
    list
}

/// Row and place of each entry.
fn legend_places(width: i64, panes: &[Pane]) -> Vec<(i64, i64)> {
    let (mut x, mut row) = (60, 0);
    let place = |(_, _, words): &(&str, bool, String)| {
        let needs = 260 + text_width(words) + 80;
        if x + needs > width {
            (x, row) = (60, row + 1);
        }
        x += needs;
        (x - needs, row)
    };
    legend_entries(panes).iter().map(place).collect()
}

pub(super) fn legend_rows(width: i64, panes: &[Pane]) -> i64 {
    legend_places(width, panes).last().map_or(0, |(_, row)| row + 1)
}

pub(super) fn legend(svg: &mut Svg, top: i64, width: i64, panes: &[Pane]) {
    for ((class, line, words), (x, row)) in legend_entries(panes).iter().zip(legend_places(width, panes)) {
        let y = top + row * LEGEND_HEIGHT + 60;
        if *line {
            svg.line(class, (x, y + 50), (x + 220, y + 50));
        } else {
            svg.rect(class, (x, y), (220, 100), None);
        }
        svg.text("legend", (x + 270, y + 90), Anchor::Start, words);
    }
}

/// Labels of the time, above and below the panels.
pub(super) fn times(svg: &mut Svg, view: &View, x: i64, layout: &Layout) {
    let seconds = view.seconds.max(1);
    let step = time_step(seconds, layout.width / TIME_LABEL);
    for second in (0..=seconds).step_by(step as usize) {
        // The end of one pane and the beginning of the next would meet.
        if second == seconds && (layout.panes > 1 || seconds > 86_400) {
            continue;
        }
        let at = x + layout.width * second / seconds;
        let label = moment(second, seconds);
        svg.text("time", (at, layout.top - 50), Anchor::Middle, &label);
        svg.text("time", (at, layout.bottom + 150), Anchor::Middle, &label);
        svg.line("zero", (at, layout.bottom), (at, layout.bottom + 40));
    }
}

/// From when to when.
pub(super) fn span(from_s: i64, to_s: i64, seconds: i64) -> String {
    format!("{} to {}", moment(from_s, seconds), moment(to_s, seconds))
}

/// What the pointer shows: exact values of each stretch of time, over all panels.
pub(super) fn cells(svg: &mut Svg, view: &View, x: i64, layout: &Layout) {
    let cells = &view.cells;
    let count = cells.modes.len();
    let at = |k: usize| x + layout.width * k as i64 / count.max(1) as i64;
    let kilo = |v: i32| thousandths(i64::from(v / 10 * 10), 10);
    let tenth = |v: i32| thousandths(i64::from(v / 100 * 100), 100);
    for k in 0..count {
        let value = |band: &Band| format!("{} ({} to {})", kilo(band.mean[k]), kilo(band.low[k]), kilo(band.high[k]));
        let (from, to) = (cells.starts[k], cells.starts[k + 1]);
        let mut text = format!("{}: {}\nmean (least to most)\n", span(from.into(), to.into(), view.seconds), mode_name(cells.modes[k]));
        for (f, phase) in (1..).zip(&cells.phases) {
            let (load, grid, room) = (value(&phase.load), value(&phase.grid), tenth(phase.room.low[k]));
            text += &format!("L{f} house {load}, grid {grid} kW, {room} A free\n");
        }
        text += &format!("sun, each phase {} kW\n", value(&cells.sun));
        for lane in &cells.lanes {
            let soc = tenth(lane.soc.mean[k] * 100);
            text += &format!("{} {} kW, {soc} %\n", shortened(&lane.name, 20), value(&lane.power));
        }
        if let Some(drawn) = &cells.drawn {
            let limit = cells.limit.as_ref().map_or("none".to_owned(), |band| tenth(band.mean[k]));
            text += &format!("car {} to {} A, limit {limit} A\n", tenth(drawn.low[k]), tenth(drawn.high[k]));
        }
        let faults = view.overlays.iter().filter(|o| o.from_s < to && o.to_s > from).map(|o| o.name.as_str());
        text += &faults.collect::<Vec<_>>().join(", ");
        svg.rect("cell", (at(k), layout.top), (at(k + 1) - at(k), layout.bottom - layout.top), Some(text.trim_end()));
    }
}

/// Columns of rows: under the panes where there are several, else two beside each other.
pub(super) fn table_height(table: &Table, panes: usize) -> i64 {
    let rows = if panes > 1 { table.rows.len() } else { table.rows.len().div_ceil(2) };
    (rows as i64 + 1) * ROW + 120
}

pub(super) fn table(svg: &mut Svg, table: &Table, top: i64, layout: &Layout) {
    if layout.panes > 1 {
        let column = |k: usize| (layout.x(k) + layout.width * 6 / 10, Anchor::Middle);
        block(svg, table, &table.rows, (60, top), column);
        return;
    }
    let half = table.rows.len().div_ceil(2);
    for (n, rows) in table.rows.chunks(half.max(1)).enumerate() {
        let x = 60 + n as i64 * 6000;
        block(svg, table, rows, (x, top), |k| (x + 3900 + k as i64 * 1800, Anchor::End));
    }
}

fn block(svg: &mut Svg, table: &Table, rows: &[(String, Vec<String>)], (x, top): (i64, i64), column: impl Fn(usize) -> (i64, Anchor)) {
    let mut line = |class: &str, y: i64, what: &str, values: &[String]| {
        svg.text(class, (x, y), Anchor::Start, what);
        for (k, value) in values.iter().enumerate() {
            let (at, anchor) = column(k);
            svg.text(class, (at, y), anchor, value);
        }
    };
    let values = rows.iter().map(|row| row.1.len()).max().unwrap_or(0);
    line("head", top, "", &table.head[..values.min(table.head.len())]);
    for (k, (what, values)) in (1..).zip(rows) {
        line("figure", top + k * ROW, what, values);
    }
}
