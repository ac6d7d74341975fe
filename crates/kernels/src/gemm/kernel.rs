//! The matrix product, cut into tasks.

use super::{Block, DotTile, K_BLOCK, PITCH, Panel, block, dot_tile, reduce_lanes, tile_rows};
use crate::memory::{LINE, Pieces, copy, whole, zero};
use crate::shared::{MOST_TASKS, TASK};
use crate::simd::{Kernel, Simd16};
use crate::{Epilogue, Isa, MatMul, SharedMut, Work};

/// Largest block of columns of one task.
const COLUMNS: usize = 256;
/// Largest block of rows of one task.
const ROWS: usize = 224;
/// Up to this many rows the right matrix is read once only, and packing it would be most of the work.
const FEW_ROWS: usize = 6;
/// Shortest part that a sum is split into.
const PART: usize = 1024;

/// A prepared matrix product; see [`MatMul`] for the extents.
///
/// The sum over `k` runs in order with fused multiply-adds; products of few rows with a transposed right side add on 16
/// lanes, and long sums with small results are split into parts, both by extents alone.
#[derive(Clone, Debug)]
pub struct MatMulKernel {
    p: MatMul,
    isa: Isa,
    rows: usize,
    columns: usize,
    /// Rows of both matrices lie along the sum and are few: no packing.
    by_dots: bool,
    /// Number of parts of the sum.
    parts: usize,
    phases: Vec<usize>,
    offsets: Vec<usize>,
}

impl MatMulKernel {
    /// Prepares a product.
    pub fn new(p: MatMul, isa: Isa) -> Self {
        let work = p.m * p.n.div_ceil(16) * p.k;
        let by_dots = p.m <= FEW_ROWS && !p.transpose_a && p.transpose_b;
        let wanted = (p.batch * work / TASK).clamp(1, MOST_TASKS).div_ceil(p.batch.max(1));
        let (mut rows, mut columns) = (p.m.clamp(1, ROWS), whole(p.n).clamp(16, COLUMNS));
        while p.m.div_ceil(rows) * p.n.div_ceil(columns) < wanted {
            if columns > 32 && (columns >= rows || rows <= 14) {
                columns = (columns / 2).next_multiple_of(32);
            } else if rows > 14 {
                rows = (rows / 2).next_multiple_of(14);
            } else {
                break;
            }
        }
        let blocks = p.m.div_ceil(rows) * p.n.div_ceil(columns);
        let parts = if by_dots || p.batch != 1 || blocks >= wanted {
            1
        } else {
            (p.k / PART).min(wanted.div_ceil(blocks.max(1))).clamp(1, 16)
        };
        let mut phases = vec![p.batch * blocks * parts];
        if parts > 1 {
            phases.push((p.m * p.n).div_ceil(1 << 14));
        }
        let offsets =
            if by_dots { (0..columns).map(|j| j * p.k).collect() } else { (0..K_BLOCK).map(|i| i * 32).collect() };
        MatMulKernel { p, isa, rows, columns, by_dots, parts, phases, offsets }
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
        if self.by_dots {
            LINE + self.p.m * (self.columns * 16 + 256) + self.p.m * 16 + self.columns * 16
        } else {
            LINE + 16 * PITCH + K_BLOCK * self.columns.next_multiple_of(32)
        }
    }
}

struct Run<'a> {
    kernel: &'a MatMulKernel,
    phase: usize,
    task: usize,
    a: &'a [f32],
    b: &'a [f32],
    epilogue: Epilogue<'a>,
    c: SharedMut<'a, f32>,
    workspace: SharedMut<'a, f32>,
    scratch: &'a mut [f32],
}

impl Kernel for Run<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        // SAFETY: the contract of `MatMulKernel::run`.
        unsafe {
            if self.phase == 1 {
                self.join::<S>();
            } else if self.kernel.by_dots {
                self.dots::<S>();
            } else {
                self.tiles::<S>();
            }
        }
    }
}

impl Run<'_> {
    /// Rows and columns of the task, its part of the sum and its matrix of the batch.
    fn place(&self) -> (std::ops::Range<usize>, std::ops::Range<usize>, usize, usize) {
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

    /// Few rows: every element of c is a dot product of two contiguous rows.
    #[inline(always)]
    unsafe fn dots<S: Simd16>(self) {
        let (_, columns, _, batch) = self.place();
        let (kernel, p) = (self.kernel, self.kernel.p);
        let mut pieces = Pieces::new(self.scratch);
        let sums = pieces.take(p.m * columns.len() * 16 + 256).as_mut_ptr();
        let tail_a = pieces.take(p.m * 16).as_mut_ptr();
        let tail_b = pieces.take(columns.len() * 16).as_mut_ptr();
        let a = self.a[batch * p.m * p.k..].as_ptr();
        let b = self.b[batch * p.k * p.n + columns.start * p.k..].as_ptr();
        let (steps, tail) = (p.k / 16, p.k % 16);
        // SAFETY: rows and columns lie inside the matrices; scratch is as long as `scratch_len` says.
        unsafe {
            zero::<S>(sums, p.m * columns.len() * 16);
            let tile = DotTile {
                y: a,
                y_row: p.k,
                rows: p.m,
                y_run: 0,
                x: b,
                offsets: &kernel.offsets[..columns.len()],
                x_run: 0,
                runs: 1,
                steps,
                sums,
                sums_row: columns.len(),
            };
            dot_tile::<S>(tile);
            if tail > 0 {
                for r in 0..p.m {
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
            for r in 0..p.m {
                let at = (batch * p.m + r) * p.n + columns.start;
                reduce_lanes::<S>(sums.add(r * columns.len() * 16), columns.len(), self.c.as_ptr().add(at));
                self.epilogue.columns::<S>(self.c.as_ptr(), at, columns.start, columns.len());
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
