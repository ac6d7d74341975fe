//! Parts of a whole as bars beside each other's names, as an SVG file of its own.

use crate::chart::escape;
use crate::style;
use crate::words::{paragraph, shorten, title};
use std::fmt::Write;

/// A bar.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bar {
    /// What it is.
    pub name: String,
    /// Its length; one is the mark.
    pub part: f64,
    /// What stands behind it.
    pub note: String,
    /// Its place in the palette.
    pub color: usize,
}

/// Bars under a headline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    /// Headline.
    pub title: String,
    /// The line below it.
    pub subtitle: String,
    /// What a length of one means.
    pub mark: String,
    /// The bars; a name that is that of the bar before is not written again.
    pub bars: Vec<Bar>,
}

const MARGIN: f64 = 24.0;
const HEAD: f64 = 72.0;
const NAMES: f64 = 250.0;
const WIDTH: f64 = 420.0;
const NOTES: f64 = 250.0;
const ROW: f64 = 26.0;
const THICK: f64 = 14.0;
/// Height of a line below the title.
const LINE: f64 = 18.0;
/// Longest bar, in parts of the mark.
const LONGEST: f64 = 1.25;

impl Bars {
    /// The drawing as an SVG file of its own.
    pub fn to_svg(&self) -> String {
        let left = MARGIN + NAMES;
        let longest = self.bars.iter().map(|b| b.part).filter(|p| p.is_finite()).fold(1.0, f64::max).min(LONGEST);
        let px = |part: f64| left + part.clamp(0.0, longest) / longest * WIDTH;
        let width = left + WIDTH + NOTES + MARGIN;
        let inner = width - 2.0 * MARGIN;
        let lines = paragraph(std::slice::from_ref(&self.subtitle), inner);
        let top = MARGIN + HEAD + (lines.len().max(1) - 1) as f64 * LINE;
        let base = top + ROW * self.bars.len() as f64;
        let css = ".g { stroke: var(--line); } .w { stroke: var(--text); stroke-dasharray: 3 3; }\n\
                   .t { font-size: 11.5px; fill: var(--muted); } .r { font-size: 13px; }\n";
        let mut out = style::open(width, base + 34.0 + MARGIN, &self.title, css);
        title(&mut out, [MARGIN, MARGIN + 14.0], inner, &self.title);
        for (i, line) in lines.iter().enumerate() {
            let y = MARGIN + 36.0 + i as f64 * LINE;
            let _ = writeln!(out, "<text class=\"m\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", escape(line));
        }
        for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let _ = writeln!(
                out,
                "<path class=\"g\" d=\"M{0:.1} {top}V{base}\"/>\
                 <text class=\"t\" x=\"{0:.1}\" y=\"{1:.0}\" text-anchor=\"middle\">{2:.0} %</text>",
                px(tick),
                base + 18.0,
                tick * 100.0
            );
        }
        for (i, bar) in self.bars.iter().enumerate() {
            let y = top + ROW * i as f64;
            if i == 0 || self.bars[i - 1].name != bar.name {
                let _ = writeln!(
                    out,
                    "<text class=\"r\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                    left - 12.0,
                    y + ROW / 2.0 + 4.5,
                    escape(&shorten(&bar.name, NAMES - 12.0, 13.0))
                );
            }
            let part = if bar.part.is_finite() { bar.part } else { 0.0 };
            let _ = writeln!(
                out,
                "<rect x=\"{left}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{THICK}\" rx=\"2\" style=\"fill: var(--{})\"/>\
                 <text class=\"t\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                y + (ROW - THICK) / 2.0,
                px(part) - left,
                style::SERIES[bar.color % style::SERIES.len()],
                px(part.max(1.0)) + 10.0,
                y + ROW / 2.0 + 4.0,
                escape(&bar.note)
            );
        }
        let _ = writeln!(
            out,
            "<path class=\"w\" d=\"M{0:.1} {1:.0}V{base}\"/>\
             <text class=\"t\" x=\"{0:.1}\" y=\"{2:.0}\" text-anchor=\"middle\">{3}</text>",
            px(1.0),
            top - 8.0,
            top - 14.0,
            escape(&self.mark)
        );
        out + "</svg>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_stay_inside() {
        let machine = "Some Maker(R) Long Processor Name(R) Platinum 8481C CPU @ 2.70GHz, ".repeat(3);
        let bars = vec![Bar { name: "a layer with a name that is much too long, batch 16".into(), ..Bar::default() }];
        let picture = Bars { title: "t".repeat(200), subtitle: machine.trim().into(), mark: "m".into(), bars };
        let svg = picture.to_svg();
        let lines = svg.matches("<text class=\"m\"").count();
        assert!((2..=6).contains(&lines) && !svg.contains(&machine.trim()[..150]), "{lines} lines");
        assert!(svg.lines().any(|l| l.starts_with("<text class=\"h\"") && l.contains('…')), "{svg}");
        // The rest moves down by the lines that came.
        let short = Bars { subtitle: "s".into(), ..picture }.to_svg();
        let height =
            |svg: &str| -> f64 { svg.split("height=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap() };
        assert_eq!(height(&svg) - height(&short), (lines - 1) as f64 * LINE);
        assert!(svg.contains("batch 16</text>") && svg.contains('…'));
    }

    #[test]
    fn bars_end_where_their_part_is() {
        let bar = |name: &str, part, note: &str| Bar { name: name.into(), part, note: note.into(), color: 0 };
        let bars = vec![
            bar("a < b", 0.5, "half"),
            bar("a < b", 1.1, "more"),
            bar("c", f64::NAN, "none"),
            bar("d", 9.0, "much"),
        ];
        let svg = Bars { title: "t".into(), subtitle: "s".into(), mark: "ideal".into(), bars }.to_svg();
        let width = |part: f64| format!("width=\"{:.1}\"", part / LONGEST * WIDTH);
        assert_eq!(svg.matches("a &lt; b").count(), 1, "a name is written once");
        assert!([0.5, 1.1, 0.0, LONGEST].iter().all(|&p| svg.contains(&width(p))), "{svg}");
        assert!(!svg.contains("NaN") && svg.contains(">ideal</text>") && svg.contains("much"));
    }
}
