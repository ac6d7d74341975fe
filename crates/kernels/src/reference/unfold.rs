//! im2col and its adjoint.

use super::index::taps;
use gabor_tensor::{Real, Window};

/// im2col: x `[n, c, input…]` to columns `[n, c·kernel_len, output_len]`, rows ordered by channel, then by kernel
/// element, as in `torch.nn.functional.unfold`. Padding is zero.
pub fn unfold<R: Real>(window: &Window, n: usize, c: usize, x: &[R], cols: &mut [R]) {
    let (xl, kl, yl) = (window.input_len(), window.kernel_len(), window.output_len());
    let taps = taps(window);
    cols.fill(R::ZERO);
    for plane in 0..n * c {
        for t in &taps {
            cols[(plane * kl + t.k) * yl + t.o] = x[plane * xl + t.i];
        }
    }
}

/// The adjoint of [`unfold`]: every column element is added to the input element that it was copied from.
/// cols `[n, c·kernel_len, output_len]` to x `[n, c, input…]`.
pub fn fold<R: Real>(window: &Window, n: usize, c: usize, cols: &[R], x: &mut [R]) {
    let (xl, kl, yl) = (window.input_len(), window.kernel_len(), window.output_len());
    let taps = taps(window);
    let mut sums = vec![0f64; xl];
    for plane in 0..n * c {
        sums.fill(0.0);
        for t in &taps {
            sums[t.i] += cols[(plane * kl + t.k) * yl + t.o].to_f64();
        }
        for (x, &s) in x[plane * xl..][..xl].iter_mut().zip(&sums) {
            *x = R::from_f64(s);
        }
    }
}
