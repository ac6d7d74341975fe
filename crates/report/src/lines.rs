//! Several small line charts beside each other, over doublings or even steps, as an SVG file of its own.

use crate::chart::{escape, linear_ticks, rounded, short};
use crate::words::{self, paragraph, shorten, title};
use crate::{Curve, style};
use std::fmt::Write;

/// One chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinePanel {
    /// What it is about.
    pub title: String,
    /// What the values are: `pictures per second`.
    pub unit: String,
    /// Curves, over doublings with positive places and values from zero on; a name has the same colour in all charts.
    pub curves: Vec<Curve>,
}

/// How places lie along a chart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineAxis {
    /// Every doubling takes the same room, and every point is marked.
    #[default]
    Doublings,
    /// Even steps, as many that only the line shows; values may be negative.
    Even,
}

/// Charts beside each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinePanels {
    /// Headline.
    pub title: String,
    /// The line below it.
    pub subtitle: String,
    /// What the places are: `batch size`.
    pub axis: String,
    /// How they lie.
    pub along: LineAxis,
    /// The charts.
    pub panels: Vec<LinePanel>,
}

const MARGIN: f64 = 24.0;
const HEAD: f64 = 126.0;
/// Extents of a chart's plot, and what is left of it, right of it and below it.
const WIDTH: f64 = 236.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 30.0;
const BOTTOM: f64 = 40.0;
/// Charts in a row at most, and the height of a row but for the plot and what is below it: title, unit and a gap.
const COLUMNS: usize = 4;
const BETWEEN: f64 = 56.0;
/// Labels that are nearer than this would touch.
const APART: f64 = 26.0;
/// Height of a line below the title, and of a row of names.
const LINE: f64 = 18.0;
/// Size of the letters of names, and room beside a name for its stroke and the gap to the next.
const NAME: f64 = 11.5;
const STROKE: f64 = 24.0;
const GAP: f64 = 24.0;

impl LinePanels {
    /// The drawing as an SVG file of its own.
    pub fn to_svg(&self) -> String {
        let columns = self.panels.len().clamp(1, COLUMNS);
        let width = 2.0 * MARGIN + columns as f64 * (LEFT + WIDTH + RIGHT) - RIGHT + 12.0;
        let inner = width - 2.0 * MARGIN;
        let lines = paragraph(std::slice::from_ref(&self.subtitle), inner);
        let names = self.names();
        let (places, rows) = places(&names, inner);
        let below = (lines.len().max(1) - 1) as f64 * LINE;
        let top = MARGIN + HEAD + below + (rows.max(1) - 1) as f64 * LINE;
        let next = HEIGHT + BOTTOM + BETWEEN;
        let height = top + (self.panels.len().div_ceil(COLUMNS).max(1) as f64) * next - BETWEEN + MARGIN;
        let css = ".g { stroke: var(--line); } .a { stroke: var(--muted); } .l { fill: none; stroke-width: 2.2; }\n\
                   .t { font-size: 11.5px; fill: var(--muted); } .v { font-size: 11.5px; font-weight: 600; }\n";
        let mut out = style::open(width, height, &self.title, css);
        title(&mut out, [MARGIN, MARGIN + 14.0], inner, &self.title);
        for (i, line) in lines.iter().enumerate() {
            let y = MARGIN + 36.0 + i as f64 * LINE;
            let _ = writeln!(out, "<text class=\"m\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", escape(line));
        }
        for (i, (name, [x, y])) in names.iter().zip(places).enumerate() {
            let (x, y) = (MARGIN + x, MARGIN + 60.0 + below + y);
            let _ = writeln!(
                out,
                "<path d=\"M{x:.0} {:.0}h18\" style=\"stroke: {}; stroke-width: 3\"/>\
                 <text class=\"t\" x=\"{:.0}\" y=\"{y:.0}\">{}</text>",
                y - 4.0,
                colour(i),
                x + STROKE,
                escape(&shorten(name, inner - STROKE, NAME))
            );
        }
        for (i, panel) in self.panels.iter().enumerate() {
            let left = MARGIN + LEFT + (i % COLUMNS) as f64 * (LEFT + WIDTH + RIGHT);
            let top = top + (i / COLUMNS) as f64 * next;
            panel.draw(&mut out, [left, top], (&self.axis, self.along), &names);
        }
        out + "</svg>\n"
    }

    /// The names of all curves, in the order in which they come up.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for curve in self.panels.iter().flat_map(|p| &p.curves) {
            if !names.contains(&curve.name.as_str()) {
                names.push(&curve.name);
            }
        }
        names
    }
}

/// Where names stand from the first on, in rows of a width, and how many rows they take.
fn places(names: &[&str], room: f64) -> (Vec<[f64; 2]>, usize) {
    let (mut x, mut row) = (0.0, 0);
    let mut out = Vec::new();
    for name in names {
        let own = STROKE + words::width(name, NAME);
        if x > 0.0 && x + own > room {
            (x, row) = (0.0, row + 1);
        }
        out.push([x, row as f64 * LINE]);
        x += own + GAP;
    }
    (out, row + 1)
}

fn colour(i: usize) -> String {
    format!("var(--{})", style::SERIES[i % style::SERIES.len()])
}

impl LinePanel {
    fn draw(&self, out: &mut String, [left, top]: [f64; 2], (axis, along): (&str, LineAxis), names: &[&str]) {
        let base = top + HEIGHT;
        let even = along == LineAxis::Even;
        let good = |p: &&(f64, f64)| p.0.is_finite() && p.1.is_finite() && (even || (p.0 > 0.0 && p.1 >= 0.0));
        let _ = writeln!(
            out,
            "<text class=\"c\" x=\"{:.0}\" y=\"{:.0}\">{}</text>\n<text class=\"n\" x=\"{:.0}\" y=\"{:.0}\">{}</text>",
            left - LEFT,
            top - 30.0,
            escape(&shorten(&self.title, LEFT + WIDTH, 13.0)),
            left - LEFT,
            top - 14.0,
            escape(&self.unit)
        );
        let all = || self.curves.iter().flat_map(|c| c.points.iter().filter(good));
        let low = all().map(|p| p.0).fold(f64::INFINITY, f64::min);
        let far = all().map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
        if far < low {
            let _ = writeln!(out, "<text class=\"t\" x=\"{left:.0}\" y=\"{:.0}\">nothing measured</text>", top + 20.0);
            return;
        }
        let part = |v: f64| if even { (v - low) / (far - low) } else { (v / low).log2() / (far / low).log2() };
        let px = |v: f64| left + WIDTH * if far > low { part(v) } else { 0.5 };
        let least = all().map(|p| p.1).fold(0.0, f64::min) * 1.08;
        let high = all().map(|p| p.1).fold(0.0, f64::max) * 1.08;
        let high = if high > least { high } else { 1.0 };
        let py = |v: f64| base - (v - least) / (high - least) * HEIGHT;
        for tick in linear_ticks(least, high, 4, false) {
            let at = py(tick);
            let class = if tick == 0.0 { "a" } else { "g" };
            let _ = writeln!(
                out,
                "<path class=\"{class}\" d=\"M{left:.0} {at:.1}h{WIDTH}\"/>\
                 <text class=\"t\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 8.0,
                at + 4.0,
                short(tick)
            );
        }
        let mut places: Vec<f64> = if even { linear_ticks(low, far, 5, true) } else { all().map(|p| p.0).collect() };
        places.sort_by(f64::total_cmp);
        places.dedup();
        let mut written = f64::NEG_INFINITY;
        for &place in &places {
            let at = px(place);
            let _ = writeln!(out, "<path class=\"a\" d=\"M{at:.1} {base:.0}v4\"/>");
            if at - written >= APART {
                let _ = writeln!(
                    out,
                    "<text class=\"t\" x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
                    base + 17.0,
                    short(place)
                );
                written = at;
            }
        }
        let _ = writeln!(
            out,
            "<text class=\"t\" x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>",
            left + WIDTH,
            base + 33.0,
            escape(axis)
        );
        for curve in &self.curves {
            let colour = colour(names.iter().position(|n| *n == curve.name).unwrap_or(0));
            let points: Vec<(f64, f64)> = curve.points.iter().filter(good).copied().collect();
            let mut path = String::new();
            for (k, &(x, y)) in points.iter().enumerate() {
                let _ = write!(path, "{}{:.1} {:.1}", if k == 0 { 'M' } else { 'L' }, px(x), py(y));
            }
            let _ = writeln!(out, "<path class=\"l\" d=\"{path}\" style=\"stroke: {colour}\"/>");
            for &(x, y) in points.iter().filter(|_| !even || points.len() == 1) {
                let _ = writeln!(
                    out,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.2\" style=\"fill: {colour}; stroke: var(--page)\">\
                     <title>{}, {} {}: {} {}</title></circle>",
                    px(x),
                    py(y),
                    escape(&curve.name),
                    escape(axis),
                    short(x),
                    rounded(y),
                    escape(&self.unit)
                );
            }
        }
        // Above the highest curve and below the lowest, where no other runs through the words.
        let mut ends: Vec<(f64, f64, usize)> = (self.curves.iter().enumerate())
            .filter_map(|(i, c)| c.points.iter().rfind(good).map(|p| (p.0, p.1, i)))
            .collect();
        ends.sort_by(|a, b| b.1.total_cmp(&a.1));
        let lowest = if ends.len() > 1 { ends.last().map(|end| (*end, 18.0)) } else { None };
        for ((x, y, i), down) in ends.first().map(|end| (*end, -8.0)).into_iter().chain(lowest) {
            // A line of many steps may still jump below the words: above all that is there.
            let near = |p: &&(f64, f64)| even && px(p.0) > px(x) - APART;
            let tall = self.curves[i].points.iter().filter(good).filter(near).map(|p| p.1).fold(y, f64::max);
            let _ = writeln!(
                out,
                "<text class=\"v\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" style=\"fill: {}\">{}</text>",
                px(x) + 4.0,
                py(if down < 0.0 { tall } else { y }) + down,
                colour(names.iter().position(|n| *n == self.curves[i].name).unwrap_or(0)),
                rounded(y)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_inside_their_picture() {
        let machine =
            "gabor 0.1.0, avx512, Some Maker(R) Long Processor Name(R) Platinum 8481C CPU @ 2.70GHz, 224 threads";
        let names: Vec<String> = (0..8).map(|k| format!("{} threads", 1 << k)).collect();
        let curves = names.iter().map(|n| Curve::new(n, vec![(1.0, 2.0), (2.0, 3.0)])).collect();
        let picture = LinePanels {
            title: "Batch: how many pictures in a second".into(),
            subtitle: machine.into(),
            axis: "batch size".into(),
            along: LineAxis::Doublings,
            panels: vec![LinePanel { title: "t".into(), unit: "u".into(), curves }],
        };
        let svg = picture.to_svg();
        let room = LEFT + WIDTH + 12.0;
        let small = |line: &&str| line.starts_with("<text class=\"m\"");
        let words = |line: &str| line.split(['>', '<']).nth(2).unwrap_or("").to_string();
        let below: Vec<String> = svg.lines().filter(small).map(words).collect();
        assert!(below.len() > 1 && below.join(" ") == machine, "{below:?}");
        assert!(below.iter().all(|l| words::width(l, 13.0) <= room), "{below:?}");
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (at, rows) = places(&names, room);
        assert!(rows > 1 && at.iter().zip(&names).all(|(p, n)| p[0] + STROKE + words::width(n, NAME) <= room));
        assert_eq!(at.last().unwrap()[1], (rows - 1) as f64 * LINE);
    }

    #[test]
    fn curves_stay_inside_their_charts() {
        let curve = |name: &str, points: &[(f64, f64)]| Curve::new(name, points.to_vec());
        let panel = |curves| LinePanel { title: "a < b".into(), unit: "pictures per second".into(), curves };
        let picture = LinePanels {
            title: "Speed & batch".into(),
            subtitle: "two threads".into(),
            axis: "batch size".into(),
            along: LineAxis::Doublings,
            panels: vec![
                panel(vec![curve("1 thread", &[(1.0, 10.0), (2.0, 12.0), (64.0, 13.456)]), curve("2", &[(1.0, 20.0)])]),
                panel(vec![curve("2", &[(1.0, f64::NAN), (0.0, 3.0), (-1.0, 2.0)])]),
                panel(vec![curve("2", &[(4.0, 0.0)])]),
            ],
        };
        let svg = picture.to_svg();
        assert!(svg.contains("a &lt; b") && svg.contains("Speed &amp; batch") && svg.contains("nothing measured"));
        assert!(svg.contains(">13.5</text>") && svg.contains("1 thread, batch size 64: 13.5 pictures per second"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        // The doubling from 1 to 2 is a sixth of the way to 64.
        let at = |x: f64| format!("cx=\"{:.1}\"", MARGIN + LEFT + x * WIDTH);
        assert!(svg.contains(&at(0.0)) && svg.contains(&at(1.0 / 6.0)) && svg.contains(&at(1.0)));
        // A name keeps its colour in a chart in which it is the only one.
        assert_eq!(svg.matches("stroke: var(--orange); stroke-width: 3").count(), 1);
        assert_eq!(
            svg.matches("\" style=\"stroke: var(--orange)\"").count(),
            2,
            "the chart without numbers has no curve"
        );
    }

    /// A curve of steps lies evenly, may fall below zero, and charts go on in the next row.
    #[test]
    fn steps_are_even_and_values_may_be_negative() {
        let curve = Curve::new("objective", (0..9).map(|i| (f64::from(i), f64::from(i) - 4.0)).collect());
        let panel =
            |i: usize| LinePanel { title: format!("unit {i}"), unit: "score".into(), curves: vec![curve.clone()] };
        let picture = LinePanels {
            title: "Steps".into(),
            axis: "step".into(),
            along: LineAxis::Even,
            panels: (0..6).map(panel).collect(),
            ..Default::default()
        };
        let svg = picture.to_svg();
        let left = MARGIN + LEFT;
        let path = svg.lines().find(|l| l.starts_with("<path class=\"l\"")).unwrap();
        assert!(
            path.contains(&format!("M{left:.1} ")) && path.contains(&format!("L{:.1} ", left + WIDTH / 2.0)),
            "{path}"
        );
        assert!(svg.matches("2.5</text>").count() == 12 && !svg.contains("<circle"), "{svg}");
        // The fifth chart begins the second row, below the first one.
        let title = |i: usize| svg.lines().find(|l| l.contains(&format!(">unit {i}<"))).unwrap().to_string();
        let x = |i: usize| title(i).split("x=\"").nth(1).unwrap().split('"').next().unwrap().to_string();
        assert_eq!((x(0), x(1)), (x(4), x(5)));
        assert_ne!(title(0).split("y=").nth(1), title(4).split("y=").nth(1));
        assert_eq!(LinePanels { panels: vec![panel(0)], ..picture }.to_svg().matches("class=\"l\"").count(), 1);
    }
}
