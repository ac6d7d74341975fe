//! Weights of 1 × 1 filters as one matrix: a row per filter, a column per input channel, with the numbers of both. A long
//! matrix is cut into bands, so that its cells stay large enough to be seen.

use crate::heat::{Scale, heat};
use crate::poster::text;
use crate::words::width;
use crate::{Picture, short};
use std::fmt::Write;

/// Filters of one place each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WeightMatrix {
    /// Numbers of the filters, row by row.
    pub filters: Vec<usize>,
    /// Input channels.
    pub channels: usize,
    /// `filters · channels` weights, row by row.
    pub values: Vec<f32>,
    /// The weight at the ends of the scale.
    pub extent: f32,
}

/// Room for the cells.
const WIDTH: f64 = 1180.0;
const HEIGHT: f64 = 900.0;
/// Largest side of a cell.
const CELL: f64 = 22.0;
/// Room left of a band for the numbers of filters, above it for those of channels, and after it.
const LEFT: f64 = 44.0;
const TOP: f64 = 20.0;
const GAP: f64 = 16.0;
/// Room for the scale and the words above all bands.
const HEAD: f64 = 50.0;
const LETTERS: f64 = 11.0;
/// Most bands.
const BANDS: usize = 24;

/// How a matrix is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cut {
    /// Rows of a band, and its columns.
    rows: usize,
    columns: usize,
    /// Side of a cell.
    cell: f64,
}

impl WeightMatrix {
    /// The cut with the largest cells: bands of filters beside each other, or bands of channels below each other.
    fn cut(&self) -> Cut {
        let (rows, columns) = (self.filters.len().max(1), self.channels.max(1));
        let whole = |v: f64| if v > 1.0 { v.min(CELL).floor() } else { v };
        // Bands begin at round numbers where they are long.
        let even = |n: usize| if n > 64 { n.next_multiple_of(16) } else { n };
        let beside = |n: usize| {
            let (rows, n) = (even(rows.div_ceil(n)).min(rows), n as f64);
            let cell = ((WIDTH - n * (LEFT + GAP)) / (n * columns as f64)).min((HEIGHT - TOP) / rows as f64);
            Cut { rows, columns, cell: whole(cell) }
        };
        let below = |n: usize| {
            let (columns, n) = (even(columns.div_ceil(n)).min(columns), n as f64);
            let cell = ((WIDTH - LEFT) / columns as f64).min((HEIGHT - n * (TOP + GAP)) / (n * rows as f64));
            Cut { rows, columns, cell: whole(cell) }
        };
        let mut best = beside(1);
        for n in 2..=BANDS {
            for cut in [beside(n), below(n)] {
                // More bands must be worth it.
                if cut.cell > best.cell * 1.1 {
                    best = cut;
                }
            }
        }
        Cut { cell: best.cell.max(0.05), ..best }
    }
    /// Width and height of the drawing.
    pub(crate) fn size(&self) -> [f64; 2] {
        let cut = self.cut();
        let (across, down) = (self.filters.len().div_ceil(cut.rows), self.channels.div_ceil(cut.columns));
        let wide = LEFT + cut.columns as f64 * cut.cell + GAP;
        let high = TOP + cut.rows as f64 * cut.cell + GAP;
        [across.max(1) as f64 * wide - GAP, HEAD + down.max(1) as f64 * high - GAP]
    }
    /// The matrix with its left top corner at a place.
    pub(crate) fn draw(&self, out: &mut String, [left, top]: [f64; 2]) {
        let cut = self.cut();
        let (low, high) = (format!("−{}", short(f64::from(self.extent))), short(f64::from(self.extent)));
        let x = left + LEFT;
        let y = top + 10.0;
        text(out, "n", x, y, &low);
        let bar = x + width(&low, LETTERS) + 8.0;
        let _ = writeln!(
            out,
            "<image x=\"{bar:.1}\" y=\"{:.1}\" width=\"110\" height=\"10\" preserveAspectRatio=\"none\" href=\"{}\"/>\
             <rect class=\"a\" x=\"{bar:.1}\" y=\"{:.1}\" width=\"110\" height=\"10\"/>",
            y - 9.0,
            Scale::Diverging.bar().to_uri(),
            y - 9.0
        );
        text(out, "n", bar + 118.0, y, &high);
        text(out, "n", x, y + 24.0, "input channel →");
        text(out, "n", left, y + 24.0, "filter ↓");
        for first_row in (0..self.filters.len()).step_by(cut.rows) {
            for first_column in (0..self.channels).step_by(cut.columns) {
                let band = [(first_row / cut.rows) as f64, (first_column / cut.columns) as f64];
                let at = [
                    left + band[0] * (LEFT + cut.columns as f64 * cut.cell + GAP) + LEFT,
                    top + HEAD + band[1] * (TOP + cut.rows as f64 * cut.cell + GAP) + TOP,
                ];
                self.band(out, at, cut, [first_row, first_column]);
            }
        }
    }
    fn band(&self, out: &mut String, [x, y]: [f64; 2], cut: Cut, [first_row, first_column]: [usize; 2]) {
        let rows = cut.rows.min(self.filters.len() - first_row);
        let columns = cut.columns.min(self.channels - first_column);
        let (w, h) = (columns as f64 * cut.cell, rows as f64 * cut.cell);
        let values: Vec<f32> = (first_row..first_row + rows)
            .flat_map(|r| self.values.iter().skip(r * self.channels + first_column).take(columns).copied())
            .collect();
        let Some(picture) = heat(&values, [rows, columns], self.extent, Scale::Diverging) else { return };
        image(out, &picture, [x, y], [w, h], cut.cell >= 1.0);
        for i in (0..rows).step_by(step(cut.cell, 15.0)) {
            let at = y + (i as f64 + 0.5) * cut.cell;
            let number = self.filters[first_row + i];
            let _ = writeln!(
                out,
                "<path class=\"a\" d=\"M{:.1} {at:.1}h4\"/><text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{number}</text>",
                x - 4.0,
                x - 7.0,
                at + 3.6
            );
        }
        for i in (0..columns).step_by(step(cut.cell, 34.0)) {
            let at = x + (i as f64 + 0.5) * cut.cell;
            let _ = writeln!(
                out,
                "<path class=\"a\" d=\"M{at:.1} {:.1}v4\"/><text class=\"x\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
                y - 4.0,
                y - 7.0,
                first_column + i
            );
        }
    }
}

fn image(out: &mut String, p: &Picture, [x, y]: [f64; 2], [w, h]: [f64; 2], squares: bool) {
    let class = if squares { " class=\"p\"" } else { "" };
    let _ = writeln!(
        out,
        "<image{class} x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" preserveAspectRatio=\"none\" href=\"{}\"/>\
         <rect class=\"a\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\"/>",
        p.to_uri()
    );
}

/// Cells from one number to the next, a power of two, so that numbers are at least so far apart.
fn step(cell: f64, apart: f64) -> usize {
    (0..40).map(|k| 1usize << k).find(|&n| n as f64 * cell >= apart).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, channels: usize) -> WeightMatrix {
        let values = (0..rows * channels).map(|i| (i % 7) as f32 - 3.0).collect();
        WeightMatrix { filters: (0..rows).collect(), channels, values, extent: 3.0 }
    }

    #[test]
    fn long_matrices_are_cut_into_bands() {
        // In one piece 256 × 16 cells would be 3 units large, a strip of 48.
        for m in [matrix(256, 16), matrix(16, 256)] {
            let cut = m.cut();
            assert!(cut.cell >= 10.0, "{cut:?}");
            let [w, h] = m.size();
            assert!(w <= WIDTH && h <= HEIGHT + HEAD && w.min(h) > 300.0, "{w} {h}");
        }
        assert_eq!(matrix(4, 6).cut(), Cut { rows: 4, columns: 6, cell: CELL });
        let large = matrix(2048, 1000).size();
        assert!(large[0] <= WIDTH && large[1] <= HEIGHT + HEAD, "{large:?}");
        assert!(WeightMatrix::default().size()[1] > 0.0);
    }

    #[test]
    fn rows_and_columns_have_their_numbers() {
        let m = WeightMatrix { filters: vec![7, 2, 31], ..matrix(3, 4) };
        let mut out = String::new();
        m.draw(&mut out, [0.0, 0.0]);
        for part in [">7</text>", ">2</text>", ">31</text>", ">input channel →<", ">filter ↓<", ">−3<"] {
            assert!(out.contains(part), "{part} in {out}");
        }
        // A band goes on with the numbers of its own first row or column.
        let long = matrix(16, 256);
        let mut out = String::new();
        long.draw(&mut out, [0.0, 0.0]);
        let cut = long.cut();
        assert_eq!(out.matches("<image").count(), 1 + 256usize.div_ceil(cut.columns));
        assert!(cut.columns < 256 && out.contains(&format!(">{}</text>", cut.columns)), "{out}");
        assert_eq!((step(22.0, 15.0), step(3.0, 34.0)), (1, 16));
    }
}
