//! Writes SVG: elements, numbers and texts. No script, no font of its own, nothing from outside; whatever stands in a text stays text.
//!
//! Places and sizes are tenths of a pixel.

use std::fmt::Write;

/// A picture being written.
pub(super) struct Svg {
    out: String,
}

/// Where a text is attached to its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// An empty picture of this size.
    pub(super) fn new(width: i64, height: i64, style: &str) -> Svg {
        let (w, h) = (px(width), px(height));
        let out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\">\n<style>{style}</style>\n\
             <rect width=\"{w}\" height=\"{h}\" fill=\"#fff\"/>\n"
        );
        Svg { out }
    }

    /// The whole document.
    pub(super) fn end(mut self) -> String {
        self.out += "</svg>\n";
        self.out
    }

    /// A rectangle; `title` is what is shown while the pointer is over it.
    pub(super) fn rect(&mut self, class: &str, (x, y): (i64, i64), (width, height): (i64, i64), title: Option<&str>) {
        let (x, y, w, h) = (px(x), px(y), px(width), px(height));
        let _ = write!(self.out, "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"");
        match title {
            Some(title) => {
                let _ = writeln!(self.out, "><title>{}</title></rect>", escaped(title));
            }
            None => self.out += "/>\n",
        }
    }

    /// A straight line.
    pub(super) fn line(&mut self, class: &str, (x1, y1): (i64, i64), (x2, y2): (i64, i64)) {
        let (x1, y1, x2, y2) = (px(x1), px(y1), px(x2), px(y2));
        let _ = writeln!(self.out, "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>");
    }

    /// A line of text.
    pub(super) fn text(&mut self, class: &str, (x, y): (i64, i64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let _ = writeln!(self.out, "<text class=\"{class}\" x=\"{}\" y=\"{}\"{anchor}>{}</text>", px(x), px(y), escaped(text));
    }

    /// A line through points, closed where its class fills it. `name` tells readers of the file, and tests, what it is.
    pub(super) fn path(&mut self, class: &str, name: &str, points: impl Iterator<Item = (i64, i64)>, closed: bool) {
        let _ = write!(self.out, "<path class=\"{class}\" data-name=\"{}\" d=\"", escaped(name));
        self.points(points);
        self.out += if closed { "z\"/>\n" } else { "\"/>\n" };
    }

    /// Relative to the point before; what only goes on sideways is put together.
    fn points(&mut self, points: impl Iterator<Item = (i64, i64)>) {
        let mut before: Option<(i64, i64)> = None;
        let mut waiting: Option<(i64, i64)> = None;
        let mut begun = false;
        for point in points {
            let Some(at) = before else {
                let _ = write!(self.out, "M{} {}", px(point.0), px(point.1));
                before = Some(point);
                continue;
            };
            let last = waiting.unwrap_or(at);
            if waiting.is_some() && (point.1 != at.1 || (point.0 - last.0).signum() != (last.0 - at.0).signum()) {
                self.step(at, last, &mut begun);
                before = Some(last);
            }
            let at = before.unwrap_or(at);
            if point.1 == at.1 && point.0 != at.0 {
                waiting = Some(point);
            } else {
                waiting = None;
                self.step(at, point, &mut begun);
                before = Some(point);
            }
        }
        if let (Some(at), Some(last)) = (before, waiting) {
            self.step(at, last, &mut begun);
        }
    }

    fn step(&mut self, from: (i64, i64), to: (i64, i64), begun: &mut bool) {
        for (k, d) in [to.0 - from.0, to.1 - from.1].into_iter().enumerate() {
            let separator = match (*begun, k) {
                (false, 0) => "l",
                _ if d < 0 => "",
                _ => " ",
            };
            *begun = true;
            let _ = write!(self.out, "{separator}{}", short(d));
        }
    }
}

/// Tenths of a pixel as a number of SVG.
fn px(tenths: i64) -> String {
    let sign = if tenths < 0 { "-" } else { "" };
    let (whole, rest) = (tenths.abs() / 10, tenths.abs() % 10);
    if rest == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

/// The same without a zero before the point, as paths allow it.
fn short(tenths: i64) -> String {
    let text = px(tenths);
    match text.strip_prefix("-0.") {
        Some(rest) => format!("-.{rest}"),
        None => text.strip_prefix("0.").map_or(text.clone(), |rest| format!(".{rest}")),
    }
}

/// Characters that mean something in XML are written as entities; those that it does not have at all are replaced.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' => out.push('\n'),
            '\u{FFFE}' | '\u{FFFF}' => out.push('\u{FFFD}'),
            c if c.is_control() => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(escaped("<b a=\"1\">&\u{1}\u{FFFF}ü"), "&lt;b a=&quot;1&quot;&gt;&amp;\u{FFFD}\u{FFFD}ü");
    }

    fn drawn(points: &[(i64, i64)]) -> String {
        let mut svg = Svg { out: String::new() };
        svg.points(points.iter().copied());
        svg.out
    }

    #[test]
    fn a_path_keeps_every_corner_and_joins_what_is_level() {
        assert_eq!(drawn(&[(5, 10), (15, 10), (25, 10), (35, 7), (45, 7)]), "M.5 1l2 0 1-.3 1 0".replace("M.5", "M0.5"));
        assert_eq!(drawn(&[(0, 0), (10, 50), (20, 0)]), "M0 0l1 5 1-5");
        assert_eq!(drawn(&[(0, 0), (10, 0), (10, 20), (0, 20)]), "M0 0l1 0 0 2-1 0");
        // There and back again on the same level is two movements.
        assert_eq!(drawn(&[(0, 0), (20, 0), (10, 0)]), "M0 0l2 0-1 0");
    }
}
