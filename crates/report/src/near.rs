//! Queries with the pictures nearest to them: a row each, the query left of a line.

use crate::Panel;
use crate::heat::Scale;
use crate::poster::text;
use crate::style;
use crate::words::{LETTER, paragraph, title, wrap};
use std::fmt::Write;

/// A query and its neighbours, the nearest first; each says whether it is of the query's class, where that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct NearRow {
    /// The query.
    pub query: Panel,
    /// Its neighbours.
    pub near: Vec<(Panel, Option<bool>)>,
}

/// Rows of queries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NearSheet {
    /// The heading.
    pub title: String,
    /// A line below it.
    pub subtitle: String,
    /// The rows.
    pub rows: Vec<NearRow>,
}

const MARGIN: f64 = 28.0;
const HEAD: f64 = 74.0;
const CELL: f64 = 112.0;
const GAP: f64 = 12.0;
/// Between the query and its neighbours.
const APART: f64 = 34.0;
/// Least width of words, lines that a caption may take, and heights of its lines and of a note's.
const LEAST: f64 = 420.0;
const LINES: usize = 2;
const CAPTION: f64 = 15.0;
const NOTE: f64 = 14.0;

impl NearSheet {
    /// The sheet as an SVG file of its own.
    pub fn to_svg(&self) -> String {
        let most = self.rows.iter().map(|r| r.near.len()).max().unwrap_or(0) as f64;
        let inner = CELL + APART + (most * (CELL + GAP) - GAP).max(0.0);
        let inner = inner.max(LEAST);
        let width = (inner + 2.0 * MARGIN).ceil();
        let lines = paragraph(std::slice::from_ref(&self.subtitle), inner);
        let head = HEAD + (lines.len().max(1) - 1) as f64 * 18.0;
        // Lines that the longest caption and note take.
        let panels = || self.rows.iter().flat_map(|r| r.near.iter().map(|n| &n.0).chain([&r.query]));
        let caption = panels().map(|p| wrap(&p.caption, CELL / 1.06, 13.0, LINES).len()).max().unwrap_or(1).max(1);
        let note = panels().map(|p| wrap(&p.note, CELL, 11.5, LINES).len()).max().unwrap_or(1).max(1);
        let row = CELL + 9.0 + caption as f64 * CAPTION + note as f64 * NOTE + GAP;
        let judged = self.rows.iter().any(|r| r.near.iter().any(|n| n.1.is_some()));
        let foot = if judged { 26.0 } else { 0.0 };
        let height = (head + MARGIN + self.rows.len() as f64 * row + foot + 10.0).ceil();
        let mut out = style::open(width, height, &self.title, "");
        let [blue, orange] = [-0.8, 0.8].map(|v| {
            let [r, g, b] = Scale::Diverging.color(v);
            format!("#{r:02x}{g:02x}{b:02x}")
        });
        title(&mut out, [MARGIN, MARGIN + 16.0], inner, &self.title);
        for (i, line) in lines.iter().enumerate() {
            text(&mut out, "m", MARGIN, MARGIN + 39.0 + i as f64 * 18.0, line);
        }
        let top = MARGIN + head - 12.0;
        let bottom = top + self.rows.len() as f64 * row - GAP;
        if bottom > top {
            let line = MARGIN + CELL + APART / 2.0;
            let _ = writeln!(out, "<path class=\"f\" d=\"M{line:.1} {top:.1}V{bottom:.1}\"/>");
        }
        for (r, of) in self.rows.iter().enumerate() {
            let y = top + r as f64 * row;
            panel(&mut out, &of.query, MARGIN, y, None);
            for (i, (p, same)) in of.near.iter().enumerate() {
                let x = MARGIN + CELL + APART + i as f64 * (CELL + GAP);
                panel(&mut out, p, x, y, same.map(|s| if s { blue.as_str() } else { orange.as_str() }));
            }
        }
        if judged {
            let y = height - 20.0;
            let mut x = MARGIN;
            for (colour, words) in [(&blue, "of the query's class"), (&orange, "of another class")] {
                let _ = writeln!(
                    out,
                    "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"22\" height=\"4\" rx=\"2\" fill=\"{colour}\"/>\
                     <text class=\"n\" x=\"{:.1}\" y=\"{y:.1}\">{words}</text>",
                    y - 6.0,
                    x + 29.0
                );
                x += 29.0 + words.chars().count() as f64 * 11.5 * LETTER + 24.0;
            }
        }
        out + "</svg>\n"
    }
}

/// A picture as large as its place allows, its two lines, and a mark between.
fn panel(out: &mut String, p: &Panel, x: f64, y: f64, mark: Option<&str>) {
    let (w, h) = (p.picture.width.max(1) as f64, p.picture.height.max(1) as f64);
    let scale = (CELL / w).min(CELL / h);
    let (w, h) = (w * scale, h * scale);
    let (left, up) = (x + (CELL - w) / 2.0, y + (CELL - h) / 2.0);
    let class = if scale > 1.0 { " class=\"p\"" } else { "" };
    let _ = writeln!(
        out,
        "<image{class} x=\"{left:.1}\" y=\"{up:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" href=\"{}\"/>\
         <rect class=\"f\" x=\"{left:.1}\" y=\"{up:.1}\" width=\"{w:.1}\" height=\"{h:.1}\"/>",
        p.picture.to_uri()
    );
    if let Some(colour) = mark {
        let y = y + CELL + 4.0;
        let _ =
            writeln!(out, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{CELL}\" height=\"4\" rx=\"2\" fill=\"{colour}\"/>");
    }
    let mut y = y + CELL + 6.0;
    for line in wrap(&p.caption, CELL / 1.06, 13.0, LINES) {
        y += CAPTION;
        text(out, "c", x, y, &line);
    }
    for line in wrap(&p.note, CELL, 11.5, LINES) {
        y += NOTE;
        text(out, "n", x, y, &line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Picture;

    #[test]
    fn a_row_a_query() {
        let panel = |c: &str| Panel {
            picture: Picture::new(4, 2, 1, vec![9; 8]).unwrap(),
            caption: c.into(),
            note: "0.1 < 0.2".into(),
        };
        let row = |a: Option<bool>| NearRow { query: panel("cat"), near: vec![(panel("dog"), a), (panel("cat"), a)] };
        let sheet = NearSheet { title: "Q & A".into(), subtitle: "x".into(), rows: vec![row(None), row(None)] };
        let svg = sheet.to_svg();
        assert_eq!(svg.matches("<image").count(), 6);
        assert!(svg.contains("Q &amp; A") && !svg.contains("another class"));
        let judged = NearSheet { rows: vec![row(Some(false))], ..sheet }.to_svg();
        assert!(judged.contains("of another class"));
        assert_eq!(judged.matches("rx=\"2\"").count(), 4);
        assert!(NearSheet::default().to_svg().ends_with("</svg>\n"));
    }
}
