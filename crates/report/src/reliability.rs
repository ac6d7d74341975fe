//! The reliability diagram: how often predictions are right, by the probability that they were given.

use crate::chart::escape;
use crate::text::count;
use std::fmt::Write;

/// Predictions whose probability falls into a bin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReliabilityBin {
    /// Where the bin begins and ends, between 0 and 1.
    pub range: (f64, f64),
    /// Predictions in it.
    pub count: u64,
    /// Their mean probability.
    pub confidence: f64,
    /// The part of them that is right.
    pub accuracy: f64,
}

/// How far probabilities can be believed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reliability {
    /// What it is, where there are several: `before`, `at temperature 1.7`.
    pub name: String,
    /// The bins, from 0 to 1.
    pub bins: Vec<ReliabilityBin>,
    /// Figures with their names: expected calibration error, Brier score.
    pub figures: Vec<(String, String)>,
}

/// Extents of the drawing and of its parts, in user units.
const WIDTH: f64 = 330.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 10.0;
const PLOT: f64 = 210.0;
const GAP: f64 = 26.0;
const COUNTS: f64 = 52.0;
const HEIGHT: f64 = TOP + PLOT + GAP + COUNTS + 30.0;

/// The section; empty where nothing is known.
pub(crate) fn section(all: &[Reliability]) -> String {
    let shown: Vec<&Reliability> = all.iter().filter(|r| r.bins.iter().any(|b| b.count > 0)).collect();
    if shown.is_empty() {
        return String::new();
    }
    let mut out = "<section>\n<h2>Calibration</h2>\n<p class=\"note\">How often predictions are right, by the probability that \
                   they were given. On the dashed line probabilities are honest; below it the network is too sure of itself, \
                   above it too modest; orange is the gap.</p>\n<div class=\"charts reliability\">\n"
        .to_string();
    for r in &shown {
        out += &diagram(r);
    }
    out += "<div class=\"beside\"><table><thead><tr><th></th>";
    for r in &shown {
        let name = if r.name.is_empty() { "value" } else { &r.name };
        let _ = write!(out, "<th scope=\"col\" class=\"num\">{}</th>", escape(name));
    }
    out += "</tr></thead>\n<tbody>\n";
    for (i, (what, _)) in shown[0].figures.iter().enumerate() {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(what));
        for r in &shown {
            let value = r.figures.get(i).map_or("–", |f| &f.1);
            let _ = write!(out, "<td class=\"num\">{}</td>", escape(value));
        }
        out += "</tr>\n";
    }
    out + "</tbody></table></div>\n</div>\n</section>\n"
}

fn diagram(r: &Reliability) -> String {
    let px = |v: f64| LEFT + v * (WIDTH - LEFT - RIGHT);
    let py = |v: f64| TOP + (1.0 - v) * PLOT;
    let title = if r.name.is_empty() { "Reliability".to_string() } else { format!("Reliability, {}", r.name) };
    let mut out = format!(
        "<figure class=\"chart\"><figcaption><b>{}</b></figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"Accuracy by confidence\">\n",
        escape(&title)
    );
    for i in 0..=4 {
        let v = f64::from(i) / 4.0;
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{LEFT} {:.1}H{:.0}\"/><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{:.0} %</text>",
            py(v),
            WIDTH - RIGHT,
            LEFT - 7.0,
            py(v) + 3.8,
            v * 100.0
        );
    }
    let base = TOP + PLOT + GAP + COUNTS;
    let most = r.bins.iter().map(|b| b.count).max().unwrap_or(0).max(1);
    for b in r.bins.iter().filter(|b| b.count > 0) {
        let (x, w) = (px(b.range.0) + 0.7, px(b.range.1) - px(b.range.0) - 1.4);
        let (lower, upper) = (b.accuracy.min(b.confidence), b.accuracy.max(b.confidence));
        let rows = COUNTS * b.count as f64 / most as f64;
        let _ = writeln!(
            out,
            "<g class=\"bin\"><title>{:.0} % to {:.0} %: {} images, {:.1} % sure, {:.1} % right</title>\
             <rect class=\"full\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{w:.1}\" height=\"{:.1}\"/>\
             <rect class=\"gap\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{w:.1}\" height=\"{:.1}\"/>\
             <rect class=\"sure\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{w:.1}\" height=\"2\"/>\
             <rect class=\"count\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{w:.1}\" height=\"{:.1}\"/></g>",
            b.range.0 * 100.0,
            b.range.1 * 100.0,
            count(b.count),
            b.confidence * 100.0,
            b.accuracy * 100.0,
            py(lower),
            lower * PLOT,
            py(upper),
            (upper - lower) * PLOT,
            py(b.accuracy) - 1.0,
            base - rows.max(0.8),
            rows.max(0.8)
        );
    }
    let _ = writeln!(out, "<path class=\"mark\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>", px(0.0), py(0.0), px(1.0), py(1.0));
    let _ = writeln!(
        out,
        "<path class=\"axis\" d=\"M{LEFT} {:.1}H{:.0}M{LEFT} {base:.1}H{:.0}\"/>\
         <text x=\"{LEFT}\" y=\"{:.1}\">accuracy</text><text x=\"{LEFT}\" y=\"{:.1}\">images, up to {}</text>",
        py(0.0),
        WIDTH - RIGHT,
        WIDTH - RIGHT,
        TOP + 11.0,
        TOP + PLOT + GAP - 6.0,
        count(most)
    );
    for i in 0..=4 {
        let v = f64::from(i) / 4.0;
        let anchor = if i == 4 { "end" } else { "middle" };
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"{anchor}\">{:.0} %</text>",
            px(v),
            base + 15.0,
            v * 100.0
        );
    }
    let _ = writeln!(
        out,
        "<text class=\"unit\" x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">probability of the prediction</text>",
        WIDTH - RIGHT,
        HEIGHT - 2.0
    );
    out + "</svg></figure>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_become_bars() {
        let bin = |range, count, confidence, accuracy| ReliabilityBin { range, count, confidence, accuracy };
        let r = Reliability {
            name: "a < b".into(),
            bins: vec![bin((0.0, 0.5), 0, 0.0, 0.0), bin((0.5, 1.0), 1200, 0.9, 0.6)],
            figures: vec![("expected calibration error".into(), "30.0 %".into())],
        };
        let html = section(&[r]);
        assert!(html.contains("50 % to 100 %: 1,200 images, 90.0 % sure, 60.0 % right"));
        assert_eq!(html.matches("class=\"gap\"").count(), 1);
        // The gap reaches from 60 % to 90 % of the plot's 210 units.
        assert!(html.contains("height=\"63.0\""), "{html}");
        assert!(html.contains("a &lt; b") && html.contains("30.0 %") && !html.contains("NaN"));
        assert_eq!(section(&[Reliability::default()]), "");
    }
}
