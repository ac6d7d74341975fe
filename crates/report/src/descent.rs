//! A loss of one number: its curve, the steps down it, and every number of them beside.

use crate::chart::{escape, linear_ticks, short};
use crate::poster::text;
use crate::style;
use crate::words::{title, width as width_of, wrap};
use std::fmt::Write;

/// A step: where it ended on the curve, and its row in the table.
#[derive(Clone, Debug, PartialEq)]
pub struct DescentStep {
    /// Place and height.
    pub at: (f64, f64),
    /// Its cells.
    pub row: Vec<String>,
}

/// A curve with steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DescentCurve {
    /// The heading.
    pub title: String,
    /// A line below it.
    pub subtitle: String,
    /// What the axes are called.
    pub axes: [String; 2],
    /// The curve, from left to right.
    pub curve: Vec<(f64, f64)>,
    /// Where the steps begin.
    pub start: (f64, f64),
    /// The lowest place.
    pub least: (f64, f64),
    /// Heads of the table.
    pub head: Vec<String>,
    /// The steps.
    pub steps: Vec<DescentStep>,
}

const MARGIN: f64 = 28.0;
const HEAD: f64 = 66.0;
const LEFT: f64 = 56.0;
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 400.0;
/// Least width of a column of the table.
const COLUMN: f64 = 74.0;
const ROW: f64 = 21.0;
/// Most rows of the table.
const ROWS: usize = 40;

impl DescentCurve {
    /// Widths of the table's columns: as wide as what stands in them.
    fn columns(&self) -> Vec<f64> {
        let wide = |(c, head): (usize, &String)| {
            let cells = self.steps.iter().take(ROWS).filter_map(|s| s.row.get(c));
            cells.chain([head]).map(|t| width_of(t, 12.0) + 16.0).fold(COLUMN, f64::max)
        };
        self.head.iter().enumerate().map(wide).collect()
    }
    /// The drawing as an SVG file of its own.
    pub fn to_svg(&self) -> String {
        let shown = self.steps.len().min(ROWS);
        let table = (shown as f64 + 2.0) * ROW;
        let tall = HEIGHT.max(table);
        let columns = self.columns();
        let width = 2.0 * MARGIN + LEFT + WIDTH + 34.0 + columns.iter().sum::<f64>();
        let height = 2.0 * MARGIN + HEAD + tall + 46.0;
        let css = ".g { fill: none; stroke: var(--line); } .q { fill: none; stroke: var(--blue); stroke-width: 2.2; }\n\
                   .w { fill: none; stroke: var(--orange); stroke-width: 1.6; stroke-opacity: 0.75; }\n\
                   .d { fill: var(--orange); stroke: var(--page); stroke-width: 1.2; }\n\
                   .e { fill: none; stroke: var(--green); stroke-width: 1.5; stroke-dasharray: 5 4; } .v { fill: var(--green); }\n\
                   .t { font-size: 12px; fill: var(--muted); } .r { font-size: 12px; }\n";
        let mut out = style::open(width, height, &self.title, css);
        title(&mut out, [MARGIN, MARGIN + 16.0], width - 2.0 * MARGIN, &self.title);
        for (i, line) in wrap(&self.subtitle, width - 2.0 * MARGIN, 13.0, 2).iter().enumerate() {
            text(&mut out, "m", MARGIN, MARGIN + 37.0 + i as f64 * 16.0, line);
        }
        let finite = |p: &&(f64, f64)| p.0.is_finite() && p.1.is_finite();
        let known: Vec<(f64, f64)> = self.curve.iter().filter(finite).copied().collect();
        let (Some(first), Some(last)) = (known.first(), known.last()) else { return out + "</svg>\n" };
        let (x0, x1) = (first.0, last.0.max(first.0 + f64::MIN_POSITIVE));
        let high = known.iter().map(|p| p.1).fold(f64::MIN_POSITIVE, f64::max) * 1.04;
        let (left, top) = (MARGIN + LEFT, MARGIN + HEAD);
        let at = |(x, y): (f64, f64)| (left + (x - x0) / (x1 - x0) * WIDTH, top + HEIGHT * (1.0 - y / high));
        for t in linear_ticks(0.0, high, 6, false) {
            let (_, y) = at((x0, t));
            let _ = writeln!(
                out,
                "<path class=\"g\" d=\"M{left:.1} {y:.1}h{WIDTH}\"/><text class=\"t\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 9.0,
                y + 4.0,
                short(t)
            );
        }
        for t in linear_ticks(x0, x1, 8, false) {
            let (x, y) = at((t, 0.0));
            let _ = writeln!(
                out,
                "<path class=\"g\" d=\"M{x:.1} {y:.1}v5\"/><text class=\"t\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                y + 19.0,
                short(t)
            );
        }
        let _ = writeln!(
            out,
            "<text class=\"m\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text><text class=\"m\" x=\"{left:.1}\" y=\"{:.1}\">{}</text>",
            left + WIDTH / 2.0,
            top + HEIGHT + 38.0,
            escape(&self.axes[0]),
            top - 8.0,
            escape(&self.axes[1])
        );
        let (lx, ly) = at(self.least);
        let _ = writeln!(
            out,
            "<path class=\"e\" d=\"M{lx:.1} {:.1}V{:.1}\"/><circle class=\"v\" cx=\"{lx:.1}\" cy=\"{ly:.1}\" r=\"5\"/>\
             <text class=\"n\" x=\"{:.1}\" y=\"{:.1}\">least squares {}</text>",
            top,
            top + HEIGHT,
            lx + 8.0,
            top + 12.0,
            short(self.least.0)
        );
        let mut d = String::new();
        for (k, &p) in known.iter().enumerate() {
            let (x, y) = at(p);
            let _ = write!(d, "{}{x:.1} {y:.1}", if k == 0 { 'M' } else { 'L' });
        }
        let _ = writeln!(out, "<path class=\"q\" d=\"{d}\"/>");
        let mut seen: Vec<(f64, f64)> = vec![self.start];
        seen.extend(self.steps.iter().map(|s| s.at));
        // Steps that leave the drawing are in the table.
        let inside: Vec<(f64, f64)> = seen.iter().take_while(|p| (x0..=x1).contains(&p.0)).map(|&p| at(p)).collect();
        let mut d = String::new();
        for (k, (x, y)) in inside.iter().enumerate() {
            let _ = write!(d, "{}{x:.1} {y:.1}", if k == 0 { 'M' } else { 'L' });
        }
        let _ = writeln!(out, "<path class=\"w\" d=\"{d}\"/>");
        for (k, (x, y)) in inside.iter().enumerate() {
            let _ = writeln!(
                out,
                "<circle class=\"d\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{}\"/>",
                if k == 0 { 6.5 } else { 4.5 }
            );
        }
        let x = left + WIDTH + 34.0;
        let cell = |out: &mut String, c: usize, y: f64, class: &str, text: &str| {
            let right = x + columns[..=c].iter().sum::<f64>() - 8.0;
            let _ = writeln!(
                out,
                "<text class=\"{class}\" x=\"{right:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text>",
                escape(text)
            );
        };
        for (c, name) in self.head.iter().enumerate() {
            cell(&mut out, c, top + 8.0, "c", name);
        }
        let _ = writeln!(out, "<path class=\"g\" d=\"M{x:.1} {:.1}h{:.1}\"/>", top + 16.0, columns.iter().sum::<f64>());
        for (r, step) in self.steps.iter().take(shown).enumerate() {
            for (c, text) in step.row.iter().take(self.head.len()).enumerate() {
                cell(&mut out, c, top + 34.0 + r as f64 * ROW, "r", text);
            }
        }
        if shown < self.steps.len() {
            let y = top + 34.0 + shown as f64 * ROW;
            let _ = writeln!(
                out,
                "<text class=\"n\" x=\"{:.1}\" y=\"{y:.1}\">and {} more steps</text>",
                x + 8.0,
                self.steps.len() - shown
            );
        }
        out + "</svg>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_stand_on_the_curve_and_in_the_table() {
        let step = |w: f64| DescentStep { at: (w, w * w), row: vec![short(w), "<".into()] };
        let c = DescentCurve {
            title: "a & b".into(),
            curve: (-10..=10).map(|i| (f64::from(i) / 10.0, f64::from(i * i) / 100.0)).collect(),
            start: (0.9, 0.81),
            head: vec!["w".into(), "x".into()],
            steps: (0..50).map(|i| step(0.9f64.powi(i + 2))).chain([step(80.0)]).collect(),
            ..Default::default()
        };
        let svg = c.to_svg();
        assert_eq!(svg.matches("class=\"d\"").count(), 51, "the start, and the steps that are inside");
        assert!(svg.contains("a &amp; b") && svg.contains("&lt;") && svg.contains("and 11 more steps"));
        assert!(DescentCurve::default().to_svg().ends_with("</svg>\n"));
    }
}
