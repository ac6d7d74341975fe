//! The register tile: a few pixels times one or two vectors of output channels, summed over blocks of input channels,
//! taps and channels, in this order.

use super::pass::PIXELS;
use crate::blocked::{BlockedEpilogue, layout::LANES};
use crate::simd::{Kernel, Simd16};

/// Vectors of output channels whose weights lie side by side.
pub(super) const VECTORS: usize = 2;
/// Most pixels of a tile where there are 16 registers of 8 lanes.
const NARROW_PIXELS: usize = 6;

/// The sums of runs of up to [`PIXELS`] pixels over some blocks of input channels.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    /// Number of tiles: each begins where the one before ends.
    pub tiles: usize,
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
    /// The output tensor, and where in it the first pixel lies.
    pub y: *mut f32,
    pub y_start: usize,
    /// Distance between output pixels.
    pub y_pixel: usize,
    /// Distance between blocks of output channels.
    pub y_block: usize,
    /// Number of the first of them.
    pub channels: usize,
    /// Whether the sums begin here; otherwise they go on from what y holds.
    pub first: bool,
    /// Whether they end here, so that the epilogue follows.
    pub last: bool,
    pub epilogue: BlockedEpilogue<'a>,
    /// Weights that will be read soon: a row of them is fetched at each step of the sum, this far apart.
    pub ahead: *const f32,
    pub ahead_step: usize,
}

/// How many tiles `pixels` pixels are dealt to.
#[inline(always)]
pub(super) fn tiles<S: Simd16>(pixels: usize) -> usize {
    pixels.div_ceil(if S::WIDE { PIXELS } else { NARROW_PIXELS })
}

/// Computes tiles of `pixels` pixels.
///
/// # Safety
/// All that the tile points to must be valid: source pixels at every tap, rows of weights, all pixels of y in each
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

/// Tiles of `M` pixels and `V` vectors.
struct Sums<'a, const M: usize, const V: usize>(&'a Tile<'a>);

impl<const M: usize, const V: usize> Kernel for Sums<'_, M, V> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let t = self.0;
        let (mut x, mut start, mut ahead) = (t.x, t.y_start, t.ahead);
        for _ in 0..t.tiles {
            // SAFETY: the contract of `run`.
            unsafe {
                ahead = self.tile::<S>(x, start, ahead);
            }
            x = x.wrapping_add(M * LANES);
            start += M * t.y_pixel;
        }
    }
}

impl<const M: usize, const V: usize> Sums<'_, M, V> {
    /// One tile, given its first pixel, where it goes, and what is to be fetched meanwhile; how far that came.
    #[inline(always)]
    unsafe fn tile<S: Simd16>(&self, first: *const f32, start: usize, ahead: *const f32) -> *const f32 {
        let t = self.0;
        let mut ahead = ahead;
        // SAFETY: as `run`.
        unsafe {
            let mut sums = [[S::zero(); V]; M];
            let y = t.y.add(start);
            if t.first {
                for m in 0..M {
                    for v in 0..V {
                        fetch(y.add(v * t.y_block + m * t.y_pixel));
                    }
                }
            } else {
                for m in 0..M {
                    for v in 0..V {
                        sums[m][v] = S::load(y.add(v * t.y_block + m * t.y_pixel));
                    }
                }
            }
            let mut w = t.w;
            for b in 0..t.blocks {
                let lanes = if b + 1 == t.blocks { t.lanes } else { LANES };
                let x = first.wrapping_add(b * t.x_block);
                for (i, &tap) in t.taps.iter().enumerate() {
                    // The pixels of the next tap, block or tile are fetched meanwhile.
                    let mut next = match t.taps.get(i + 1) {
                        Some(&tap) => x.wrapping_add(tap),
                        None if b + 1 < t.blocks => x.wrapping_add(t.x_block + t.taps[0]),
                        None => first.wrapping_add(M * LANES + t.taps[0]),
                    };
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
                        for v in 0..V {
                            fetch_far(ahead.wrapping_add(v * LANES));
                        }
                        fetch(next);
                        next = next.wrapping_add(LANES);
                        ahead = ahead.wrapping_add(t.ahead_step);
                        w = w.add(t.w_row);
                    }
                }
            }
            if t.last {
                self.finish::<S>(&mut sums, start);
            }
            for m in 0..M {
                for v in 0..V {
                    S::store(y.add(v * t.y_block + m * t.y_pixel), sums[m][v]);
                }
            }
        }
        ahead
    }

    /// The epilogue: what [`BlockedEpilogue::finish`] does, one step after the other for all sums. Loops with more in
    /// them are not unrolled in time, and the sums then do not stay in registers.
    #[inline(always)]
    unsafe fn finish<S: Simd16>(&self, sums: &mut [[S::V; V]; M], start: usize) {
        let t = self.0;
        let e = t.epilogue;
        // SAFETY: as `run`; the other summand is as long as y.
        unsafe {
            for v in 0..V {
                let bias = e.bias_of::<S>(t.channels + v);
                for m in 0..M {
                    sums[m][v] = S::add(sums[m][v], bias);
                }
            }
            if let Some(add) = e.add {
                let add = add.as_ptr().add(start);
                for m in 0..M {
                    for v in 0..V {
                        sums[m][v] = S::add(sums[m][v], S::load(add.add(v * t.y_block + m * t.y_pixel)));
                    }
                }
            }
            if e.relu {
                let limit = S::splat(e.limit);
                for m in 0..M {
                    for v in 0..V {
                        // Both give their second argument where one is NaN, so a NaN stays.
                        sums[m][v] = S::min(limit, S::max(S::zero(), sums[m][v]));
                    }
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
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// Brings a cache line into the second-level cache, if there is one at this address.
#[inline(always)]
fn fetch_far(p: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, allowed for every address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}
