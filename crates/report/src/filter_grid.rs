//! Filters as a grid: each as one picture or as planes, the fitted shape beside it, its kind and numbers below.

use crate::chart::escape;
use crate::words::{LETTER, paragraph, title};
use crate::{Picture, WeightMatrix, style};
use std::fmt::Write;

/// One filter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FilterTile {
    /// The filter: one picture, or planes.
    pub pictures: Vec<Picture>,
    /// What stands under each picture, such as a channel's number; may be fewer or none.
    pub labels: Vec<String>,
    /// The shape that was fitted.
    pub fit: Option<Picture>,
    /// Its number.
    pub name: String,
    /// A word at the right of the name, such as how much is explained.
    pub score: String,
    /// Lines below, smaller.
    pub lines: Vec<String>,
    /// Drawn pale: there is nothing to see.
    pub pale: bool,
}

/// Filters in rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FilterGrid {
    /// The heading.
    pub title: String,
    /// Lines below it.
    pub lines: Vec<String>,
    /// The filters.
    pub tiles: Vec<FilterTile>,
    /// Filters of one place, all together instead of one by one.
    pub matrix: Option<WeightMatrix>,
}

const MARGIN: f64 = 28.0;
/// Width that rows are filled up to.
const WIDTH: f64 = 1180.0;
/// Width that words have where there are few pictures.
const WORDS: f64 = 560.0;
const LABEL: f64 = 13.0;
const NAME: f64 = 17.0;
const LINE: f64 = 14.5;
const CSS: &str = ".k { font-size: 12px; font-weight: 600; } .r { font-size: 11px; fill: var(--muted); text-anchor: end; }\n\
    .s { font-size: 11px; fill: var(--muted); } .l { font-size: 9.5px; fill: var(--muted); text-anchor: middle; }\n\
    .a { fill: none; stroke: var(--muted); stroke-opacity: 0.7; } .x { font-size: 11px; fill: var(--muted); text-anchor: middle; }\n\
    .y { font-size: 11px; fill: var(--muted); text-anchor: end; }\n";

/// Extents of a picture of so many pixels, one of `beside` in its tile: cells of whole pixels, small pictures larger.
fn shown(p: &Picture, beside: usize) -> [f64; 2] {
    let (w, h) = (p.width as f64, p.height as f64);
    let most = w.max(h);
    // Many planes are small, pictures of many cells large.
    let side = match () {
        () if beside > 3 => 40.0,
        () if most > 16.0 => 96.0,
        () => 66.0,
    };
    if most > side {
        // Long pictures, as matrices are, stay within the sheet.
        let cell = (WIDTH / w).min(720.0 / h).clamp(0.05, if beside > 3 { 1.0 } else { 6.0 });
        let cell = if cell > 1.0 { cell.floor() } else { cell };
        return [w * cell, h * cell];
    }
    let cell = (side / most).floor().clamp(1.0, 22.0);
    [w * cell, h * cell]
}

impl FilterGrid {
    /// The grid as an SVG file of its own.
    pub fn to_svg(&self) -> String {
        let extents = |t: &FilterTile| {
            let beside = t.pictures.len();
            let all = t.pictures.iter().chain(&t.fit).map(|p| shown(p, beside));
            let (w, h, n) = all.fold((0.0, 0.0f64, 0), |(w, h, n), [pw, ph]| (w + pw, h.max(ph), n + 1));
            let words = t.lines.iter().map(|l| l.chars().count() as f64 * 11.0 * LETTER);
            let head = (t.name.chars().count() + t.score.chars().count() + 2) as f64 * 12.0 * LETTER;
            let labels = if t.labels.is_empty() { 0.0 } else { LABEL };
            ((w + 5.0 * (n as f64 - 1.0).max(0.0)).max(words.fold(head, f64::max)), h + labels)
        };
        let across = |t: &FilterTile| {
            let all = t.pictures.iter().chain(&t.fit);
            all.map(|p| shown(p, t.pictures.len())[0] + 5.0).sum::<f64>() - 5.0
        };
        let widest = self.tiles.iter().map(across).fold(0.0, f64::max);
        // Scores end where pictures end, but leave the longest name its room: in one line below each other.
        let named = |t: &FilterTile| (t.name.chars().count() + t.score.chars().count() + 2) as f64 * 12.0 * LETTER;
        let scores = self.tiles.iter().map(named).fold(widest, f64::max);
        let sizes: Vec<(f64, f64)> = self.tiles.iter().map(extents).collect();
        let tile = sizes.iter().map(|s| s.0).fold(40.0, f64::max).ceil();
        let pictures = sizes.iter().map(|s| s.1).fold(0.0, f64::max);
        let lines = self.tiles.iter().map(|t| t.lines.len()).max().unwrap_or(0) as f64;
        let named = if self.tiles.iter().all(|t| t.name.is_empty()) { 4.0 } else { NAME };
        let (step_x, step_y) = (tile + 20.0, pictures + named + lines * LINE + 16.0);
        let columns = (((WIDTH + 20.0) / step_x) as usize).clamp(1, self.tiles.len().max(1));
        let rows = self.tiles.len().div_ceil(columns);
        let matrix = self.matrix.as_ref().map_or([0.0; 2], WeightMatrix::size);
        let across = if self.tiles.is_empty() { 0.0 } else { columns as f64 * step_x - 20.0 };
        let inner = across.max(matrix[0]).max(WORDS);
        let lines = paragraph(&self.lines, inner);
        let width = (inner + 2.0 * MARGIN).ceil();
        let head = MARGIN + 40.0 + 20.0 * lines.len() as f64;
        let down = if self.tiles.is_empty() { 0.0 } else { rows as f64 * step_y - 16.0 };
        let height = (head + down.max(matrix[1]) + MARGIN).ceil();
        let mut out = style::open(width, height, &self.title, CSS);
        title(&mut out, [MARGIN, MARGIN + 16.0], inner, &self.title);
        for (i, line) in lines.iter().enumerate() {
            let y = MARGIN + 40.0 + 20.0 * i as f64;
            let _ = writeln!(out, "<text class=\"m\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", escape(line));
        }
        if let Some(matrix) = &self.matrix {
            matrix.draw(&mut out, [MARGIN, head]);
        }
        for (i, t) in self.tiles.iter().enumerate() {
            let at = [MARGIN + (i % columns) as f64 * step_x, head + (i / columns) as f64 * step_y];
            tile_at(&mut out, t, at, pictures, scores);
        }
        out + "</svg>\n"
    }
}

/// One tile; `pictures` is the height of its pictures with their labels, `width` where scores end.
fn tile_at(out: &mut String, t: &FilterTile, [left, top]: [f64; 2], pictures: f64, width: f64) {
    let _ = write!(out, "<g{}>", if t.pale { " opacity=\"0.55\"" } else { "" });
    let mut x = left;
    for (i, p) in t.pictures.iter().chain(&t.fit).enumerate() {
        let [w, h] = shown(p, t.pictures.len());
        let _ = write!(
            out,
            "<image class=\"p\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" preserveAspectRatio=\"none\" href=\"{}\"/>\
             <rect class=\"f\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{w:.1}\" height=\"{h:.1}\"/>",
            p.to_uri()
        );
        if let Some(label) = t.labels.get(i) {
            let (x, y) = (x + w / 2.0, top + h + LABEL - 2.0);
            let _ = write!(out, "<text class=\"l\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(label));
        }
        x += w + 5.0;
    }
    let mut y = top + pictures + 14.0;
    let right = left + width;
    let _ = write!(out, "<text class=\"k\" x=\"{left:.1}\" y=\"{y:.1}\">{}</text>", escape(&t.name));
    if !t.score.is_empty() {
        let _ = write!(out, "<text class=\"r\" x=\"{right:.1}\" y=\"{y:.1}\">{}</text>", escape(&t.score));
    }
    for line in &t.lines {
        y += LINE;
        let _ = write!(out, "<text class=\"s\" x=\"{left:.1}\" y=\"{y:.1}\">{}</text>", escape(line));
    }
    *out += "</g>\n";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where texts of a class stand from the left.
    fn at(svg: &str, class: &str) -> Vec<f64> {
        let begin = format!("<text class=\"{class}\" x=\"");
        svg.split(&begin).skip(1).map(|t| t.split('"').next().unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn tiles_hold_filter_fit_and_words() {
        let picture = Picture::new(3, 3, 1, vec![9; 9]).unwrap();
        let tile = |name: &str, planes: usize| FilterTile {
            pictures: vec![picture.clone(); planes],
            labels: (0..planes).map(|i| format!("c{i}")).collect(),
            fit: (planes == 1).then(|| picture.clone()),
            name: name.into(),
            score: "R² 0.93".into(),
            lines: vec!["θ < 90°".into()],
            pale: planes == 0,
        };
        let tiles = vec![tile("0 gabor", 1), tile("1 & 2", 4), tile("dead", 0)];
        let grid = FilterGrid { title: "T".into(), lines: vec!["per filter".into()], tiles, matrix: None };
        let svg = grid.to_svg();
        assert_eq!(svg.matches("<image").count(), 6);
        assert!(
            svg.contains("1 &amp; 2") && svg.contains("θ &lt; 90°") && svg.contains(">c3<") && svg.contains("opacity")
        );
        assert!(FilterGrid::default().to_svg().ends_with("</svg>\n"));
        // Scores end at one distance from their tiles, however long the names are.
        let (left, ends): (Vec<f64>, Vec<f64>) = (at(&svg, "k"), at(&svg, "r"));
        assert!(
            left.len() == 3 && ends.iter().zip(&left).all(|(e, l)| (e - l - (ends[0] - left[0])).abs() < 0.11),
            "{svg}"
        );
        // Small filters are enlarged by whole factors, long ones stay on the sheet.
        assert_eq!((shown(&picture, 1), shown(&picture, 8)), ([66.0, 66.0], [39.0, 39.0]));
        let long = Picture::new(2000, 64, 1, vec![0; 128_000]).unwrap();
        assert!(shown(&long, 1)[0] <= WIDTH && shown(&long, 1)[1] > 10.0);
    }
}
