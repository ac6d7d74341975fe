//! Principal components: the directions in which features differ most.

use super::Features;
use crate::{Error, Result};
use gabor_tensor::{Rule, Stream, rng::op, symmetric_eigen};

/// What [`principal`] finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Components {
    /// Every picture in the coordinates of the components, `count` rows.
    pub places: Vec<Vec<f64>>,
    /// The components, of length 1 and at right angles; the sign is the one with which the largest number is positive.
    pub directions: Vec<Vec<f64>>,
    /// The part of all variance that each component has; zeros where there is none.
    pub explained: Vec<f64>,
}

/// Widest features whose covariance is taken apart as a whole.
const WHOLE: usize = 96;
/// Directions beside the wanted ones that are followed, so that the wanted ones come out sharply.
const BESIDE: usize = 10;
const ROUNDS: usize = 200;

/// The first `count` principal components. Narrow features by the eigenvectors of their covariance, wide ones by subspace
/// iteration on it (Halko, Martinsson and Tropp 2011) until the wanted ones stand still. Nothing is left to chance: the
/// same bits for any number of threads.
///
/// # Errors
/// No features, more components than features are wide.
pub fn principal(features: Features<'_>, count: usize) -> Result<Components> {
    let (n, width) = (features.count(), features.width());
    if n == 0 || count > width {
        let rule = Rule::new(format!("{count} principal components of {n} features of {width} numbers"));
        return Err(Error::new("features", rule.right(format!("at most {width}, of at least one feature"))));
    }
    let mut mean = vec![0.0; width];
    (0..n).for_each(|i| mean.iter_mut().zip(features.row(i)).for_each(|(m, &v)| *m += f64::from(v)));
    mean.iter_mut().for_each(|m| *m /= n as f64);
    let centred = |i: usize| features.row(i).iter().zip(&mean).map(|(&v, m)| f64::from(v) - m);
    let total: f64 = (0..n).flat_map(centred).map(|v| v * v).sum();
    let directions = if width <= WHOLE {
        let mut covariance = vec![0.0; width * width];
        let mut row = vec![0.0; width];
        for i in 0..n {
            row.iter_mut().zip(centred(i)).for_each(|(r, v)| *r = v);
            for a in 0..width {
                let own = row[a];
                covariance[a * width..][..width].iter_mut().zip(&row).for_each(|(c, v)| *c += own * v);
            }
        }
        symmetric_eigen(&covariance, width).into_iter().take(count).map(|p| p.1).collect()
    } else {
        iterated(features, &mean, count)
    };
    let places: Vec<Vec<f64>> = (0..n)
        .map(|i| directions.iter().map(|d: &Vec<f64>| centred(i).zip(d).map(|(v, d)| v * d).sum()).collect())
        .collect();
    let variance = |c: usize| places.iter().map(|p| p[c] * p[c]).sum::<f64>();
    let explained = (0..count).map(|c| if total > 0.0 { variance(c) / total } else { 0.0 }).collect();
    Ok(Components { places, directions, explained })
}

/// Subspace iteration with a Rayleigh–Ritz step a round.
fn iterated(features: Features<'_>, mean: &[f64], count: usize) -> Vec<Vec<f64>> {
    let width = features.width();
    let kept = (count + BESIDE).min(width);
    let mut stream = Stream::new(0, 0, 0, op::USER);
    let mut basis: Vec<Vec<f64>> = (0..kept).map(|_| (0..width).map(|_| stream.normal()).collect()).collect();
    orthonormal(&mut basis);
    let mut before: Vec<f64> = Vec::new();
    for _ in 0..ROUNDS {
        let mut next = vec![vec![0.0; width]; kept];
        let mut row = vec![0.0; width];
        for i in 0..features.count() {
            row.iter_mut().zip(features.row(i)).zip(mean).for_each(|((r, &v), m)| *r = f64::from(v) - m);
            for (b, out) in basis.iter().zip(&mut next) {
                let along = dot(&row, b);
                out.iter_mut().zip(&row).for_each(|(o, r)| *o += along * r);
            }
        }
        let small: Vec<f64> = basis.iter().flat_map(|b| next.iter().map(move |n| dot(b, n))).collect();
        let pairs = symmetric_eigen(&symmetric(small, kept), kept);
        // Where the iteration goes on from: the images of the directions found so far.
        let turned = |of: &[Vec<f64>], weights: &[f64]| -> Vec<f64> {
            (0..width).map(|j| of.iter().zip(weights).map(|(v, w)| v[j] * w).sum()).collect()
        };
        let values: Vec<f64> = pairs.iter().take(count).map(|p| p.0).collect();
        let done = before.len() == values.len()
            && before.iter().zip(&values).all(|(a, b)| (a - b).abs() <= 1e-12 * values[0].abs());
        before = values;
        basis = pairs.iter().map(|(_, w)| if done { turned(&basis, w) } else { turned(&next, w) }).collect();
        orthonormal(&mut basis);
        if done {
            break;
        }
    }
    basis.truncate(count);
    for b in &mut basis {
        let largest = b.iter().copied().fold(0.0, |m: f64, x| if x.abs() > m.abs() { x } else { m });
        if largest < 0.0 {
            b.iter_mut().for_each(|x| *x = -*x);
        }
    }
    basis
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The same matrix without the rounding that makes it uneven.
fn symmetric(m: Vec<f64>, n: usize) -> Vec<f64> {
    (0..n * n).map(|i| (m[i] + m[i % n * n + i / n]) / 2.0).collect()
}

/// Makes vectors orthonormal, twice by Gram and Schmidt. One that is left with nothing becomes zero.
fn orthonormal(vectors: &mut [Vec<f64>]) {
    for i in 0..vectors.len() {
        let (before, rest) = vectors.split_at_mut(i);
        let v = &mut rest[0];
        let whole = dot(v, v).sqrt();
        for _ in 0..2 {
            for b in before.iter() {
                let along = dot(v, b);
                v.iter_mut().zip(b).for_each(|(x, y)| *x -= along * y);
            }
        }
        let length = dot(v, v).sqrt();
        let factor = if length > whole * 1e-12 && length > 0.0 { 1.0 / length } else { 0.0 };
        v.iter_mut().for_each(|x| *x *= factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Features of rank three with known directions, narrow and wide.
    #[test]
    fn known_components_come_out() {
        for width in [7, 300] {
            let mut stream = Stream::new(1, 0, 0, op::TEST);
            let n = 60;
            let at = |c: usize, j: usize| if j % 3 == c { 1.0 } else { 0.0 };
            let lengths: Vec<f64> = (0..3).map(|c| (0..width).map(|j| at(c, j)).sum::<f64>().sqrt()).collect();
            let mut values = Vec::new();
            for _ in 0..n {
                let z: Vec<f64> = [9.0, 3.0, 1.0].iter().map(|s| s * stream.normal()).collect();
                values.extend((0..width).map(|j| (5.0 + (0..3).map(|c| z[c] * at(c, j)).sum::<f64>()) as f32));
            }
            let found = principal(Features::new(&values, width).unwrap(), 2).unwrap();
            for (c, d) in found.directions.iter().enumerate() {
                assert!((dot(d, d) - 1.0).abs() < 1e-9);
                let along: f64 = (0..width).map(|j| d[j] * at(c, j) / lengths[c]).sum();
                assert!(along > 0.97, "{width}, component {c}: {along}");
            }
            assert!(dot(&found.directions[0], &found.directions[1]).abs() < 1e-9);
            assert!(found.explained[0] > 0.7 && found.explained.iter().sum::<f64>() < 1.0, "{:?}", found.explained);
        }
        let same = principal(Features::new(&[2.0; 12], 3).unwrap(), 2).unwrap();
        assert_eq!(same.explained, [0.0, 0.0]);
        assert!(principal(Features::new(&[2.0; 12], 1).unwrap(), 2).is_err());
    }
}
