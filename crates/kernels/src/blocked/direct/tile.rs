//! The register tile: a few pixels times one or two vectors of output channels, summed over blocks of input channels,
//! taps and channels, in this order.

use super::pass::PIXELS;
use crate::blocked::{BlockedEpilogue, layout::LANES};
use crate::simd::{Kernel, Simd16};

/// Vectors of output channels whose weights lie side by side.
pub(super) const VECTORS: usize = 2;
/// Most pixels of a tile where there are 16 registers of 8 lanes.
const NARROW_PIXELS: usize = 6;

/// The sums of up to [`PIXELS`] pixels over some blocks of input channels.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    /// The first pixel of the first block; the others follow it.
    pub x: *const f32,
    /// Distance between blocks of input channels.
    pub x_block: usize,
    /// Number of blocks.
    pub blocks: usize,
    /// Channels of the last one.
    pub lanes: usize,
    /// Offset of each tap.
    pub taps: &'a [usize],
    /// Weights: for each block, tap and channel a row of vectors.
    pub w: *const f32,
    /// Distance between rows.
    pub w_row: usize,
    /// The output tensor, where in it the first block of output channels begins, and where each pixel lies in a block.
    pub y: *mut f32,
    pub y_start: usize,
    pub at: &'a [usize; PIXELS],
    /// Distance between blocks of output channels.
    pub y_block: usize,
    /// Number of the first of them.
    pub channels: usize,
    /// Whether the sums begin here; otherwise they go on from what y holds.
    pub first: bool,
    /// Whether they end here, so that the epilogue follows.
    pub last: bool,
    pub epilogue: BlockedEpilogue<'a>,
    /// Memory that will be read soon: one cache line per step of the sum is fetched, this far apart.
    pub ahead: *const f32,
    pub ahead_step: usize,
}

/// How many tiles `pixels` pixels are dealt to.
#[inline(always)]
pub(super) fn tiles<S: Simd16>(pixels: usize) -> usize {
    pixels.div_ceil(if S::WIDE { PIXELS } else { NARROW_PIXELS })
}

/// Computes a tile.
///
/// # Safety
/// All that the tile points to must be valid: source pixels at every tap, rows of weights, `pixels` vectors of y in each
/// of the `vectors ≤ VECTORS` blocks.
#[inline(always)]
pub(super) unsafe fn run<S: Simd16>(t: Tile<'_>, pixels: usize, vectors: usize) {
    macro_rules! choose {
        ($tile:expr, $vectors:literal: $($pixels:literal)*) => {
            match pixels {
                // SAFETY: as this function.
                $($pixels => unsafe { S::call(Sums::<$pixels, $vectors>($tile)) },)*
                _ => unreachable!("a tile of {pixels} pixels"),
            }
        };
    }
    if S::WIDE && vectors == VECTORS {
        choose!(&t, 2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    } else if S::WIDE {
        choose!(&t, 1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    } else {
        // One vector fills the registers.
        for v in 0..vectors {
            let y_start = t.y_start + v * t.y_block;
            // SAFETY: the next vector of the rows.
            let t = unsafe { Tile { w: t.w.add(v * LANES), y_start, channels: t.channels + v, ..t } };
            choose!(&t, 1: 1 2 3 4 5 6)
        }
    }
}

/// A tile of `M` pixels and `V` vectors.
struct Sums<'a, const M: usize, const V: usize>(&'a Tile<'a>);

impl<const M: usize, const V: usize> Kernel for Sums<'_, M, V> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let t = self.0;
        // SAFETY: the contract of `run`.
        unsafe {
            let mut sums = [[S::zero(); V]; M];
            if !t.first {
                for m in 0..M {
                    for v in 0..V {
                        sums[m][v] = S::load(t.y.add(t.y_start + v * t.y_block + t.at[m]));
                    }
                }
            }
            let (mut w, mut ahead) = (t.w, t.ahead);
            for b in 0..t.blocks {
                let lanes = if b + 1 == t.blocks { t.lanes } else { LANES };
                let x = t.x.add(b * t.x_block);
                for &tap in t.taps {
                    let x = x.add(tap);
                    for k in 0..lanes {
                        let mut row = [S::zero(); V];
                        for v in 0..V {
                            row[v] = S::load(w.add(v * LANES));
                        }
                        for m in 0..M {
                            let pixel = S::splat(*x.add(m * LANES + k));
                            for v in 0..V {
                                sums[m][v] = S::fma(pixel, row[v], sums[m][v]);
                            }
                        }
                        fetch(ahead);
                        ahead = ahead.wrapping_add(t.ahead_step);
                        w = w.add(t.w_row);
                    }
                }
            }
            // Pixels outside, vectors inside, as above: other orders keep the compiler from holding the sums in registers.
            let mut bias = [S::zero(); V];
            if t.last {
                for v in 0..V {
                    bias[v] = t.epilogue.bias_of::<S>(t.channels + v);
                }
            }
            for m in 0..M {
                for v in 0..V {
                    let at = t.y_start + v * t.y_block + t.at[m];
                    let sum = if t.last { t.epilogue.finish::<S>(sums[m][v], bias[v], at) } else { sums[m][v] };
                    S::store(t.y.add(at), sum);
                }
            }
        }
    }
}

/// Brings a cache line near, if there is one at this address.
#[inline(always)]
fn fetch(p: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, allowed for every address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}
