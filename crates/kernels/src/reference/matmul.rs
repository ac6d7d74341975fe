//! Matrix product.

use crate::MatMul;
use gabor_tensor::Real;

/// `c[i] = op(a[i]) · op(b[i])` for each matrix `i` of the batch; see [`MatMul`] for the extents.
pub fn matmul<R: Real>(p: &MatMul, a: &[R], b: &[R], c: &mut [R]) {
    let (m, n, k) = (p.m, p.n, p.k);
    for i in 0..p.batch {
        for row in 0..m {
            for col in 0..n {
                let sum: f64 = (0..k)
                    .map(|l| {
                        let u = if p.transpose_a { l * m + row } else { row * k + l };
                        let v = if p.transpose_b { col * k + l } else { l * n + col };
                        a[i * m * k + u].to_f64() * b[i * k * n + v].to_f64()
                    })
                    .sum();
                c[(i * m + row) * n + col] = R::from_f64(sum);
            }
        }
    }
}
