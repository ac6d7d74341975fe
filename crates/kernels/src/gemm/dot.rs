//! Sums of products along contiguous memory: a tile of `x[i] · y[j]` with vectors along the sum, added up on 16 lanes.

use crate::memory::prefetch;
use crate::simd::{Kernel, Simd16, tree};

/// A tile of dot products: sixteen partial sums for each pair of a row of y and a column of x.
///
/// The sum runs over `runs` runs of `steps` vectors each.
#[derive(Clone, Copy)]
pub(crate) struct DotTile<'a> {
    /// Rows of y: row `j` starts at `y + j · y_row`.
    pub y: *const f32,
    /// Distance between rows of y.
    pub y_row: usize,
    /// Number of rows.
    pub rows: usize,
    /// Distance between runs of y.
    pub y_run: usize,
    /// Columns of x: column `i` starts at `x + offsets[i]`.
    pub x: *const f32,
    /// Where the columns start.
    pub offsets: &'a [usize],
    /// Distance between runs of x.
    pub x_run: usize,
    /// Number of runs.
    pub runs: usize,
    /// Vectors of a run.
    pub steps: usize,
    /// The partial sums: pair `(j, i)` has its 16 lanes at `(j · sums_row + i) · 16`.
    pub sums: *mut f32,
    /// Distance between rows of pairs.
    pub sums_row: usize,
    /// How far behind each vector of x lies one that will be needed soon; 0 for none.
    pub ahead: usize,
}

/// Adds the products of all pairs to their partial sums.
///
/// # Safety
/// All rows, columns and partial sums must be valid at whole vectors.
#[inline(always)]
pub(crate) unsafe fn dot_tile<S: Simd16>(p: DotTile<'_>) {
    // SAFETY: tiles inside what the caller promises.
    unsafe { if S::WIDE { tiles::<S, 4>(p) } else { tiles::<S, 2>(p) } }
}

#[inline(always)]
unsafe fn tiles<S: Simd16, const TC: usize>(p: DotTile<'_>) {
    let most = if S::WIDE { 6 } else { 2 };
    let tiles = p.rows.div_ceil(most);
    for t in 0..tiles {
        let (from, to) = (p.rows * t / tiles, p.rows * (t + 1) / tiles);
        let mut i = 0;
        while i < p.offsets.len() {
            let columns = (p.offsets.len() - i).min(TC);
            // Every tile of rows asks for its share of what lies ahead.
            let fetch = if p.ahead > 0 { (columns * t / tiles, columns * (t + 1) / tiles) } else { (0, 0) };
            // Columns beyond the last repeat it; their sums are not stored.
            let offsets = std::array::from_fn(|c| p.offsets[i + c.min(columns - 1)]);
            // SAFETY: inside what the caller promises.
            unsafe {
                let tile = DotTile {
                    y: p.y.add(from * p.y_row),
                    sums: p.sums.add((from * p.sums_row + i) * 16),
                    offsets: &p.offsets[i..i + columns],
                    ..p
                };
                match to - from {
                    1 => S::call(Dot::<1, TC> { tile, offsets, fetch }),
                    2 => S::call(Dot::<2, TC> { tile, offsets, fetch }),
                    3 if S::WIDE => S::call(Dot::<3, TC> { tile, offsets, fetch }),
                    4 if S::WIDE => S::call(Dot::<4, TC> { tile, offsets, fetch }),
                    5 if S::WIDE => S::call(Dot::<5, TC> { tile, offsets, fetch }),
                    _ if S::WIDE => S::call(Dot::<6, TC> { tile, offsets, fetch }),
                    _ => unreachable!("a tile of {} rows", to - from),
                }
            }
            i += columns;
        }
    }
}

struct Dot<'a, const TJ: usize, const TC: usize> {
    tile: DotTile<'a>,
    offsets: [usize; TC],
    /// The columns of which this tile asks for what lies ahead: first and end.
    fetch: (usize, usize),
}

impl<const TJ: usize, const TC: usize> Kernel for Dot<'_, TJ, TC> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let p = self.tile;
        let columns = p.offsets.len();
        // SAFETY: the contract of `dot_tile`.
        unsafe {
            let mut acc = [[S::zero(); TC]; TJ];
            for j in 0..TJ {
                for c in 0..TC {
                    acc[j][c] = S::load(p.sums.add((j * p.sums_row + c.min(columns - 1)) * 16));
                }
            }
            for r in 0..p.runs {
                let mut y = p.y.add(r * p.y_run);
                let mut x = p.x.add(r * p.x_run);
                for _ in 0..p.steps {
                    let mut u = [S::zero(); TC];
                    for c in 0..TC {
                        u[c] = S::load(x.add(self.offsets[c]));
                        if self.fetch.0 <= c && c < self.fetch.1 {
                            prefetch(x.wrapping_add(self.offsets[c] + p.ahead));
                        }
                    }
                    for j in 0..TJ {
                        let v = S::load(y.add(j * p.y_row));
                        for c in 0..TC {
                            acc[j][c] = S::fma(v, u[c], acc[j][c]);
                        }
                    }
                    y = y.add(16);
                    x = x.add(16);
                }
            }
            for j in 0..TJ {
                for c in 0..columns {
                    S::store(p.sums.add((j * p.sums_row + c) * 16), acc[j][c]);
                }
            }
        }
    }
}

/// Adds up the 16 lanes of each of `n` partial sums: `to[i] = Σ sums[16·i..][..16]`, by the fixed tree of
/// [`Simd16::sum`].
///
/// # Safety
/// `sums` must be readable at `16·n` elements, rounded up to whole groups of 16 pairs, and `to` writable at `n`.
#[inline(always)]
pub(crate) unsafe fn reduce_lanes<S: Simd16>(sums: *const f32, n: usize, to: *mut f32) {
    let mut i = 0;
    while i < n {
        // SAFETY: the caller promises whole groups of 16.
        unsafe {
            let mut rows = [S::zero(); 16];
            for r in 0..16 {
                rows[r] = S::load(sums.add((i + r) * 16));
            }
            let sum = tree(S::transpose(rows), |a, b| S::add(a, b));
            S::store_up_to(to.add(i), sum, (n - i).min(16));
        }
        i += 16;
    }
}
