//! Line charts as SVG. Colours come from the page's style, so that a chart follows its light or dark theme.

use crate::Curve;
use std::fmt::Write;

/// How the values of a chart are drawn and written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Linear; logarithmic if the values span more than a factor of 30.
    Auto,
    /// Linear, from zero.
    Linear,
    /// Parts of one, written as percentages.
    Percent,
}

/// A chart to draw.
pub(crate) struct Chart<'a> {
    pub title: &'a str,
    pub curves: &'a [Curve],
    pub scale: Scale,
    /// A vertical mark at this epoch.
    pub mark: Option<f64>,
    /// First colour of the curves.
    pub color: usize,
}

/// Extents of the drawing and of its margins, in user units.
const WIDTH: f64 = 330.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 30.0;
/// Colours of the style, `c0` and on.
const PALETTE: usize = 8;
/// More points than this are averaged in bins.
const MOST_POINTS: usize = 400;

impl Chart<'_> {
    /// The chart as a `<figure>`; empty if no curve has a point.
    pub fn to_html(&self) -> String {
        let curves: Vec<Vec<(f64, f64)>> = self.curves.iter().map(|c| thinned(&c.points)).collect();
        let all = || curves.iter().flatten();
        if all().next().is_none() {
            return String::new();
        }
        let bounds = |f: fn(&(f64, f64)) -> f64| {
            all().map(f).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)))
        };
        let (x0, x1) = widened(bounds(|p| p.0));
        let y = YAxis::new(bounds(|p| p.1), self.scale);
        let px = |v: f64| LEFT + (v - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT);
        let py = |v: f64| HEIGHT - BOTTOM - y.position(v) * (HEIGHT - TOP - BOTTOM);
        let mut out = format!(
            "<figure class=\"chart\"><figcaption><b>{}{}</b>",
            escape(self.title),
            if y.logarithmic { "<small>log</small>" } else { "" }
        );
        for (i, curve) in self.curves.iter().enumerate().filter(|(i, c)| !curves[*i].is_empty() && !c.dashed) {
            if self.curves.len() > 1 {
                let class = self.class(i);
                let _ = write!(out, "<span class=\"key c{class}\">{}</span>", escape(&curve.name));
            }
        }
        out += "</figcaption>\n";
        let _ = writeln!(
            out,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{} by epoch\">",
            escape(self.title)
        );
        for tick in y.ticks() {
            let at = py(tick);
            let _ = writeln!(
                out,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{:.0}\"/><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 7.0,
                at + 3.8,
                y.label(tick)
            );
        }
        let base = HEIGHT - BOTTOM;
        for tick in linear_ticks(x0, x1, 6, true) {
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
                px(tick),
                base + 16.0,
                short(tick)
            );
        }
        let _ = writeln!(out, "<path class=\"axis\" d=\"M{LEFT} {base:.0}H{:.0}\"/>", WIDTH - RIGHT);
        let _ = writeln!(
            out,
            "<text class=\"unit\" x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">epoch</text>",
            WIDTH - RIGHT,
            HEIGHT - 2.0
        );
        if let Some(m) = self.mark.filter(|m| (x0..=x1).contains(m)) {
            let _ = writeln!(out, "<path class=\"mark\" d=\"M{:.1} {TOP}V{base:.0}\"/>", px(m));
        }
        for (i, points) in curves.iter().enumerate() {
            let class = self.class(i);
            let dashed = if self.curves[i].dashed { " dashed" } else { "" };
            let mut path = String::new();
            for (k, &(a, b)) in points.iter().enumerate() {
                let _ = write!(path, "{}{:.1} {:.1}", if k == 0 { 'M' } else { 'L' }, px(a), py(b));
            }
            if let [(a, b)] = points[..] {
                let _ = writeln!(out, "<circle class=\"c{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>", px(a), py(b));
            } else if !path.is_empty() {
                let _ = writeln!(out, "<path class=\"line c{class}{dashed}\" d=\"{path}\"/>");
            }
            if let Some(m) = self.mark
                && let Some(&(a, b)) = points.iter().find(|p| (p.0 - m).abs() < 1e-9)
            {
                let _ = writeln!(out, "<circle class=\"c{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.4\"/>", px(a), py(b));
            }
        }
        out += &self.hints(&curves, &y, &px);
        out += "</svg></figure>\n";
        out
    }

    /// The number of a curve's colour.
    fn class(&self, i: usize) -> usize {
        self.curves[i].color.unwrap_or(self.color + i) % PALETTE
    }

    /// Invisible strips that show the numbers of an epoch under the pointer.
    fn hints(&self, curves: &[Vec<(f64, f64)>], y: &YAxis, px: &dyn Fn(f64) -> f64) -> String {
        let Some(longest) = curves.iter().max_by_key(|c| c.len()).filter(|c| c.len() > 1) else {
            return String::new();
        };
        let mut out = String::new();
        for (k, &(x, _)) in longest.iter().enumerate() {
            let before = if k == 0 { px(x) - 4.0 } else { (px(longest[k - 1].0) + px(x)) / 2.0 };
            let after = longest.get(k + 1).map_or(px(x) + 4.0, |n| (n.0 - x) / 2.0 * (px(1.0) - px(0.0)) + px(x));
            let mut text = format!("epoch {}", short(x));
            for (curve, points) in self.curves.iter().zip(curves) {
                if let Some(p) = points.iter().find(|p| (p.0 - x).abs() < 1e-9) {
                    let name = if curve.name.is_empty() { self.title } else { &curve.name };
                    let _ = write!(text, "\n{name}: {}", y.exact(p.1));
                }
            }
            let _ = writeln!(
                out,
                "<g class=\"hint\"><title>{}</title><rect x=\"{before:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.0}\"/>\
                 <path d=\"M{:.1} {TOP}V{:.0}\"/></g>",
                escape(&text),
                (after - before).max(0.5),
                HEIGHT - TOP - BOTTOM,
                px(x),
                HEIGHT - BOTTOM
            );
        }
        out
    }
}

struct YAxis {
    low: f64,
    high: f64,
    logarithmic: bool,
    percent: bool,
}

impl YAxis {
    fn new((low, high): (f64, f64), scale: Scale) -> Self {
        let percent = scale == Scale::Percent;
        let logarithmic = scale == Scale::Auto && low > 0.0 && high / low > 30.0;
        let (low, high) = if logarithmic {
            (low / 1.15, high * 1.15)
        } else if percent {
            let (a, b) = widened((low, high));
            (a.max(0.0), if b > 0.9 { 1.0 } else { b })
        } else {
            let (_, b) = widened((low.min(0.0), high));
            (low.min(0.0), b * 1.04)
        };
        YAxis { low, high, logarithmic, percent }
    }
    /// 0 at the bottom, 1 at the top.
    fn position(&self, v: f64) -> f64 {
        if self.logarithmic {
            (v.max(self.low).ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
        } else {
            (v - self.low) / (self.high - self.low)
        }
    }
    fn ticks(&self) -> Vec<f64> {
        if !self.logarithmic {
            return linear_ticks(self.low, self.high, 5, false);
        }
        let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let few = self.high / self.low < 2e3;
        let steps: &[f64] = if few { &[1.0, 3.0] } else { &[1.0] };
        decades
            .flat_map(|d| steps.iter().map(move |s| s * 10f64.powi(d)))
            .filter(|v| (self.low..=self.high).contains(v))
            .collect()
    }
    fn label(&self, v: f64) -> String {
        if self.percent { format!("{} %", short(v * 100.0)) } else { short(v) }
    }
    fn exact(&self, v: f64) -> String {
        if self.percent {
            format!("{:.2} %", v * 100.0)
        } else {
            format!("{v:.4e}").parse::<f64>().map_or_else(|_| v.to_string(), short)
        }
    }
}

/// A range that is not empty.
fn widened((low, high): (f64, f64)) -> (f64, f64) {
    if high > low { (low, high) } else { (low - 0.5, high + 0.5) }
}

/// Round numbers in a range, at most `most`; whole numbers only if asked for.
pub(crate) fn linear_ticks(low: f64, high: f64, most: usize, whole: bool) -> Vec<f64> {
    let rough = (high - low) / most as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].iter().map(|s| s * power).find(|&s| s >= rough * 0.999).unwrap_or(rough);
    let step = if whole { step.ceil().max(1.0) } else { step };
    if !step.is_finite() || step <= 0.0 {
        return Vec::new();
    }
    let first = (low / step - 1e-9).ceil() as i64;
    (first..first + 2 * most as i64).map(|i| i as f64 * step).take_while(|&v| v <= high + step * 1e-9).collect()
}

/// A number in at most five significant digits, small ones with a power of ten.
pub fn short(v: f64) -> String {
    if v == 0.0 {
        return "0".into();
    }
    if !v.is_finite() {
        return if v.is_nan() {
            "nothing"
        } else if v > 0.0 {
            "∞"
        } else {
            "−∞"
        }
        .into();
    }
    if v.abs() < 1e-4 || v.abs() >= 1e6 {
        let text = format!("{v:.2e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
        return format!("{mantissa}e{exponent}").replace('-', "−");
    }
    let digits = (4 - v.abs().log10().floor() as i32).clamp(0, 8) as usize;
    let text = format!("{v:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.replace('-', "−")
}

/// [`short`] of a number in three digits, which is what a measurement of time is worth.
///
/// ```
/// assert_eq!(gabor_report::rounded(13.456), "13.5");
/// ```
pub fn rounded(v: f64) -> String {
    short(format!("{v:.2e}").parse().unwrap_or(v))
}

/// Finite points, averaged in bins where there are too many.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let finite: Vec<(f64, f64)> = points.iter().copied().filter(|p| p.0.is_finite() && p.1.is_finite()).collect();
    let bin = finite.len().div_ceil(MOST_POINTS).max(1);
    let mean = |c: &[(f64, f64)]| {
        let n = c.len() as f64;
        (c.iter().map(|p| p.0).sum::<f64>() / n, c.iter().map(|p| p.1).sum::<f64>() / n)
    };
    finite.chunks(bin).map(mean).collect()
}

/// Text for HTML and its attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            // HTML allows no other control characters.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let all: Vec<String> = [0.0, 0.25, 1000.0, 12.34567, 0.00001, 2.5e7, -3.0].map(short).to_vec();
        assert_eq!(all, ["0", "0.25", "1000", "12.346", "1e−5", "2.5e7", "−3"]);
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(linear_ticks(0.0, 1.0, 6, false), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(linear_ticks(1.0, 5.0, 7, true), [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(linear_ticks(0.0, 100.0, 7, true), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
    }

    #[test]
    fn strange_curves_do_not_break_a_chart() {
        let draw = |points: Vec<(f64, f64)>| {
            let curves = [Curve::new("a < b", points)];
            Chart { title: "loss", curves: &curves, scale: Scale::Auto, mark: Some(1.0), color: 0 }.to_html()
        };
        assert_eq!(draw(vec![(0.0, f64::NAN)]), "");
        assert!(draw(vec![(1.0, 2.0)]).contains("<circle"));
        assert!(!draw(vec![(0.0, 1.0), (1.0, 1e-9), (2.0, f64::INFINITY)]).contains("NaN"));
        assert!(draw((0..5000).map(|i| (i as f64, 1.0)).collect()).len() < 100_000);
        assert_eq!(escape("a<b & \"c\"\u{1}"), "a&lt;b &amp; &quot;c&quot;\u{fffd}");
    }
}
