//! Average pooling and its adjoint.

use super::rows::{Over, Rows};
use super::{Quads, global, load_two, store_two};
use crate::memory::{LINE, Pieces, whole};
use crate::reference::pool_divisors;
use crate::simd::{Kernel, Simd16};
use crate::split::{share, tasks};
use crate::{Isa, SharedMut, Work};
use gabor_tensor::{PoolDivisor, Window};

/// What average pooling and its gradient share.
#[derive(Clone, Debug)]
struct Plan {
    planes: usize,
    quads: Option<Quads>,
    /// One window that covers the plane.
    global: bool,
    rows: Rows,
    divisors: Vec<f32>,
    isa: Isa,
    tasks: [usize; 1],
}

impl Plan {
    fn new(window: &Window, planes: usize, divisor: PoolDivisor, isa: Isa) -> Result<Self, String> {
        let tasks = [tasks(planes * window.input_len().max(window.output_len()), planes)];
        let divisors = pool_divisors(window, divisor).into_iter().map(|d| d as f32).collect();
        let covers = |a: &gabor_tensor::Axis| (a.output, a.dilation, a.pad_begin) == (1, 1, 0) && a.kernel >= a.input;
        let global = window.axes().iter().all(covers);
        let (quads, rows) = (Quads::new(window), Rows::new(window));
        let plan = Plan { planes, quads, global, rows, divisors, isa, tasks };
        if plan.is_generic() {
            plan.rows.check()?;
        }
        Ok(plan)
    }
    fn is_generic(&self) -> bool {
        self.quads.is_none() && !self.global
    }
}

/// A prepared average pooling: x `[planes, input…]` to y `[planes, output…]`, as
/// [`reference::avg_pool`](crate::reference::avg_pool) defines it. The sum under a window runs in scan order, that of a
/// window over the whole plane on lanes.
#[derive(Clone, Debug)]
pub struct AvgPoolKernel(Plan);

impl AvgPoolKernel {
    /// Prepares a pooling of `planes` planes (images times channels), or says that it would need too much memory.
    pub fn new(window: &Window, planes: usize, divisor: PoolDivisor, isa: Isa) -> Result<Self, String> {
        Ok(AvgPoolKernel(Plan::new(window, planes, divisor, isa)?))
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
        unsafe { self.0.isa.call(Forward { plan: &self.0, task, x, y, scratch }) }
    }
}

impl Work for AvgPoolKernel {
    fn phases(&self) -> &[usize] {
        &self.0.tasks
    }
    fn scratch_len(&self) -> usize {
        let rows = &self.0.rows;
        if self.0.is_generic() { LINE + whole(rows.inputs * rows.row_len()) + whole(rows.padded_len()) } else { 0 }
    }
}

/// A prepared gradient of average pooling: dy `[planes, output…]` to dx `[planes, input…]`, as
/// [`reference::avg_pool_grad`](crate::reference::avg_pool_grad) defines it.
#[derive(Clone, Debug)]
pub struct AvgPoolGradKernel {
    plan: Plan,
    over: Over,
}

impl AvgPoolGradKernel {
    /// Prepares the gradient of a pooling of `planes` planes, or says that it would need too much memory.
    pub fn new(window: &Window, planes: usize, divisor: PoolDivisor, isa: Isa) -> Result<Self, String> {
        let plan = Plan::new(window, planes, divisor, isa)?;
        let over = plan.rows.over();
        Ok(AvgPoolGradKernel { plan, over })
    }
    /// Runs one task: reads `dy`, writes its planes of `dx`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `dx` meanwhile; `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, dy: &[f32], dx: SharedMut<'_, f32>, scratch: &mut [f32]) {
        let (xl, yl) = self.plan.rows.lengths();
        assert!(dy.len() >= self.plan.planes * yl && dx.len() >= self.plan.planes * xl);
        assert!(scratch.len() >= self.scratch_len());
        // SAFETY: lengths are checked; tasks write disjoint planes; the rest is the caller's promise.
        unsafe { self.plan.isa.call(Backward { kernel: self, task, dy, dx, scratch }) }
    }
}

impl Work for AvgPoolGradKernel {
    fn phases(&self) -> &[usize] {
        &self.plan.tasks
    }
    fn scratch_len(&self) -> usize {
        let rows = &self.plan.rows;
        if self.plan.is_generic() {
            LINE + whole(rows.outputs * self.over.pitch) + whole(rows.row_len()) + whole(rows.padded_len())
        } else {
            0
        }
    }
}

struct Forward<'a> {
    plan: &'a Plan,
    task: usize,
    x: &'a [f32],
    y: SharedMut<'a, f32>,
    scratch: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let plan = self.plan;
        let (xl, yl) = plan.rows.lengths();
        let (mut split, mut padded): (&mut [f32], &mut [f32]) = (&mut [], &mut []);
        if plan.is_generic() {
            let mut pieces = Pieces::new(self.scratch);
            (split, padded) =
                (pieces.take(plan.rows.inputs * plan.rows.row_len()), pieces.take(plan.rows.padded_len()));
            padded.fill(0.0);
        }
        let planes = share(self.task, plan.tasks[0], plan.planes);
        if plan.global {
            for p in planes.clone().step_by(global::PLANES) {
                let end = planes.end.min(p + global::PLANES);
                // SAFETY: this task's planes.
                unsafe {
                    let y = self.y.part(p, end - p);
                    global::means::<S>(&self.x[p * xl..end * xl], xl, plan.divisors[0], y);
                }
            }
            return;
        }
        for p in planes {
            let x = &self.x[p * xl..(p + 1) * xl];
            // SAFETY: this task's planes; the vectors stay inside them.
            unsafe {
                let y = self.y.part(p * yl, yl);
                if let Some(q) = plan.quads {
                    quads::<S>(q, plan.divisors[0], x, y);
                } else {
                    plane::<S>(&plan.rows, &plan.divisors, x, y, padded, split);
                }
            }
        }
    }
}

/// A plane under windows of 2 × 2.
#[inline(always)]
unsafe fn quads<S: Simd16>(q: Quads, divisor: f32, x: &[f32], y: &mut [f32]) {
    // SAFETY: two rows of `2·columns` elements lie inside the plane for every output row.
    unsafe {
        // A power of two: the product is the quotient.
        let by = S::splat(1.0 / divisor);
        for row in 0..q.rows {
            let mut o = 0;
            while o < q.columns {
                let m = (q.columns - o).min(16);
                let from = x.as_ptr().add(2 * row * q.width + 2 * o);
                let (a, b) = load_two::<S>(from, m);
                let (c, d) = load_two::<S>(from.add(q.width), m);
                let sum = S::add(S::add(S::even(a, b), S::odd(a, b)), S::add(S::even(c, d), S::odd(c, d)));
                S::store_up_to(y.as_mut_ptr().add(row * q.columns + o), S::mul(sum, by), m);
                o += m;
            }
        }
    }
}

/// A plane under any window.
#[inline(always)]
unsafe fn plane<S: Simd16>(
    rows: &Rows,
    divisors: &[f32],
    x: &[f32],
    y: &mut [f32],
    padded: &mut [f32],
    split: &mut [f32],
) {
    let len = rows.row_len();
    // SAFETY: split rows have room for whole vectors of windows; outputs are written inside their rows.
    unsafe {
        for i in 0..rows.inputs {
            let from = x.as_ptr().add(i * rows.axis.input);
            rows.split::<S>(from, padded.as_mut_ptr(), split.as_mut_ptr().add(i * len));
        }
        for row in 0..rows.outputs {
            each_block!(rows.axis.output, o, N, {
                windows::<S, N>(rows, divisors, split.as_ptr(), row, o, y.as_mut_ptr());
            });
        }
    }
}

/// `N` vectors of windows of an output row.
#[inline(always)]
unsafe fn windows<S: Simd16, const N: usize>(
    rows: &Rows,
    divisors: &[f32],
    split: *const f32,
    row: usize,
    o: usize,
    y: *mut f32,
) {
    // SAFETY: as `plane`.
    unsafe {
        let mut sums = [S::zero(); N];
        for &from in rows.under(row) {
            let part = split.add(from * rows.row_len() + o);
            for tap in &rows.taps {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = S::add(*sum, S::load(part.add(tap.at + 16 * i)));
                }
            }
        }
        for (i, &sum) in sums.iter().enumerate() {
            let at = row * rows.axis.output + o + 16 * i;
            let m = (rows.axis.output - o - 16 * i).min(16);
            S::store_up_to(y.add(at), S::div(sum, S::load_up_to(divisors.as_ptr().add(at), m)), m);
        }
    }
}

struct Backward<'a> {
    kernel: &'a AvgPoolGradKernel,
    task: usize,
    dy: &'a [f32],
    dx: SharedMut<'a, f32>,
    scratch: &'a mut [f32],
}

/// Scratch memory of the gradient.
#[derive(Default)]
struct Space<'a> {
    /// The quotients of a plane, with zeros around each row.
    quotients: &'a mut [f32],
    /// A split row.
    split: &'a mut [f32],
    /// A padded row; zeros.
    padded: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let plan = &self.kernel.plan;
        let (xl, yl) = plan.rows.lengths();
        let mut space = Space::default();
        if plan.is_generic() {
            let mut pieces = Pieces::new(self.scratch);
            let quotients = pieces.take(plan.rows.outputs * self.kernel.over.pitch);
            let (split, padded) = (pieces.take(plan.rows.row_len()), pieces.take(plan.rows.padded_len()));
            quotients.fill(0.0);
            padded.fill(0.0);
            space = Space { quotients, split, padded };
        }
        for p in share(self.task, plan.tasks[0], plan.planes) {
            let dy = &self.dy[p * yl..(p + 1) * yl];
            // SAFETY: this task's planes; the vectors stay inside them.
            unsafe {
                let dx = self.dx.part(p * xl, xl);
                if plan.global {
                    dx.fill(dy[0] / plan.divisors[0]);
                } else if let Some(q) = plan.quads {
                    quads_back::<S>(q, plan.divisors[0], dy, dx);
                } else {
                    plane_back::<S>(self.kernel, dy, dx, &mut space);
                }
            }
        }
    }
}

/// The gradient of a plane under windows of 2 × 2.
#[inline(always)]
unsafe fn quads_back<S: Simd16>(q: Quads, divisor: f32, dy: &[f32], dx: &mut [f32]) {
    // SAFETY: two rows of `2·columns` elements lie inside the plane for every output row.
    unsafe {
        let by = S::splat(1.0 / divisor);
        for row in 0..q.rows {
            let mut o = 0;
            while o < q.columns {
                let m = (q.columns - o).min(16);
                let d = S::mul(S::load_up_to(dy.as_ptr().add(row * q.columns + o), m), by);
                let twice = S::interleave(d, d);
                for i in 0..2 {
                    store_two::<S>(dx.as_mut_ptr().add((2 * row + i) * q.width + 2 * o), twice, m);
                }
                o += m;
            }
            for i in 0..2 {
                dx[(2 * row + i) * q.width + 2 * q.columns..(2 * row + i + 1) * q.width].fill(0.0);
            }
        }
        dx[2 * q.rows * q.width..].fill(0.0);
    }
}

/// The gradient of a plane under any window.
#[inline(always)]
unsafe fn plane_back<S: Simd16>(k: &AvgPoolGradKernel, dy: &[f32], dx: &mut [f32], space: &mut Space<'_>) {
    let (rows, over) = (&k.plan.rows, &k.over);
    let width = rows.axis.output;
    // SAFETY: rows of quotients have zeros for every tap before and after the row; split rows are whole vectors.
    unsafe {
        for row in 0..rows.outputs {
            for o in (0..width).step_by(16) {
                let (m, at) = ((width - o).min(16), row * width + o);
                let by = S::load_up_to(k.plan.divisors.as_ptr().add(at), m);
                let to = space.quotients.as_mut_ptr().add(row * over.pitch + over.front + o);
                S::store_up_to(to, S::div(S::load_up_to(dy.as_ptr().add(at), m), by), m);
            }
        }
        for i in 0..rows.inputs {
            let (from, to) = (space.quotients.as_ptr(), space.split.as_mut_ptr());
            for (part, taps) in over.taps.iter().enumerate() {
                each_block!(rows.pitch, j, N, {
                    sources::<S, N>(over, i, taps, from.add(over.front + j), to.add(part * rows.pitch + j));
                });
            }
            rows.join::<S>(to, space.padded.as_mut_ptr(), dx.as_mut_ptr().add(i * rows.axis.input));
        }
    }
}

/// `N` vectors of a part of an input row: the sum of the quotients of all windows over each element.
#[inline(always)]
unsafe fn sources<S: Simd16, const N: usize>(over: &Over, row: usize, taps: &[usize], from: *const f32, to: *mut f32) {
    // SAFETY: as `plane_back`.
    unsafe {
        let mut sums = [S::zero(); N];
        for &o in over.rows(row) {
            for &tap in taps {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = S::add(*sum, S::load(from.add(o * over.pitch + 16 * i).sub(tap)));
                }
            }
        }
        for (i, &sum) in sums.iter().enumerate() {
            S::store(to.add(16 * i), sum);
        }
    }
}
