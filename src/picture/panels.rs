//! The panels: each phase, the fuse, each battery, the chargers. A panel has one vertical axis for all panes.

use super::axis::{Axis, thousandths, time_step};
use super::reduce::{Band, Reduced, VOLTAGE_V, View};
use super::svg::{Anchor, Svg};
use super::texts::{TIME_LABEL, shortened};
use super::{Layout, Pane};

/// What a panel shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shows {
    Phase(usize),
    Fuse,
    Battery(usize),
    Chargers,
}

/// A panel.
pub(super) struct Panel {
    shows: Shows,
    axis: Axis,
    pub height: i64,
    name: String,
    unit: &'static str,
}

const PHASE_HEIGHT: i64 = 1350;
const FUSE_HEIGHT: i64 = 900;
const CHARGER_HEIGHT: i64 = 900;

/// All panels of these panes, from top to bottom.
pub(super) fn panels(panes: &[Pane]) -> Vec<Panel> {
    let of = |band: &dyn Fn(&Reduced) -> Vec<(i64, i64)>| {
        let ranges: Vec<_> = panes.iter().flat_map(|pane| band(&pane.view.columns)).collect();
        let low = ranges.iter().map(|r| r.0).min().unwrap_or(0);
        (low, ranges.iter().map(|r| r.1).max().unwrap_or(0))
    };
    let fuse_w = panes.iter().map(|p| p.view.fuse_ma).max().unwrap_or(0) * i64::from(VOLTAGE_V) / 1000;
    let (low, high) = of(&|r| r.phases.iter().flat_map(|p| [p.load.range(), p.grid.range()]).chain([r.sun.range()]).collect());
    // The line of the fuse is shown where something comes near it.
    let near = |w: i64| w * 10 >= fuse_w * 6;
    let (low, high) = (if near(-low) { low.min(-fuse_w) } else { low }, if near(high) { high.max(fuse_w) } else { high });
    let axis = Axis::holding(low, high, 7);
    let phase = |f: usize| Panel { shows: Shows::Phase(f), axis, height: PHASE_HEIGHT, name: format!("L{}", f + 1), unit: "kW" };
    let mut list: Vec<Panel> = (0..3).map(phase).collect();
    let (low, high) = of(&|r| r.phases.iter().map(|p| p.room.range()).collect());
    let axis = Axis::holding(low, high, 6);
    list.push(Panel { shows: Shows::Fuse, axis, height: FUSE_HEIGHT, name: "Fuse".into(), unit: "A free" });
    list.extend(batteries(panes, of(&|r| r.lanes.iter().map(|l| l.power.range()).collect())));
    if let Some(view) = panes.iter().map(|p| &p.view).find(|v| !v.chargers.is_empty()) {
        let (low, high) = of(&|r| [&r.drawn, &r.limit].into_iter().flatten().map(Band::range).collect());
        let name = if view.chargers.len() == 1 { view.chargers[0].clone() } else { format!("{} chargers", view.chargers.len()) };
        list.push(Panel { shows: Shows::Chargers, axis: Axis::holding(low, high, 5), height: CHARGER_HEIGHT, name, unit: "A" });
    }
    list
}

fn batteries(panes: &[Pane], (low, high): (i64, i64)) -> Vec<Panel> {
    let lanes = panes.first().map_or(&[][..], |p| &p.view.columns.lanes);
    let (height, ticks) = match lanes.len() {
        0..=3 => (1000, 6),
        4..=6 => (700, 4),
        _ => (500, 3),
    };
    let axis = Axis::holding(low, high, ticks);
    let panel = |(k, name): (usize, &String)| Panel { shows: Shows::Battery(k), axis, height, name: name.clone(), unit: "kW, % full" };
    lanes.iter().map(|lane| &lane.name).enumerate().map(panel).collect()
}

impl Panel {
    /// Draws it for one pane, from `x` and `top` on.
    pub(super) fn draw(&self, svg: &mut Svg, pane: &Pane, (x, top): (i64, i64), layout: &Layout, number: usize) {
        let (view, width) = (&pane.view, layout.width);
        self.ground(svg, view, (x, top), width);
        let envelope = |svg: &mut Svg, class: &str, name: &str, band: &Band| {
            svg.path(class, name, outline(band, &self.axis, (x, top), self.height, width), true);
        };
        // What is energy is filled down to zero as well.
        let fill = |svg: &mut Svg, class: &str, name: &str, band: &Band| {
            let zero = self.axis.y(0, top, self.height);
            let mean = curve(&band.mean, &self.axis, (x, top), self.height, width);
            svg.path(&format!("{class} area"), name, mean.chain([(x + width, zero), (x, zero)]), true);
            envelope(svg, class, name, band);
        };
        match self.shows {
            Shows::Phase(f) => {
                let phase = &view.columns.phases[f];
                fill(svg, "sun", "sun", &view.columns.sun);
                fill(svg, "load", "load", &phase.load);
                envelope(svg, "net", "grid", &phase.grid);
            }
            Shows::Fuse => {
                for (phase, class) in view.columns.phases.iter().zip(["l1", "l2", "l3"]) {
                    svg.path(class, "fuse", curve(&phase.room.low, &self.axis, (x, top), self.height, width), false);
                }
            }
            Shows::Battery(k) => {
                if let Some(lane) = view.columns.lanes.get(k) {
                    fill(svg, "battery", "battery", &lane.power);
                    svg.path("soc", "soc", curve(&lane.soc.mean, &PERCENT, (x, top), self.height, width), false);
                }
            }
            Shows::Chargers => {
                if let Some(band) = &view.columns.drawn {
                    fill(svg, "car", "charger", band);
                }
                if let Some(band) = &view.columns.limit {
                    svg.path("limit", "limit", curve(&band.mean, &self.axis, (x, top), self.height, width), false);
                }
            }
        }
        svg.line("zero", (x, self.axis.y(0, top, self.height)), (x + width, self.axis.y(0, top, self.height)));
        svg.rect("frame", (x, top), (width, self.height), None);
        self.labels(svg, (x, top), layout, number);
    }

    /// Grid lines, overlays, and what is beyond the fuse.
    fn ground(&self, svg: &mut Svg, view: &View, (x, top): (i64, i64), width: i64) {
        super::strips::shades(svg, view, (x, top), (width, self.height));
        for value in self.axis.ticks() {
            let y = self.axis.y(value, top, self.height);
            svg.line("grid", (x, y), (x + width, y));
        }
        let seconds = view.seconds.max(1);
        let step = time_step(seconds, width / TIME_LABEL);
        for second in (step..seconds).step_by(step as usize) {
            let at = x + width * second / seconds;
            svg.line("grid", (at, top), (at, top + self.height));
        }
        let fuse_w = view.fuse_ma * i64::from(VOLTAGE_V) / 1000;
        match self.shows {
            Shows::Phase(_) => {
                for value in [fuse_w, -fuse_w].into_iter().filter(|w| (self.axis.low..=self.axis.high).contains(w)) {
                    let y = self.axis.y(value, top, self.height);
                    svg.line("fuse", (x, y), (x + width, y));
                }
            }
            Shows::Fuse => {
                let y = self.axis.y(0, top, self.height);
                svg.rect("over", (x, y), (width, top + self.height - y), None);
                svg.line("fuse", (x, y), (x + width, y));
            }
            Shows::Battery(_) | Shows::Chargers => {}
        }
    }

    /// Its name and its values on the left of the first pane; values only between panes; per cent on the right of a battery.
    fn labels(&self, svg: &mut Svg, (x, top): (i64, i64), layout: &Layout, number: usize) {
        if number == 0 {
            svg.text("name", (60, top + 130), Anchor::Start, &shortened(&self.name, 9));
            svg.text("unit", (60, top + 260), Anchor::Start, self.unit);
        }
        for value in self.axis.ticks() {
            let y = self.axis.y(value, top, self.height) + 40;
            if number == 0 {
                svg.text("tick", (x - 60, y), Anchor::End, &thousandths(value, self.axis.step));
            }
        }
        if matches!(self.shows, Shows::Battery(_)) && number + 1 == layout.panes {
            // Those at the ends stay inside the panel.
            for (value, down) in [(0, 0), (500, 40), (1000, 90)] {
                let y = PERCENT.y(value, top, self.height) + down;
                svg.text("unit", (x + layout.width + 50, y), Anchor::Start, &format!("{} %", value / 10));
            }
        }
    }
}

const PERCENT: Axis = Axis { low: 0, high: 1000, step: 500 };

/// The middle of a column.
fn across(k: usize, count: usize, x: i64, width: i64) -> i64 {
    x + (2 * k as i64 + 1) * width / (2 * count.max(1) as i64)
}

/// Along the greatest values, and back along the least.
fn outline(band: &Band, axis: &Axis, (x, top): (i64, i64), height: i64, width: i64) -> impl Iterator<Item = (i64, i64)> {
    let count = band.high.len();
    let there = curve(&band.high, axis, (x, top), height, width);
    let back = band.low.iter().enumerate().rev();
    there.chain(back.map(move |(k, v)| (across(k, count, x, width), axis.y((*v).into(), top, height))))
}

fn curve(values: &[i32], axis: &Axis, (x, top): (i64, i64), height: i64, width: i64) -> impl Iterator<Item = (i64, i64)> {
    let count = values.len();
    values.iter().enumerate().map(move |(k, v)| (across(k, count, x, width), axis.y((*v).into(), top, height)))
}
