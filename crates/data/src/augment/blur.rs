//! Gaussian blur and Gaussian noise.

use super::field::gaussian;
use gabor_tensor::Stream;

/// Memory of blur and noise.
#[derive(Default)]
pub(super) struct Buffers {
    kernel: Vec<f32>,
    line: Vec<f32>,
    rows: Vec<f32>,
    sum: Vec<f32>,
    /// Middles of `QUANTILES` equally probable parts of the normal distribution.
    normal: Vec<f32>,
}

/// 2¹² values stand for the normal distribution: a third of a level's error at the largest deviations that matter, and
/// two draws from each random word.
const QUANTILES: usize = 1 << 12;

/// Convolves with a Gaussian of standard deviation `sigma` cut at `radius` pixels, and rounds; beyond the edges the picture
/// is reflected without repeating the edge (torchvision's `gaussian_blur` with `kernel_size` = 2 · radius + 1).
pub(super) fn blur(pixels: &mut [u8], [h, w]: [usize; 2], c: usize, sigma: f64, radius: usize, b: &mut Buffers) {
    let radius = radius.min(h - 1).min(w - 1);
    gaussian(sigma, radius, &mut b.kernel);
    let stride = w * c;
    b.rows.clear();
    b.rows.resize(pixels.len(), 0.0);
    b.line.clear();
    b.line.resize(stride + 2 * radius * c, 0.0);
    for (row, out) in pixels.chunks_exact(stride).zip(b.rows.chunks_exact_mut(stride)) {
        for (o, &v) in b.line[radius * c..].iter_mut().zip(row) {
            *o = f32::from(v);
        }
        for i in 0..radius {
            for k in 0..c {
                b.line[i * c + k] = f32::from(row[(radius - i) * c + k]);
                b.line[(radius + w + i) * c + k] = f32::from(row[(w - 2 - i) * c + k]);
            }
        }
        for (k, &weight) in b.kernel.iter().enumerate() {
            for (o, &v) in out.iter_mut().zip(&b.line[k * c..]) {
                *o += weight * v;
            }
        }
    }
    for (y, out) in pixels.chunks_exact_mut(stride).enumerate() {
        b.sum.clear();
        b.sum.resize(stride, 0.5);
        for (k, &weight) in b.kernel.iter().enumerate() {
            let from = (y + k).abs_diff(radius);
            let from = if from >= h { 2 * (h - 1) - from } else { from };
            for (s, &v) in b.sum.iter_mut().zip(&b.rows[from * stride..][..stride]) {
                *s += weight * v;
            }
        }
        for (o, &s) in out.iter_mut().zip(&b.sum) {
            *o = s as u8;
        }
    }
}

/// Adds normal noise of standard deviation `std` levels to every value, and rounds.
pub(super) fn noise(pixels: &mut [u8], std: f64, s: &mut Stream, b: &mut Buffers) {
    if b.normal.is_empty() {
        b.normal.extend((0..QUANTILES).map(|i| quantile((i as f64 + 0.5) / QUANTILES as f64) as f32));
    }
    let std = std as f32;
    for pair in pixels.chunks_mut(2) {
        let word = s.next_u32() as usize;
        for (i, v) in pair.iter_mut().enumerate() {
            let z = b.normal[word >> (16 * i) & (QUANTILES - 1)];
            *v = (f32::from(*v) + std * z + 0.5) as u8;
        }
    }
}

/// The normal distribution's value below which a part `p` lies, by bisection.
fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-9.0, 9.0);
    for _ in 0..45 {
        let middle = 0.5 * (low + high);
        let below = 0.5 * libm::erfc(-middle * std::f64::consts::FRAC_1_SQRT_2) < p;
        (low, high) = if below { (middle, high) } else { (low, middle) };
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_normal() {
        let mut pixels = vec![128; 20_001];
        noise(&mut pixels, 20.0, &mut Stream::new(1, 2, 3, 4), &mut Buffers::default());
        let n = pixels.len() as f64;
        let mean = pixels.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let moment = |k: i32| pixels.iter().map(|&v| ((f64::from(v) - mean) / 20.0).powi(k)).sum::<f64>() / n;
        assert!((mean - 128.0).abs() < 0.5 && (moment(2) - 1.0).abs() < 0.03, "{mean} {}", moment(2));
        assert!(moment(3).abs() < 0.1 && (moment(4) - 3.0).abs() < 0.2, "{} {}", moment(3), moment(4));
        assert!((quantile(0.975) - 1.959964).abs() < 1e-6);
    }

    #[test]
    fn a_flat_picture_stays_flat_and_a_dot_spreads() {
        let mut b = Buffers::default();
        let mut flat = vec![77; 5 * 4 * 3];
        blur(&mut flat, [5, 4], 3, 2.0, 9, &mut b);
        assert_eq!(flat, vec![77; 60]);
        let mut dot = vec![0; 81];
        dot[40] = 255;
        blur(&mut dot, [9, 9], 1, 1.0, 3, &mut b);
        assert_eq!((dot[40], dot[41], dot[31], dot[49]), (41, 25, 25, 25));
    }
}
