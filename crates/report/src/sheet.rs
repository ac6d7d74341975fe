//! Pictures side by side with a line under each, as one SVG file: sharp at any size, light or dark as the viewer likes.

use crate::Picture;
use crate::heat::Scale;
use crate::poster::text;
use crate::style;
use crate::words::{self, paragraph, title, wrap};
use std::fmt::Write;

/// A picture with what stands under it.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// The picture.
    pub picture: Picture,
    /// What it is, in a few words.
    pub caption: String,
    /// More about it, smaller.
    pub note: String,
}

/// Pictures in rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sheet {
    /// The heading.
    pub title: String,
    /// A line below it.
    pub subtitle: String,
    /// The pictures, row by row.
    pub panels: Vec<Panel>,
    /// Pictures in a row; 0 is as many as make the sheet about as wide as high.
    pub columns: usize,
    /// What colours mean: a scale with the words for its ends.
    pub keys: Vec<(Scale, String, String)>,
}

const MARGIN: f64 = 28.0;
const GAP: f64 = 18.0;
/// Height of a line under the title, of a line of a caption, and of one of a note.
const LINE: f64 = 19.0;
const CAPTION: f64 = 17.0;
const NOTE: f64 = 15.0;
/// Lines that a caption and a note may take.
const LINES: usize = 3;
/// Width of a sheet at least, so that words find room; of a scale of colours, and letters of its words.
const LEAST: f64 = 420.0;
const KEY: f64 = 90.0;
const SMALL: f64 = 11.5;
/// Width of the widest picture as it is shown.
const WIDTH: f64 = 240.0;

impl Sheet {
    /// The sheet as an SVG file of its own.
    pub fn to_svg(&self) -> String {
        let widest = self.panels.iter().map(|p| p.picture.width).max().unwrap_or(1) as f64;
        let highest = self.panels.iter().map(|p| p.picture.height).max().unwrap_or(1) as f64;
        // All pictures at one scale, so that they can be compared; very long ones are held in bounds.
        let scale = (WIDTH / widest).min(1.6 * WIDTH / highest);
        let (w, h) = ((widest * scale).max(120.0), highest * scale);
        let count = self.panels.len().max(1);
        let under: Vec<[Vec<String>; 2]> = (self.panels.iter())
            .map(|p| [wrap(&p.caption, w / 1.06, 13.0, LINES), wrap(&p.note, w, SMALL, LINES)])
            .collect();
        let below = |[c, n]: &[Vec<String>; 2]| 6.0 + c.len() as f64 * CAPTION + n.len() as f64 * NOTE;
        let words = under.iter().map(below).fold(0.0, f64::max);
        let columns =
            if self.columns == 0 { columns(count, (w + GAP) / (h + words + GAP)) } else { self.columns.min(count) };
        let rows = count.div_ceil(columns);
        let inner = (columns as f64 * (w + GAP) - GAP).max(LEAST);
        let lines = paragraph(std::slice::from_ref(&self.subtitle), inner);
        let keys = self.keys(inner);
        let key_rows = keys.last().map_or(0.0, |k| k.1 + 1.0);
        let head = 34.0 + lines.len() as f64 * LINE + key_rows * LINE + 13.0;
        let width = (inner + 2.0 * MARGIN).ceil();
        let height = (head + rows as f64 * (h + words + GAP) - GAP + 2.0 * MARGIN).ceil();
        // The scale's ends are as dark and as light as paper may be.
        let css = ".k { fill: none; stroke: var(--muted); stroke-width: 0.8; }\n";
        let mut out = style::open(width, height, &self.title, css);
        title(&mut out, [MARGIN, MARGIN + 16.0], inner, &self.title);
        for (i, line) in lines.iter().enumerate() {
            text(&mut out, "m", MARGIN, MARGIN + 39.0 + i as f64 * LINE, line);
        }
        for ((scale, low, high), (x, row)) in self.keys.iter().zip(&keys) {
            let y = MARGIN + 39.0 + (lines.len() as f64 + row) * LINE;
            let mut x = MARGIN + x;
            text(&mut out, "n", x, y, low);
            x += words::width(low, SMALL) + 6.0;
            let _ = writeln!(
                out,
                "<image x=\"{x:.1}\" y=\"{0:.1}\" width=\"{KEY}\" height=\"10\" preserveAspectRatio=\"none\" href=\"{1}\"/>\
                 <rect class=\"k\" x=\"{x:.1}\" y=\"{0:.1}\" width=\"{KEY}\" height=\"10\"/>",
                y - 9.0,
                scale.bar().to_uri()
            );
            text(&mut out, "n", x + KEY + 6.0, y, high);
        }
        for (i, (p, [caption, note])) in self.panels.iter().zip(&under).enumerate() {
            let x = MARGIN + (i % columns) as f64 * (w + GAP);
            let y = MARGIN + head + (i / columns) as f64 * (h + words + GAP);
            let (pw, ph) = (p.picture.width as f64 * scale, p.picture.height as f64 * scale);
            // Enlarged pixels stay squares; a photograph that is made smaller is smoothed.
            let class = if scale > 1.0 { " class=\"p\"" } else { "" };
            let _ = writeln!(
                out,
                "<image{class} x=\"{x:.1}\" y=\"{y:.1}\" width=\"{pw:.1}\" height=\"{ph:.1}\" href=\"{}\"/>\n\
                 <rect class=\"f\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{pw:.1}\" height=\"{ph:.1}\"/>",
                p.picture.to_uri()
            );
            let mut y = y + h + 2.0;
            for line in caption {
                y += CAPTION;
                text(&mut out, "c", x, y, line);
            }
            for line in note {
                y += NOTE;
                text(&mut out, "n", x, y, line);
            }
        }
        out + "</svg>\n"
    }
    /// Where each scale of colours stands: from the left, and in which row.
    fn keys(&self, inner: f64) -> Vec<(f64, f64)> {
        let (mut x, mut row) = (0.0, 0.0);
        let place = |(_, low, high): &(Scale, String, String)| {
            let own = words::width(low, SMALL) + words::width(high, SMALL) + KEY + 12.0;
            if x > 0.0 && x + own > inner {
                (x, row) = (0.0, row + 1.0);
            }
            let at = (x, row);
            x += own + 28.0;
            at
        };
        self.keys.iter().map(place).collect()
    }
}

/// How many pictures stand in a row, each `ratio` times as wide as high with its words: a sheet about as wide as a screen is,
/// with few empty places.
fn columns(count: usize, ratio: f64) -> usize {
    /// Width by height that is liked best, and how much a sheet of another shape costs beside empty places.
    const LIKED: f64 = 1.3;
    const SHAPE: f64 = 0.3;
    let cost = |columns: usize| {
        let rows = count.div_ceil(columns);
        let empty = (rows * columns - count) as f64 / (rows * columns) as f64;
        empty + SHAPE * (columns as f64 * ratio / (rows as f64 * LIKED)).ln().abs()
    };
    (1..=count).min_by(|&a, &b| cost(a).total_cmp(&cost(b))).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_holds_its_pictures_and_words() {
        let picture = Picture::new(4, 3, 1, vec![9; 12]).unwrap();
        let panel = |caption: &str| Panel { picture: picture.clone(), caption: caption.into(), note: "a < b".into() };
        let panels = ["one", "two", "three"].map(panel).to_vec();
        let svg = Sheet { title: "T & U".into(), panels, ..Default::default() }.to_svg();
        assert_eq!(svg.matches("<image").count(), 3);
        assert!(svg.contains("T &amp; U") && svg.contains("a &lt; b") && svg.contains(">three<"));
        assert!(Sheet::default().to_svg().ends_with("</svg>\n"));
        // Rows are full where the sheet's shape allows it: ten pictures are two rows of five.
        let square = 0.85;
        assert_eq!([1, 2, 3, 4, 6, 9, 10, 12].map(|n| columns(n, square)), [1, 2, 3, 2, 3, 3, 5, 4]);
        for n in 1..40 {
            let c = columns(n, square);
            assert!((n.div_ceil(c) * c - n) * 2 <= c, "{n} in {c}");
        }
        // What colours mean stands below the title; long captions have lines.
        let long = Panel { caption: "n02510455 giant panda, panda, panda bear, coon bear".into(), ..panel("") };
        let key = (Scale::Diverging, "against".to_string(), "for".to_string());
        let svg = Sheet { panels: vec![long], keys: vec![key], ..Default::default() }.to_svg();
        assert!(svg.contains(">against<") && svg.contains(">for<") && svg.matches("<image").count() == 2);
        assert!(svg.contains("coon bear<") && !svg.contains('…'), "{svg}");
    }
}
