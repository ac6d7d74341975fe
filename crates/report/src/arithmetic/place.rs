//! Where the parts of the picture stand.

use super::ConvAnimation;
use crate::words::LETTER;

pub const MARGIN: f64 = 28.0;
/// Height of a caption above its grid.
const CAPTION: f64 = 26.0;
const GAP: f64 = 44.0;
/// A line of a sum.
pub const LINE: f64 = 21.0;
/// Most lines of a sum; a longer one is cut.
pub const MOST_LINES: usize = 5;
const HEAD: f64 = 40.0;
const SUM_SIZE: f64 = 15.0;

/// Left top corners, and the extents of all.
pub struct Places {
    /// Side of a cell.
    pub cell: f64,
    pub input: [f64; 2],
    pub filter: [f64; 2],
    pub given: [f64; 2],
    pub output: [f64; 2],
    /// The first line of the sum, and the letters that a line holds.
    pub sum: [f64; 2],
    pub letters: usize,
    /// The legend.
    pub legend: [f64; 2],
    pub width: f64,
    pub height: f64,
}

/// Whether the parts stand below each other: one dimension.
pub fn flat(a: &ConvAnimation) -> bool {
    a.extents[0] == 1 && a.output.rows == 1
}

pub fn places(a: &ConvAnimation) -> Places {
    let [rows, columns] = a.extents;
    let longest = a.lines.iter().map(|l| l.chars().count() as f64 * 13.0).fold(0.0, f64::max);
    let words = (a.title.chars().count() as f64 * 20.0).max(longest) * LETTER;
    // Long numbers make cells larger where there is room, so that they can be read.
    let numbers = a.cells.iter().map(|c| &c.text).chain(&a.output.numbers).chain(&a.filter.numbers);
    let longest = numbers.map(|t| t.chars().count()).max().unwrap_or(1) as f64;
    let largest = (longest * 0.62 * 10.5 + 5.0).clamp(46.0, 64.0);
    let cell = |at_most: f64| {
        let at_most = at_most * largest / 46.0;
        (at_most / columns.max(rows) as f64).clamp(24.0, largest).floor()
    };
    let top = MARGIN + HEAD + 20.0 * a.lines.len() as f64 + 14.0;
    // Captions of narrow grids need more room than the grids.
    let wide = |columns: usize, cell: f64, caption: &str| {
        (columns as f64 * cell).max(caption.chars().count() as f64 * 13.0 * LETTER + 4.0)
    };
    let lines = sum_lines(a);
    if flat(a) {
        let cell = cell(1100.0);
        let given = if a.given.is_some() { CAPTION + cell + 18.0 } else { 0.0 };
        let input = [MARGIN, top + CAPTION];
        // The filter stands below the input, and moves along it.
        let filter = [MARGIN, input[1] + cell + 10.0];
        let output = [MARGIN, filter[1] + cell + 30.0 + CAPTION];
        let given_at = [MARGIN, output[1] + cell + 18.0 + CAPTION];
        let sum = [MARGIN, output[1] + cell + given + 34.0];
        let inner =
            wide(columns, cell, &a.caption).max(wide(a.output.columns, cell, &a.output.caption)).max(words).max(420.0);
        let letters = letters(inner);
        let legend = [MARGIN, sum[1] + lines(letters) as f64 * LINE + 6.0];
        let (width, height) = (inner + 2.0 * MARGIN, legend[1] + 12.0 + MARGIN);
        return Places { cell, input, filter, given: given_at, output, sum, letters, legend, width, height };
    }
    let cell = cell(460.0);
    let input = [MARGIN, top + CAPTION];
    let filter_wide = wide(a.filter.columns, cell, &a.filter.caption)
        .max(a.given.as_ref().map_or(0.0, |g| wide(g.columns, cell, &g.caption)));
    let high = rows as f64 * cell;
    let filters = a.filter.rows as f64 * cell + a.given.as_ref().map_or(0.0, |g| g.rows as f64 * cell + 18.0 + CAPTION);
    let body = high.max(filters).max(a.output.rows as f64 * cell);
    let filter = [input[0] + wide(columns, cell, &a.caption) + GAP, input[1]];
    let given = [filter[0], filter[1] + a.filter.rows as f64 * cell + 18.0 + CAPTION];
    let output = [filter[0] + filter_wide + GAP, input[1]];
    let inner = (output[0] + wide(a.output.columns, cell, &a.output.caption) - MARGIN).max(words).max(360.0);
    let sum = [MARGIN, input[1] + body + 38.0];
    let letters = letters(inner);
    let legend = [MARGIN, sum[1] + lines(letters) as f64 * LINE + 6.0];
    let (width, height) = (inner + 2.0 * MARGIN, legend[1] + 12.0 + MARGIN);
    Places { cell, input, filter, given, output, sum, letters, legend, width, height }
}

fn letters(width: f64) -> usize {
    (width / (SUM_SIZE * LETTER)).max(24.0) as usize
}

/// The most lines that a sum takes, by the letters of a line.
fn sum_lines(a: &ConvAnimation) -> impl Fn(usize) -> usize + '_ {
    |letters| a.steps.iter().map(|s| broken(&s.terms, &s.output, letters).len()).max().unwrap_or(1)
}

/// A sum in lines: broken before a plus sign, cut where it is too long.
pub fn broken(terms: &[String], output: &[String; 2], letters: usize) -> Vec<String> {
    let mut lines = vec![format!("{} = ", output[0])];
    let end = format!(" = {}", output[1]);
    for (i, term) in terms.iter().enumerate() {
        let piece = if i == 0 { term.clone() } else { format!(" + {term}") };
        let room = letters - if i + 1 == terms.len() { end.chars().count().min(letters / 2) } else { 0 };
        let line = lines.last().map_or(0, |l| l.chars().count());
        if line + piece.chars().count() <= room {
            lines.iter_mut().next_back().into_iter().for_each(|l| l.push_str(&piece));
        } else if lines.len() == MOST_LINES {
            // What does not fit is said as a number of products.
            lines.iter_mut().next_back().into_iter().for_each(|l| {
                let left = format!(" + … {} more", terms.len() - i);
                while l.chars().count() + left.chars().count() + end.chars().count() > letters && l.contains(" + ") {
                    l.truncate(l.rfind(" + ").unwrap_or(0));
                }
                l.push_str(" + …");
            });
            break;
        } else {
            lines.push(format!("    {}", piece.trim_start()));
        }
    }
    lines.iter_mut().next_back().into_iter().for_each(|l| l.push_str(&end));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_broken_before_plus_signs() {
        let terms: Vec<String> = (0..6).map(|i| format!("{i}·2")).collect();
        let output = ["y[0]".to_string(), "30".to_string()];
        assert_eq!(broken(&terms, &output, 80), ["y[0] = 0·2 + 1·2 + 2·2 + 3·2 + 4·2 + 5·2 = 30"]);
        assert_eq!(
            broken(&terms, &output, 24),
            ["y[0] = 0·2 + 1·2 + 2·2", "    + 3·2 + 4·2", "    + 5·2 = 30"].map(String::from).to_vec()
        );
        let many: Vec<String> = (0..90).map(|i| format!("{i}·2")).collect();
        let lines = broken(&many, &output, 30);
        assert_eq!(lines.len(), MOST_LINES);
        assert!(lines[4].ends_with(" + … = 30") && lines.iter().all(|l| l.chars().count() <= 30), "{lines:?}");
    }
}
