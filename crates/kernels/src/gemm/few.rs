//! Products that read a large matrix once: few rows on the left (a small batch in a fully connected layer), or a short
//! sum (its weights' gradient). Nothing large is packed.

use super::kernel::Run;
use super::{DotTile, dot_tile, reduce_lanes};
use crate::MatMul;
use crate::memory::{Pieces, copy, prefetch, whole, zero};
use crate::simd::{Kernel, Simd16};

/// Rows of the right matrix that are read side by side, and steps that a sum takes between two visits of the result.
pub(super) const GROUP: usize = 8;
/// Vectors of a sum of dot products before the next four columns, which stay in the first-level cache meanwhile.
const STEPS: usize = 32;
/// Distance between rows of the left matrix in scratch memory.
const ROW: usize = STEPS * 16 + 16;

/// Floats of scratch memory for dot products of `rows` rows and `columns` columns.
pub(super) fn dots_scratch(rows: usize, columns: usize) -> usize {
    rows * (columns * 16 + 256) + rows * ROW + rows * 16 + columns * 16
}

impl Run<'_> {
    /// Every element of c is a dot product of two contiguous rows.
    #[inline(always)]
    pub(super) unsafe fn dots<S: Simd16>(self) {
        let (place, columns, _, batch) = self.place();
        let (kernel, p, m) = (self.kernel, self.kernel.p, place.len());
        let mut pieces = Pieces::new(self.scratch);
        let sums = pieces.take(m * columns.len() * 16 + 256).as_mut_ptr();
        let rows = pieces.take(m * ROW).as_mut_ptr();
        let tail_a = pieces.take(m * 16).as_mut_ptr();
        let tail_b = pieces.take(columns.len() * 16).as_mut_ptr();
        let a = self.a[(batch * p.m + place.start) * p.k..].as_ptr();
        let b = self.b[batch * p.k * p.n + columns.start * p.k..].as_ptr();
        let (steps, tail) = (p.k / 16, p.k % 16);
        // SAFETY: rows and columns lie inside the matrices; scratch is as long as `scratch_len` says.
        unsafe {
            zero::<S>(sums, m * columns.len() * 16);
            let tile = DotTile {
                y: a,
                y_row: p.k,
                rows: m,
                y_run: 0,
                x: b,
                offsets: &kernel.offsets[..columns.len()],
                x_run: 0,
                runs: 1,
                steps,
                sums,
                sums_row: columns.len(),
                ahead: 0,
            };
            let mut step = 0;
            while step < steps {
                let count = (steps - step).min(STEPS);
                // Rows in order often lie a power of two apart, and then share sets of the cache.
                for r in 0..if m > 1 { m } else { 0 } {
                    copy::<S>(a.add(r * p.k + step * 16), rows.add(r * ROW), count * 16);
                }
                for first in (0..columns.len()).step_by(4) {
                    let last = (first + 4).min(columns.len());
                    dot_tile::<S>(DotTile {
                        y: if m > 1 { rows } else { a.add(step * 16) },
                        y_row: ROW,
                        x: b.add(step * 16),
                        offsets: &kernel.offsets[first..last],
                        steps: count,
                        sums: sums.add(first * 16),
                        // The next four columns.
                        ahead: 4 * p.k,
                        ..tile
                    });
                }
                step += count;
            }
            if tail > 0 {
                for r in 0..m {
                    S::store(tail_a.add(r * 16), S::load_part(a.add(r * p.k + steps * 16), tail));
                }
                let mut at = [0; 16];
                for (i, at) in at.iter_mut().enumerate() {
                    *at = i * 16;
                }
                for j in 0..columns.len() {
                    S::store(tail_b.add(j * 16), S::load_part(b.add(j * p.k + steps * 16), tail));
                }
                let mut j = 0;
                while j < columns.len() {
                    dot_tile::<S>(DotTile {
                        y: tail_a,
                        y_row: 16,
                        x: tail_b.add(j * 16),
                        offsets: &at[..(columns.len() - j).min(16)],
                        steps: 1,
                        sums: sums.add(j * 16),
                        ..tile
                    });
                    j += 16;
                }
            }
            for r in 0..m {
                let at = (batch * p.m + place.start + r) * p.n + columns.start;
                reduce_lanes::<S>(sums.add(r * columns.len() * 16), columns.len(), self.c.as_ptr().add(at));
                self.epilogue.columns::<S>(self.c.as_ptr(), at, columns.start, columns.len());
            }
        }
    }

    /// A few rows of the right matrix at a time, all columns of the task, all rows of the left matrix.
    #[inline(always)]
    pub(super) unsafe fn groups<S: Simd16>(self) {
        let (rows, columns, part, batch) = self.place();
        let (kernel, p) = (self.kernel, self.kernel.p);
        let mut pieces = Pieces::new(self.scratch);
        let panel = pieces.take(whole(rows.len() * GROUP)).as_mut_ptr();
        let strip = pieces.take(GROUP * 16).as_mut_ptr();
        let pitch = sums_pitch(columns.len());
        let sums = pieces.take(rows.len() * pitch).as_mut_ptr();
        let a = &self.a[batch * p.m * p.k..];
        let b = self.b[batch * p.k * p.n..].as_ptr();
        let target = if kernel.parts > 1 { self.workspace.as_ptr() } else { self.c.as_ptr() };
        let (from, to) = (p.k * part / kernel.parts, p.k * (part + 1) / kernel.parts);
        // SAFETY: rows and columns lie inside the matrices; scratch is as long as `scratch_len` says.
        unsafe {
            let c = target.add(((batch + part) * p.m + rows.start) * p.n + columns.start);
            let short = to - from <= GROUP;
            for k0 in (from..to).step_by(GROUP) {
                let k = (to - k0).min(GROUP);
                pack(&p, a, rows.clone(), k0..k0 + k, panel);
                S::call(Group {
                    panel,
                    rows: rows.len(),
                    b: b.add(k0 * p.n + columns.start),
                    b_row: p.n,
                    k,
                    c: if short { c } else { sums },
                    c_row: if short { p.n } else { pitch },
                    columns: columns.len(),
                    first: k0 == from,
                    ahead: if k0 + 2 * GROUP <= to { GROUP * p.n } else { 0 },
                    strip,
                });
            }
            for r in 0..rows.len() {
                match short {
                    true if from == to => zero::<S>(c.add(r * p.n), columns.len()),
                    true => {}
                    false => copy::<S>(sums.add(r * pitch), c.add(r * p.n), columns.len()),
                }
                if kernel.parts == 1 {
                    let at = (batch * p.m + rows.start + r) * p.n + columns.start;
                    self.epilogue.columns::<S>(self.c.as_ptr(), at, columns.start, columns.len());
                }
            }
        }
    }
}

/// Distance between rows of sums that grow in scratch memory: an odd number of cache lines, so that rows fall into
/// different sets.
pub(super) fn sums_pitch(columns: usize) -> usize {
    columns.next_multiple_of(32) + 16
}

/// The left matrix at some rows and steps of the sum: [`GROUP`] numbers a row, zero beyond the last step.
pub(super) fn pack(
    p: &MatMul,
    a: &[f32],
    rows: std::ops::Range<usize>,
    steps: std::ops::Range<usize>,
    panel: *mut f32,
) {
    for (i, r) in rows.enumerate() {
        for s in 0..GROUP {
            let k = steps.start + s;
            let at = if p.transpose_a { k * p.m + r } else { r * p.k + k };
            // SAFETY: the caller promises a panel of that many rows.
            unsafe { *panel.add(i * GROUP + s) = if k < steps.end { a[at] } else { 0.0 } }
        }
    }
}

/// `c (+)= panel · b` for at most [`GROUP`] rows of b.
pub(super) struct Group {
    pub panel: *const f32,
    pub rows: usize,
    pub b: *const f32,
    /// Distance between rows of b.
    pub b_row: usize,
    /// Rows of b.
    pub k: usize,
    pub c: *mut f32,
    /// Distance between rows of c.
    pub c_row: usize,
    pub columns: usize,
    /// Whether c is overwritten instead of added to.
    pub first: bool,
    /// How far behind lies what is needed soon; 0 for none.
    pub ahead: usize,
    /// Room for a vector of each row, where registers do not hold them.
    pub strip: *mut f32,
}

impl Kernel for Group {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let mut j = 0;
        // SAFETY: inside what the caller promises.
        unsafe {
            while S::WIDE && self.columns - j >= 32 {
                self.held::<S, 2>(j, 16);
                j += 32;
            }
            while j < self.columns {
                let width = (self.columns - j).min(16);
                if S::WIDE {
                    self.held::<S, 1>(j, width)
                } else {
                    self.copied::<S>(j, width)
                }
                j += width;
            }
        }
    }
}

impl Group {
    /// A vector of row `i` of b, zero beyond the last.
    #[inline(always)]
    unsafe fn vector<S: Simd16>(&self, i: usize, j: usize, width: usize) -> S::V {
        if i >= self.k {
            // SAFETY: the caller promises that the processor has the set.
            return unsafe { S::zero() };
        }
        let from = self.b.wrapping_add(i * self.b_row + j);
        if self.ahead > 0 {
            prefetch(from.wrapping_add(self.ahead));
        }
        // SAFETY: inside the matrix.
        unsafe { S::load_up_to(from, width) }
    }
    /// The sum of a row goes to its place.
    #[inline(always)]
    unsafe fn finish<S: Simd16>(&self, sum: S::V, row: usize, j: usize, width: usize) {
        // SAFETY: inside the matrix.
        unsafe {
            let c = self.c.add(row * self.c_row + j);
            // Short sums that are added up keep rounding errors smaller than one long chain.
            let sum = if self.first { sum } else { S::add(S::load_up_to(c, width), sum) };
            S::store_up_to(c, sum, width);
        }
    }
    /// `NB` vectors of columns; the rows of b stay in registers.
    #[inline(always)]
    unsafe fn held<S: Simd16, const NB: usize>(&self, j: usize, width: usize) {
        // SAFETY: the contract of the kernel.
        unsafe {
            let mut b = [[S::zero(); NB]; GROUP];
            for i in 0..GROUP {
                for n in 0..NB {
                    b[i][n] = self.vector::<S>(i, j + 16 * n, width);
                }
            }
            for row in 0..self.rows {
                let a = self.panel.add(row * GROUP);
                let x = S::splat(*a);
                let mut sum = [S::zero(); NB];
                for n in 0..NB {
                    sum[n] = S::mul(x, b[0][n]);
                }
                for i in 1..GROUP {
                    let x = S::splat(*a.add(i));
                    for n in 0..NB {
                        sum[n] = S::fma(x, b[i][n], sum[n]);
                    }
                }
                for n in 0..NB {
                    self.finish::<S>(sum[n], row, j + 16 * n, width);
                }
            }
        }
    }
    /// One vector of columns; the rows of b are read again for each row.
    #[inline(always)]
    unsafe fn copied<S: Simd16>(&self, j: usize, width: usize) {
        // SAFETY: the contract of the kernel.
        unsafe {
            for i in 0..GROUP {
                S::store(self.strip.add(i * 16), self.vector::<S>(i, j, width));
            }
            for row in 0..self.rows {
                let a = self.panel.add(row * GROUP);
                let mut sum = S::mul(S::splat(*a), S::load(self.strip));
                for i in 1..GROUP {
                    sum = S::fma(S::splat(*a.add(i)), S::load(self.strip.add(i * 16)), sum);
                }
                self.finish::<S>(sum, row, j, width);
            }
        }
    }
}
