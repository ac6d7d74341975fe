//! Integrated gradients.

use super::{Attribution, Explainer, Method, summed};
use crate::{Backpropagation, Error, Result};
use gabor_tensor::Tensor;

/// The gradient's mean along the straight way from the baseline, by Gauss and Legendre's rule, times the difference.
pub(super) fn attribute(explainer: &mut Explainer, image: &Tensor, class: usize) -> Result<Attribution> {
    let (subject, o) = (explainer.subject.clone(), explainer.options.clone());
    let [c, height, width] = subject.input();
    let x = image.as_f32().map_err(|r| Error::new(subject.images_name(), r))?;
    let zeros = vec![0.0; x.len()];
    let base = o.baseline.as_deref().unwrap_or(&zeros);
    let back = explainer.back_to_images(Backpropagation::Plain)?;
    let points = gauss_legendre(o.steps);
    let mut mean = vec![0f64; x.len()];
    for chunk in points.chunks(o.batch) {
        let between = chunk.iter().flat_map(|&(at, _)| {
            let at = at as f32;
            base.iter().zip(x).map(move |(&b, &v)| b + at * (v - b))
        });
        let between = Tensor::f32(&[chunk.len(), c, height, width], between.collect());
        back.run(&between.map_err(|r| Error::new("baseline", r))?, class)?;
        for (gradient, &(_, weight)) in back.gradient(0)?.chunks_exact(x.len()).zip(chunk) {
            mean.iter_mut().zip(gradient).for_each(|(m, &g)| *m += weight * f64::from(g));
        }
    }
    let values: Vec<f32> =
        mean.iter().zip(x.iter().zip(base)).map(|(m, (&v, &b))| (m * f64::from(v - b)) as f32).collect();
    let mut score_of = |picture: &[f32]| -> Result<f32> {
        let picture = Tensor::f32(&[1, c, height, width], picture.to_vec()).map_err(|r| Error::new("baseline", r))?;
        back.run(&picture, class)?;
        Ok(back.scores()?[class])
    };
    let (score, nothing) = (score_of(x)?, score_of(base)?);
    let total: f64 = values.iter().map(|&v| f64::from(v)).sum();
    Ok(Attribution {
        method: Method::Integrated,
        class,
        score,
        layer: None,
        map: summed(&values, height * width),
        height,
        width,
        values: Some(values),
        gap: Some(total - f64::from(score - nothing)),
    })
}

/// Points in (0, 1) with weights that sum to 1: exact for polynomials up to degree 2n − 1. The points are the zeros of
/// Legendre's polynomial, found by Newton's method from Tricomi's guess.
fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let count = n as f64;
    let mut points: Vec<(f64, f64)> = (0..n)
        .map(|i| {
            let mut x = libm::cos(std::f64::consts::PI * (i as f64 + 0.75) / (count + 0.5));
            let mut slope = 1.0;
            for _ in 0..100 {
                let (value, derivative) = legendre(n, x);
                slope = derivative;
                let step = value / derivative;
                x -= step;
                if step.abs() < 1e-15 {
                    break;
                }
            }
            ((1.0 + x) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect();
    points.reverse();
    points
}

/// Legendre's polynomial of degree `n` and its derivative.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut p) = (1.0, x);
    for k in 2..=n {
        let k = k as f64;
        (before, p) = (p, ((2.0 * k - 1.0) * x * p - (k - 1.0) * before) / k);
    }
    if n == 0 {
        return (1.0, 0.0);
    }
    (p, n as f64 * (x * p - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_exact_for_polynomials() {
        for n in [1, 2, 5, 50, 51] {
            let points = gauss_legendre(n);
            assert!(points.windows(2).all(|p| p[0].0 < p[1].0));
            for degree in [0, 1, 2 * n - 1] {
                let sum: f64 = points.iter().map(|&(x, w)| w * x.powi(degree as i32)).sum();
                assert!((sum - 1.0 / (degree as f64 + 1.0)).abs() < 1e-13, "{n}, x^{degree}: {sum}");
            }
        }
    }
}
