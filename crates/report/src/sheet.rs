//! Pictures side by side with a line under each, as one SVG file: sharp at any size, light or dark as the viewer likes.

use crate::Picture;
use crate::chart::escape;
use crate::style;
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
}

const MARGIN: f64 = 28.0;
const GAP: f64 = 18.0;
/// Room for the two lines under a picture.
const WORDS: f64 = 46.0;
const HEAD: f64 = 66.0;
/// Width of the widest picture as it is shown.
const WIDTH: f64 = 240.0;
/// Average width of a letter of 1 px.
const LETTER: f64 = 0.54;

impl Sheet {
    /// The sheet as an SVG file of its own.
    pub fn to_svg(&self) -> String {
        let widest = self.panels.iter().map(|p| p.picture.width).max().unwrap_or(1) as f64;
        let highest = self.panels.iter().map(|p| p.picture.height).max().unwrap_or(1) as f64;
        // All pictures at one scale, so that they can be compared; very long ones are held in bounds.
        let scale = (WIDTH / widest).min(1.6 * WIDTH / highest);
        let (w, h) = ((widest * scale).max(120.0), highest * scale);
        let count = self.panels.len().max(1);
        let even = ((count as f64 * (h + WORDS) / w).sqrt().ceil() as usize).clamp(1, count);
        // As few pictures as possible alone in the last row.
        let even = count.div_ceil(count.div_ceil(even));
        let columns = if self.columns == 0 { even } else { self.columns.min(count) };
        let rows = count.div_ceil(columns);
        let inner = columns as f64 * (w + GAP) - GAP;
        let needed =
            (self.title.chars().count() as f64 * 20.0).max(self.subtitle.chars().count() as f64 * 13.0) * LETTER;
        let width = (inner.max(needed) + 2.0 * MARGIN).ceil();
        let height = (HEAD + rows as f64 * (h + WORDS + GAP) - GAP + 2.0 * MARGIN).ceil();
        let mut out = style::open(width, height, &self.title, "");
        let _ =
            writeln!(out, "<text class=\"h\" x=\"{MARGIN}\" y=\"{}\">{}</text>", MARGIN + 16.0, escape(&self.title));
        let _ =
            writeln!(out, "<text class=\"m\" x=\"{MARGIN}\" y=\"{}\">{}</text>", MARGIN + 39.0, escape(&self.subtitle));
        for (i, p) in self.panels.iter().enumerate() {
            let x = MARGIN + (i % columns) as f64 * (w + GAP);
            let y = MARGIN + HEAD + (i / columns) as f64 * (h + WORDS + GAP);
            let (pw, ph) = (p.picture.width as f64 * scale, p.picture.height as f64 * scale);
            // Enlarged pixels stay squares; a photograph that is made smaller is smoothed.
            let class = if scale > 1.0 { " class=\"p\"" } else { "" };
            let _ = writeln!(
                out,
                "<image{class} x=\"{x:.1}\" y=\"{y:.1}\" width=\"{pw:.1}\" height=\"{ph:.1}\" href=\"{}\"/>\n\
                 <rect class=\"f\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{pw:.1}\" height=\"{ph:.1}\"/>",
                p.picture.to_uri()
            );
            let (caption, note) = (cut(&p.caption, w / (13.0 * LETTER * 1.05)), cut(&p.note, w / (11.5 * LETTER)));
            let _ =
                writeln!(out, "<text class=\"c\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>", y + h + 19.0, escape(&caption));
            let _ = writeln!(out, "<text class=\"n\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>", y + h + 37.0, escape(&note));
        }
        out + "</svg>\n"
    }
}

/// At most so many letters.
pub(crate) fn cut(text: &str, letters: f64) -> String {
    let most = letters.max(4.0) as usize;
    if text.chars().count() <= most {
        return text.to_string();
    }
    text.chars().take(most - 1).chain(['…']).collect()
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
        assert_eq!(cut("abcdefgh", 5.0), "abcd…");
    }
}
