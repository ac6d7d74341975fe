//! Convolution (cross-correlation, as networks mean it) and its two gradients, over any number of spatial dimensions.
//!
//! Sizes: x `[n, ci, input…]`, w `[co, ci/groups, kernel…]`, y `[n, co, output…]`.

use super::index::taps;
use gabor_tensor::{ConvGeometry, Real};

/// `y[b, j, o] = Σ x[b, c, i(o, k)] · w[j, c, k]` over the channels `c` of `j`'s group and the taps `k`.
pub fn conv<R: Real>(g: &ConvGeometry, n: usize, x: &[R], w: &[R], y: &mut [R]) {
    let taps = taps(&g.window);
    let (xl, kl, yl) = (g.window.input_len(), g.window.kernel_len(), g.window.output_len());
    let mut sums = vec![0f64; yl];
    for b in 0..n {
        for j in 0..g.co {
            sums.fill(0.0);
            for (c, from) in channels_of(g, j).enumerate() {
                let x = &x[(b * g.ci + from) * xl..][..xl];
                let w = &w[(j * (g.ci / g.groups) + c) * kl..][..kl];
                for t in &taps {
                    sums[t.o] += x[t.i].to_f64() * w[t.k].to_f64();
                }
            }
            store(&sums, &mut y[(b * g.co + j) * yl..][..yl]);
        }
    }
}

/// `dx[b, c, i] = Σ dy[b, j, o] · w[j, c, k]` over all `(o, k)` that touch `i`: the adjoint of [`conv`] in x, and the
/// transposed convolution of `dy`.
pub fn conv_input_grad<R: Real>(g: &ConvGeometry, n: usize, dy: &[R], w: &[R], dx: &mut [R]) {
    let taps = taps(&g.window);
    let (xl, kl, yl) = (g.window.input_len(), g.window.kernel_len(), g.window.output_len());
    let (cig, cog) = (g.ci / g.groups, g.co / g.groups);
    let mut sums = vec![0f64; xl];
    for b in 0..n {
        for c in 0..g.ci {
            sums.fill(0.0);
            for j in c / cig * cog..(c / cig + 1) * cog {
                let dy = &dy[(b * g.co + j) * yl..][..yl];
                let w = &w[(j * cig + c % cig) * kl..][..kl];
                for t in &taps {
                    sums[t.i] += dy[t.o].to_f64() * w[t.k].to_f64();
                }
            }
            store(&sums, &mut dx[(b * g.ci + c) * xl..][..xl]);
        }
    }
}

/// `dw[j, c, k] = Σ x[b, c, i(o, k)] · dy[b, j, o]` over images `b` and outputs `o`: the adjoint of [`conv`] in w.
pub fn conv_filter_grad<R: Real>(g: &ConvGeometry, n: usize, x: &[R], dy: &[R], dw: &mut [R]) {
    let taps = taps(&g.window);
    let (xl, kl, yl) = (g.window.input_len(), g.window.kernel_len(), g.window.output_len());
    let mut sums = vec![0f64; kl];
    for j in 0..g.co {
        for (c, from) in channels_of(g, j).enumerate() {
            sums.fill(0.0);
            for b in 0..n {
                let x = &x[(b * g.ci + from) * xl..][..xl];
                let dy = &dy[(b * g.co + j) * yl..][..yl];
                for t in &taps {
                    sums[t.k] += x[t.i].to_f64() * dy[t.o].to_f64();
                }
            }
            store(&sums, &mut dw[(j * (g.ci / g.groups) + c) * kl..][..kl]);
        }
    }
}

/// The input channels that output channel `j` sees.
fn channels_of(g: &ConvGeometry, j: usize) -> std::ops::Range<usize> {
    let cig = g.ci / g.groups;
    let group = j / (g.co / g.groups);
    group * cig..(group + 1) * cig
}

fn store<R: Real>(sums: &[f64], out: &mut [R]) {
    for (y, &s) in out.iter_mut().zip(sums) {
        *y = R::from_f64(s);
    }
}
