//! The product of one point of the transform: some tiles times 32 output channels, summed over all input channels.

use crate::blocked::layout::LANES;
use crate::simd::{Kernel, Simd16};

/// Most tiles of a register tile where there are 32 registers: the tiles of a group.
pub(super) const GROUP: usize = 14;
/// Most tiles of a register tile elsewhere.
const NARROW: usize = 6;

/// `c[j][r] = Σ a[r][k] · u[k][j]` for tiles r and vectors j of output channels.
#[derive(Clone, Copy)]
pub(super) struct Product {
    /// Transformed inputs: vectors of 16 input channels, tile after tile.
    pub a: *const f32,
    /// Distance from one block of input channels to the next.
    pub a_block: usize,
    /// Input channels.
    pub channels: usize,
    /// Tiles, at most [`GROUP`].
    pub rows: usize,
    /// Transformed filter: `vectors` vectors per input channel.
    pub u: *const f32,
    /// Vectors of output channels: 1 or 2.
    pub vectors: usize,
    /// The products: vectors of 16 output channels, tile after tile.
    pub c: *mut f32,
    /// Distance from one block of output channels to the next.
    pub c_block: usize,
    /// What the next products will read, brought to the second level cache meanwhile: `ahead_lines` cache lines per block
    /// of input channels.
    pub ahead: *const f32,
    /// See `ahead`.
    pub ahead_lines: usize,
}

/// Computes it.
///
/// # Safety
/// The processor must have the set, and all vectors be valid; `ahead` may point anywhere.
#[inline(always)]
pub(super) unsafe fn product<S: Simd16>(p: Product) {
    // SAFETY: the caller's promise; parts of the tiles or vectors are valid as the whole is.
    unsafe {
        if S::WIDE {
            if p.vectors == 2 { rows::<S, 2>(p) } else { rows::<S, 1>(p) }
        } else {
            let tiles = p.rows.div_ceil(NARROW);
            for t in 0..tiles {
                let (first, last) = (p.rows * t / tiles, p.rows * (t + 1) / tiles);
                for j in 0..p.vectors {
                    few_rows::<S>(
                        p.vectors,
                        Product {
                            a: p.a.add(first * LANES),
                            rows: last - first,
                            u: p.u.add(j * LANES),
                            c: p.c.add(j * p.c_block + first * LANES),
                            ahead_lines: 0,
                            ..p
                        },
                    );
                }
            }
        }
    }
}

/// For each listed number of tiles, a register tile of that size.
macro_rules! sizes {
    ($p:ident, $n:literal, $step:literal, $($r:literal)*) => {
        match $p.rows {
            $($r => S::call(Registers::<$r, $n, $step>($p)),)*
            _ => unreachable!("a group has at most {GROUP} tiles"),
        }
    };
}

#[inline(always)]
unsafe fn rows<S: Simd16, const N: usize>(p: Product) {
    // SAFETY: the caller's promise.
    unsafe {
        match N {
            2 => sizes!(p, 2, 2, 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
            _ => sizes!(p, 1, 1, 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
        }
    }
}

#[inline(always)]
unsafe fn few_rows<S: Simd16>(step: usize, p: Product) {
    // SAFETY: the caller's promise.
    unsafe {
        match step {
            2 => sizes!(p, 1, 2, 1 2 3 4 5 6),
            _ => sizes!(p, 1, 1, 1 2 3 4 5 6),
        }
    }
}

/// `ROWS` tiles times `N` vectors in registers; `STEP` vectors of the filter per input channel.
struct Registers<const ROWS: usize, const N: usize, const STEP: usize>(Product);

impl<const ROWS: usize, const N: usize, const STEP: usize> Kernel for Registers<ROWS, N, STEP> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let Registers(p) = self;
        // SAFETY: the contract of `product`.
        unsafe {
            let mut sums = [[S::zero(); N]; ROWS];
            let (mut a, mut u, mut ahead) = (p.a, p.u, p.ahead);
            for _ in 0..p.channels / LANES {
                for _ in 0..p.ahead_lines {
                    prefetch(ahead);
                    ahead = ahead.wrapping_add(LANES);
                }
                for k in 0..LANES {
                    add::<S, ROWS, N>(&mut sums, a.add(k), u);
                    u = u.add(STEP * LANES);
                }
                a = a.add(p.a_block);
            }
            for k in 0..p.channels % LANES {
                add::<S, ROWS, N>(&mut sums, a.add(k), u);
                u = u.add(STEP * LANES);
            }
            for (r, sums) in sums.iter().enumerate() {
                for (j, &sum) in sums.iter().enumerate() {
                    S::store(p.c.add(j * p.c_block + r * LANES), sum);
                }
            }
        }
    }
}

/// One input channel.
#[inline(always)]
unsafe fn add<S: Simd16, const ROWS: usize, const N: usize>(
    sums: &mut [[S::V; N]; ROWS],
    a: *const f32,
    u: *const f32,
) {
    // SAFETY: the contract of `product`.
    unsafe {
        let mut v = [S::zero(); N];
        for (j, v) in v.iter_mut().enumerate() {
            *v = S::load(u.add(j * LANES));
        }
        for (r, sums) in sums.iter_mut().enumerate() {
            let a = S::splat(*a.add(r * LANES));
            for (sum, &v) in sums.iter_mut().zip(&v) {
                *sum = S::fma(a, v, *sum);
            }
        }
    }
}

/// Asks for a cache line that will be read soon; any address may be named.
#[inline(always)]
fn prefetch(p: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of the architecture, and a hint never faults.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}
