//! A picture of a simulated day as SVG: what an installer sees at a glance, and an engineer can measure in.
//!
//! Every curve is an envelope: in each pixel column from its least to its greatest second, so that no peak gets lost. Exact values are shown
//! under the pointer, by plain `<title>` elements: no script, no font of its own, nothing from outside. Draws what it is given and
//! decides nothing.

mod axis;
mod panels;
mod reduce;
mod strips;
mod svg;
mod texts;

pub use self::reduce::View;

use self::panels::panels;
use self::svg::{Anchor, Svg};

/// One of the pictures side by side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pane {
    /// What is shown; not drawn where there is only one.
    pub name: String,
    /// The course.
    pub view: View,
}

/// Key figures: a head, and rows of as many values.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table {
    /// What each column is about.
    pub head: Vec<String>,
    /// What a row is about, and its values.
    pub rows: Vec<(String, Vec<String>)>,
}

/// Tenths of a pixel: left of the first pane, right of the last one, between panes, and between panels.
const LEFT: i64 = 1180;
const RIGHT: i64 = 460;
const BETWEEN: i64 = 440;
const GAP: i64 = 140;

const STYLE: &str = "\
text{font-family:'DejaVu Sans',Verdana,Arial,sans-serif;font-size:11px;fill:#222}\
.title{font-size:16px;font-weight:bold}.name{font-size:12px;font-weight:bold}.unit{fill:#666;font-size:10px}\
.head{font-weight:bold}.pane{font-size:13px;font-weight:bold}\
.frame{fill:none;stroke:#888;stroke-width:1}.grid{stroke:#ddd;stroke-width:1}.zero{stroke:#555;stroke-width:1}\
.load{fill:#8c8c8c;fill-opacity:.6;stroke:#6e6e6e;stroke-width:.7}\
.sun{fill:#f0c000;fill-opacity:.65;stroke:#c79a00;stroke-width:.7}\
.net{fill:#0072b2;fill-opacity:.55;stroke:#0072b2;stroke-width:.8}\
.battery{fill:#009e73;fill-opacity:.55;stroke:#00795a;stroke-width:.7}\
.area{fill-opacity:.22;stroke:none}.soc{fill:none;stroke:#000;stroke-width:1.4}\
.car{fill:#cc79a7;fill-opacity:.6;stroke:#a04f80;stroke-width:.7}\
.limit{fill:none;stroke:#000;stroke-width:1.2;stroke-dasharray:5 3}\
.l1{fill:none;stroke:#7a4a12;stroke-width:1.1}.l2{fill:none;stroke:#0072b2;stroke-width:1.1;stroke-dasharray:6 2}\
.l3{fill:none;stroke:#666;stroke-width:1.1;stroke-dasharray:2 2}\
.fuse{stroke:#d55e00;stroke-width:1.2;stroke-dasharray:8 4}.over{fill:#d55e00;fill-opacity:.18}\
.run{fill:#9fd8c3}.init{fill:#bbb}.hold{fill:#f0e442}.ramp{fill:#e69f00}.fallback{fill:#d55e00}\
.fault{fill:#56b4e9}.shade{fill:#56b4e9;fill-opacity:.16}\
.cell{fill:#000;fill-opacity:0}.cell:hover{fill-opacity:.09}";

/// How many columns, and pixels, each of so many pictures side by side has.
fn columns(panes: usize) -> usize {
    match panes {
        0 | 1 => 1080,
        2 => 620,
        3 => 520,
        _ => 420,
    }
}

/// Where panes and panels lie.
struct Layout {
    /// Width of a pane.
    width: i64,
    panes: usize,
    /// Top of the first strip, and the end of the last panel.
    top: i64,
    bottom: i64,
}

impl Layout {
    fn x(&self, pane: usize) -> i64 {
        LEFT + pane as i64 * (self.width + BETWEEN)
    }

    fn total_width(&self) -> i64 {
        self.x(self.panes.saturating_sub(1)) + self.width + RIGHT
    }
}

/// Draws panes side by side, on the same axes.
pub fn draw(title: &str, notes: &[String], panes: &[Pane], table: &Table) -> String {
    let mut layout = Layout { width: columns(panes.len()) as i64 * 10, panes: panes.len().max(1), top: 0, bottom: 0 };
    let lines = texts::wrapped(notes, layout.total_width());
    let list = panels(panes);
    let mut y = 300 + 150 * lines.len() as i64;
    let legend_y = y;
    y += texts::LEGEND_HEIGHT * texts::legend_rows(layout.total_width(), panes) + 80;
    let names_y = y;
    y += if panes.len() > 1 { 200 } else { 0 };
    // Labels of the time stand above and below.
    y += 160;
    layout.top = y;
    let strips_height = strips::height(panes, layout.width);
    let tops: Vec<i64> =
        list.iter().scan(y + strips_height, |top, panel| Some(std::mem::replace(top, *top + panel.height + GAP))).collect();
    layout.bottom = tops.last().zip(list.last()).map_or(y + strips_height, |(top, panel)| top + panel.height);
    let table_y = layout.bottom + 420;
    let height = table_y + texts::table_height(table, panes.len());

    let mut svg = Svg::new(layout.total_width(), height, STYLE);
    texts::head(&mut svg, title, &lines);
    texts::legend(&mut svg, legend_y, layout.total_width(), panes);
    for (k, pane) in panes.iter().enumerate() {
        let x = layout.x(k);
        if panes.len() > 1 {
            svg.text("pane", (x + layout.width / 2, names_y + 120), Anchor::Middle, &pane.name);
        }
        texts::times(&mut svg, &pane.view, x, &layout);
        strips::draw(&mut svg, &pane.view, x, &layout, k == 0);
        for (panel, top) in list.iter().zip(&tops) {
            panel.draw(&mut svg, pane, (x, *top), &layout, k);
        }
        texts::cells(&mut svg, &pane.view, x, &layout);
    }
    texts::table(&mut svg, table, table_y, &layout);
    svg.end()
}
