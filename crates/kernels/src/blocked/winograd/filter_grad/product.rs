//! The products of a filter gradient: for each point a matrix product that sums over tiles.

use crate::simd::Simd16;

/// Vectors of the factors at one point, one vector of 16 channels per tile.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    /// Tiles of the first input block.
    pub x: *const f32,
    /// Tiles of the first output block.
    pub dy: *const f32,
    /// Floats from a block to the next, of either.
    pub step: usize,
    /// Tiles to sum over.
    pub tiles: usize,
    /// From a point to the next of either, whose factors are brought to the second-level cache meanwhile.
    pub ahead: [usize; 2],
}

/// `sum[ci][co] = Σ x[tile][ci] · dy[tile][co]`, or added to what is there, for `ci` blocks times `co` blocks of channels;
/// rows of `sum` are `co` vectors long.
///
/// # Safety
/// Factors and `sum` must have that many blocks.
#[inline(always)]
pub(super) unsafe fn multiply<S: Simd16>(f: Factors, ci: usize, co: usize, sum: *mut f32, add: bool) {
    let (mut b, mut panel) = (0, 0);
    while b < co {
        // Two blocks rather than three and one.
        let wide = match (S::WIDE, co - b) {
            (false, _) | (_, 1) => 1,
            (_, 2 | 4) => 2,
            _ => 3,
        };
        for a in 0..ci {
            // SAFETY: inside the blocks.
            unsafe {
                let part = Factors { x: f.x.add(a * f.step), dy: f.dy.add(b * f.step), ..f };
                let sum = Sum { start: sum.add((a * 16 * co + b) * 16), row: co * 16, add };
                match wide {
                    3 => {
                        tile::<S, 8, 3>(part, sum, f.ahead(panel, ci, co));
                        tile::<S, 8, 3>(part.channels(8), sum.rows(8), f.ahead(panel + 1, ci, co));
                    }
                    2 => {
                        tile::<S, 8, 2>(part, sum, f.ahead(panel, ci, co));
                        tile::<S, 8, 2>(part.channels(8), sum.rows(8), f.ahead(panel + 1, ci, co));
                    }
                    _ if S::WIDE => tile::<S, 16, 1>(part, sum, f.ahead(panel, ci, co)),
                    _ => {
                        tile::<S, 6, 1>(part, sum, f.ahead(panel, ci, co));
                        tile::<S, 6, 1>(part.channels(6), sum.rows(6), f.ahead(panel + 1, ci, co));
                        tile::<S, 4, 1>(part.channels(12), sum.rows(12), part.x);
                    }
                }
                panel += 2;
            }
        }
        b += wide;
    }
}

impl Factors {
    /// From a later input channel of the block on.
    #[inline(always)]
    unsafe fn channels(self, from: usize) -> Self {
        // SAFETY: inside a vector.
        Factors { x: unsafe { self.x.add(from) }, ..self }
    }
    /// A block of the next point's factors: first those of the input channels.
    #[inline(always)]
    fn ahead(&self, block: usize, ci: usize, co: usize) -> *const f32 {
        if block < ci {
            self.x.wrapping_add(self.ahead[0] + block * self.step)
        } else {
            self.dy.wrapping_add(self.ahead[1] + (block - ci).min(co - 1) * self.step)
        }
    }
}

/// Where sums go, or are added to what is there.
#[derive(Clone, Copy)]
struct Sum {
    start: *mut f32,
    /// Floats from an input channel to the next.
    row: usize,
    add: bool,
}

impl Sum {
    /// From a later input channel on.
    #[inline(always)]
    unsafe fn rows(self, from: usize) -> Self {
        // SAFETY: inside the sums.
        Sum { start: unsafe { self.start.add(from * self.row) }, ..self }
    }
}

/// `K` input channels times `B` blocks of output channels, in registers; a block of factors is brought from `ahead`.
#[inline(always)]
unsafe fn tile<S: Simd16, const K: usize, const B: usize>(f: Factors, sum: Sum, ahead: *const f32) {
    // SAFETY: as `multiply`.
    unsafe {
        if sum.add {
            for k in 0..K {
                for b in 0..B {
                    prefetch(sum.start.add(k * sum.row + b * 16));
                }
            }
        }
        let mut acc = [[S::zero(); B]; K];
        for t in 0..f.tiles {
            prefetch(ahead.wrapping_add(t * 16));
            let mut dy = [S::zero(); B];
            for b in 0..B {
                dy[b] = S::load(f.dy.add(b * f.step + t * 16));
            }
            for k in 0..K {
                let x = S::splat(*f.x.add(t * 16 + k));
                for b in 0..B {
                    acc[k][b] = S::fma(x, dy[b], acc[k][b]);
                }
            }
        }
        for k in 0..K {
            for b in 0..B {
                let to = sum.start.add(k * sum.row + b * 16);
                S::store(to, if sum.add { S::add(S::load(to), acc[k][b]) } else { acc[k][b] });
            }
        }
    }
}

/// Brings a cache line to the second-level cache, if the processor can; it may lie anywhere.
#[inline(always)]
pub(super) fn prefetch(p: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: no instruction set is needed, and nothing is read.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}
