//! From the sums at all points to the gradient of the filter.

use super::super::transform::{MOST, Tile};
use crate::simd::{Kernel, Simd16};
use std::marker::PhantomData;

/// Floats of memory for the taps of a block of input channels and one of output channels.
pub(super) const TAPS: usize = 16 * 25 * 16;

/// A block of the gradient in plain order.
#[derive(Clone, Copy)]
pub(super) struct Plain {
    /// The first tap of the first pair of channels.
    pub start: *mut f32,
    /// Floats from an output channel to the next.
    pub step: usize,
    /// Input and output channels, at most 16 each.
    pub ci: usize,
    pub co: usize,
}

/// `Gᵀ s G` for the sums `s` of 16 by 16 channels: point `i` of input channel `c` lies at `sums + i·point + c·row`.
///
/// # Safety
/// Sums and gradient must be valid, `taps` must hold [`TAPS`] floats.
#[inline(always)]
pub(super) unsafe fn finish<S: Simd16, T: Tile>(sums: *const f32, point: usize, row: usize, taps: *mut f32, to: Plain) {
    // SAFETY: the caller's promise.
    unsafe { S::call(Finish { sums, point, row, taps, to, tile: PhantomData::<T> }) }
}

/// The arguments of [`finish`], whose registers are not mixed up with those of its surroundings.
struct Finish<T> {
    sums: *const f32,
    point: usize,
    row: usize,
    taps: *mut f32,
    to: Plain,
    tile: PhantomData<T>,
}

impl<T: Tile> Kernel for Finish<T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let Finish { sums, point, row, taps, to, .. } = self;
        let all = T::R * T::R;
        // SAFETY: as the caller promises.
        unsafe {
            for c in 0..to.ci {
                let mut half = [[S::zero(); MOST]; MOST];
                for j in 0..T::A {
                    let mut p = [S::zero(); MOST];
                    for i in 0..T::A {
                        p[i] = S::load(sums.add((i * T::A + j) * point + c * row));
                    }
                    let g = T::gather::<S>(&p);
                    for i in 0..T::R {
                        half[i][j] = g[i];
                    }
                }
                for i in 0..T::R {
                    let g = T::gather::<S>(&half[i]);
                    for j in 0..T::R {
                        S::store(taps.add((c * all + i * T::R + j) * 16), g[j]);
                    }
                }
            }
            // Now a vector per pair of input channel and tap, of 16 output channels: turned, sixteen pairs at a time.
            let pairs = to.ci * all;
            let mut at = 0;
            while at < pairs {
                let m = (pairs - at).min(16);
                let mut v = [S::zero(); 16];
                for i in 0..m {
                    v[i] = S::load(taps.add((at + i) * 16));
                }
                for (i, v) in S::transpose(v).into_iter().enumerate().take(to.co) {
                    S::store_up_to(to.start.add(i * to.step + at), v, m);
                }
                at += 16;
            }
        }
    }
}
