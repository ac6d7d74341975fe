//! Softmax and its logarithm along one dimension.

use gabor_tensor::Real;

/// `y = eˣ / Σ eˣ` along dimension `axis`, shifted by the maximum so that nothing overflows.
pub fn softmax<R: Real>(x: &[R], shape: &[usize], axis: usize, y: &mut [R]) {
    each_line(shape, axis, |at| {
        let (max, sum) = max_and_sum(x, &at);
        for &i in &at {
            y[i] = R::from_f64(Real::exp(x[i].to_f64() - max) / sum);
        }
    });
}

/// `y = x − ln Σ eˣ` along dimension `axis`.
pub fn log_softmax<R: Real>(x: &[R], shape: &[usize], axis: usize, y: &mut [R]) {
    each_line(shape, axis, |at| {
        let (max, sum) = max_and_sum(x, &at);
        for &i in &at {
            y[i] = R::from_f64(x[i].to_f64() - max - Real::ln(sum));
        }
    });
}

/// The largest element of a line (NaN if there is one) and the sum of the exponentials shifted by it.
fn max_and_sum<R: Real>(x: &[R], at: &[usize]) -> (f64, f64) {
    let line = || at.iter().map(|&i| x[i].to_f64());
    let max = line().fold(f64::NEG_INFINITY, |m, v| if v > m || v.is_nan() { v } else { m });
    (max, line().map(|v| Real::exp(v - max)).sum())
}

/// Calls `f` with the flat indices of every line along `axis`.
fn each_line(shape: &[usize], axis: usize, mut f: impl FnMut(Vec<usize>)) {
    let n = shape[axis];
    let (outer, inner): (usize, usize) = (shape[..axis].iter().product(), shape[axis + 1..].iter().product());
    for o in 0..outer {
        for i in 0..inner {
            f((0..n).map(|l| (o * n + l) * inner + i).collect());
        }
    }
}
