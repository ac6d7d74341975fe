//! The mean of whole planes: sixteen planes side by side, so that their lanes are joined by vectors too.

use crate::simd::{Simd16, tree};
use crate::sums::Sums;

/// Longest plane whose sum runs in floats: each of 64 partial sums then has 64 elements at most.
const LONGEST: usize = 4096;

/// Planes at a time.
pub(super) const PLANES: usize = 16;

/// The means of planes of `len` elements, [`PLANES`] at most: `x` holds the planes, `y` gets an element for each.
///
/// # Safety
/// The caller promises the instruction set.
#[inline(always)]
pub(super) unsafe fn means<S: Simd16>(x: &[f32], len: usize, divisor: f32, y: &mut [f32]) {
    if len > LONGEST {
        for (x, y) in x.chunks_exact(len).zip(y) {
            let mut sums = Sums::ZERO;
            sums.add_run(x);
            *y = (sums.total() / f64::from(divisor)) as f32;
        }
        return;
    }
    // SAFETY: loads stay inside the planes, the store inside `y`.
    unsafe {
        let mut lanes = [S::zero(); PLANES];
        for (x, lanes) in x.chunks_exact(len).zip(&mut lanes) {
            *lanes = sum_lanes::<S>(x);
        }
        let sums = tree(S::transpose(lanes), |a, b| S::add(a, b));
        S::store_up_to(y.as_mut_ptr(), S::div(sums, S::splat(divisor)), y.len().min(PLANES));
    }
}

/// Sixteen partial sums of a plane.
#[inline(always)]
unsafe fn sum_lanes<S: Simd16>(x: &[f32]) -> S::V {
    // SAFETY: loads stay inside the slice.
    unsafe {
        let mut sums = [S::zero(); 4];
        let mut i = 0;
        while i + 64 <= x.len() {
            for (j, sum) in sums.iter_mut().enumerate() {
                *sum = S::add(*sum, S::load(x.as_ptr().add(i + 16 * j)));
            }
            i += 64;
        }
        while i < x.len() {
            let m = (x.len() - i).min(16);
            sums[0] = S::add(sums[0], S::load_up_to(x.as_ptr().add(i), m));
            i += m;
        }
        S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3]))
    }
}
