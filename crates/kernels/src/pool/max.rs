//! Max pooling with switches.

use super::rows::Rows;
use super::{Quads, load_two};
use crate::memory::{LINE, Pieces, whole};
use crate::simd::{Kernel, Simd16};
use crate::split::{share, tasks};
use crate::{Isa, SharedMut, Work};
use gabor_tensor::Window;

/// What max pooling with and without switches share.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub planes: usize,
    pub quads: Option<Quads>,
    pub rows: Rows,
    pub isa: Isa,
    pub tasks: [usize; 1],
}

impl Plan {
    pub(super) fn new(window: &Window, planes: usize, isa: Isa) -> Result<Self, String> {
        let tasks = [tasks(planes * window.input_len().max(window.output_len()), planes)];
        let (quads, rows) = (Quads::new(window), Rows::new(window));
        if quads.is_none() {
            rows.check()?;
        }
        Ok(Plan { planes, quads, rows, isa, tasks })
    }
}

/// A prepared max pooling: x `[planes, input…]` to y and switches `[planes, output…]`, as
/// [`reference::max_pool`](crate::reference::max_pool) defines them.
#[derive(Clone, Debug)]
pub struct MaxPoolKernel(Plan);

impl MaxPoolKernel {
    /// Prepares a pooling of `planes` planes (images times channels), or says that it would need too much memory.
    pub fn new(window: &Window, planes: usize, isa: Isa) -> Result<Self, String> {
        Ok(MaxPoolKernel(Plan::new(window, planes, isa)?))
    }
    /// Runs one task: reads `x`, writes its planes of `y` and `switches`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch the outputs meanwhile; `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(
        &self,
        task: usize,
        x: &[f32],
        y: SharedMut<'_, f32>,
        switches: SharedMut<'_, i32>,
        scratch: &mut [f32],
    ) {
        let (xl, yl) = self.0.rows.lengths();
        let planes = self.0.planes;
        assert!(x.len() >= planes * xl && y.len() >= planes * yl && switches.len() >= planes * yl);
        assert!(scratch.len() >= self.scratch_len());
        // SAFETY: lengths are checked; tasks write disjoint planes; the rest is the caller's promise.
        unsafe { self.0.isa.call(Run { plan: &self.0, task, x, y, switches, scratch }) }
    }
}

impl Work for MaxPoolKernel {
    fn phases(&self) -> &[usize] {
        &self.0.tasks
    }
    fn scratch_len(&self) -> usize {
        let Plan { quads, rows, .. } = &self.0;
        if quads.is_some() { 0 } else { LINE + whole(rows.inputs * rows.row_len()) + whole(rows.padded_len()) }
    }
}

struct Run<'a> {
    plan: &'a Plan,
    task: usize,
    x: &'a [f32],
    y: SharedMut<'a, f32>,
    switches: SharedMut<'a, i32>,
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
            (split, padded) = (pieces.take(rows.inputs * rows.row_len()), pieces.take(rows.padded_len()));
            padded.fill(f32::NEG_INFINITY);
        }
        for p in share(self.task, tasks[0], *planes) {
            let x = &self.x[p * xl..(p + 1) * xl];
            // SAFETY: this task's planes; the vectors stay inside them.
            unsafe {
                let (y, switches) = (self.y.part(p * yl, yl), self.switches.part(p * yl, yl));
                if !all_finite::<S>(x) {
                    // Infinities compare equal to padding, and NaN to nothing.
                    careful(rows, x, y, switches);
                } else if let Some(q) = *pairs {
                    quads::<S>(q, x, y, switches);
                } else {
                    plane::<S>(rows, x, y, switches, padded, split);
                }
            }
        }
    }
}

/// Whether no element is infinite or NaN.
#[inline(always)]
unsafe fn all_finite<S: Simd16>(x: &[f32]) -> bool {
    // SAFETY: loads stay inside the slice.
    unsafe {
        let mut acc = [S::zero(); 4];
        let mut i = 0;
        while i + 64 <= x.len() {
            for (j, acc) in acc.iter_mut().enumerate() {
                *acc = S::fma(S::load(x.as_ptr().add(i + 16 * j)), S::zero(), *acc);
            }
            i += 64;
        }
        while i < x.len() {
            let m = (x.len() - i).min(16);
            acc[0] = S::fma(S::load_up_to(x.as_ptr().add(i), m), S::zero(), acc[0]);
            i += m;
        }
        S::sum(S::add(S::add(acc[0], acc[1]), S::add(acc[2], acc[3]))) == 0.0
    }
}

/// One plane by the definition.
fn careful(rows: &Rows, x: &[f32], y: &mut [f32], switches: &mut [i32]) {
    let axis = &rows.axis;
    for row in 0..rows.outputs {
        for o in 0..axis.output {
            let (mut best, mut switch) = (f32::NEG_INFINITY, -1);
            for &from in rows.under(row) {
                for i in (0..axis.kernel).filter_map(|k| axis.index(o, k)) {
                    let i = from * axis.input + i;
                    if switch < 0 || x[i] > best || (x[i].is_nan() && !best.is_nan()) {
                        (best, switch) = (x[i], i as i32);
                    }
                }
            }
            y[row * axis.output + o] = best;
            switches[row * axis.output + o] = switch;
        }
    }
}

/// The bits of 0, step, 2·step, … as lanes.
#[inline(always)]
unsafe fn counting<S: Simd16>(step: usize) -> S::V {
    let mut lanes = [0f32; 16];
    for (l, v) in lanes.iter_mut().enumerate() {
        *v = f32::from_bits((l * step) as u32);
    }
    // SAFETY: 16 elements.
    unsafe { S::load(lanes.as_ptr()) }
}

/// The larger of what was best and a later element, with its place.
#[inline(always)]
unsafe fn better<S: Simd16>(best: (S::V, S::V), v: S::V, at: S::V) -> (S::V, S::V) {
    // SAFETY: as this function.
    unsafe {
        let wins = S::gt(v, best.0);
        (S::select(wins, v, best.0), S::select(wins, at, best.1))
    }
}

/// A plane of finite elements under windows of 2 × 2.
#[inline(always)]
unsafe fn quads<S: Simd16>(q: Quads, x: &[f32], y: &mut [f32], switches: &mut [i32]) {
    // SAFETY: two rows of `2·columns` elements lie inside the plane for every output row.
    unsafe {
        let lanes = counting::<S>(2);
        for row in 0..q.rows {
            let mut o = 0;
            while o < q.columns {
                let m = (q.columns - o).min(16);
                let at = 2 * row * q.width + 2 * o;
                let from = x.as_ptr().add(at);
                let (a, b) = load_two::<S>(from, m);
                let (c, d) = load_two::<S>(from.add(q.width), m);
                let first = S::add_int(lanes, S::bits(at as u32));
                let below = S::add_int(first, S::bits(q.width as u32));
                let best = (S::even(a, b), first);
                let best = better::<S>(best, S::odd(a, b), S::add_int(first, S::bits(1)));
                let best = better::<S>(best, S::even(c, d), below);
                let best = better::<S>(best, S::odd(c, d), S::add_int(below, S::bits(1)));
                let to = row * q.columns + o;
                S::store_up_to(y.as_mut_ptr().add(to), best.0, m);
                S::store_up_to(switches.as_mut_ptr().add(to).cast(), best.1, m);
                o += m;
            }
        }
    }
}

/// A plane of finite elements under any window.
#[inline(always)]
unsafe fn plane<S: Simd16>(
    rows: &Rows,
    x: &[f32],
    y: &mut [f32],
    switches: &mut [i32],
    padded: &mut [f32],
    split: &mut [f32],
) {
    let (axis, len) = (&rows.axis, rows.row_len());
    // SAFETY: split rows have room for whole vectors of windows; outputs are written inside their rows.
    unsafe {
        for i in 0..rows.inputs {
            rows.split::<S>(x.as_ptr().add(i * axis.input), padded.as_mut_ptr(), split.as_mut_ptr().add(i * len));
        }
        let lanes = counting::<S>(axis.stride);
        for row in 0..rows.outputs {
            each_block!(axis.output, o, N, {
                windows::<S, N>(rows, split.as_ptr(), lanes, row, o, y.as_mut_ptr(), switches.as_mut_ptr());
            });
        }
    }
}

/// `N` vectors of windows of an output row.
#[inline(always)]
unsafe fn windows<S: Simd16, const N: usize>(
    rows: &Rows,
    split: *const f32,
    lanes: S::V,
    row: usize,
    o: usize,
    y: *mut f32,
    switches: *mut i32,
) {
    let axis = &rows.axis;
    // SAFETY: as `plane`.
    unsafe {
        let mut best = [(S::splat(f32::NEG_INFINITY), S::bits(u32::MAX)); N];
        for &from in rows.under(row) {
            let part = split.add(from * rows.row_len() + o);
            let base = ((from * axis.input) as u32).wrapping_add((o * axis.stride) as u32);
            for tap in &rows.taps {
                for (i, best) in best.iter_mut().enumerate() {
                    let first = base.wrapping_add(tap.input).wrapping_add((16 * i * axis.stride) as u32);
                    let at = S::add_int(lanes, S::bits(first));
                    *best = better::<S>(*best, S::load(part.add(tap.at + 16 * i)), at);
                }
            }
        }
        for (i, best) in best.iter().enumerate() {
            let to = row * axis.output + o + 16 * i;
            let m = (axis.output - o - 16 * i).min(16);
            S::store_up_to(y.add(to), best.0, m);
            S::store_up_to(switches.add(to).cast(), best.1, m);
        }
    }
}
