//! Maxima alone.

use super::max::Plan;
use super::rows::Rows;
use super::{Quads, load_two};
use crate::memory::{LINE, Pieces, whole};
use crate::simd::{Kernel, Simd16};
use crate::split::share;
use crate::{Isa, SharedMut, Work};
use gabor_tensor::Window;

/// A prepared max pooling without switches: x `[planes, input…]` to y `[planes, output…]`, as
/// [`reference::max_pool`](crate::reference::max_pool) defines it; of zeros with different signs it may be another one.
///
/// The maximum is taken down the columns first: one row per output row is then left to pad and to split by the stride.
#[derive(Clone, Debug)]
pub struct MaxPoolValuesKernel(Plan);

impl MaxPoolValuesKernel {
    /// Prepares a pooling of `planes` planes (images times channels), or says that it would need too much memory.
    pub fn new(window: &Window, planes: usize, isa: Isa) -> Result<Self, String> {
        Ok(MaxPoolValuesKernel(Plan::new(window, planes, isa)?))
    }
    /// Runs one task: reads `x`, writes its planes of `y`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `y` meanwhile; `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, x: &[f32], y: SharedMut<'_, f32>, scratch: &mut [f32]) {
        let (xl, yl) = self.0.rows.lengths();
        assert!(x.len() >= self.0.planes * xl && y.len() >= self.0.planes * yl);
        assert!(scratch.len() >= self.scratch_len());
        // SAFETY: lengths are checked; tasks write disjoint planes; the rest is the caller's promise.
        unsafe { self.0.isa.call(Run { plan: &self.0, task, x, y, scratch }) }
    }
}

impl Work for MaxPoolValuesKernel {
    fn phases(&self) -> &[usize] {
        &self.0.tasks
    }
    fn scratch_len(&self) -> usize {
        let Plan { quads, rows, .. } = &self.0;
        if quads.is_some() { 0 } else { LINE + whole(rows.row_len()) + whole(rows.padded_len()) }
    }
}

struct Run<'a> {
    plan: &'a Plan,
    task: usize,
    x: &'a [f32],
    y: SharedMut<'a, f32>,
    scratch: &'a mut [f32],
}

impl Kernel for Run<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let Plan { planes, quads: pairs, rows, tasks, .. } = self.plan;
        let (xl, yl) = rows.lengths();
        let (mut split, mut padded): (&mut [f32], &mut [f32]) = (&mut [], &mut []);
        if pairs.is_none() {
            let mut pieces = Pieces::new(self.scratch);
            (split, padded) = (pieces.take(rows.row_len()), pieces.take(rows.padded_len()));
            padded.fill(f32::NEG_INFINITY);
        }
        for p in share(self.task, tasks[0], *planes) {
            let x = &self.x[p * xl..(p + 1) * xl];
            // SAFETY: this task's planes; the vectors stay inside them.
            unsafe {
                let y = self.y.part(p * yl, yl);
                match *pairs {
                    Some(q) => quads::<S>(q, x, y),
                    None => plane::<S>(rows, x, y, padded, split),
                }
            }
        }
    }
}

/// The larger of two; NaN if one of them is.
#[inline(always)]
unsafe fn join<S: Simd16>(a: S::V, b: S::V) -> S::V {
    // `max` gives its second argument where one is NaN.
    // SAFETY: the caller promises the instruction set.
    unsafe { S::select(S::is_nan(b), b, S::max(b, a)) }
}

/// A plane under windows of 2 × 2.
#[inline(always)]
unsafe fn quads<S: Simd16>(q: Quads, x: &[f32], y: &mut [f32]) {
    // SAFETY: two rows of `2·columns` elements lie inside the plane for every output row.
    unsafe {
        for row in 0..q.rows {
            let mut o = 0;
            while o < q.columns {
                let m = (q.columns - o).min(16);
                let from = x.as_ptr().add(2 * row * q.width + 2 * o);
                let (a, b) = load_two::<S>(from, m);
                let (c, d) = load_two::<S>(from.add(q.width), m);
                let (left, right) = (join::<S>(a, c), join::<S>(b, d));
                let best = join::<S>(S::even(left, right), S::odd(left, right));
                S::store_up_to(y.as_mut_ptr().add(row * q.columns + o), best, m);
                o += m;
            }
        }
    }
}

/// A plane under any window.
#[inline(always)]
unsafe fn plane<S: Simd16>(rows: &Rows, x: &[f32], y: &mut [f32], padded: &mut [f32], split: &mut [f32]) {
    let (used, to) = (rows.used(), y.as_mut_ptr());
    // SAFETY: split rows have room for whole vectors of windows; outputs are written inside their rows.
    unsafe {
        for row in 0..rows.outputs {
            each_block!(used, i, N, {
                column_maxima::<S, N>(rows, x.as_ptr(), row, (i, used), padded.as_mut_ptr());
            });
            let parts = rows.parts_of::<S>(padded.as_ptr(), split.as_mut_ptr());
            each_block!(rows.axis.output, o, N, {
                windows::<S, N>(rows, parts, o, to.add(row * rows.axis.output));
            });
        }
    }
}

/// `N` vectors from element `i` on of the maxima of the input rows under an output row, to the padded row.
#[inline(always)]
unsafe fn column_maxima<S: Simd16, const N: usize>(
    rows: &Rows,
    x: *const f32,
    row: usize,
    (i, used): (usize, usize),
    padded: *mut f32,
) {
    // SAFETY: as `plane`; never beyond the elements in use.
    unsafe {
        let mut best = [S::splat(f32::NEG_INFINITY); N];
        let len = |j: usize| (used - i - 16 * j).min(16);
        for &from in rows.under(row) {
            let x = x.add(from * rows.axis.input + i);
            for (j, best) in best.iter_mut().enumerate() {
                *best = join::<S>(*best, S::load_up_to(x.add(16 * j), len(j)));
            }
        }
        for (j, &best) in best.iter().enumerate() {
            S::store_up_to(padded.add(rows.axis.pad_begin + i + 16 * j), best, len(j));
        }
    }
}

/// `N` vectors of windows of an output row.
#[inline(always)]
unsafe fn windows<S: Simd16, const N: usize>(rows: &Rows, parts: *const f32, o: usize, y: *mut f32) {
    // SAFETY: as `plane`.
    unsafe {
        let mut best = [S::splat(f32::NEG_INFINITY); N];
        for tap in &rows.taps {
            for (i, best) in best.iter_mut().enumerate() {
                *best = join::<S>(*best, S::load(parts.add(o + tap.at + 16 * i)));
            }
        }
        for (i, &best) in best.iter().enumerate() {
            S::store_up_to(y.add(o + 16 * i), best, (rows.axis.output - o - 16 * i).min(16));
        }
    }
}
