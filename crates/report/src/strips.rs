//! Pictures in strips, each strip under a heading of its own, in columns that all share: a sample beside its variants.

use crate::Picture;
use crate::chart::escape;
use crate::style;
use crate::words::{paragraph, shorten, title, width as width_of};
use std::fmt::Write;

/// A picture and the lines under it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The picture.
    pub picture: Picture,
    /// Short lines; the second and following ones are smaller.
    pub lines: Vec<String>,
}

/// Pictures that belong together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Strip {
    /// What they are, in bold.
    pub caption: String,
    /// More about it, beside the caption.
    pub note: String,
    /// The pictures; more than there are columns go on below.
    pub cells: Vec<Cell>,
}

/// Strips of pictures, one below the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Strips {
    /// The heading.
    pub title: String,
    /// Lines below it; long ones are broken between words.
    pub lines: Vec<String>,
    /// What stands above the columns; as many as there are columns.
    pub heads: Vec<String>,
    /// The strips.
    pub strips: Vec<Strip>,
}

const MARGIN: f64 = 28.0;
const GAP: f64 = 10.0;
/// Sides of the square that a picture is fitted into.
const CELL: f64 = 132.0;
/// Room between strips, for a caption, for a line under a picture.
const BETWEEN: f64 = 20.0;
const CAPTION: f64 = 24.0;
const LINE: f64 = 17.0;

impl Strips {
    /// The strips as an SVG file of its own.
    pub fn to_svg(&self) -> String {
        let columns = self.heads.len().max(1);
        let width = columns as f64 * (CELL + GAP) - GAP + 2.0 * MARGIN;
        let inner = width - 2.0 * MARGIN;
        let lines = paragraph(&self.lines, inner);
        let mut body = String::new();
        let mut y = MARGIN + 16.0;
        title(&mut body, [MARGIN, y], inner, &self.title);
        for line in &lines {
            y += 21.0;
            text(&mut body, "m", (MARGIN, y), line);
        }
        y += 30.0;
        for (i, head) in self.heads.iter().enumerate() {
            text(&mut body, "n", (MARGIN + i as f64 * (CELL + GAP), y), &shorten(head, CELL, 11.5));
        }
        for strip in &self.strips {
            y += BETWEEN;
            let caption = shorten(&strip.caption, inner / 2.0, 13.0);
            let beside = MARGIN + width_of(&caption, 13.0) * 1.08 + 12.0;
            text(&mut body, "c", (MARGIN, y), &caption);
            text(&mut body, "n", (beside, y), &shorten(&strip.note, width - MARGIN - beside, 11.5));
            y += CAPTION - 13.0;
            for row in strip.cells.chunks(columns) {
                let mut below = 0.0f64;
                for (i, cell) in row.iter().enumerate() {
                    let x = MARGIN + i as f64 * (CELL + GAP);
                    let height = picture(&mut body, &cell.picture, (x, y));
                    for (k, line) in cell.lines.iter().enumerate() {
                        let (class, size) = if k == 0 { ("l", 12.0) } else { ("n", 11.5) };
                        text(&mut body, class, (x, y + height + LINE * (k as f64 + 0.9)), &shorten(line, CELL, size));
                    }
                    below = below.max(height + LINE * cell.lines.len() as f64);
                }
                y += below + GAP;
            }
        }
        let height = (y + MARGIN - GAP).ceil();
        style::open(width, height, &self.title, ".l { font-size: 12px; }\n") + &body + "</svg>\n"
    }
}

/// A picture with its left top corner at a place, as large as fits into a cell; its height.
fn picture(out: &mut String, p: &Picture, (x, y): (f64, f64)) -> f64 {
    let scale = (CELL / p.width.max(1) as f64).min(CELL / p.height.max(1) as f64);
    let (w, h) = (p.width as f64 * scale, p.height as f64 * scale);
    // Enlarged pixels stay squares; a photograph that is made smaller is smoothed.
    let class = if scale > 1.0 { " class=\"p\"" } else { "" };
    let _ = writeln!(
        out,
        "<image{class} x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" href=\"{}\"/>\n\
         <rect class=\"f\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\"/>",
        p.to_uri()
    );
    h
}

fn text(out: &mut String, class: &str, (x, y): (f64, f64), what: &str) {
    if !what.is_empty() {
        let _ = writeln!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_go_on_below_and_letters_stay_what_they_are() {
        let picture = Picture::new(4, 2, 1, vec![9; 8]).unwrap();
        let cell = Cell { picture, lines: vec!["fleur d’été".into(), "0.4 < 1".into()] };
        let strip = |n: usize| Strip { caption: "蜂".into(), note: "a.jpg".into(), cells: vec![cell.clone(); n] };
        let heads = ["stored", "epoch 0"].map(String::from).to_vec();
        let strips = Strips { title: "T & U".into(), heads, strips: vec![strip(2), strip(3)], ..Default::default() };
        let svg = strips.to_svg();
        assert_eq!(svg.matches("<image").count(), 5);
        for part in ["T &amp; U", "0.4 &lt; 1", ">蜂<", ">fleur d’été<", ">epoch 0<", "width=\"132.0\" height=\"66.0\""]
        {
            assert!(svg.contains(part), "{part}");
        }
        let at = |n: usize| svg.match_indices("<image").nth(n).map(|(i, _)| &svg[i..i + 40]).unwrap();
        assert!(at(2).contains("x=\"28.0\"") && at(4).contains("x=\"28.0\""), "{}", at(4));
    }
}
