//! Lines of equal height, by marching squares.

use std::collections::HashMap;

/// Heights on a grid: `x.len()` columns, `y.len()` rows.
pub struct Grid<'a> {
    pub x: &'a [f64],
    pub y: &'a [f64],
    pub heights: &'a [f64],
}

/// Where a line crosses a side of a cell: its left lower corner in the grid, and whether the side goes upwards. Two cells
/// share it, so that pieces of a line are joined without comparing numbers.
type Side = (usize, usize, bool);

impl Grid<'_> {
    /// The lines of a height: places in their order; a closed line ends where it began.
    pub fn lines(&self, level: f64) -> Vec<Vec<[f64; 2]>> {
        let pieces = self.pieces(level);
        let mut at: HashMap<Side, Vec<usize>> = HashMap::new();
        for (i, (a, b)) in pieces.iter().enumerate() {
            at.entry(*a).or_default().push(i);
            at.entry(*b).or_default().push(i);
        }
        let mut used = vec![false; pieces.len()];
        let mut out = Vec::new();
        // Ends of open lines first, so that these are not begun in their middle.
        let is_end = |s: &Side| at.get(s).is_some_and(|p| p.len() == 1);
        let (open, closed): (Vec<usize>, Vec<usize>) =
            (0..pieces.len()).partition(|&i| is_end(&pieces[i].0) || is_end(&pieces[i].1));
        for first in open.into_iter().chain(closed) {
            if used[first] {
                continue;
            }
            used[first] = true;
            let (a, b) = pieces[first];
            let (from, mut to) = if is_end(&b) && !is_end(&a) { (b, a) } else { (a, b) };
            let mut line = vec![self.place(from, level), self.place(to, level)];
            while let Some(&next) = at.get(&to).and_then(|all| all.iter().find(|&&p| !used[p])) {
                used[next] = true;
                to = if pieces[next].0 == to { pieces[next].1 } else { pieces[next].0 };
                line.push(self.place(to, level));
            }
            out.push(line);
        }
        out
    }
    fn height(&self, i: usize, j: usize) -> f64 {
        self.heights[j * self.x.len() + i]
    }
    /// The pieces within cells.
    fn pieces(&self, level: f64) -> Vec<(Side, Side)> {
        let mut pieces = Vec::new();
        for j in 0..self.y.len().saturating_sub(1) {
            for i in 0..self.x.len().saturating_sub(1) {
                let corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)].map(|(i, j)| self.height(i, j) - level);
                if corners.iter().any(|h| !h.is_finite()) {
                    continue;
                }
                let sides = [(i, j, false), (i + 1, j, true), (i, j + 1, false), (i, j, true)];
                let crossed: Vec<Side> =
                    (0..4).filter(|&c| (corners[c] < 0.0) != (corners[(c + 1) % 4] < 0.0)).map(|c| sides[c]).collect();
                match crossed[..] {
                    [a, b] => pieces.push((a, b)),
                    // A saddle within the cell: its middle decides which corners belong together.
                    [a, b, c, d] => {
                        let middle = corners.iter().sum::<f64>() < 0.0;
                        if middle == (corners[0] < 0.0) {
                            pieces.extend([(a, b), (c, d)]);
                        } else {
                            pieces.extend([(a, d), (b, c)]);
                        }
                    }
                    _ => {}
                }
            }
        }
        pieces
    }
    /// Where the line crosses a side.
    fn place(&self, (i, j, up): Side, level: f64) -> [f64; 2] {
        let (k, l) = if up { (i, j + 1) } else { (i + 1, j) };
        let (a, b) = (self.height(i, j) - level, self.height(k, l) - level);
        let t = a / (a - b);
        [self.x[i] + t * (self.x[k] - self.x[i]), self.y[j] + t * (self.y[l] - self.y[j])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_bowl_are_circles() {
        let at: Vec<f64> = (0..81).map(|i| -1.0 + i as f64 / 40.0).collect();
        let heights: Vec<f64> = at.iter().flat_map(|y| at.iter().map(move |x| x * x + y * y)).collect();
        let bowl = Grid { x: &at, y: &at, heights: &heights };
        let lines = bowl.lines(0.25);
        assert_eq!(lines.len(), 1, "one closed line");
        assert!(lines[0].len() > 60 && lines[0].first() == lines[0].last());
        assert!(lines[0].iter().all(|p| (p[0].hypot(p[1]) - 0.5).abs() < 2e-3));
        // A circle beyond the border is four open arcs, each whole.
        let arcs = bowl.lines(1.5);
        assert_eq!(arcs.len(), 4);
        for a in arcs {
            let ends = [a[0], a[a.len() - 1]];
            assert!(
                ends.iter().all(|p| (p[0].abs() - 1.0).abs() < 1e-9 || (p[1].abs() - 1.0).abs() < 1e-9),
                "{ends:?}"
            );
        }
    }

    #[test]
    fn saddles_do_not_cross() {
        let at = [0.0, 1.0];
        let saddle = Grid { x: &at, y: &at, heights: &[-1.0, 1.0, 1.0, -1.0] };
        assert_eq!(saddle.lines(0.0).len(), 2);
        assert!(saddle.lines(5.0).is_empty());
        let holes = Grid { x: &at, y: &at, heights: &[-1.0, f64::NAN, 1.0, -1.0] };
        assert!(holes.lines(0.0).is_empty());
    }
}
