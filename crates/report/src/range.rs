//! The picture of a learning-rate range test: loss over the rate, with marks, as an SVG file of its own.

use crate::chart::{escape, linear_ticks, short};
use crate::style;
use std::fmt::Write;

/// A range test to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct RangePicture {
    /// What was tested.
    pub title: String,
    /// Learning rate, loss, and smoothed loss of every step; rates are positive and grow.
    pub points: Vec<(f64, f64, f64)>,
    /// Marks: learning rate, and what it is.
    pub marks: Vec<(f64, String)>,
}

/// Extents of the drawing and of its margins.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 444.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 52.0;
/// A loss of so many times the span between first and lowest is cut off above: it says no more than that it diverges.
const SHOWN: f64 = 1.6;
/// Colours of the marks, told apart with and without colour vision.
const COLOURS: [&str; 2] = ["var(--orange)", "var(--purple)"];

impl RangePicture {
    /// The drawing as an SVG file of its own.
    pub fn to_svg(&self) -> String {
        let finite: Vec<(f64, f64, f64)> = (self.points.iter().copied())
            .filter(|p| p.0 > 0.0 && p.0.is_finite() && p.1.is_finite() && p.2.is_finite())
            .collect();
        let mut out = style::open(
            WIDTH,
            HEIGHT,
            &self.title,
            "text { font-size: 13px; } .grid { stroke: var(--line); } .axis { stroke: var(--muted); }\n",
        );
        let _ = writeln!(out, "<text class=\"h\" x=\"{LEFT}\" y=\"30\">{}</text>", escape(&self.title));
        let [first, .., last] = finite.as_slice() else {
            let _ = write!(out, "<text x=\"{LEFT}\" y=\"80\">fewer than two steps with a finite loss</text>\n</svg>\n");
            return out;
        };
        let (x0, x1) = (first.0.log10(), last.0.log10().max(first.0.log10() + 0.1));
        let lowest = finite.iter().map(|p| p.2).fold(f64::INFINITY, f64::min);
        let highest = finite.iter().map(|p| p.2).fold(f64::NEG_INFINITY, f64::max);
        let span = (first.2 - lowest).max(0.1 * (highest - lowest)).max(1e-6);
        let (low, high) = (lowest - 0.25 * span, (lowest + SHOWN * span).min(highest + 0.25 * span));
        let px = |lr: f64| LEFT + (lr.log10() - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT);
        let base = HEIGHT - BOTTOM;
        let py = |loss: f64| base - (loss - low) / (high - low) * (base - TOP);
        let _ = writeln!(
            out,
            "<clipPath id=\"inside\"><rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"/></clipPath>",
            WIDTH - LEFT - RIGHT,
            base - TOP
        );
        for tick in linear_ticks(low, high, 6, false) {
            let at = py(tick);
            let _ = writeln!(
                out,
                "<path d=\"M{LEFT} {at:.1}H{}\" class=\"grid\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                at + 4.5,
                short(tick)
            );
        }
        for decade in x0.ceil() as i32..=x1.floor() as i32 {
            let at = px(10f64.powi(decade));
            let _ = writeln!(
                out,
                "<path d=\"M{at:.1} {base}v5\" class=\"axis\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                base + 20.0,
                power(decade)
            );
        }
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {base}H{}\" class=\"axis\"/>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">learning rate</text>\n<text x=\"{LEFT}\" y=\"{}\">loss</text>",
            WIDTH - RIGHT,
            WIDTH - RIGHT,
            HEIGHT - 10.0,
            TOP - 6.0
        );
        let line = |of: fn(&(f64, f64, f64)) -> f64| {
            finite.iter().enumerate().fold(String::new(), |mut d, (i, p)| {
                let _ = write!(d, "{}{:.1} {:.1}", if i == 0 { 'M' } else { 'L' }, px(p.0), py(of(p)));
                d
            })
        };
        let _ = writeln!(
            out,
            "<g clip-path=\"url(#inside)\" fill=\"none\" stroke-linejoin=\"round\">\n\
             <path d=\"{}\" style=\"stroke: var(--muted); stroke-opacity: 0.4\"/>\n<path d=\"{}\" style=\"stroke: var(--blue); stroke-width: 2.4\"/>\n</g>",
            line(|p| p.1),
            line(|p| p.2)
        );
        // All lines first, so that none crosses the words of another.
        for (i, mark) in self.marks.iter().enumerate().filter(|(_, m)| m.0 > 0.0) {
            let dashes = if i == 0 { "none" } else { "6 4" };
            let _ = writeln!(
                out,
                "<path d=\"M{:.1} {TOP}V{base}\" style=\"stroke: {}; stroke-width: 1.6\" stroke-dasharray=\"{dashes}\"/>",
                px(mark.0),
                COLOURS[i % COLOURS.len()]
            );
        }
        for (i, (lr, what)) in self.marks.iter().enumerate().filter(|(_, m)| m.0 > 0.0) {
            words(&mut out, i, px(*lr), what);
        }
        out + "</svg>\n"
    }
}

/// What a mark is, each on a row of its own, on the side where there is room.
fn words(out: &mut String, i: usize, x: f64, what: &str) {
    let (anchor, at) = if x > WIDTH / 2.0 { ("end", x - 7.0) } else { ("start", x + 7.0) };
    let (y, colour) = (TOP + 16.0 + 20.0 * i as f64, COLOURS[i % COLOURS.len()]);
    let _ = writeln!(
        out,
        "<text x=\"{at:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" \
         style=\"fill: {colour}; stroke: var(--page); stroke-width: 4; paint-order: stroke\">{}</text>",
        escape(what)
    );
}

/// `10⁻³`.
fn power(exponent: i32) -> String {
    let digits = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let superscript = |c: char| c.to_digit(10).map_or('⁻', |d| digits[d as usize]);
    format!("10{}", exponent.to_string().chars().map(superscript).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strange_curves_are_drawn_too() {
        let draw = |points: Vec<(f64, f64, f64)>| {
            RangePicture { title: "a < b".into(), points, marks: vec![(1e-3, "steepest".into())] }.to_svg()
        };
        assert!(draw(vec![]).contains("fewer than two steps"));
        assert!(draw(vec![(1e-7, f64::NAN, 1.0)]).contains("fewer than two steps"));
        let svg = draw((0..60).map(|i| (10f64.powf(i as f64 / 10.0 - 6.0), 2.0, 2.0)).collect());
        assert!(
            !svg.contains("NaN") && !svg.contains("inf") && svg.contains("a &lt; b") && svg.contains("10⁻³"),
            "{svg}"
        );
    }
}
