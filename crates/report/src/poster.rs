//! The poster of a picture's feature maps: a row per layer, with what its strongest unit sees drawn on the picture.

use crate::chart::escape;
use crate::words::{paragraph, shorten, title, wrap};
use crate::{Picture, style};
use std::fmt::Write;

/// One map of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// The map in colours.
    pub picture: Picture,
    /// What stands under it: the unit.
    pub caption: String,
    /// More about it: its largest value.
    pub note: String,
}

/// A layer of the poster.
#[derive(Clone, Debug, PartialEq)]
pub struct MapRow {
    /// The layer's name.
    pub name: String,
    /// Lines below it: shape, what units see, how many are dead.
    pub notes: Vec<String>,
    /// What is outlined on the picture, in its pixels: left, top, width, height.
    pub field: Option<[usize; 4]>,
    /// Maps, the strongest first.
    pub maps: Vec<Map>,
    /// What stands there instead of maps that show nothing.
    pub instead: String,
}

/// Feature maps of many layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Poster {
    /// The heading.
    pub title: String,
    /// Lines below it.
    pub lines: Vec<String>,
    /// The picture as the network sees it, which stands at the head of every row.
    pub picture: Picture,
    /// Layers from the picture to the answer.
    pub rows: Vec<MapRow>,
}

const MARGIN: f64 = 28.0;
/// Width of the words before a row.
const WORDS: f64 = 196.0;
/// Sides of a map, and room between two.
const CELL: f64 = 104.0;
const GAP: f64 = 12.0;
/// Height of a line of notes, and of a line under a map; letters of both.
const LINE: f64 = 16.0;
const UNDER: f64 = 14.0;
const LETTERS: f64 = 11.5;
/// Lines that a caption may take.
const LINES: usize = 3;

impl Poster {
    /// The poster as an SVG file of its own.
    pub fn to_svg(&self) -> String {
        let (pw, ph) = (self.picture.width.max(1) as f64, self.picture.height.max(1) as f64);
        // Maps have about the picture's shape; a very long one is held in bounds.
        let (cw, ch) =
            if pw >= ph { (CELL, (CELL * ph / pw).max(CELL / 4.0)) } else { (CELL * (pw / ph).max(0.25), CELL) };
        let maps = self.rows.iter().map(|r| r.maps.len()).max().unwrap_or(0) as f64;
        let inner = WORDS + (cw + GAP) + GAP + (maps * (cw + GAP) - GAP).max(420.0);
        let width = (inner + 2.0 * MARGIN).ceil();
        let lines = paragraph(&self.lines, inner);
        let under: Vec<Vec<Vec<String>>> = (self.rows.iter())
            .map(|r| {
                r.maps
                    .iter()
                    .map(|m| [wrap(&m.caption, cw, LETTERS, LINES), wrap(&m.note, cw, LETTERS, 2)].concat())
                    .collect()
            })
            .collect();
        let notes: Vec<Vec<String>> = (self.rows.iter())
            .map(|r| r.notes.iter().flat_map(|n| wrap(n, WORDS - GAP, LETTERS, 2)).collect())
            .collect();
        let heights: Vec<f64> = (under.iter().zip(&notes))
            .map(|(under, notes)| {
                let below = under.iter().map(Vec::len).max().unwrap_or(0) as f64;
                (ch + 6.0 + below * UNDER).max(22.0 + notes.len() as f64 * LINE) + GAP + 1.0
            })
            .collect();
        let head = 34.0 + lines.len() as f64 * 19.0 + 14.0;
        let height = (2.0 * MARGIN + head + heights.iter().sum::<f64>() - GAP).ceil();
        let css = ".o { fill: none; stroke-width: 2; stroke: #ffb000; } .u { fill: none; stroke-width: 4; stroke: #14181c; \
                   stroke-opacity: 0.75; } .r { stroke: var(--line); }\n";
        let mut out = style::open(width, height, &self.title, css);
        // The picture is written once, and each row refers to it.
        let _ = writeln!(
            out,
            "<defs><image id=\"picture\"{} width=\"{cw:.1}\" height=\"{ch:.1}\" preserveAspectRatio=\"none\" href=\"{}\"/></defs>",
            pixelated(&self.picture, cw),
            self.picture.to_uri()
        );
        title(&mut out, [MARGIN, MARGIN + 16.0], inner, &self.title);
        for (i, line) in lines.iter().enumerate() {
            text(&mut out, "m", MARGIN, MARGIN + 39.0 + i as f64 * 19.0, line);
        }
        let mut y = MARGIN + head;
        for (i, r) in self.rows.iter().enumerate() {
            if i > 0 {
                y += heights[i - 1];
                let line = y - GAP / 2.0 - 4.0;
                let end = width - MARGIN;
                let _ = writeln!(
                    out,
                    "<line class=\"r\" x1=\"{MARGIN}\" x2=\"{end:.1}\" y1=\"{line:.1}\" y2=\"{line:.1}\"/>"
                );
            }
            text(&mut out, "c", MARGIN, y + 12.0, &shorten(&r.name, WORDS - GAP, 13.0));
            for (k, note) in notes[i].iter().enumerate() {
                text(&mut out, "n", MARGIN, y + 30.0 + k as f64 * LINE, note);
            }
            let x = MARGIN + WORDS;
            let _ = writeln!(out, "<use href=\"#picture\" x=\"{x:.1}\" y=\"{y:.1}\"/>");
            if let Some(field) = r.field {
                outline(&mut out, [x, y], [cw / pw, ch / ph], field);
            }
            for (k, map) in r.maps.iter().enumerate() {
                let x = x + (cw + 2.0 * GAP) + k as f64 * (cw + GAP);
                let _ = writeln!(
                    out,
                    "<image{} x=\"{x:.1}\" y=\"{y:.1}\" width=\"{cw:.1}\" height=\"{ch:.1}\" preserveAspectRatio=\"none\" \
                     href=\"{}\"/>\n<rect class=\"f\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{cw:.1}\" height=\"{ch:.1}\"/>",
                    pixelated(&map.picture, cw),
                    map.picture.to_uri()
                );
                for (l, line) in under[i][k].iter().enumerate() {
                    text(&mut out, "n", x, y + ch + 14.0 + l as f64 * UNDER, line);
                }
            }
            for (l, line) in wrap(&r.instead, inner - WORDS - cw - 2.0 * GAP, 13.0, 3).iter().enumerate() {
                text(&mut out, "m", MARGIN + WORDS + cw + 2.0 * GAP, y + ch / 2.0 + l as f64 * 19.0, line);
            }
        }
        out + "</svg>\n"
    }
}

/// The frame of a part of a picture: bright on a dark edge, so that it is seen on any picture.
pub(crate) fn outline(out: &mut String, [x, y]: [f64; 2], [sx, sy]: [f64; 2], [left, top, w, h]: [usize; 4]) {
    // A field of few pixels still is a square that one can see.
    let (fw, fh) = ((w as f64 * sx).max(4.0), (h as f64 * sy).max(4.0));
    let (fx, fy) =
        (x + (left as f64 + w as f64 / 2.0) * sx - fw / 2.0, y + (top as f64 + h as f64 / 2.0) * sy - fh / 2.0);
    for class in ["u", "o"] {
        let _ =
            writeln!(out, "<rect class=\"{class}\" x=\"{fx:.1}\" y=\"{fy:.1}\" width=\"{fw:.1}\" height=\"{fh:.1}\"/>");
    }
}

/// Enlarged pixels stay squares; what is made smaller is smoothed.
pub(crate) fn pixelated(picture: &Picture, width: f64) -> &'static str {
    if (picture.width as f64) < width { " class=\"p\"" } else { "" }
}

pub(crate) fn text(out: &mut String, class: &str, x: f64, y: f64, words: &str) {
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(words));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poster_holds_its_rows() {
        let picture = Picture::new(20, 10, 1, vec![7; 200]).unwrap();
        let map = |i: usize| Map { picture: picture.clone(), caption: format!("unit {i}"), note: "1.5".into() };
        let row = |name: &str, maps: usize| MapRow {
            name: name.into(),
            notes: vec!["8 × 5 × 10".into()],
            field: Some([2, 3, 5, 5]),
            maps: (0..maps).map(map).collect(),
            instead: String::new(),
        };
        let rows = vec![row("conv1", 3), row("a < b", 1)];
        let svg = Poster { title: "T".into(), lines: vec!["line".into()], picture: picture.clone(), rows }.to_svg();
        assert_eq!((svg.matches("<image").count(), svg.matches("<use").count()), (5, 2));
        assert!(svg.contains(">unit 2<") && svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
        // The field lies where it is in the picture: 104 units for 20 pixels, from the row's left edge on.
        let x = MARGIN + WORDS + 2.0 * 104.0 / 20.0;
        assert!(svg.contains(&format!("<rect class=\"o\" x=\"{x:.1}\"")), "{svg}");
        // A long caption has lines, and a row without maps says why.
        let map = Map { caption: "great white shark, white shark, man-eater".into(), ..map(0) };
        let dead = MapRow { instead: "dead: all 8 units".into(), field: None, maps: Vec::new(), ..row("relu", 0) };
        let rows = vec![MapRow { maps: vec![map], ..row("fc", 1) }, dead];
        let svg = Poster { title: "T ".repeat(200), lines: Vec::new(), picture, rows }.to_svg();
        assert!(svg.contains("man-eater<") && svg.contains(">dead: all 8 units<"), "{svg}");
        assert!(svg.contains("font-size: 13.0px") && svg.matches("class=\"o\"").count() == 1);
    }
}
