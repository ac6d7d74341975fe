//! Where the time went, as a picture: an icicle of nested scopes, as wide as they are long.

use crate::chart::escape;
use crate::heat::Scale;
use crate::style;
use crate::text::duration;
use crate::words::{shorten, title};
use std::fmt::Write;

/// One measured piece, in the order of execution.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Its name; dots and slashes separate the scopes around it.
    pub path: String,
    /// Seconds.
    pub seconds: f64,
    /// Part of the machine's peak that it reached, from 0 (and above 1 where an algorithm saves work).
    pub share: Option<f64>,
    /// What a reader who points at it wants to know.
    pub note: String,
}

/// An icicle to draw.
#[derive(Clone, Debug)]
pub struct Icicle {
    /// Headline.
    pub title: String,
    /// Pieces.
    pub leaves: Vec<Leaf>,
}

/// A scope or a piece: its place, and what it is called.
struct Cell {
    level: usize,
    start: f64,
    seconds: f64,
    name: String,
    leaf: Option<usize>,
}

const WIDTH: f64 = 1200.0;
const ROW: f64 = 26.0;
const TOP: f64 = 64.0;
const MARGIN: f64 = 16.0;
/// Narrower than this, a name cannot be read.
const LEGIBLE: f64 = 34.0;
const LETTERS: f64 = 12.0;

impl Icicle {
    /// The picture as an SVG file of its own, for light and dark pages.
    pub fn to_svg(&self) -> String {
        let total: f64 = self.leaves.iter().map(|l| l.seconds).sum();
        let cells = self.cells();
        let levels = cells.iter().map(|c| c.level + 1).max().unwrap_or(1);
        let height = TOP + levels as f64 * ROW + 44.0;
        let scale = (WIDTH - 2.0 * MARGIN) / total.max(f64::MIN_POSITIVE);
        let mut out = style::open(
            WIDTH,
            height,
            &self.title,
            "text { font-size: 12px; pointer-events: none; } .scope { fill: var(--line); }\n\
             .cell { stroke: var(--page); stroke-width: 1; } .cell:hover { stroke: var(--text); }\n",
        );
        title(&mut out, [MARGIN, 28.0], WIDTH - 2.0 * MARGIN, &self.title);
        let _ = writeln!(
            out,
            "<text class=\"m\" x=\"{MARGIN}\" y=\"48\">{} in {} kernel calls; width is time, in the order of execution; colour is the part of the machine's peak</text>",
            span(total),
            self.leaves.len()
        );
        for c in &cells {
            let (x, w) = (MARGIN + c.start * scale, c.seconds * scale);
            let y = TOP + c.level as f64 * ROW;
            let part = 100.0 * c.seconds / total.max(f64::MIN_POSITIVE);
            let leaf = c.leaf.map(|l| &self.leaves[l]);
            let (fill, ink) = match leaf.map(|l| l.share) {
                Some(Some(share)) => color(share),
                _ => (String::new(), ""),
            };
            let class = if fill.is_empty() { "cell scope" } else { "cell" };
            let fill = if fill.is_empty() { fill } else { format!(" fill=\"{fill}\"") };
            let note = leaf.map_or(String::new(), |l| format!("\n{}", l.note));
            let _ = writeln!(
                out,
                "<rect x=\"{x:.2}\" y=\"{y}\" width=\"{w:.2}\" height=\"{ROW}\" class=\"{class}\"{fill}><title>{}: {}, {part:.1} %{}</title></rect>",
                escape(&c.name),
                span(c.seconds),
                escape(&note)
            );
            if w >= LEGIBLE {
                let style = if ink.is_empty() { String::new() } else { format!(" style=\"fill:{ink}\"") };
                let _ = writeln!(
                    out,
                    "<text x=\"{:.2}\" y=\"{:.1}\"{style}>{}</text>",
                    x + 4.0,
                    y + 17.5,
                    escape(&shorten(&c.name, w - 8.0, LETTERS))
                );
            }
        }
        out += &legend(height - 26.0);
        out + "</svg>\n"
    }

    /// Neighbours with the same scope share a cell, level by level.
    fn cells(&self) -> Vec<Cell> {
        let mut cells: Vec<Cell> = Vec::new();
        // The open scope of each level.
        let mut open: Vec<usize> = Vec::new();
        let mut at = 0.0;
        for (i, leaf) in self.leaves.iter().enumerate() {
            let parts: Vec<&str> = leaf.path.split(['.', '/']).filter(|p| !p.is_empty()).collect();
            let (name, scopes) = parts.split_last().map_or((leaf.path.as_str(), &[][..]), |(n, s)| (*n, s));
            let same = open.iter().zip(scopes).take_while(|(c, s)| cells[**c].name == **s).count();
            open.truncate(same);
            for (level, scope) in scopes.iter().enumerate().skip(same) {
                open.push(cells.len());
                cells.push(Cell { level, start: at, seconds: 0.0, name: scope.to_string(), leaf: None });
            }
            for &c in &open {
                cells[c].seconds += leaf.seconds;
            }
            let level = scopes.len();
            cells.push(Cell { level, start: at, seconds: leaf.seconds, name: name.to_string(), leaf: Some(i) });
            at += leaf.seconds;
        }
        cells
    }
}

/// Seconds with a unit that suits kernels.
fn span(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.1} µs", s * 1e6),
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s => duration(s),
    }
}

/// The scale's colour of a part of the peak, and that of text on it.
fn color(share: f64) -> (String, &'static str) {
    let [r, g, b] = Scale::Sequential.color(share as f32);
    let ink = if share > 0.5 { "#1a1e23" } else { "#ffffff" };
    (format!("rgb({r},{g},{b})"), ink)
}

fn legend(y: f64) -> String {
    let mut out = String::new();
    let stops = 40;
    for i in 0..stops {
        let (fill, _) = color(i as f64 / (stops - 1) as f64);
        let x = MARGIN + i as f64 * 5.0;
        let _ = writeln!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"5.5\" height=\"10\" fill=\"{fill}\"/>");
    }
    let end = MARGIN + stops as f64 * 5.0 + 8.0;
    out + &format!(
        "<text x=\"{end}\" y=\"{}\" class=\"n\">0 to 100 % of peak and more; grey: scopes, and calls without arithmetic</text>\n",
        y + 9.5
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_scopes() {
        let leaf = |path: &str, seconds| Leaf { path: path.into(), seconds, share: None, note: String::new() };
        let icicle = Icicle {
            title: "t <1>".into(),
            leaves: vec![leaf("a.x", 1.0), leaf("a.y", 2.0), leaf("b", 1.0), leaf("a.x", 1.0)],
        };
        let cells: Vec<(usize, f64, String)> =
            icicle.cells().into_iter().map(|c| (c.level, c.seconds, c.name)).collect();
        let want = [(0, 3.0, "a"), (1, 1.0, "x"), (1, 2.0, "y"), (0, 1.0, "b"), (0, 1.0, "a"), (1, 1.0, "x")];
        assert_eq!(cells, want.map(|(l, s, n)| (l, s, n.to_string())));
        let svg = icicle.to_svg();
        assert!(svg.contains("t &lt;1&gt;") && svg.matches("<title>").count() == 6);
        let long = Icicle { title: "a model of a very long name ".repeat(12), ..icicle }.to_svg();
        assert!(long.contains("font-size: 13.0px") && long.contains('…'), "{long}");
    }

    #[test]
    fn colors_span_the_scale() {
        assert_ne!(color(0.0).0, color(1.0).0);
        assert_eq!(color(3.0).0, color(1.0).0);
    }
}
