//! The strips above the panels: what the controller did, and what went wrong. What is worse is higher, so that it shows in print too.

use super::reduce::{View, badness};
use super::svg::{Anchor, Svg};
use super::texts::{span, text_width};
use super::{Layout, Pane};
use crate::plant::kpi::Mode;
use crate::simulated_day::course::Overlay;

const MODE_HEIGHT: i64 = 160;
const ROW_HEIGHT: i64 = 150;
/// Rows of names; further ones are told under the pointer only.
const ROWS_MOST: usize = 4;
/// What is shorter than this is drawn this wide.
const LEAST_WIDTH: i64 = 15;

/// Height of all strips with the gap behind them.
pub(super) fn height(panes: &[Pane], width: i64) -> i64 {
    MODE_HEIGHT + rows(panes.iter().map(|p| &p.view), width) as i64 * ROW_HEIGHT + 80
}

fn rows<'a>(views: impl Iterator<Item = &'a View>, width: i64) -> usize {
    views.map(|view| placed(view, 0, width).iter().map(|p| p.row + 1).max().unwrap_or(0)).max().unwrap_or(0)
}

/// An overlay and its place.
struct Placed<'a> {
    overlay: &'a Overlay,
    row: usize,
    from: i64,
    width: i64,
    /// Where its name stands, if there is room.
    name: Option<(i64, Anchor)>,
}

/// Each in the first row that has room for it.
fn placed(view: &View, x: i64, width: i64) -> Vec<Placed<'_>> {
    let mut ends = [x; ROWS_MOST];
    let seconds = view.seconds.max(1);
    let mut place = |overlay: &Overlay| {
        let Overlay { name, from_s, to_s } = overlay;
        let (from_s, to_s) = (*from_s, *to_s);
        let at = |s: u32| x + width * i64::from(s).min(seconds) / seconds;
        let (from, bar) = (at(from_s), (at(to_s) - at(from_s)).max(LEAST_WIDTH));
        let words = text_width(name) + 40;
        // Right of the bar where it fits, else left of it; inside a long one.
        let inside = bar > words;
        let right = from + if inside { words } else { bar + words };
        let (anchor, place, begin, end) = if right <= x + width {
            (Anchor::Start, if inside { from + 30 } else { from + bar + 30 }, from, right.max(from + bar))
        } else {
            (Anchor::End, from - 30, from - words, from + bar)
        };
        let free = ends.iter().position(|end| *end <= begin);
        let row = free.unwrap_or(ROWS_MOST - 1);
        ends[row] = ends[row].max(end + 30);
        (row, from, bar, free.map(|_| (place, anchor)))
    };
    let placed = |overlay| {
        let (row, from, width, name) = place(overlay);
        Placed { overlay, row, from, width, name }
    };
    view.overlays.iter().map(placed).collect()
}

/// Draws the strips of a pane.
pub(super) fn draw(svg: &mut Svg, view: &View, x: i64, layout: &Layout, first: bool) {
    if first {
        svg.text("name", (60, layout.top + 120), Anchor::Start, "State");
    }
    modes(svg, view, (x, layout.top), layout.width);
    let top = layout.top + MODE_HEIGHT;
    let overlays = placed(view, x, layout.width);
    if first && !overlays.is_empty() {
        svg.text("name", (60, top + 120), Anchor::Start, "Faults");
    }
    for p in overlays {
        let y = top + p.row as i64 * ROW_HEIGHT;
        let title = format!("{}, {}", p.overlay.name, span(p.overlay.from_s.into(), p.overlay.to_s.into(), view.seconds));
        svg.rect("fault", (p.from, y + 20), (p.width, ROW_HEIGHT - 40), Some(&title));
        if let Some((at, anchor)) = p.name {
            svg.text("fault-name", (at, y + 115), anchor, &p.overlay.name);
        }
    }
}

fn modes(svg: &mut Svg, view: &View, (x, top): (i64, i64), width: i64) {
    let modes = &view.columns.modes;
    let at = |k: usize| x + width * k as i64 / modes.len().max(1) as i64;
    let mut from = 0;
    while from < modes.len() {
        let mode = modes[from];
        let to = (from..modes.len()).find(|k| modes[*k] != mode).unwrap_or(modes.len());
        let height = (MODE_HEIGHT - 40) * (2 + i64::from(badness(mode))) / 6;
        let starts = &view.columns.starts;
        let title = format!("{}, {}", mode_name(mode), span(starts[from].into(), starts[to].into(), view.seconds));
        svg.rect(mode_class(mode), (at(from), top + MODE_HEIGHT - 30 - height), (at(to) - at(from), height), Some(&title));
        from = to;
    }
}

/// The stretches of time in which something was wrong, behind the curves; not one that covers most of the picture.
pub(super) fn shades(svg: &mut Svg, view: &View, (x, top): (i64, i64), (width, height): (i64, i64)) {
    for p in placed(view, x, width).iter().filter(|p| p.width * 2 < width) {
        svg.rect("shade", (p.from, top), (p.width, height), None);
    }
}

pub(super) fn mode_name(mode: Mode) -> String {
    format!("{mode:?}").to_uppercase()
}

pub(super) fn mode_class(mode: Mode) -> &'static str {
    match mode {
        Mode::Init => "init",
        Mode::Run => "run",
        Mode::Hold => "hold",
        Mode::Ramp => "ramp",
        Mode::Fallback => "fallback",
    }
}
