//! A picture moved, turned and scaled a little, linearly in its pixels, and the adjoint of that.
//!
//! What a unit wants must not depend on such small changes, so each step looks at another one: otherwise the optimum is a
//! fine pattern that no natural picture has (Mordvintsev et al. 2015; Olah et al. 2017).

use gabor_tensor::Stream;
use gabor_tensor::rng::op;

/// How much a picture may be moved, each evenly to both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shake {
    /// Rows and columns.
    pub(crate) jitter: f64,
    /// Degrees.
    pub(crate) rotate: f64,
    /// The factor lies between 1 − scale and 1 + scale.
    pub(crate) scale: f64,
}

impl Shake {
    pub(crate) const NONE: Shake = Shake { jitter: 0.0, rotate: 0.0, scale: 0.0 };

    /// The view of a step.
    pub(crate) fn draw(&self, seed: u64, step: u32, key: u32) -> View {
        let mut s = Stream::new(seed, step, key, op::USER + 1);
        let moved = [s.range(-self.jitter, self.jitter), s.range(-self.jitter, self.jitter)];
        let turn = s.range(-self.rotate, self.rotate).to_radians();
        let zoom = s.range(1.0 - self.scale, 1.0 + self.scale);
        let (sin, cos) = (libm::sin(turn) / zoom, libm::cos(turn) / zoom);
        View { matrix: [[cos, -sin], [sin, cos]], moved }
    }
}

/// Which place of the canvas a place of the view shows: `centre + matrix · (place − centre) + moved`, rows first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct View {
    pub(crate) matrix: [[f64; 2]; 2],
    pub(crate) moved: [f64; 2],
}

/// Between which four pixels a place lies.
#[derive(Clone, Copy, Default)]
struct Place {
    first: u32,
    /// Parts of the next row and column.
    part: [f32; 2],
}

/// The places of one view of a canvas; every channel is looked at through them.
pub(crate) struct Warp {
    from: [usize; 2],
    to: [usize; 2],
    places: Vec<Place>,
}

impl Warp {
    /// From a canvas to a view of these extents.
    pub(crate) fn new(from: [usize; 2], to: [usize; 2]) -> Self {
        Warp { from, to, places: vec![Place::default(); to[0] * to[1]] }
    }
    /// Looks elsewhere. Beyond its edges the canvas is mirrored.
    pub(crate) fn look(&mut self, view: &View) {
        let centre = |e: [usize; 2]| e.map(|n| (n as f64 - 1.0) / 2.0);
        let (to, from) = (centre(self.to), centre(self.from));
        let width = self.to[1];
        for (y, row) in self.places.chunks_exact_mut(width).enumerate() {
            for (x, place) in row.iter_mut().enumerate() {
                let d = [y as f64 - to[0], x as f64 - to[1]];
                let at = [0, 1].map(|i| {
                    let v = from[i] + view.matrix[i][0] * d[0] + view.matrix[i][1] * d[1] + view.moved[i];
                    between(v, self.from[i])
                });
                place.first = (at[0].0 * self.from[1] + at[1].0) as u32;
                place.part = [at[0].1, at[1].1];
            }
        }
    }
    /// How far the next row and column are.
    fn steps(&self) -> [usize; 2] {
        [if self.from[0] > 1 { self.from[1] } else { 0 }, usize::from(self.from[1] > 1)]
    }
    /// One channel as it is seen, each value times `gain` plus `offset`.
    pub(crate) fn see(&self, canvas: &[f32], [gain, offset]: [f32; 2], out: &mut [f32]) {
        let [down, right] = self.steps();
        for (o, p) in out.iter_mut().zip(&self.places) {
            let (i, [fy, fx]) = (p.first as usize, p.part);
            let line = |i: usize| canvas[i] + (canvas[i + right] - canvas[i]) * fx;
            let (a, b) = (line(i), line(i + down));
            *o = (a + (b - a) * fy) * gain + offset;
        }
    }
    /// The adjoint: adds the gradient by the canvas from that by the view.
    pub(crate) fn pull(&self, d: &[f32], gain: f32, canvas: &mut [f32]) {
        let [down, right] = self.steps();
        for (d, p) in d.iter().zip(&self.places) {
            let (i, [fy, fx]) = (p.first as usize, p.part);
            let d = d * gain;
            let (a, b) = (d * (1.0 - fy), d * fy);
            canvas[i] += a * (1.0 - fx);
            canvas[i + right] += a * fx;
            canvas[i + down] += b * (1.0 - fx);
            canvas[i + down + right] += b * fx;
        }
    }
}

/// The element before a coordinate and the part of the way to the next, mirrored at the first and last element.
fn between(v: f64, n: usize) -> (usize, f32) {
    if n == 1 {
        return (0, 0.0);
    }
    let last = (n - 1) as f64;
    let mut v = v;
    if !(0.0..=last).contains(&v) {
        let around = v.rem_euclid(2.0 * last);
        v = around.min(2.0 * last - around);
    }
    let first = (v as usize).min(n - 2);
    (first, (v - first as f64) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(n: usize, key: u32) -> Vec<f32> {
        let mut s = Stream::new(11, 0, key, op::TEST);
        (0..n).map(|_| s.normal() as f32).collect()
    }

    #[test]
    fn without_a_move_the_middle_is_seen() {
        let canvas: Vec<f32> = (0..30).map(|v| v as f32).collect();
        let mut w = Warp::new([5, 6], [3, 2]);
        w.look(&Shake::NONE.draw(1, 2, 3));
        let mut out = [0.0; 6];
        w.see(&canvas, [2.0, 1.0], &mut out);
        assert_eq!(out, [8.0, 9.0, 14.0, 15.0, 20.0, 21.0].map(|v| 2.0 * v + 1.0));
    }

    #[test]
    fn moves_follow_their_definition() {
        let canvas: Vec<f32> = (0..16).map(|v| v as f32).collect();
        let mut w = Warp::new([4, 4], [4, 4]);
        let mut out = [0.0; 16];
        // Half a column to the right; the last place lies half beyond the edge and is mirrored.
        w.look(&View { matrix: [[1.0, 0.0], [0.0, 1.0]], moved: [0.0, 0.5] });
        w.see(&canvas, [1.0, 0.0], &mut out);
        assert_eq!(out[..4], [0.5, 1.5, 2.5, 2.5]);
        // A quarter turn.
        w.look(&View { matrix: [[0.0, -1.0], [1.0, 0.0]], moved: [0.0, 0.0] });
        w.see(&canvas, [1.0, 0.0], &mut out);
        assert_eq!(out[..4], [12.0, 8.0, 4.0, 0.0]);
        assert_eq!(between(-1.25, 4), (1, 0.25));
        assert_eq!(between(4.0, 4), (2, 0.0));
        assert_eq!(between(100.0, 2).0, 0);
    }

    #[test]
    fn the_way_back_is_the_adjoint() {
        let shake = Shake { jitter: 3.0, rotate: 40.0, scale: 0.4 };
        for (from, to) in [([9, 7], [8, 8]), ([1, 5], [4, 4]), ([6, 1], [3, 3]), ([20, 28], [16, 24])] {
            let mut w = Warp::new(from, to);
            for step in 0..5 {
                w.look(&shake.draw(5, step, 0));
                let (canvas, d) = (normal(from[0] * from[1], step), normal(to[0] * to[1], 9 + step));
                let (mut seen, mut back) = (vec![0.0; d.len()], vec![0.0; canvas.len()]);
                w.see(&canvas, [1.7, 0.0], &mut seen);
                w.pull(&d, 1.7, &mut back);
                let dot =
                    |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum() };
                let (one, other) = (dot(&seen, &d), dot(&canvas, &back));
                assert!((one - other).abs() < 1e-5 * (1.0 + one.abs()), "{from:?} {to:?}: {one} and {other}");
            }
        }
    }
}
