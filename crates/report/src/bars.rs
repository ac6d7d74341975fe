//! Parts of a whole as bars beside each other's names, as an SVG file of its own.

use crate::chart::escape;
use crate::style;
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
const NAMES: f64 = 190.0;
const WIDTH: f64 = 420.0;
const NOTES: f64 = 250.0;
const ROW: f64 = 26.0;
const THICK: f64 = 14.0;
/// Longest bar, in parts of the mark.
const LONGEST: f64 = 1.25;

impl Bars {
    /// The drawing as an SVG file of its own.
    pub fn to_svg(&self) -> String {
        let left = MARGIN + NAMES;
        let longest = self.bars.iter().map(|b| b.part).filter(|p| p.is_finite()).fold(1.0, f64::max).min(LONGEST);
        let px = |part: f64| left + part.clamp(0.0, longest) / longest * WIDTH;
        let top = MARGIN + HEAD;
        let base = top + ROW * self.bars.len() as f64;
        let css = ".g { stroke: var(--line); } .w { stroke: var(--text); stroke-dasharray: 3 3; }\n\
                   .t { font-size: 11.5px; fill: var(--muted); } .r { font-size: 13px; }\n";
        let mut out = style::open(left + WIDTH + NOTES + MARGIN, base + 34.0 + MARGIN, &self.title, css);
        let _ = writeln!(
            out,
            "<text class=\"h\" x=\"{MARGIN}\" y=\"{}\">{}</text>\n<text class=\"m\" x=\"{MARGIN}\" y=\"{}\">{}</text>",
            MARGIN + 14.0,
            escape(&self.title),
            MARGIN + 36.0,
            escape(&self.subtitle)
        );
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
                    escape(&bar.name)
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
