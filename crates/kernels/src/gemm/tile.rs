//! The register tile: a few rows of broadcast elements times one or two vectors of columns.
//!
//! Rows of the left matrix are copied next to each other into a small panel; columns of the right one are read where an
//! offset per step of the sum points, so the same tile serves packed matrices and the shifted images of a convolution.

use crate::simd::{Kernel, Simd16};

/// Longest sum that one panel of the left matrix holds.
pub(crate) const K_BLOCK: usize = 256;
/// Distance between the rows of a row-wise panel: an odd number of cache lines, so that rows fall into different sets.
pub(crate) const PITCH: usize = K_BLOCK + 16;
/// Most rows of a tile where registers allow.
const WIDE_ROWS: usize = 14;
/// Most rows of a tile elsewhere.
const NARROW_ROWS: usize = 6;

/// How the panel of the left matrix lies: element `(row, k)`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Panel {
    /// At `row · PITCH + k`.
    Rows,
    /// At `k · 16 + row`.
    Columns,
}

/// How `rows` rows are dealt to tiles: the number of tiles, and rows of tile `i` in `start(i)..start(i + 1)`.
#[derive(Clone, Copy)]
pub(crate) struct Deal {
    rows: usize,
    /// Number of tiles.
    pub tiles: usize,
}

impl Deal {
    /// First row of tile `i`: an even deal, because one tile with a few rows left over would run badly.
    #[inline(always)]
    pub(crate) fn start(self, i: usize) -> usize {
        self.rows * i / self.tiles
    }
}

/// Deals `rows` rows to as few tiles as the registers of `S` allow.
#[inline(always)]
pub(crate) fn tile_rows<S: Simd16>(rows: usize) -> Deal {
    Deal { rows, tiles: rows.div_ceil(if S::WIDE { WIDE_ROWS } else { NARROW_ROWS }) }
}

/// A block of tiles that share their rows: `c[rows, columns] (+)= panel · b`.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    /// The panel of the left matrix.
    pub a: *const f32,
    /// How it lies.
    pub panel: Panel,
    /// Number of rows, at most the tile's.
    pub rows: usize,
    /// The right matrix: column 0.
    pub b: *const f32,
    /// Distance from one vector pair (32 columns) of b to the next.
    pub b_step: usize,
    /// Where row `k` of b starts, relative to `b`.
    pub offsets: *const usize,
    /// Number of steps of the sum.
    pub k: usize,
    /// The result: row 0, column 0.
    pub c: *mut f32,
    /// Distance between rows of c.
    pub ldc: usize,
    /// Number of columns.
    pub columns: usize,
    /// Whether c is overwritten instead of added to.
    pub first: bool,
}

/// Computes a block, tile by tile.
///
/// # Safety
/// The panel holds `rows` × `k` elements; for every step, b may be read at the offset for whole vectors of columns
/// (up to the next multiple of 16); c may be written at `rows` × `columns`.
#[inline(always)]
pub(crate) unsafe fn block<S: Simd16>(p: Block) {
    let mut done = 0;
    while done < p.columns {
        let left = p.columns - done;
        // SAFETY: inside what the caller promises.
        let one =
            unsafe { Block { b: p.b.add(done / 32 * p.b_step + done % 32), c: p.c.add(done), columns: left, ..p } };
        // SAFETY: as above.
        unsafe {
            if S::WIDE && left > 16 {
                tile_of_rows::<S, 2>(Block { columns: left.min(32), ..one });
                done += 32;
            } else {
                tile_of_rows::<S, 1>(Block { columns: left.min(16), ..one });
                done += 16;
            }
        }
    }
}

/// Chooses the tile by its number of rows.
#[inline(always)]
unsafe fn tile_of_rows<S: Simd16, const NB: usize>(p: Block) {
    macro_rules! choose {
        ($($rows:literal)*) => {
            match (p.rows, p.panel) {
                $(
                // SAFETY: as this function.
                ($rows, Panel::Rows) => unsafe { S::call(Tile::<$rows, NB, PITCH, 1>(p)) },
                // SAFETY: as this function.
                ($rows, Panel::Columns) => unsafe { S::call(Tile::<$rows, NB, 1, 16>(p)) },)*
                _ => unreachable!("a tile of {} rows", p.rows),
            }
        };
    }
    if S::WIDE { choose!(1 2 3 4 5 6 7 8 9 10 11 12 13 14) } else { choose!(1 2 3 4 5 6) }
}

/// A tile of `MR` rows and `NB` vectors; element `(row, k)` of its panel lies at `row · RS + k · KS`.
struct Tile<const MR: usize, const NB: usize, const RS: usize, const KS: usize>(Block);

impl<const MR: usize, const NB: usize, const RS: usize, const KS: usize> Kernel for Tile<MR, NB, RS, KS> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let p = self.0;
        let whole = p.columns == 16 * NB;
        // SAFETY: the contract of `block`.
        unsafe {
            let mut acc = [[S::zero(); NB]; MR];
            let mut a = p.a;
            for i in 0..p.k {
                let b = p.b.add(*p.offsets.add(i));
                let mut w = [S::zero(); NB];
                for n in 0..NB {
                    w[n] = S::load(b.add(16 * n));
                }
                for m in 0..MR {
                    let x = S::splat(*a.add(m * RS));
                    for n in 0..NB {
                        acc[m][n] = S::fma(x, w[n], acc[m][n]);
                    }
                }
                a = a.add(KS);
            }
            for m in 0..MR {
                for n in 0..NB {
                    let c = p.c.add(m * p.ldc + 16 * n);
                    let width = if whole { 16 } else { (p.columns - 16 * n).min(16) };
                    // Adding whole blocks of the sum at a time keeps rounding errors smaller than one long chain.
                    let sum = if p.first { acc[m][n] } else { S::add(S::load_up_to(c, width), acc[m][n]) };
                    S::store_up_to(c, sum, width);
                }
            }
        }
    }
}
