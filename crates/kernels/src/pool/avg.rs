//! Average pooling and its adjoint.

use super::Quads;
use super::rows::Rows;
use crate::memory::{LINE, Pieces, whole, zero};
use crate::reference::pool_divisors;
use crate::simd::{Kernel, Simd16};
use crate::split::{share, tasks};
use crate::sums::Sums;
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
    fn new(window: &Window, planes: usize, divisor: PoolDivisor, isa: Isa) -> Self {
        let tasks = [tasks(planes * window.input_len().max(window.output_len()), planes)];
        let divisors = pool_divisors(window, divisor).into_iter().map(|d| d as f32).collect();
        let covers = |a: &gabor_tensor::Axis| (a.output, a.dilation, a.pad_begin) == (1, 1, 0) && a.kernel >= a.input;
        let global = window.axes().iter().all(covers);
        Plan { planes, quads: Quads::new(window), global, rows: Rows::new(window), divisors, isa, tasks }
    }
    fn lengths(&self) -> (usize, usize) {
        (self.rows.inputs * self.rows.axis.input, self.rows.outputs * self.rows.axis.output)
    }
    fn scratch_len(&self) -> usize {
        if self.quads.is_some() || self.global {
            0
        } else {
            LINE + whole(self.rows.inputs * self.rows.row_len()) + whole(self.rows.axis.output)
        }
    }
    /// The scratch memory of split rows, and of a row of outputs.
    fn pieces<'a>(&self, scratch: &'a mut [f32]) -> (&'a mut [f32], &'a mut [f32]) {
        if self.scratch_len() == 0 {
            return (&mut [], &mut []);
        }
        let mut pieces = Pieces::new(scratch);
        (pieces.take(self.rows.inputs * self.rows.row_len()), pieces.take(self.rows.axis.output))
    }
}

/// A prepared average pooling: x `[planes, input…]` to y `[planes, output…]`, as
/// [`reference::avg_pool`](crate::reference::avg_pool) defines it. The sum under a window runs in scan order.
#[derive(Clone, Debug)]
pub struct AvgPoolKernel(Plan);

impl AvgPoolKernel {
    /// Prepares a pooling of `planes` planes (images times channels).
    pub fn new(window: &Window, planes: usize, divisor: PoolDivisor, isa: Isa) -> Self {
        AvgPoolKernel(Plan::new(window, planes, divisor, isa))
    }
    /// Runs one task: reads `x`, writes its planes of `y`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `y` meanwhile; `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, x: &[f32], y: SharedMut<'_, f32>, scratch: &mut [f32]) {
        let (xl, yl) = self.0.lengths();
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
        self.0.scratch_len()
    }
}

/// A prepared gradient of average pooling: dy `[planes, output…]` to dx `[planes, input…]`, as
/// [`reference::avg_pool_grad`](crate::reference::avg_pool_grad) defines it.
#[derive(Clone, Debug)]
pub struct AvgPoolGradKernel(Plan);

impl AvgPoolGradKernel {
    /// Prepares the gradient of a pooling of `planes` planes.
    pub fn new(window: &Window, planes: usize, divisor: PoolDivisor, isa: Isa) -> Self {
        AvgPoolGradKernel(Plan::new(window, planes, divisor, isa))
    }
    /// Runs one task: reads `dy`, writes its planes of `dx`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `dx` meanwhile; `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, dy: &[f32], dx: SharedMut<'_, f32>, scratch: &mut [f32]) {
        let (xl, yl) = self.0.lengths();
        assert!(dy.len() >= self.0.planes * yl && dx.len() >= self.0.planes * xl);
        assert!(scratch.len() >= self.scratch_len());
        // SAFETY: lengths are checked; tasks write disjoint planes; the rest is the caller's promise.
        unsafe { self.0.isa.call(Backward { plan: &self.0, task, dy, dx, scratch }) }
    }
}

impl Work for AvgPoolGradKernel {
    fn phases(&self) -> &[usize] {
        &self.0.tasks
    }
    fn scratch_len(&self) -> usize {
        self.0.scratch_len()
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
        let (xl, yl) = plan.lengths();
        let (split, _) = plan.pieces(self.scratch);
        for p in share(self.task, plan.tasks[0], plan.planes) {
            let x = &self.x[p * xl..(p + 1) * xl];
            // SAFETY: this task's planes; the vectors stay inside them.
            unsafe {
                let y = self.y.part(p * yl, yl);
                if plan.global {
                    let mut sums = Sums::ZERO;
                    sums.add_run(x);
                    y[0] = (sums.total() / f64::from(plan.divisors[0])) as f32;
                } else if let Some(q) = plan.quads {
                    quads::<S>(q, plan.divisors[0], x, y);
                } else {
                    plane::<S>(&plan.rows, &plan.divisors, x, y, split);
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
                let (low, high) = ((2 * m).min(16), (2 * m).saturating_sub(16));
                let pair = |p: *const f32| {
                    let (a, b) = (S::load_up_to(p, low), S::load_up_to(p.wrapping_add(low), high));
                    S::add(S::even(a, b), S::odd(a, b))
                };
                let sum = S::add(pair(from), pair(from.add(q.width)));
                S::store_up_to(y.as_mut_ptr().add(row * q.columns + o), S::mul(sum, by), m);
                o += m;
            }
        }
    }
}

/// A plane under any window.
#[inline(always)]
unsafe fn plane<S: Simd16>(rows: &Rows, divisors: &[f32], x: &[f32], y: &mut [f32], split: &mut [f32]) {
    let (axis, len) = (&rows.axis, rows.row_len());
    // SAFETY: split rows have room for whole vectors of windows; outputs are written inside their rows.
    unsafe {
        for i in 0..rows.inputs {
            rows.split::<S>(x.as_ptr().add(i * axis.input), 0.0, split.as_mut_ptr().add(i * len));
        }
        for row in 0..rows.outputs {
            let mut o = 0;
            while o < axis.output {
                let m = (axis.output - o).min(16);
                let mut sum = S::zero();
                for &from in rows.under(row) {
                    let part = split.as_ptr().add(from * len + o);
                    for tap in &rows.taps {
                        sum = S::add(sum, S::load(part.add(tap.at)));
                    }
                }
                let to = row * axis.output + o;
                let by = S::load_up_to(divisors.as_ptr().add(to), m);
                S::store_up_to(y.as_mut_ptr().add(to), S::div(sum, by), m);
                o += m;
            }
        }
    }
}

struct Backward<'a> {
    plan: &'a Plan,
    task: usize,
    dy: &'a [f32],
    dx: SharedMut<'a, f32>,
    scratch: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let plan = self.plan;
        let (xl, yl) = plan.lengths();
        let (split, quotients) = plan.pieces(self.scratch);
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
                    plane_back::<S>(&plan.rows, &plan.divisors, dy, dx, split, quotients);
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
                let (a, b) = S::interleave(d, d);
                for i in 0..2 {
                    let to = dx.as_mut_ptr().add((2 * row + i) * q.width + 2 * o);
                    S::store_up_to(to, a, (2 * m).min(16));
                    S::store_up_to(to.wrapping_add(16), b, (2 * m).saturating_sub(16));
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
unsafe fn plane_back<S: Simd16>(
    rows: &Rows,
    divisors: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    split: &mut [f32],
    quotients: &mut [f32],
) {
    let (axis, len) = (&rows.axis, rows.row_len());
    // SAFETY: split rows have room for whole vectors of windows, and so has the row of quotients.
    unsafe {
        zero::<S>(split.as_mut_ptr(), rows.inputs * len);
        for row in 0..rows.outputs {
            let mut o = 0;
            while o < axis.output {
                let (m, at) = ((axis.output - o).min(16), row * axis.output + o);
                let by = S::load_up_to(divisors.as_ptr().add(at), m);
                S::store(quotients.as_mut_ptr().add(o), S::div(S::load_up_to(dy.as_ptr().add(at), m), by));
                o += m;
            }
            quotients[axis.output..].fill(0.0);
            for &to in rows.under(row) {
                for tap in &rows.taps {
                    let part = split.as_mut_ptr().add(to * len + tap.at);
                    for o in (0..axis.output).step_by(16) {
                        let to = part.add(o);
                        S::store(to, S::add(S::load(to), S::load(quotients.as_ptr().add(o))));
                    }
                }
            }
        }
        zero::<S>(dx.as_mut_ptr(), dx.len());
        for i in 0..rows.inputs {
            rows.join::<S>(split.as_ptr().add(i * len), dx.as_mut_ptr().add(i * axis.input));
        }
    }
}
