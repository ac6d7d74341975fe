//! A landscape seen from above: colour and lines of equal height, with the ways of those who descend.

mod level;
mod tones;
mod ways;

use crate::Picture;
use crate::chart::{escape, linear_ticks, short};
use crate::heat::Scale;
use crate::poster::text;
use crate::style;
use crate::words::{title, wrap};
use level::Grid;
use std::fmt::Write;
use tones::{Tones, apart};
use ways::Frame;

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

impl Contour {
    /// The drawing as an SVG file of its own.
    pub fn to_svg(&self) -> String {
        let (w, h) = (self.x.len(), self.y.len());
        let whole = w >= 2 && h >= 2 && self.heights.len() == w * h;
        let high = SIDE;
        let width = LEFT + SIDE + ASIDE + 2.0 * MARGIN;
        let height = MARGIN * 2.0 + HEAD + high + BOTTOM;
        let css = format!(
            "{}.l {{ fill: none; stroke: #ffffff; stroke-opacity: 0.5; stroke-width: 0.9; }}\n\
             .t {{ font-size: 12px; fill: var(--muted); }} .k {{ font-size: 11px; fill: #ffffff; }}\n",
            ways::css()
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
        let frame = Frame { area: [left, top, SIDE, high], x: [x0, x1], y: [y0, y1] };
        let at = |place: [f64; 2]| frame.at(place);
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
        let grid = Grid { x: &self.x, y: &self.y, heights: &self.heights };
        for i in 0..LINES {
            let level = tones.height((i as f64 + 0.5) / LINES as f64);
            let mut d = String::new();
            for line in grid.lines(level) {
                for (k, &place) in line.iter().enumerate() {
                    let (x, y) = at(place);
                    let _ = write!(d, "{}{x:.1} {y:.1}", if k == 0 { 'M' } else { 'L' });
                }
            }
            if !d.is_empty() {
                let _ = writeln!(out, "<path class=\"l\" d=\"{d}\"/>");
            }
        }
        ways::draw(&mut out, self, &frame);
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
        ways::exits(&mut out, self, &frame);
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
        let more = self.paths.iter().filter(|p| ways::outside(p, &frame) > 0).count() as f64;
        let legend = self.paths.len() as f64 * ways::ROW + more * ways::MORE;
        self.aside(&mut out, &tones, &frame, [x, top, (high - legend - 60.0).clamp(120.0, 260.0)]);
        out + "</svg>\n"
    }
    /// The scale of heights, and whose ways there are.
    fn aside(&self, out: &mut String, tones: &Tones, frame: &Frame, [x, top, tall]: [f64; 3]) {
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
        let _ = writeln!(
            out,
            "<rect class=\"f\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"16\" height=\"{tall:.1}\" stroke=\"var(--muted)\"/>"
        );
        ways::legend(out, self, frame, [x, top + tall + 44.0]);
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
    fn drawings_hold_up() {
        let svg = bowl(21).to_svg();
        assert!(svg.contains("a &amp; b") && svg.contains("η &lt; 1") && svg.contains(">least<"));
        // The last place lies far outside: said in the legend, marked at the border where the way leaves.
        assert!(svg.contains(">1 place outside<") && svg.matches("rotate(0)").count() == 1, "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf") && svg.matches("class=\"l\"").count() >= 10);
        assert!(Contour::default().to_svg().ends_with("</svg>\n"));
        let flat = Contour { heights: vec![2.0; 441], ..bowl(21) };
        assert!(!flat.to_svg().contains("NaN"));
        // Ways that run over each other differ in dash and dot as well as in colour.
        let way = bowl(21).paths[0].clone();
        let both =
            Contour { paths: vec![way.clone(), ContourPath { name: "adam".into(), ..way }], ..bowl(21) }.to_svg();
        assert!(both.contains(".s1 { stroke: var(--orange); stroke-dasharray: 9 6; }"), "{both}");
        let dots = |begin: &str| both.matches(begin).count();
        assert!(dots("<circle class=\"d0\"") == 3 && dots("<path class=\"d1\"") == 3, "{both}");
        // What only crosses the drawing from outside to outside is paler.
        let far = vec![[0.0, 0.0], [0.5, 9.0], [0.5, -9.0], [0.0, 0.5]];
        let wild = Contour { paths: vec![ContourPath { points: far, ..bowl(21).paths[0].clone() }], ..bowl(21) };
        assert_eq!(wild.to_svg().matches("stroke-opacity=\"0.35\" d=\"M").count(), 1);
        let last_edge = both.rfind("class=\"o\"").unwrap();
        assert!(both.find("class=\"w s0\"").unwrap() > last_edge, "edges lie below all lines");
        let wild = Contour { heights: vec![f64::INFINITY; 441], ..bowl(21) };
        assert!(wild.to_svg().ends_with("</svg>\n"));
    }
}
