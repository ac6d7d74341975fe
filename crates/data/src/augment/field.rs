//! Elastic distortion (Simard, Steinkraus and Platt 2003): random displacements, smoothed by a Gaussian.

use gabor_tensor::Stream;

/// A displacement in pixels for every pixel of a window.
#[derive(Default)]
pub(super) struct Field {
    size: [usize; 2],
    dx: Vec<f32>,
    dy: Vec<f32>,
    /// The Gaussian of standard deviation `sigma`.
    kernel: Vec<f32>,
    sigma: f64,
    line: Vec<f32>,
    between: Vec<f32>,
}

impl Field {
    /// Draws displacements uniform in ± 1, row by row, the one along x from the lower half of a random word and the one along
    /// y from the upper: sixteen bits are plenty for what is smoothed. Smooths them with a Gaussian of
    /// standard deviation `sigma` (zero beyond the edges, cut at 4 σ as SciPy's `gaussian_filter` does) and multiplies by
    /// `alpha`.
    pub fn fill(&mut self, size: [usize; 2], alpha: f64, sigma: f64, s: &mut Stream) {
        self.size = size;
        let count = size[0] * size[1];
        self.dx.clear();
        self.dy.clear();
        for _ in 0..count {
            let word = s.next_u32();
            let uniform = |half: u32| (half as f32 + 0.5) * (1.0 / 32768.0) - 1.0;
            self.dx.push(uniform(word & 0xFFFF));
            self.dy.push(uniform(word >> 16));
        }
        self.smooth(alpha, sigma);
    }
    /// Smooths and scales both displacements.
    fn smooth(&mut self, alpha: f64, sigma: f64) {
        let [h, w] = self.size;
        if self.sigma != sigma {
            gaussian(sigma, (4.0 * sigma + 0.5) as usize, &mut self.kernel);
            self.sigma = sigma;
        }
        for d in [&mut self.dx, &mut self.dy] {
            self.between.clear();
            self.between.resize(h * w, 0.0);
            // Each pass turns the picture over, so that both go along rows.
            smooth_rows(d, w, &self.kernel, &mut self.line, &mut self.between);
            smooth_rows(&self.between, h, &self.kernel, &mut self.line, d);
            d.iter_mut().for_each(|v| *v *= alpha as f32);
        }
    }
    /// The displacement at a place, bilinear between the centres of pixels, constant beyond the outermost.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let [h, w] = self.size;
        if !(x.is_finite() && y.is_finite()) {
            return (f64::NAN, f64::NAN);
        }
        let (u, v) = ((x - 0.5).clamp(0.0, (w - 1) as f64), (y - 0.5).clamp(0.0, (h - 1) as f64));
        let (i, j) = (u as usize, v as usize);
        let (fu, fv) = (u - i as f64, v - j as f64);
        let at = j * w + i;
        if fu == 0.0 && fv == 0.0 {
            return (f64::from(self.dx[at]), f64::from(self.dy[at]));
        }
        let (right, below) = (usize::from(i + 1 < w), if j + 1 < h { w } else { 0 });
        let mix = |d: &[f32]| {
            let row = |k: usize| f64::from(d[k]) * (1.0 - fu) + f64::from(d[k + right]) * fu;
            row(at) * (1.0 - fv) + row(at + below) * fv
        };
        (mix(&self.dx), mix(&self.dy))
    }
    /// A place that the field takes to (x, y): the fixed point of p = (x, y) − d(p).
    pub fn invert(&self, x: f64, y: f64) -> (f64, f64) {
        let (mut px, mut py) = (x, y);
        for i in 0..200 {
            let (dx, dy) = self.at(px, py);
            let (nx, ny) = (x - dx, y - dy);
            let moved = (nx - px).abs() + (ny - py).abs();
            // Half steps where whole ones run in circles.
            let part = if i < 20 { 1.0 } else { 0.5 };
            (px, py) = (px + part * (nx - px), py + part * (ny - py));
            if moved < 1e-6 {
                break;
            }
        }
        (px, py)
    }
}

/// The weights of a Gaussian at −radius ..= radius, with sum 1.
pub(super) fn gaussian(sigma: f64, radius: usize, out: &mut Vec<f32>) {
    let weight = |i: usize| {
        let d = i as f64 - radius as f64;
        if sigma > 0.0 { libm::exp(-0.5 * d * d / (sigma * sigma)) } else { f64::from(u8::from(d == 0.0)) }
    };
    let sum: f64 = (0..=2 * radius).map(weight).sum();
    out.clear();
    out.extend((0..=2 * radius).map(|i| (weight(i) / sum) as f32));
}

/// Convolves every row of `w` numbers, zeros beyond its ends, and writes it as a column of `out`.
fn smooth_rows(data: &[f32], w: usize, kernel: &[f32], line: &mut Vec<f32>, out: &mut [f32]) {
    /// Sums that are kept at a time: two vectors of the smallest processors.
    const SUMS: usize = 8;
    let (radius, h) = (kernel.len() / 2, data.len() / w);
    line.clear();
    line.resize(w.next_multiple_of(SUMS) + 2 * radius, 0.0);
    for (y, row) in data.chunks_exact(w).enumerate() {
        line[radius..radius + w].copy_from_slice(row);
        for x in (0..w).step_by(SUMS) {
            let mut sums = [0.0; SUMS];
            for (values, &weight) in line[x..].windows(SUMS).zip(kernel) {
                for (sum, &v) in sums.iter_mut().zip(values) {
                    *sum += weight * v;
                }
            }
            for (i, &sum) in sums.iter().enumerate().take(w - x) {
                out[(x + i) * h + y] = sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `elastic_goldens.txt`: σ, row, column and value of SciPy's `34 * gaussian_filter(d, σ, mode="constant")` with
    /// d = ((x · 7 + y · 13) % 11) / 5 − 1 on 12 rows × 16 columns.
    #[test]
    fn smoothing_is_scipys() {
        for line in include_str!("elastic_goldens.txt").lines() {
            let numbers: Vec<f64> = line.split(' ').map(|v| v.parse().unwrap()).collect();
            let &[sigma, y, x, want] = numbers.as_slice() else { panic!("{line}") };
            let mut f = Field { size: [12, 16], ..Default::default() };
            f.dx = (0..192).map(|i| ((i % 16 * 7 + i / 16 * 13) % 11) as f32 / 5.0 - 1.0).collect();
            f.dy = f.dx.clone();
            f.smooth(34.0, sigma);
            let got = f64::from(f.dx[y as usize * 16 + x as usize]);
            assert!((got - want).abs() < 1e-4, "{line}: {got}");
            assert_eq!(f.dx, f.dy);
        }
    }
}
