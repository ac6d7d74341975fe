//! The matrix product, cut into tasks.

use super::few::{GROUP, dots_scratch, sums_pitch};
use super::{Block, K_BLOCK, PITCH, Panel, block, tile_rows};
use crate::memory::{LINE, Pieces, copy, whole, zero};
use crate::shared::{MOST_TASKS, worth};
use crate::simd::{Kernel, Simd16};
use crate::{Epilogue, Isa, MatMul, SharedMut, Work};

/// Largest block of columns of one task.
const COLUMNS: usize = 256;
/// Largest block of rows of one task.
const ROWS: usize = 224;
/// Up to this many rows the right matrix is read but a few times, and packing it would be most of the work; up to the
/// larger number this holds for sums so long that adding up lanes does not count.
const FEW_ROWS: [usize; 2] = [6, 32];
/// A long sum.
const LONG: usize = 512;
/// The same where the right matrix is not packed.
const GROUP_COLUMNS: usize = 1024;
/// The same for rows.
const GROUP_ROWS: usize = 32;
/// Shortest part that a sum is split into.
const PART: usize = 1024;

/// A prepared matrix product; see [`MatMul`] for the extents.
///
/// The sum over `k` runs in order with fused multiply-adds, in blocks; products of few rows with a transposed right side
/// add on 16 lanes, and long sums with small results are split into parts, all by extents alone.
#[derive(Clone, Debug)]
pub struct MatMulKernel {
    pub(super) p: MatMul,
    isa: Isa,
    rows: usize,
    columns: usize,
    way: Way,
    /// Number of parts of the sum.
    pub(super) parts: usize,
    phases: Vec<usize>,
    /// Where each column (of dot products) or each step of the sum (of tiles) starts in the right matrix.
    pub(super) offsets: Vec<usize>,
}

/// How a product is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Register tiles over packed panels.
    Tiles,
    /// Few rows, and those of both matrices lie along the sum: dot products.
    Dots,
    /// Few rows or a short sum: a few rows of the right matrix at a time, without packing.
    Groups,
}

impl MatMulKernel {
    /// Prepares a product.
    pub fn new(p: MatMul, isa: Isa) -> Self {
        let few = p.m <= FEW_ROWS[0] || p.m <= FEW_ROWS[1] && p.k >= LONG;
        let way = match p.transpose_b {
            true if few && !p.transpose_a => Way::Dots,
            false if p.n > 16 && (p.m <= FEW_ROWS[1] || p.k <= GROUP) => Way::Groups,
            _ => Way::Tiles,
        };
        let wanted = worth(&[p.batch, p.m, p.n.div_ceil(16), p.k], 1, MOST_TASKS).div_ceil(p.batch.max(1));
        // Long rows of the right matrix where it is not packed: memory is read and written in long runs.
        let (most_rows, most_columns) = if way == Way::Groups { (GROUP_ROWS, GROUP_COLUMNS) } else { (ROWS, COLUMNS) };
        let (mut rows, mut columns) = (p.m.clamp(1, most_rows), whole(p.n).clamp(16, most_columns));
        while p.m.div_ceil(rows) * p.n.div_ceil(columns) < wanted {
            if way == Way::Groups && columns <= 256 {
                break;
            } else if columns > 32 && (columns >= rows || rows <= 14) {
                columns = (columns / 2).next_multiple_of(32);
            } else if rows > 14 {
                rows = (rows / 2).next_multiple_of(14);
            } else {
                break;
            }
        }
        let blocks = p.m.div_ceil(rows) * p.n.div_ceil(columns);
        let parts = if way == Way::Dots || p.batch != 1 || blocks >= wanted {
            1
        } else {
            (p.k / PART).min(wanted.div_ceil(blocks.max(1))).clamp(1, 16)
        };
        let mut phases = vec![p.batch * blocks * parts];
        if parts > 1 {
            phases.push((p.m * p.n).div_ceil(1 << 14));
        }
        let offsets = match way {
            Way::Dots => (0..columns).map(|j| j * p.k).collect(),
            Way::Tiles => (0..K_BLOCK).map(|i| i * 32).collect(),
            Way::Groups => Vec::new(),
        };
        MatMulKernel { p, isa, rows, columns, way, parts, phases, offsets }
    }
    /// Runs one task: reads `a` and `b`, writes its part of `c`.
    ///
    /// # Safety
    /// Tasks of one phase may run at the same time, those of the next only after them; nothing else may touch `c` and
    /// `workspace` meanwhile. `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn run(
        &self,
        phase: usize,
        task: usize,
        a: &[f32],
        b: &[f32],
        epilogue: Epilogue<'_>,
        c: SharedMut<'_, f32>,
        workspace: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        let p = self.p;
        assert!(a.len() >= p.batch * p.m * p.k && b.len() >= p.batch * p.k * p.n && c.len() >= p.batch * p.m * p.n);
        assert!(workspace.len() >= self.workspace_len() && scratch.len() >= self.scratch_len());
        assert!(epilogue.bias.is_none_or(|b| b.len() >= p.n));
        assert!(epilogue.add.is_none_or(|a| a.len() >= c.len()));
        let run = Run { kernel: self, phase, task, a, b, epilogue, c, workspace, scratch };
        // SAFETY: lengths are checked; tasks write disjoint blocks; the rest is the caller's promise.
        unsafe { self.isa.call(run) }
    }
}

impl Work for MatMulKernel {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn workspace_len(&self) -> usize {
        if self.parts > 1 { self.parts * self.p.m * self.p.n } else { 0 }
    }
    fn scratch_len(&self) -> usize {
        LINE + match self.way {
            Way::Dots => dots_scratch(self.rows, self.columns),
            Way::Groups => whole(self.rows * GROUP) + GROUP * 16 + self.rows * sums_pitch(self.columns),
            Way::Tiles => 16 * PITCH + K_BLOCK * self.columns.next_multiple_of(32),
        }
    }
}

/// A task of a product.
pub(super) struct Run<'a> {
    pub(super) kernel: &'a MatMulKernel,
    phase: usize,
    task: usize,
    pub(super) a: &'a [f32],
    pub(super) b: &'a [f32],
    pub(super) epilogue: Epilogue<'a>,
    pub(super) c: SharedMut<'a, f32>,
    pub(super) workspace: SharedMut<'a, f32>,
    pub(super) scratch: &'a mut [f32],
}

impl Kernel for Run<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        // SAFETY: the contract of `MatMulKernel::run`.
        unsafe {
            if self.phase == 1 {
                self.join::<S>();
            } else {
                match self.kernel.way {
                    Way::Dots => self.dots::<S>(),
                    Way::Groups => self.groups::<S>(),
                    Way::Tiles => self.tiles::<S>(),
                }
            }
        }
    }
}

impl Run<'_> {
    /// Rows and columns of the task, its part of the sum and its matrix of the batch.
    pub(super) fn place(&self) -> (std::ops::Range<usize>, std::ops::Range<usize>, usize, usize) {
        let (k, p) = (self.kernel, self.kernel.p);
        let (row_blocks, column_blocks) = (p.m.div_ceil(k.rows), p.n.div_ceil(k.columns));
        let (part, rest) = (self.task % k.parts, self.task / k.parts);
        let (column, rest) = (rest % column_blocks * k.columns, rest / column_blocks);
        let (row, batch) = (rest % row_blocks * k.rows, rest / row_blocks);
        (row..(row + k.rows).min(p.m), column..(column + k.columns).min(p.n), part, batch)
    }

    #[inline(always)]
    unsafe fn tiles<S: Simd16>(self) {
        let (rows, columns, part, batch) = self.place();
        let (kernel, p) = (self.kernel, self.kernel.p);
        let mut pieces = Pieces::new(self.scratch);
        let panel = pieces.take(16 * PITCH).as_mut_ptr();
        let packed = pieces.take(K_BLOCK * columns.len().next_multiple_of(32)).as_mut_ptr();
        let a = self.a[batch * p.m * p.k..].as_ptr();
        let b = self.b[batch * p.k * p.n..].as_ptr();
        let target = if kernel.parts > 1 { self.workspace.as_ptr() } else { self.c.as_ptr() };
        let (from, to) = (p.k * part / kernel.parts, p.k * (part + 1) / kernel.parts);
        // SAFETY: rows and columns lie inside the matrices; scratch is as long as `scratch_len` says.
        unsafe {
            let c = target.add((batch + part) * p.m * p.n);
            let mut k0 = from;
            while k0 < to {
                let k = (to - k0).min(K_BLOCK);
                pack_right::<S>(&p, b, k0, k, columns.clone(), packed);
                let deal = tile_rows::<S>(rows.len());
                for t in 0..deal.tiles {
                    let (first, last) = (rows.start + deal.start(t), rows.start + deal.start(t + 1));
                    for i in 0..if p.transpose_a { k } else { 0 } {
                        copy::<S>(a.add((k0 + i) * p.m + first), panel.add(i * 16), last - first);
                    }
                    for r in 0..if p.transpose_a { 0 } else { last - first } {
                        copy::<S>(a.add((first + r) * p.k + k0), panel.add(r * PITCH), k);
                    }
                    block::<S>(Block {
                        a: panel,
                        panel: if p.transpose_a { Panel::Columns } else { Panel::Rows },
                        rows: last - first,
                        b: packed,
                        b_step: k * 32,
                        offsets: kernel.offsets.as_ptr(),
                        k,
                        c: c.add(first * p.n + columns.start),
                        ldc: p.n,
                        columns: columns.len(),
                        first: k0 == from,
                    });
                }
                k0 += k;
            }
            for row in rows {
                if p.k == 0 {
                    zero::<S>(c.add(row * p.n + columns.start), columns.len());
                }
                if kernel.parts == 1 {
                    let at = (batch * p.m + row) * p.n + columns.start;
                    self.epilogue.columns::<S>(self.c.as_ptr(), at, columns.start, columns.len());
                }
            }
        }
    }

    /// Adds up the parts of the sum, in order.
    #[inline(always)]
    unsafe fn join<S: Simd16>(self) {
        let (kernel, p) = (self.kernel, self.kernel.p);
        let len = p.m * p.n;
        let tasks = kernel.phases[1];
        // Whole rows, so that the epilogue finds its columns.
        let rows = p.m * self.task / tasks..p.m * (self.task + 1) / tasks;
        // SAFETY: rows of different tasks are disjoint, and the workspace is no longer written.
        unsafe {
            for row in rows {
                let mut i = 0;
                while i < p.n {
                    let m = (p.n - i).min(16);
                    let from = self.workspace.as_ptr().add(row * p.n + i);
                    let mut sum = S::load_up_to(from, m);
                    for part in 1..kernel.parts {
                        sum = S::add(sum, S::load_up_to(from.add(part * len), m));
                    }
                    S::store_up_to(self.c.as_ptr().add(row * p.n + i), sum, m);
                    i += m;
                }
                self.epilogue.columns::<S>(self.c.as_ptr(), row * p.n, 0, p.n);
            }
        }
    }
}

/// Packs rows `k0..k0 + k` and the given columns of the right matrix: 32 columns side by side, then the next 32.
#[inline(always)]
unsafe fn pack_right<S: Simd16>(
    p: &MatMul,
    b: *const f32,
    k0: usize,
    k: usize,
    columns: std::ops::Range<usize>,
    to: *mut f32,
) {
    let mut column = columns.start;
    let mut to = to;
    while column < columns.end {
        let width = (columns.end - column).min(32);
        // SAFETY: rows and columns lie inside the matrix; `to` has room for whole groups of 32 columns.
        unsafe {
            if p.transpose_b {
                for half in (0..width).step_by(16) {
                    let rows = b.add((column + half) * p.k + k0);
                    pack_transposed::<S>(rows, p.k, (width - half).min(16), k, to.add(half));
                }
            } else {
                for i in 0..k {
                    copy::<S>(b.add((k0 + i) * p.n + column), to.add(i * 32), width);
                }
            }
            to = to.add(k * 32);
        }
        column += width;
    }
}

/// Turns `rows ≤ 16` rows of `k` elements into `k` rows of 16, 32 apart; the last row is repeated where there is none.
#[inline(always)]
unsafe fn pack_transposed<S: Simd16>(from: *const f32, pitch: usize, rows: usize, k: usize, to: *mut f32) {
    let mut i = 0;
    while i < k {
        let m = (k - i).min(16);
        // SAFETY: as the caller promises.
        unsafe {
            let mut v = [S::zero(); 16];
            if m == 16 {
                for r in 0..16 {
                    v[r] = S::load(from.add(r.min(rows - 1) * pitch + i));
                }
                let v = S::transpose(v);
                for j in 0..16 {
                    S::store(to.add((i + j) * 32), v[j]);
                }
            } else {
                for r in 0..16 {
                    v[r] = S::load_part(from.add(r.min(rows - 1) * pitch + i), m);
                }
                for (j, v) in S::transpose(v).into_iter().enumerate().take(m) {
                    S::store(to.add((i + j) * 32), v);
                }
            }
        }
        i += m;
    }
}

#[cfg(test)]
mod tests;
