//! Max pooling with switches, average pooling, and their adjoints. A plane is one channel of one image.

use super::index::{each_index, taps};
use gabor_tensor::{PoolDivisor, Real, Window};

/// The largest element under each window: x `[planes, input…]` to y `[planes, output…]`.
///
/// `switches` (as y) receives where it was: the flat index in the input plane of the first largest element in scan
/// order. NaN counts as largest. A window that lies wholly in padding gives −∞ and switch −1.
pub fn max_pool<R: Real>(window: &Window, planes: usize, x: &[R], y: &mut [R], switches: &mut [i32]) {
    let (xl, yl) = (window.input_len(), window.output_len());
    let taps = taps(window);
    y.fill(R::NEG_INFINITY);
    switches.fill(-1);
    for p in 0..planes {
        for t in &taps {
            let v = x[p * xl + t.i];
            let (best, switch) = (&mut y[p * yl + t.o], &mut switches[p * yl + t.o]);
            let wins = v > *best || (is_nan(v) && !is_nan(*best));
            if wins || *switch < 0 {
                *best = v;
                *switch = t.i as i32;
            }
        }
    }
}

fn is_nan<R: Real>(v: R) -> bool {
    v.partial_cmp(&v).is_none()
}

/// The gradient of [`max_pool`]: each `dy` goes to the element that its switch names, overlapping windows add up.
/// dy `[planes, output…]` to dx `[planes, input…]`.
pub fn max_unpool<R: Real>(window: &Window, planes: usize, dy: &[R], switches: &[i32], dx: &mut [R]) {
    let (xl, yl) = (window.input_len(), window.output_len());
    dx.fill(R::ZERO);
    for p in 0..planes {
        for o in p * yl..(p + 1) * yl {
            if let Ok(i) = usize::try_from(switches[o]) {
                dx[p * xl + i] += dy[o];
            }
        }
    }
}

/// The element that each switch names, 0 for switch −1: the adjoint of [`max_unpool`].
/// x `[planes, input…]` to y `[planes, output…]`.
pub fn max_pool_gather<R: Real>(window: &Window, planes: usize, x: &[R], switches: &[i32], y: &mut [R]) {
    let (xl, yl) = (window.input_len(), window.output_len());
    for p in 0..planes {
        for o in p * yl..(p + 1) * yl {
            y[o] = usize::try_from(switches[o]).map_or(R::ZERO, |i| x[p * xl + i]);
        }
    }
}

/// The sum under each window over its divisor: x `[planes, input…]` to y `[planes, output…]`.
pub fn avg_pool<R: Real>(window: &Window, planes: usize, divisor: PoolDivisor, x: &[R], y: &mut [R]) {
    let (xl, yl) = (window.input_len(), window.output_len());
    let (taps, by) = (taps(window), divisors(window, divisor));
    let mut sums = vec![0f64; yl];
    for p in 0..planes {
        sums.fill(0.0);
        for t in &taps {
            sums[t.o] += x[p * xl + t.i].to_f64();
        }
        for o in 0..yl {
            y[p * yl + o] = R::from_f64(sums[o] / by[o]);
        }
    }
}

/// The adjoint of [`avg_pool`]: dy `[planes, output…]` to dx `[planes, input…]`.
pub fn avg_pool_grad<R: Real>(window: &Window, planes: usize, divisor: PoolDivisor, dy: &[R], dx: &mut [R]) {
    let (xl, yl) = (window.input_len(), window.output_len());
    let (taps, by) = (taps(window), divisors(window, divisor));
    let mut sums = vec![0f64; xl];
    for p in 0..planes {
        sums.fill(0.0);
        for t in &taps {
            sums[t.i] += dy[p * yl + t.o].to_f64() / by[t.o];
        }
        for i in 0..xl {
            dx[p * xl + i] = R::from_f64(sums[i]);
        }
    }
}

/// What the sum of each window is divided by; 1 where a window has no element to count.
pub(crate) fn divisors(window: &Window, divisor: PoolDivisor) -> Vec<f64> {
    let mut list = Vec::with_capacity(window.output_len());
    each_index(&window.output(), |at| {
        let counted = |count: &dyn Fn(&gabor_tensor::Axis, usize, usize) -> bool| -> usize {
            window.axes().iter().zip(at).map(|(a, &o)| (0..a.kernel).filter(|&k| count(a, o, k)).count()).product()
        };
        let n = match divisor {
            PoolDivisor::CountIncludePad => counted(&|a, o, k| a.in_padded(o, k)),
            PoolDivisor::CountExcludePad => counted(&|a, o, k| a.index(o, k).is_some()),
            PoolDivisor::One => 1,
        };
        list.push(n.max(1) as f64);
    });
    list
}
