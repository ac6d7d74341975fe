//! What keeps pictures calm: their distance from grey, and their variation from place to place.

/// Added to the square of a step, so that the variation has a gradient where nothing varies.
const SOFT: f32 = 1e-6;

/// Subtracts `weight` · mean (v − ½)² from what is maximised; its gradient from `d`. Returns the mean.
pub(crate) fn grey(pixels: &[f32], weight: f32, d: &mut [f32]) -> f64 {
    let each = 2.0 * weight / pixels.len() as f32;
    let mut sum = 0.0;
    for (d, &v) in d.iter_mut().zip(pixels) {
        *d -= each * (v - 0.5);
        sum += f64::from((v - 0.5) * (v - 0.5));
    }
    sum / pixels.len() as f64
}

/// Subtracts `weight` · total variation (Rudin, Osher, Fatemi 1992: the mean over all places of the length of the gradient)
/// from what is maximised; its gradient from `d`. Returns the variation.
pub(crate) fn variation(pixels: &[f32], [h, w]: [usize; 2], weight: f32, d: &mut [f32]) -> f64 {
    let each = weight / pixels.len() as f32;
    let mut sum = 0.0;
    for (p, d) in pixels.chunks_exact(h * w).zip(d.chunks_exact_mut(h * w)) {
        for y in 0..h {
            let row = y * w;
            for x in 0..w {
                let i = row + x;
                let right = if x + 1 < w { p[i + 1] - p[i] } else { 0.0 };
                let down = if y + 1 < h { p[i + w] - p[i] } else { 0.0 };
                let length = (right * right + down * down + SOFT).sqrt();
                sum += f64::from(length);
                let part = each / length;
                d[i] += part * (right + down);
                if x + 1 < w {
                    d[i + 1] -= part * right;
                }
                if y + 1 < h {
                    d[i + w] -= part * down;
                }
            }
        }
    }
    sum / pixels.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use gabor_tensor::{Stream, rng::op};

    #[test]
    fn gradients_are_those_of_the_values() {
        let mut s = Stream::new(3, 0, 0, op::TEST);
        let p: Vec<f32> = (0..2 * 4 * 5).map(|_| s.uniform() as f32).collect();
        let value = |p: &[f32]| (grey(p, 1.0, &mut [0.0; 40]), variation(p, [4, 5], 1.0, &mut [0.0; 40]));
        let (mut dg, mut dv) = (vec![0.0; 40], vec![0.0; 40]);
        grey(&p, 3.0, &mut dg);
        variation(&p, [4, 5], 3.0, &mut dv);
        for (i, (dg, dv)) in dg.iter().zip(&dv).enumerate() {
            let moved = |by: f32| {
                value(&p.iter().enumerate().map(|(j, v)| if i == j { v + by } else { *v }).collect::<Vec<_>>())
            };
            let (up, down) = (moved(1e-3), moved(-1e-3));
            let want = [(up.0 - down.0) / 2e-3, (up.1 - down.1) / 2e-3].map(|v| -3.0 * v as f32);
            assert!((dg - want[0]).abs() < 1e-4 && (dv - want[1]).abs() < 1e-3, "{i}: {want:?}");
        }
    }
}
