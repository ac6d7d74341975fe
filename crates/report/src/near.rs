//! Queries with the pictures nearest to them: a row each, the query left of a line.

use crate::Panel;
use crate::chart::escape;
use crate::heat::Scale;
use crate::sheet::cut;
use crate::style;
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
const WORDS: f64 = 40.0;
const LETTER: f64 = 0.54;

impl NearSheet {
    /// The sheet as an SVG file of its own.
    pub fn to_svg(&self) -> String {
        let most = self.rows.iter().map(|r| r.near.len()).max().unwrap_or(0) as f64;
        let inner = CELL + APART + (most * (CELL + GAP) - GAP).max(0.0);
        let needed = (self.title.chars().count() as f64 * 20.0).max(self.subtitle.chars().count() as f64 * 13.0);
        let width = (inner.max(needed * LETTER) + 2.0 * MARGIN).ceil();
        let row = CELL + WORDS + GAP;
        let judged = self.rows.iter().any(|r| r.near.iter().any(|n| n.1.is_some()));
        let foot = if judged { 26.0 } else { 0.0 };
        let height = (HEAD + MARGIN + self.rows.len() as f64 * row + foot + 10.0).ceil();
        let mut out = style::open(width, height, &self.title, "");
        let [blue, orange] = [-0.8, 0.8].map(|v| {
            let [r, g, b] = Scale::Diverging.color(v);
            format!("#{r:02x}{g:02x}{b:02x}")
        });
        let _ =
            writeln!(out, "<text class=\"h\" x=\"{MARGIN}\" y=\"{}\">{}</text>", MARGIN + 16.0, escape(&self.title));
        let _ =
            writeln!(out, "<text class=\"m\" x=\"{MARGIN}\" y=\"{}\">{}</text>", MARGIN + 39.0, escape(&self.subtitle));
        let top = MARGIN + HEAD - 12.0;
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
    let (caption, note) = (cut(&p.caption, CELL / (13.0 * LETTER * 1.05)), cut(&p.note, CELL / (11.5 * LETTER)));
    let (first, second) = (y + CELL + 21.0, y + CELL + 36.0);
    let _ = writeln!(
        out,
        "<text class=\"c\" x=\"{x:.1}\" y=\"{first:.1}\">{}</text><text class=\"n\" x=\"{x:.1}\" y=\"{second:.1}\">{}</text>",
        escape(&caption),
        escape(&note)
    );
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
