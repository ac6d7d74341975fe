//! A picture, a filter with its numbers, and the filtered picture side by side.

use crate::chart::escape;
use crate::heat::{Scale, extent};
use crate::{Picture, style};
use std::fmt::Write;

/// A filter over a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterSheet {
    /// The heading.
    pub title: String,
    /// A line below it.
    pub subtitle: String,
    /// The picture.
    pub before: Picture,
    /// The filtered picture.
    pub after: Picture,
    /// The filter: its name, rows, columns and weights; two of a gradient's size.
    pub filters: Vec<(String, [usize; 2], Vec<f64>)>,
    /// What stands under the filtered picture.
    pub note: String,
}

const MARGIN: f64 = 28.0;
const HEAD: f64 = 66.0;
const GAP: f64 = 26.0;
const SIDE: f64 = 360.0;
/// Widest filter whose numbers are written into its cells.
const WRITTEN: usize = 9;

impl FilterSheet {
    /// The sheet as an SVG file of its own.
    pub fn to_svg(&self) -> String {
        let shown = |p: &Picture| {
            let most = p.width.max(p.height).max(1) as f64;
            [p.width as f64 * SIDE / most, p.height as f64 * SIDE / most]
        };
        let (before, after) = (shown(&self.before), shown(&self.after));
        let high = before[1].max(after[1]);
        let cell = |size: &[usize; 2]| {
            let most = size[0].max(size[1]) as f64;
            let room = if self.filters.len() > 1 { (high - 60.0).max(160.0) / 2.0 } else { 300.0 };
            (room / most).clamp(1.0, 46.0)
        };
        let tall = self.filters.iter().map(|f| f.1[0] as f64 * cell(&f.1) + 44.0).sum::<f64>();
        let wide = self.filters.iter().map(|f| (f.1[1] as f64 * cell(&f.1)).max(96.0)).fold(0.0, f64::max);
        let body = (high + 44.0).max(tall);
        let inner = before[0].max(120.0) + GAP + wide + GAP + after[0].max(120.0);
        let words = (self.title.chars().count() as f64 * 11.0).max(self.subtitle.chars().count() as f64 * 7.1);
        let (width, height) = ((inner.max(words) + 2.0 * MARGIN).ceil(), (HEAD + body + 2.0 * MARGIN - 12.0).ceil());
        let css = ".w { text-anchor: middle; }\n.g { fill: none; stroke: var(--line); stroke-width: 0.6; }\n";
        let mut out = style::open(width, height, &self.title, css);
        let top = MARGIN + HEAD;
        let _ = writeln!(
            out,
            "<text class=\"h\" x=\"{MARGIN}\" y=\"{}\">{}</text>\n<text class=\"m\" x=\"{MARGIN}\" y=\"{}\">{}</text>",
            MARGIN + 16.0,
            escape(&self.title),
            MARGIN + 39.0,
            escape(&self.subtitle)
        );
        picture(&mut out, &self.before, [MARGIN, top], before, "picture", "");
        let left = MARGIN + before[0].max(120.0) + GAP;
        let mut y = top;
        for (name, extents, weights) in &self.filters {
            let c = cell(extents);
            weights_at(&mut out, [left, y], *extents, weights, c);
            let below = y + extents[0] as f64 * c;
            let note = format!("{} × {}", extents[0], extents[1]);
            caption(&mut out, [left, below], name, &note);
            y = below + 54.0;
        }
        picture(&mut out, &self.after, [left + wide + GAP, top], after, "filtered", &self.note);
        out + "</svg>\n"
    }
}

fn caption(out: &mut String, [x, y]: [f64; 2], text: &str, note: &str) {
    let _ = writeln!(
        out,
        "<text class=\"c\" x=\"{x:.1}\" y=\"{:.1}\">{}</text><text class=\"n\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
        y + 19.0,
        escape(text),
        y + 37.0,
        escape(note)
    );
}

fn picture(out: &mut String, p: &Picture, [x, y]: [f64; 2], [w, h]: [f64; 2], text: &str, note: &str) {
    let class = if w > p.width as f64 { " class=\"p\"" } else { "" };
    let _ = writeln!(
        out,
        "<image{class} x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" href=\"{}\"/>\
         <rect class=\"f\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\"/>",
        p.to_uri()
    );
    caption(out, [x, y + h], text, note);
}

/// The weights as coloured cells, with their numbers where there is room.
fn weights_at(out: &mut String, [x, y]: [f64; 2], [rows, columns]: [usize; 2], weights: &[f64], c: f64) {
    let narrow: Vec<f32> = weights.iter().map(|&v| v as f32).collect();
    let most = extent(&narrow, 0.0);
    let written = rows.max(columns) <= WRITTEN;
    // Of many cells a picture is smaller than as many squares.
    if !written {
        if let Some(p) = crate::heat::heat(&narrow, [rows, columns], most, Scale::Diverging) {
            let (w, h) = (columns as f64 * c, rows as f64 * c);
            let _ = writeln!(
                out,
                "<image class=\"p\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" href=\"{}\"/>\
                 <rect class=\"f\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\"/>",
                p.to_uri()
            );
        }
        return;
    }
    let texts: Vec<String> = weights.iter().map(|&w| number(w)).collect();
    let longest = texts.iter().map(|t| t.chars().count()).max().unwrap_or(1);
    let letters = (c * 0.36).min(c * 1.6 / longest as f64).clamp(6.0, 15.0);
    for (i, (w, text)) in narrow.iter().zip(&texts).enumerate() {
        let (px, py) = (x + (i % columns) as f64 * c, y + (i / columns) as f64 * c);
        let [r, g, b] = Scale::Diverging.color(w / most);
        // The scale is pale in the middle and dark at its ends, in every look.
        let ink = if (w / most).abs() > 0.6 { "#ffffff" } else { "#1a1e23" };
        let _ = writeln!(
            out,
            "<rect fill=\"#{r:02x}{g:02x}{b:02x}\" x=\"{px:.2}\" y=\"{py:.2}\" width=\"{c:.2}\" height=\"{c:.2}\"/>\
             <rect class=\"g\" x=\"{px:.2}\" y=\"{py:.2}\" width=\"{c:.2}\" height=\"{c:.2}\"/>\
             <text class=\"w\" style=\"fill: {ink}; font-size: {letters:.1}px\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            px + c / 2.0,
            py + c / 2.0 + letters * 0.36,
            escape(text)
        );
    }
}

/// A weight in few digits.
fn number(v: f64) -> String {
    if v.abs() < 5e-5 {
        return "0".into();
    }
    let text = if v == v.trunc() {
        format!("{v:.0}")
    } else if v.abs() < 0.01 {
        format!("{v:.4}")
    } else {
        format!("{v:.3}")
    };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.replacen("0.", ".", usize::from(text.trim_start_matches('-').starts_with("0."))).replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_shows_numbers_of_small_filters() {
        let picture = Picture::new(8, 4, 1, vec![100; 32]).unwrap();
        let sheet = |filters| FilterSheet {
            title: "a < b".into(),
            subtitle: "reflect".into(),
            before: picture.clone(),
            after: picture.clone(),
            filters,
            note: "grey is 0".into(),
        };
        let small = ("sobel".to_string(), [3, 3], vec![-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0]);
        let svg = sheet(vec![small.clone(), small]).to_svg();
        assert_eq!((svg.matches(">−2<").count(), svg.matches("<image").count()), (2, 2));
        assert!(svg.contains("a &lt; b"));
        let large = sheet(vec![("box".to_string(), [11, 11], vec![1.0 / 121.0; 121])]).to_svg();
        assert_eq!(large.matches("<image").count(), 3);
        assert_eq!([0.25, -0.5, 3.0, 1e-9, 0.00312, 0.1111].map(number).join(" "), ".25 −.5 3 0 .0031 .111");
    }
}
