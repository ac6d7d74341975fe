//! Eigenvalues and eigenvectors of small symmetric matrices.

/// Sweeps after which the iteration ends in any case; ten are plenty for a hundred rows.
const SWEEPS: usize = 60;

/// The eigenvalues of a symmetric `n` × `n` matrix (row by row), largest first, each with its eigenvector of length 1.
/// Of a vector's two signs the one is taken with which its largest number is positive.
///
/// By Jacobi's rotations (1846): exact to the last bits for the small matrices of principal components, and the same
/// bits on every machine. Time n³ a sweep.
///
/// ```
/// let pairs = gabor_tensor::symmetric_eigen(&[2.0, 1.0, 1.0, 2.0], 2);
/// assert!((pairs[0].0 - 3.0).abs() < 1e-12 && (pairs[1].0 - 1.0).abs() < 1e-12);
/// assert!((pairs[0].1[0] - 0.5f64.sqrt()).abs() < 1e-12);
/// ```
///
/// # Panics
/// If `matrix` does not hold `n` · `n` numbers.
pub fn symmetric_eigen(matrix: &[f64], n: usize) -> Vec<(f64, Vec<f64>)> {
    assert_eq!(matrix.len(), n * n, "a matrix of {n} rows");
    let mut a = matrix.to_vec();
    let mut v = vec![0.0; n * n];
    for i in 0..n {
        v[i * n + i] = 1.0;
    }
    for _ in 0..SWEEPS {
        let beside: f64 = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i * n + j].powi(2)).sum();
        let all: f64 = a.iter().map(|x| x * x).sum();
        // A matrix with a NaN never becomes diagonal.
        if beside.is_nan() || beside <= all * 1e-30 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut v, n, p, q);
            }
        }
    }
    let mut pairs: Vec<(f64, Vec<f64>)> = (0..n).map(|i| (a[i * n + i], v[i * n..][..n].to_vec())).collect();
    pairs.sort_by(|x, y| y.0.total_cmp(&x.0));
    for (_, vector) in &mut pairs {
        let largest = vector.iter().copied().fold(0.0, |m: f64, x| if x.abs() > m.abs() { x } else { m });
        if largest < 0.0 {
            vector.iter_mut().for_each(|x| *x = -*x);
        }
    }
    pairs
}

/// Makes the element (p, q) zero; rows of `v` are the vectors so far.
fn rotate(a: &mut [f64], v: &mut [f64], n: usize, p: usize, q: usize) {
    let off = a[p * n + q];
    if off == 0.0 {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * off);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for k in 0..n {
        let (x, y) = (a[k * n + p], a[k * n + q]);
        (a[k * n + p], a[k * n + q]) = (c * x - s * y, s * x + c * y);
    }
    for k in 0..n {
        let (x, y) = (a[p * n + k], a[q * n + k]);
        (a[p * n + k], a[q * n + k]) = (c * x - s * y, s * x + c * y);
    }
    for k in 0..n {
        let (x, y) = (v[p * n + k], v[q * n + k]);
        (v[p * n + k], v[q * n + k]) = (c * x - s * y, s * x + c * y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stream;

    #[test]
    fn pairs_rebuild_the_matrix() {
        for n in [1, 2, 3, 12, 27] {
            let mut stream = Stream::new(n as u64, 0, 0, crate::rng::op::TEST);
            let mut m = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..=i {
                    let x = stream.normal();
                    (m[i * n + j], m[j * n + i]) = (x, x);
                }
            }
            let pairs = symmetric_eigen(&m, n);
            assert!(pairs.windows(2).all(|w| w[0].0 >= w[1].0));
            for i in 0..n {
                for j in 0..n {
                    let sum: f64 = pairs.iter().map(|(l, v)| l * v[i] * v[j]).sum();
                    assert!((sum - m[i * n + j]).abs() < 1e-12 * n as f64, "{n}: {i}, {j}: {sum}");
                    let dot: f64 = pairs[i].1.iter().zip(&pairs[j].1).map(|(x, y)| x * y).sum();
                    assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-12 * n as f64);
                }
            }
        }
    }

    #[test]
    fn ties_and_zeros_end() {
        assert!(symmetric_eigen(&[0.0; 16], 4).iter().all(|p| p.0 == 0.0));
        let same = symmetric_eigen(&[5.0, 0.0, 0.0, 5.0], 2);
        assert_eq!((same[0].0, same[1].0), (5.0, 5.0));
        assert!(symmetric_eigen(&[f64::NAN; 4], 2)[0].0.is_nan());
    }
}
