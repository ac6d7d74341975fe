//! Pooling and its adjoints.
//!
//! Windows of 2 × 2 with stride 2 work on pairs of rows in registers. All other windows bring each input row into
//! [`rows`]: padded, and split by the stride, so that a tap of neighbouring windows is a vector of neighbours.

/// Walks over a row in pieces of 4, 2 or 1 vectors: `$body` gets the start and, as a constant, the number of vectors.
macro_rules! each_block {
    ($len:expr, $at:ident, $n:ident, $body:block) => {{
        let mut $at = 0;
        while $at < $len {
            match ($len - $at).div_ceil(16) {
                1 => {
                    const $n: usize = 1;
                    $body
                    $at += 16;
                }
                2 | 3 => {
                    const $n: usize = 2;
                    $body
                    $at += 32;
                }
                _ => {
                    const $n: usize = 4;
                    $body
                    $at += 64;
                }
            }
        }
    }};
}

mod avg;
mod global;
mod max;
mod rows;
#[cfg(test)]
mod tests;
mod unpool;
mod values;

pub use avg::{AvgPoolGradKernel, AvgPoolKernel};
pub use max::MaxPoolKernel;
pub use unpool::{MaxPoolGatherKernel, MaxUnpoolKernel};
pub use values::MaxPoolValuesKernel;

use crate::simd::Simd16;
use gabor_tensor::Window;

/// Extents of a pooling with windows of 2 × 2, stride 2, that all lie inside the input.
#[derive(Clone, Copy, Debug)]
struct Quads {
    width: usize,
    rows: usize,
    columns: usize,
}

impl Quads {
    fn new(window: &Window) -> Option<Self> {
        let [y, x] = window.axes() else { return None };
        let fits = |a: &gabor_tensor::Axis| {
            (a.kernel, a.stride, a.dilation, a.pad_begin) == (2, 2, 1, 0) && 2 * a.output <= a.input
        };
        (fits(y) && fits(x)).then_some(Quads { width: x.input, rows: y.output, columns: x.output })
    }
}

/// The first `2·m ≤ 32` elements of a row.
#[inline(always)]
unsafe fn load_two<S: Simd16>(p: *const f32, m: usize) -> (S::V, S::V) {
    // SAFETY: the caller promises the elements.
    unsafe {
        if m == 16 {
            (S::load(p), S::load(p.add(16)))
        } else {
            (S::load_up_to(p, (2 * m).min(16)), S::load_part(p.wrapping_add(16), (2 * m).saturating_sub(16)))
        }
    }
}

/// Writes the first `2·m ≤ 32` elements of a row.
#[inline(always)]
unsafe fn store_two<S: Simd16>(p: *mut f32, (a, b): (S::V, S::V), m: usize) {
    // SAFETY: the caller promises the elements.
    unsafe {
        if m == 16 {
            S::store(p, a);
            S::store(p.add(16), b);
        } else {
            S::store_up_to(p, a, (2 * m).min(16));
            S::store_part(p.wrapping_add(16), b, (2 * m).saturating_sub(16));
        }
    }
}
