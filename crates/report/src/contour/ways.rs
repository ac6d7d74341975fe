//! Ways over a landscape: each with a dash and a dot of its own, so that ways that run over each other are still told apart,
//! and a mark where it leaves the drawing.

use super::{APART, Contour, ContourPath};
use crate::chart::escape;
use crate::style::SERIES;
use crate::words::shorten;
use std::fmt::Write;

/// Dashes of ways; the first is drawn first, and shows in the gaps of the others.
const DASHES: [&str; 5] = ["", "9 6", "2 5", "14 5 3 5", "5 4"];
/// Height of a way in the legend, and of a line more.
pub const ROW: f64 = 44.0;
pub const MORE: f64 = 15.0;

/// Where places lie in the drawing.
pub struct Frame {
    /// Left, top, width and height.
    pub area: [f64; 4],
    /// Least and largest place of both axes.
    pub x: [f64; 2],
    pub y: [f64; 2],
}

impl Frame {
    pub fn at(&self, [x, y]: [f64; 2]) -> (f64, f64) {
        let [left, top, w, h] = self.area;
        (left + (x - self.x[0]) / (self.x[1] - self.x[0]) * w, top + (self.y[1] - y) / (self.y[1] - self.y[0]) * h)
    }
    fn holds(&self, (x, y): (f64, f64)) -> bool {
        let [left, top, w, h] = self.area;
        (left..=left + w).contains(&x) && (top..=top + h).contains(&y)
    }
    /// Where the piece from a place inside to one outside crosses the border.
    fn crossing(&self, (x, y): (f64, f64), (u, v): (f64, f64)) -> (f64, f64) {
        let [left, top, w, h] = self.area;
        let part = |from: f64, to: f64, low: f64, high: f64| match () {
            () if to < low => (low - from) / (to - from),
            () if to > high => (high - from) / (to - from),
            () => 1.0,
        };
        let t = part(x, u, left, left + w).min(part(y, v, top, top + h)).clamp(0.0, 1.0);
        (x + t * (u - x), y + t * (v - y))
    }
}

/// A way as it is drawn: where it is known.
fn known(p: &ContourPath, frame: &Frame) -> Vec<(f64, f64)> {
    // What lies far outside is held in bounds, so that numbers stay small.
    let far = |v: f64| v.clamp(-99_999.0, 99_999.0);
    let finite = p.points.iter().filter(|q| q.iter().all(|v| v.is_finite()));
    finite.map(|&q| frame.at(q)).map(|(x, y)| (far(x), far(y))).collect()
}

/// How many of its places lie outside the drawing.
pub fn outside(p: &ContourPath, frame: &Frame) -> usize {
    known(p, frame).into_iter().filter(|&q| !frame.holds(q)).count()
}

/// Styles of ways and their dots.
pub fn css() -> String {
    let mut out = String::from(
        ".o { fill: none; stroke: var(--page); stroke-width: 4.6; stroke-linejoin: round; stroke-opacity: 0.5; }\n\
         .w { fill: none; stroke-width: 2.4; stroke-linejoin: round; } .s0 { stroke-width: 3.4; }\n\
         .e { stroke: var(--page); stroke-width: 1.5; }\n",
    );
    for (i, c) in SERIES.iter().enumerate() {
        let dash = DASHES[i % DASHES.len()];
        let dash = if dash.is_empty() { String::new() } else { format!(" stroke-dasharray: {dash};") };
        let _ = writeln!(out, ".s{i} {{ stroke: var(--{c});{dash} }} .d{i} {{ fill: var(--{c}); }}");
    }
    out
}

/// A dot of a way: a circle, square, triangle or diamond of about one size.
pub fn dot(out: &mut String, way: usize, end: bool, (x, y): (f64, f64)) {
    let (class, r) = (if end { "e " } else { "" }, if end { 5.5 } else { 2.9 });
    let s = way % SERIES.len();
    let d = match way % 4 {
        0 => {
            let _ = writeln!(out, "<circle class=\"{class}d{s}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r}\"/>");
            return;
        }
        1 => format!("M{:.1} {:.1}h{2:.1}v{2:.1}h-{2:.1}z", x - 0.9 * r, y - 0.9 * r, 1.8 * r),
        2 => format!("M{x:.1} {:.1}l{:.1} {:.1}h-{:.1}z", y - 1.2 * r, 1.15 * r, 2.0 * r, 2.3 * r),
        _ => format!("M{x:.1} {:.1}l{1:.1} {1:.1}l-{1:.1} {1:.1}l-{1:.1} -{1:.1}z", y - 1.3 * r, 1.3 * r),
    };
    let _ = writeln!(out, "<path class=\"{class}d{s}\" d=\"{d}\"/>");
}

/// A way as lines: what begins or ends in the drawing, and the rest, which at most crosses it.
fn pieces(way: &[(f64, f64)], frame: &Frame) -> [String; 2] {
    let mut lines = [String::new(), String::new()];
    let mut last = usize::MAX;
    for pair in way.windows(2) {
        let kind = usize::from(!frame.holds(pair[0]) && !frame.holds(pair[1]));
        if kind != last {
            let _ = write!(lines[kind], "M{:.1} {:.1}", pair[0].0, pair[0].1);
        }
        let _ = write!(lines[kind], "L{:.1} {:.1}", pair[1].0, pair[1].1);
        last = kind;
    }
    lines
}

/// All ways, with a dot a step where they can be told apart.
pub fn draw(out: &mut String, c: &Contour, frame: &Frame) {
    let ways: Vec<Vec<(f64, f64)>> = c.paths.iter().map(|p| known(p, frame)).collect();
    let lines: Vec<[String; 2]> = ways.iter().map(|way| pieces(way, frame)).collect();
    // All edges lie below all lines: none hides another way.
    for [inside, _] in &lines {
        let _ = writeln!(out, "<path class=\"o\" d=\"{inside}\"/>");
    }
    for (i, [inside, outside]) in lines.iter().enumerate() {
        let s = i % SERIES.len();
        if !outside.is_empty() {
            let _ = writeln!(out, "<path class=\"w s{s}\" stroke-opacity=\"0.35\" d=\"{outside}\"/>");
        }
        let _ = writeln!(out, "<path class=\"w s{s}\" d=\"{inside}\"/>");
    }
    for (i, way) in ways.iter().enumerate() {
        let mut before = (f64::INFINITY, f64::INFINITY);
        for &(x, y) in way.iter().filter(|&&q| frame.holds(q)) {
            if (x - before.0).hypot(y - before.1) >= APART {
                dot(out, i, false, (x, y));
                before = (x, y);
            }
        }
    }
    for (i, way) in ways.iter().enumerate() {
        if let Some(&end) = way.last().filter(|&&q| frame.holds(q)) {
            dot(out, i, true, end);
        }
    }
    if let Some(&(x, y)) = ways.first().and_then(|w| w.first()) {
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\" fill=\"#ffffff\" stroke=\"#111417\" stroke-width=\"2\"/>"
        );
    }
}

/// An arrow at the border wherever a way leaves the drawing.
pub fn exits(out: &mut String, c: &Contour, frame: &Frame) {
    for (i, p) in c.paths.iter().enumerate() {
        let way = known(p, frame);
        let mut marked: Vec<(f64, f64)> = Vec::new();
        for pair in way.windows(2).filter(|q| frame.holds(q[0]) && !frame.holds(q[1])) {
            let (x, y) = frame.crossing(pair[0], pair[1]);
            // A way that goes in and out again and again at one place is marked once.
            if marked.iter().any(|m| (m.0 - x).hypot(m.1 - y) < 10.0) {
                continue;
            }
            marked.push((x, y));
            let [left, top, w, h] = frame.area;
            let edge = [(x - left, 180), (left + w - x, 0), (y - top, 270), (top + h - y, 90)];
            let turn = edge.iter().min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0, |e| e.1);
            let _ = writeln!(
                out,
                "<path class=\"e d{}\" d=\"M-3 -7.5L10 0L-3 7.5z\" transform=\"translate({x:.1} {y:.1}) rotate({turn})\"/>",
                i % SERIES.len()
            );
        }
    }
}

/// The legend from a place downwards.
pub fn legend(out: &mut String, c: &Contour, frame: &Frame, [x, mut y]: [f64; 2]) {
    for (i, p) in c.paths.iter().enumerate() {
        let s = i % SERIES.len();
        let _ = writeln!(out, "<path class=\"w s{s}\" d=\"M{x:.1} {:.1}h30\"/>", y - 4.0);
        dot(out, i, true, (x + 30.0, y - 4.0));
        let mut line = |class: &str, down: f64, words: &str| {
            let _ = writeln!(
                out,
                "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x + 44.0,
                y + down,
                escape(words)
            );
        };
        line("c", 0.0, &p.name);
        line("n", 16.0, &shorten(&p.note, 205.0, 11.5));
        let out_there = outside(p, frame);
        if out_there > 0 {
            line("n", 16.0 + MORE, &format!("{out_there} {} outside", if out_there == 1 { "place" } else { "places" }));
            y += MORE;
        }
        y += ROW;
    }
}
