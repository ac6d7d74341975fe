//! A picture's plane as a sum of waves: the real inverse Fourier transform in two dimensions, and its adjoint.
//!
//! Waves are scaled by 1/frequency, as those of natural pictures are, so that one step of an optimiser moves coarse and fine
//! structure alike (Olah et al. 2017, "Feature Visualization", section "Preconditioning").

use gabor_tensor::Rule;
use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

/// Waves and plane of one size, with all the memory that a transform needs.
pub(crate) struct Fourier {
    height: usize,
    width: usize,
    /// What each wave is multiplied by, column by column: `[width/2 + 1, height]`.
    scale: Vec<f32>,
    up: [Arc<dyn Fft<f32>>; 2],
    down: [Arc<dyn Fft<f32>>; 2],
    columns: Vec<Complex32>,
    row: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Fourier {
    /// Waves of a plane; `decay` is the power of 1/frequency by which they are scaled.
    pub(crate) fn new(height: usize, width: usize, decay: f64) -> Self {
        let mut planner = FftPlanner::new();
        let up = [planner.plan_fft_inverse(height), planner.plan_fft_inverse(width)];
        let down = [planner.plan_fft_forward(height), planner.plan_fft_forward(width)];
        let half = width / 2 + 1;
        let lowest = 1.0 / height.max(width) as f64;
        // Lucid's numbers: its transform divides by h·w, then multiplies by √(h·w)/4.
        let all = 0.25 / ((height * width) as f64).sqrt();
        let frequency = |i: usize, n: usize| i.min(n - i) as f64 / n as f64;
        let scale = (0..half).flat_map(|x| (0..height).map(move |y| (y, x)));
        let scale = scale.map(|(y, x)| {
            let (fy, fx) = (frequency(y, height), frequency(x, width));
            (all * libm::pow((fy * fy + fx * fx).sqrt().max(lowest), -decay)) as f32
        });
        let scale: Vec<f32> = scale.collect();
        let zero = Complex32::new(0.0, 0.0);
        let room = up.iter().chain(&down).map(|f| f.get_inplace_scratch_len()).max().unwrap_or(0);
        let (columns, row) = (vec![zero; half * height], vec![zero; width]);
        Fourier { height, width, scale, up, down, columns, row, scratch: vec![zero; room] }
    }
    /// Numbers that say what a plane is: real and imaginary part of each wave, `[width/2 + 1, height, 2]`.
    pub(crate) fn len(&self) -> usize {
        2 * self.scale.len()
    }
    /// The plane of these waves.
    pub(crate) fn plane(&mut self, waves: &[f32], out: &mut [f32]) {
        for ((c, w), &s) in self.columns.iter_mut().zip(waves.as_chunks::<2>().0).zip(&self.scale) {
            *c = Complex32::new(w[0] * s, w[1] * s);
        }
        self.up[0].process_with_scratch(&mut self.columns, &mut self.scratch);
        let (h, w) = (self.height, self.width);
        // Two rows in one complex transform: one becomes the real part, the other the imaginary one.
        for (pair, rows) in out.chunks_mut(2 * w).enumerate() {
            let (y, two) = (2 * pair, rows.len() == 2 * w);
            for k in 0..=w / 2 {
                let a = self.columns[k * h + y];
                let b = if two { self.columns[k * h + y + 1] } else { Complex32::new(0.0, 0.0) };
                if k == 0 || 2 * k == w {
                    self.row[k] = Complex32::new(a.re, b.re);
                } else {
                    self.row[k] = Complex32::new(a.re - b.im, a.im + b.re);
                    self.row[w - k] = Complex32::new(a.re + b.im, b.re - a.im);
                }
            }
            self.up[1].process_with_scratch(&mut self.row, &mut self.scratch);
            let (first, second) = rows.split_at_mut(w);
            first.iter_mut().zip(&self.row).for_each(|(o, r)| *o = r.re);
            second.iter_mut().zip(&self.row).for_each(|(o, r)| *o = r.im);
        }
    }
    /// The adjoint: the gradient by the waves from that by the plane.
    pub(crate) fn pull(&mut self, plane: &[f32], out: &mut [f32]) {
        let (h, w) = (self.height, self.width);
        for (pair, rows) in plane.chunks(2 * w).enumerate() {
            let (y, two) = (2 * pair, rows.len() == 2 * w);
            for (x, r) in self.row.iter_mut().enumerate() {
                *r = Complex32::new(rows[x], if two { rows[w + x] } else { 0.0 });
            }
            self.down[1].process_with_scratch(&mut self.row, &mut self.scratch);
            for k in 0..=w / 2 {
                let (z, m) = (self.row[k], self.row[(w - k) % w].conj());
                // A wave and its mirror image are one number, but for those that are their own mirror image.
                let both = if k == 0 || 2 * k == w { 0.5 } else { 1.0 };
                self.columns[k * h + y] = (z + m) * both;
                if two {
                    let d = (z - m) * both;
                    self.columns[k * h + y + 1] = Complex32::new(d.im, -d.re);
                }
            }
        }
        self.down[0].process_with_scratch(&mut self.columns, &mut self.scratch);
        for ((c, o), &s) in self.columns.iter().zip(out.as_chunks_mut::<2>().0).zip(&self.scale) {
            *o = [c.re * s, c.im * s];
        }
    }
}

/// The smallest extent of at least `least`, odd or even as `parity`, that transforms fast: factors 2, 3, 5 and 7 alone.
pub(crate) fn fast_extent(least: usize, parity: usize) -> usize {
    let smooth = |mut n: usize| {
        for p in [2, 3, 5, 7] {
            while n.is_multiple_of(p) {
                n /= p;
            }
        }
        n == 1
    };
    (least.max(1)..).find(|&n| n % 2 == parity % 2 && smooth(n)).unwrap_or(least)
}

/// The error of a picture too large to transform.
pub(crate) fn too_large(height: usize, width: usize) -> Rule {
    Rule::new(format!("a picture of {height} × {width}")).right("at most 4096 × 4096")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gabor_tensor::{Stream, rng::op};

    fn normal(n: usize, key: u32) -> Vec<f32> {
        let mut s = Stream::new(7, 0, key, op::TEST);
        (0..n).map(|_| s.normal() as f32).collect()
    }

    /// By the definition: Σ over waves of Re(S·e^{iθ}), twice where a wave has a mirror image.
    #[test]
    fn a_plane_is_the_sum_of_its_waves() {
        for (h, w) in [(8, 8), (5, 6), (6, 5), (7, 7), (1, 4), (4, 1), (12, 10)] {
            let mut f = Fourier::new(h, w, 1.0);
            let waves = normal(f.len(), 1);
            let mut plane = vec![0.0; h * w];
            f.plane(&waves, &mut plane);
            for y in 0..h {
                for x in 0..w {
                    let mut sum = 0.0;
                    for k in 0..=w / 2 {
                        for j in 0..h {
                            let at = k * h + j;
                            let angle = std::f64::consts::TAU * ((j * y) as f64 / h as f64 + (k * x) as f64 / w as f64);
                            // Columns are transformed first; the imaginary part of what is left of a column that is its own
                            // mirror image is dropped.
                            let twice = if k == 0 || 2 * k == w { 1.0 } else { 2.0 };
                            let (re, im) = (f64::from(waves[2 * at]), f64::from(waves[2 * at + 1]));
                            sum += twice * f64::from(f.scale[at]) * (re * angle.cos() - im * angle.sin());
                        }
                    }
                    assert!((sum - f64::from(plane[y * w + x])).abs() < 1e-5, "{h}×{w} at {y}, {x}");
                }
            }
        }
    }

    #[test]
    fn the_way_back_is_the_adjoint() {
        for (h, w) in [(8, 8), (5, 6), (6, 5), (9, 7), (1, 1), (20, 28)] {
            let mut f = Fourier::new(h, w, 1.0);
            let (waves, d) = (normal(f.len(), 2), normal(h * w, 3));
            let (mut plane, mut back) = (vec![0.0; h * w], vec![0.0; f.len()]);
            f.plane(&waves, &mut plane);
            f.pull(&d, &mut back);
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
            let (one, other) = (dot(&plane, &d), dot(&waves, &back));
            assert!((one - other).abs() < 1e-5 * (1.0 + one.abs()), "{h}×{w}: {one} and {other}");
        }
    }

    #[test]
    fn extents_are_fast_and_keep_their_parity() {
        assert_eq!(
            [fast_extent(252, 224), fast_extent(34, 32), fast_extent(11, 9), fast_extent(1, 1)],
            [252, 36, 15, 1]
        );
    }
}
