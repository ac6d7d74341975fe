//! A landscape seen from above: colour and lines of equal height, with the ways of those who descend.

use crate::Picture;
use crate::chart::{escape, linear_ticks, short};
use crate::heat::Scale;
use crate::poster::text;
use crate::sheet::cut;
use crate::style::{self, SERIES};
use crate::words::{title, wrap};
use std::fmt::Write;

/// A way over a landscape.
#[derive(Clone, Debug, PartialEq)]
pub struct ContourPath {
    /// Whose it is.
    pub name: String,
    /// More about it.
    pub note: String,
    /// Its places, the start first.
    pub points: Vec<[f64; 2]>,
}

/// Heights on a grid, with ways and places.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contour {
    /// The heading.
    pub title: String,
    /// A line below it.
    pub subtitle: String,
    /// What the axes are called.
    pub axes: [String; 2],
    /// Places of the columns, from small to large.
    pub x: Vec<f64>,
    /// Places of the rows, from small to large.
    pub y: Vec<f64>,
    /// Heights, row by row.
    pub heights: Vec<f64>,
    /// Ways over it.
    pub paths: Vec<ContourPath>,
    /// Places with a name.
    pub marks: Vec<(String, [f64; 2])>,
}

const MARGIN: f64 = 28.0;
const HEAD: f64 = 66.0;
const SIDE: f64 = 560.0;
const LEFT: f64 = 46.0;
const BOTTOM: f64 = 46.0;
/// Width of what stands to the right: the scale and the legend.
const ASIDE: f64 = 250.0;
/// Lines of equal height.
const LINES: usize = 12;
/// Least distance of the dots of a way.
const APART: f64 = 8.0;
/// Pixels of the coloured ground, a side.
const PIXELS: usize = 280;

/// Heights as parts of the scale: by their logarithm above the least where they span much.
struct Tones {
    low: f64,
    high: f64,
    /// What is added before the logarithm; none where heights are taken as they are.
    shift: Option<f64>,
}

impl Tones {
    fn new(heights: &[f64]) -> Self {
        let mut known: Vec<f64> = heights.iter().copied().filter(|v| v.is_finite()).collect();
        known.sort_by(f64::total_cmp);
        let (Some(&low), Some(&high)) = (known.first(), known.last()) else {
            return Tones { low: 0.0, high: 1.0, shift: None };
        };
        let middle = known[known.len() / 2];
        // Half of the places in the lowest eighth of the range: even steps would show one colour.
        let steep = middle - low < (high - low) / 8.0;
        let shift = steep.then(|| ((middle - low) / 30.0).max((high - low) * 1e-9).max(f64::MIN_POSITIVE));
        Tones { low, high, shift }
    }
    fn part(&self, v: f64) -> f64 {
        let span = self.high - self.low;
        if span <= 0.0 {
            return 0.0;
        }
        match self.shift {
            None => (v - self.low) / span,
            Some(s) => log((v - self.low + s) / s) / log((span + s) / s),
        }
    }
    /// The height at a part of the scale.
    fn height(&self, part: f64) -> f64 {
        let span = self.high - self.low;
        match self.shift {
            None => self.low + part * span,
            Some(s) => self.low + s * ((span + s) / s).powf(part) - s,
        }
    }
}

fn log(v: f64) -> f64 {
    v.max(f64::MIN_POSITIVE).ln()
}

impl Contour {
    /// The drawing as an SVG file of its own.
    pub fn to_svg(&self) -> String {
        let (w, h) = (self.x.len(), self.y.len());
        let whole = w >= 2 && h >= 2 && self.heights.len() == w * h;
        let rows = self.paths.len() as f64;
        let high = SIDE;
        let width = LEFT + SIDE + ASIDE + 2.0 * MARGIN;
        let height = MARGIN * 2.0 + HEAD + high + BOTTOM;
        let series: String = SERIES
            .iter()
            .enumerate()
            .map(|(i, c)| format!(".s{i} {{ stroke: var(--{c}); }} .d{i} {{ fill: var(--{c}); }}\n"))
            .collect();
        let css = format!(
            "{series}.l {{ fill: none; stroke: #ffffff; stroke-opacity: 0.5; stroke-width: 0.9; }}\n\
             .o {{ fill: none; stroke: var(--page); stroke-width: 4; stroke-linejoin: round; stroke-opacity: 0.5; }}\n\
             .w {{ fill: none; stroke-width: 2.2; stroke-linejoin: round; }} .e {{ stroke: var(--page); stroke-width: 1.5; }}\n\
             .t {{ font-size: 12px; fill: var(--muted); }} .k {{ font-size: 11px; fill: #ffffff; }}\n"
        );
        let mut out = style::open(width, height, &self.title, &css);
        title(&mut out, [MARGIN, MARGIN + 16.0], width - 2.0 * MARGIN, &self.title);
        for (i, line) in wrap(&self.subtitle, width - 2.0 * MARGIN, 13.0, 2).iter().enumerate() {
            text(&mut out, "m", MARGIN, MARGIN + 39.0 + i as f64 * 17.0, line);
        }
        if !whole {
            return out + "</svg>\n";
        }
        let (left, top) = (MARGIN + LEFT, MARGIN + HEAD);
        let ([x0, x1], [y0, y1]) = ([self.x[0], self.x[w - 1]], [self.y[0], self.y[h - 1]]);
        let at = |[x, y]: [f64; 2]| (left + (x - x0) / (x1 - x0) * SIDE, top + (y1 - y) / (y1 - y0) * high);
        let tones = Tones::new(&self.heights);
        if let Some(ground) = self.ground(&tones) {
            let _ = writeln!(
                out,
                "<image x=\"{left}\" y=\"{top}\" width=\"{SIDE}\" height=\"{high}\" preserveAspectRatio=\"none\" href=\"{}\"/>",
                ground.to_uri()
            );
        }
        let _ = writeln!(
            out,
            "<clipPath id=\"in\"><rect x=\"{left}\" y=\"{top}\" width=\"{SIDE}\" height=\"{high}\"/></clipPath><g clip-path=\"url(#in)\">"
        );
        for i in 0..LINES {
            let level = tones.height((i as f64 + 0.5) / LINES as f64);
            let mut d = String::new();
            for (a, b) in self.line(level) {
                let ((ax, ay), (bx, by)) = (at(a), at(b));
                let _ = write!(d, "M{ax:.1} {ay:.1}L{bx:.1} {by:.1}");
            }
            if !d.is_empty() {
                let _ = writeln!(out, "<path class=\"l\" d=\"{d}\"/>");
            }
        }
        for (i, p) in self.paths.iter().enumerate() {
            let s = i % SERIES.len();
            // What lies far outside is cut off, so that numbers stay small.
            let far = |v: f64| v.clamp(-9999.0, 9999.0);
            let mut d = String::new();
            for (k, &q) in p.points.iter().enumerate().filter(|q| q.1.iter().all(|v| v.is_finite())) {
                let (x, y) = at(q);
                let _ = write!(d, "{}{:.1} {:.1}", if k == 0 { 'M' } else { 'L' }, far(x), far(y));
            }
            let _ = writeln!(out, "<path class=\"o\" d=\"{d}\"/><path class=\"w s{s}\" d=\"{d}\"/>");
            // A dot a step shows how long steps are, where they can be told apart.
            let mut before = (f64::INFINITY, f64::INFINITY);
            for &q in p.points.iter().filter(|q| q.iter().all(|v| v.is_finite())) {
                let (x, y) = at(q);
                let inside = (x - left - SIDE / 2.0).abs() <= SIDE && (y - top - high / 2.0).abs() <= high;
                if inside && (x - before.0).hypot(y - before.1) >= APART {
                    let _ = writeln!(out, "<circle class=\"d{s}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.8\"/>");
                    before = (x, y);
                }
            }
        }
        for (i, p) in self.paths.iter().enumerate() {
            let s = i % SERIES.len();
            let end = p.points.iter().rev().find(|q| q.iter().all(|v| v.is_finite()));
            if let Some((x, y)) = end.map(|&q| at(q)).filter(|p| p.0.abs() < 9999.0 && p.1.abs() < 9999.0) {
                let _ = writeln!(out, "<circle class=\"e d{s}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5.5\"/>");
            }
        }
        if let Some((x, y)) = self.paths.first().and_then(|p| p.points.first()).map(|&q| at(q)) {
            let _ = writeln!(
                out,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\" fill=\"#ffffff\" stroke=\"#111417\" stroke-width=\"2\"/>"
            );
        }
        for (name, place) in &self.marks {
            let (x, y) = at(*place);
            let _ = writeln!(
                out,
                "<path d=\"M{:.1} {y:.1}h14m-7 -7v14\" stroke=\"#111417\" stroke-width=\"4\" fill=\"none\"/>\
                 <path d=\"M{:.1} {y:.1}h14m-7 -7v14\" stroke=\"#ffffff\" stroke-width=\"2\" fill=\"none\"/>\
                 <text class=\"k\" x=\"{:.1}\" y=\"{:.1}\" stroke=\"#111417\" stroke-width=\"3\" paint-order=\"stroke\">{}</text>",
                x - 7.0,
                x - 7.0,
                x + 9.0,
                y - 7.0,
                escape(name)
            );
        }
        out += "</g>\n";
        let _ = writeln!(out, "<rect class=\"f\" x=\"{left}\" y=\"{top}\" width=\"{SIDE}\" height=\"{high}\"/>");
        for t in linear_ticks(x0, x1, 7, false) {
            let (x, _) = at([t, y0]);
            let y = top + high;
            let _ = writeln!(
                out,
                "<path class=\"f\" d=\"M{x:.1} {y:.1}v5\"/><text class=\"t\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                y + 19.0,
                short(t)
            );
        }
        for t in linear_ticks(y0, y1, 7, false) {
            let (_, y) = at([x0, t]);
            let _ = writeln!(
                out,
                "<path class=\"f\" d=\"M{left:.1} {y:.1}h-5\"/><text class=\"t\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 9.0,
                y + 4.0,
                short(t)
            );
        }
        let (mid, low) = (left + SIDE / 2.0, top + high + 38.0);
        let _ = writeln!(
            out,
            "<text class=\"m\" x=\"{mid:.1}\" y=\"{low:.1}\" text-anchor=\"middle\">{}</text>\
             <text class=\"m\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 {:.1} {:.1})\">{}</text>",
            escape(&self.axes[0]),
            MARGIN + 4.0,
            top + high / 2.0,
            MARGIN + 4.0,
            top + high / 2.0,
            escape(&self.axes[1])
        );
        let x = left + SIDE + 26.0;
        self.aside(&mut out, &tones, x, top, (high - rows * 44.0 - 60.0).clamp(120.0, 260.0));
        out + "</svg>\n"
    }
    /// The scale of heights, and whose ways there are.
    fn aside(&self, out: &mut String, tones: &Tones, x: f64, top: f64, tall: f64) {
        const BANDS: usize = 64;
        let band = tall / BANDS as f64;
        for i in 0..BANDS {
            let [r, g, b] = Scale::Sequential.color(1.0 - (i as f32 + 0.5) / BANDS as f32);
            let y = top + i as f64 * band;
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{y:.2}\" width=\"16\" height=\"{:.2}\" fill=\"#{r:02x}{g:02x}{b:02x}\"/>",
                band + 0.4
            );
        }
        let parts = [0.0, 0.25, 0.5, 0.75, 1.0];
        let ticks = apart(&parts.map(|part| tones.height(part)));
        for (part, tick) in parts.into_iter().zip(ticks) {
            let y = top + (1.0 - part) * tall;
            let _ = writeln!(
                out,
                "<path class=\"f\" d=\"M{:.1} {y:.1}h5\"/><text class=\"t\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x + 16.0,
                x + 27.0,
                y + 4.0,
                tick
            );
        }
        if tones.shift.is_some() {
            let _ = writeln!(
                out,
                "<text class=\"n\" x=\"{x:.1}\" y=\"{:.1}\">even steps of the logarithm</text>",
                top + tall + 18.0
            );
        }
        let mut y = top + tall + 44.0;
        for (i, p) in self.paths.iter().enumerate() {
            let s = i % SERIES.len();
            let _ = writeln!(
                out,
                "<path class=\"w s{s}\" d=\"M{x:.1} {:.1}h18\"/><circle class=\"d{s}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"/>\
                 <text class=\"c\" x=\"{:.1}\" y=\"{y:.1}\">{}</text><text class=\"n\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                y - 4.0,
                x + 18.0,
                y - 4.0,
                x + 32.0,
                escape(&p.name),
                x + 32.0,
                y + 16.0,
                escape(&cut(&p.note, 36.0))
            );
            y += 44.0;
        }
    }
    /// The grid as a smooth picture.
    fn ground(&self, tones: &Tones) -> Option<Picture> {
        let (w, h) = (self.x.len(), self.y.len());
        let mut data = Vec::with_capacity(PIXELS * PIXELS * 3);
        for r in 0..PIXELS {
            // The first row of pixels is the last row of the grid: up is up.
            let v = (1.0 - (r as f64 + 0.5) / PIXELS as f64) * (h - 1) as f64;
            for c in 0..PIXELS {
                let u = (c as f64 + 0.5) / PIXELS as f64 * (w - 1) as f64;
                let (i, j) = ((u as usize).min(w - 2), (v as usize).min(h - 2));
                let (a, b) = (u - i as f64, v - j as f64);
                let part = |i: usize, j: usize| tones.part(self.heights[j * w + i]);
                let low = part(i, j) * (1.0 - a) + part(i + 1, j) * a;
                let high = part(i, j + 1) * (1.0 - a) + part(i + 1, j + 1) * a;
                data.extend(Scale::Sequential.color((low * (1.0 - b) + high * b) as f32));
            }
        }
        Picture::new(PIXELS, PIXELS, 3, data)
    }
    /// The pieces of the line of a height, by marching squares.
    fn line(&self, level: f64) -> Vec<([f64; 2], [f64; 2])> {
        let (w, h) = (self.x.len(), self.y.len());
        let mut pieces = Vec::new();
        for j in 0..h - 1 {
            for i in 0..w - 1 {
                let corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)];
                let height = |c: usize| self.heights[corners[c].1 * w + corners[c].0] - level;
                if (0..4).any(|c| !height(c).is_finite()) {
                    continue;
                }
                let mut crossed: Vec<[f64; 2]> = Vec::with_capacity(4);
                for c in 0..4 {
                    let n = (c + 1) % 4;
                    let (a, b) = (height(c), height(n));
                    if (a < 0.0) != (b < 0.0) {
                        let t = a / (a - b);
                        let ([x, y], [p, q]) = ([corners[c].0, corners[c].1], [corners[n].0, corners[n].1]);
                        crossed
                            .push([self.x[x] + t * (self.x[p] - self.x[x]), self.y[y] + t * (self.y[q] - self.y[y])]);
                    }
                }
                match crossed[..] {
                    [a, b] => pieces.push((a, b)),
                    // A saddle within the cell: its middle decides which corners belong together.
                    [a, b, c, d] => {
                        let middle = (0..4).map(height).sum::<f64>() < 0.0;
                        if middle == (height(0) < 0.0) {
                            pieces.extend([(a, b), (c, d)]);
                        } else {
                            pieces.extend([(a, d), (b, c)]);
                        }
                    }
                    _ => {}
                }
            }
        }
        pieces
    }
}

/// Numbers in three digits, or in as many more as it takes to tell different ones apart.
fn apart(all: &[f64]) -> Vec<String> {
    let shown = |digits: i32| all.iter().map(|&v| digits_of(v, digits)).collect::<Vec<_>>();
    let same = |shown: &[String]| {
        let pairs = all.windows(2).zip(shown.windows(2));
        pairs.into_iter().any(|(v, s)| v[0] != v[1] && s[0] == s[1])
    };
    (3..16).map(shown).find(|s| !same(s)).unwrap_or_else(|| all.iter().map(|v| format!("{v:e}")).collect())
}

/// A number in so many digits that count.
fn digits_of(v: f64, digits: i32) -> String {
    if v == 0.0 || !v.is_finite() || digits <= 3 {
        let power = 10f64.powf(2.0 - v.abs().log10().floor());
        return short(if v == 0.0 || !v.is_finite() { v } else { (v * power).round() / power });
    }
    let size = v.abs().log10().floor() as i32;
    let text = if (-5..=9).contains(&size) {
        format!("{v:.*}", (digits - 1 - size).max(0) as usize)
    } else {
        format!("{v:.*e}", (digits - 1) as usize)
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bowl(n: usize) -> Contour {
        let at: Vec<f64> = (0..n).map(|i| -1.0 + 2.0 * i as f64 / (n - 1) as f64).collect();
        let heights = at.iter().flat_map(|y| at.iter().map(move |x| x * x + y * y)).collect();
        let points = vec![[-0.9, 0.8], [0.0, 0.1], [f64::NAN, 0.0], [0.0, 0.0], [1e9, 3.0]];
        Contour {
            title: "a & b".into(),
            x: at.clone(),
            y: at,
            heights,
            paths: vec![ContourPath { name: "sgd".into(), note: "η < 1".into(), points }],
            marks: vec![("least".into(), [0.0, 0.0])],
            ..Default::default()
        }
    }

    #[test]
    fn lines_of_a_bowl_are_circles() {
        let pieces = bowl(81).line(0.25);
        assert!(pieces.len() > 60);
        for (a, b) in pieces {
            for p in [a, b] {
                assert!((p[0].hypot(p[1]) - 0.5).abs() < 2e-3, "{p:?}");
            }
        }
    }

    #[test]
    fn saddles_do_not_cross() {
        let c =
            Contour { x: vec![0.0, 1.0], y: vec![0.0, 1.0], heights: vec![-1.0, 1.0, 1.0, -1.0], ..Default::default() };
        assert_eq!(c.line(0.0).len(), 2);
        assert!(c.line(5.0).is_empty());
    }

    #[test]
    fn drawings_hold_up() {
        let svg = bowl(21).to_svg();
        assert!(svg.contains("a &amp; b") && svg.contains("η &lt; 1") && svg.contains(">least<"));
        assert!(!svg.contains("NaN") && !svg.contains("inf") && svg.matches("class=\"l\"").count() >= 10);
        assert!(Contour::default().to_svg().ends_with("</svg>\n"));
        let flat = Contour { heights: vec![2.0; 441], ..bowl(21) };
        assert!(!flat.to_svg().contains("NaN"));
        let wild = Contour { heights: vec![f64::INFINITY; 441], ..bowl(21) };
        assert!(wild.to_svg().ends_with("</svg>\n"));
    }

    #[test]
    fn ticks_differ_where_heights_do() {
        assert_eq!(apart(&[0.0, 0.25, 1234.5]), ["0", "0.25", "1230"]);
        assert_eq!(apart(&[2.40258, 2.40259, 2.40261]), ["2.40258", "2.40259", "2.40261"]);
        assert_eq!(apart(&[-1.00001, 1.00002]), ["−1", "1"]);
        assert_eq!(apart(&[100_001.0, 100_002.0]), ["100001", "100002"]);
        assert_eq!(apart(&[3.0, 3.0]), ["3", "3"]);
        assert_eq!(apart(&[1.00001e-9, 1.00002e-9]), ["1.00001e−9", "1.00002e−9"]);
    }

    #[test]
    fn tones_invert() {
        let even = Tones::new(&[0.0, 1.0, 2.0, 3.0]);
        assert!(even.shift.is_none());
        let steep = Tones::new(&[0.0, 0.1, 0.2, 0.3, 1000.0]);
        assert!(steep.shift.is_some());
        for tones in [even, steep] {
            for part in [0.0, 0.3, 1.0] {
                assert!((tones.part(tones.height(part)) - part).abs() < 1e-9);
            }
        }
    }
}
