//! Softmax and its logarithm along one dimension.

#[cfg(test)]
mod tests;

use crate::memory::{LINE, Pieces};
use crate::pointwise::math;
use crate::simd::{Kernel, Simd16, tree};
use crate::split::{share, tasks};
use crate::sums::{Sums, padded};
use crate::{Isa, SharedMut, Work};
use gabor_tensor::Real;

/// A prepared softmax, as [`reference::softmax`](crate::reference::softmax) and
/// [`reference::log_softmax`](crate::reference::log_softmax) define it. Sums run in double precision.
#[derive(Clone, Debug)]
pub struct SoftmaxKernel {
    log: bool,
    /// x is `[outer, len, inner]`, and the sum runs over `len`.
    outer: usize,
    len: usize,
    inner: usize,
    isa: Isa,
    tasks: [usize; 1],
}

impl SoftmaxKernel {
    /// Prepares the softmax, or with `log` its logarithm, of a tensor of shape `shape` along dimension `axis`.
    ///
    /// # Panics
    /// If there is no such dimension.
    pub fn new(shape: &[usize], axis: usize, log: bool, isa: Isa) -> Self {
        let (outer, inner) = (shape[..axis].iter().product(), shape[axis + 1..].iter().product::<usize>());
        let len = shape[axis];
        let units = if inner == 1 { outer } else { outer * inner.div_ceil(16) };
        // An exponential costs as much as several moved elements.
        let tasks = [if outer * len * inner == 0 { 0 } else { tasks(outer * len * inner * 4, units) }];
        SoftmaxKernel { log, outer, len, inner, isa, tasks }
    }
    /// Runs one task: reads `x`, writes its part of `y`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `y` meanwhile; `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, x: &[f32], y: SharedMut<'_, f32>, scratch: &mut [f32]) {
        let total = self.outer * self.len * self.inner;
        assert!(x.len() >= total && y.len() >= total && scratch.len() >= self.scratch_len());
        // SAFETY: lengths are checked; tasks write disjoint lines; the rest is the caller's promise.
        unsafe { self.isa.call(Run { kernel: self, task, x, y, scratch }) }
    }
}

impl Work for SoftmaxKernel {
    fn phases(&self) -> &[usize] {
        &self.tasks
    }
    fn scratch_len(&self) -> usize {
        if self.inner == 1 { 0 } else { LINE + 16 * self.len }
    }
}

struct Run<'a> {
    kernel: &'a SoftmaxKernel,
    task: usize,
    x: &'a [f32],
    y: SharedMut<'a, f32>,
    scratch: &'a mut [f32],
}

impl Kernel for Run<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let k = self.kernel;
        // SAFETY: the contract of `SoftmaxKernel::run`; each unit is a line, or the lines of 16 neighbours.
        unsafe {
            if k.inner == 1 {
                for row in share(self.task, k.tasks[0], k.outer) {
                    let at = row * k.len;
                    line::<S>(&self.x[at..at + k.len], self.y.part(at, k.len), k.log);
                }
            } else {
                let block = Pieces::new(self.scratch).take(16 * k.len).as_mut_ptr();
                let blocks = k.inner.div_ceil(16);
                for unit in share(self.task, k.tasks[0], k.outer * blocks) {
                    let first = unit % blocks * 16;
                    let at = unit / blocks * k.len * k.inner + first;
                    let m = (k.inner - first).min(16);
                    lines::<S>(k, self.x.as_ptr().add(at), self.y.as_ptr().add(at), block, m);
                }
            }
        }
    }
}

/// A line of neighbours. NaN does not count as largest, but makes the sum NaN, and by it every result.
#[inline(always)]
unsafe fn line<S: Simd16>(x: &[f32], y: &mut [f32], log: bool) {
    let (whole, rest) = x.as_chunks::<16>();
    // Elements that are not there have exponential 0.
    let last = padded(rest, f32::NEG_INFINITY);
    let count = whole.len();
    // SAFETY: vectors stay inside x and y.
    unsafe {
        let last = S::load(last.as_ptr());
        let mut max = last;
        for x in whole {
            max = S::max(S::load(x.as_ptr()), max);
        }
        let max = tree(S::lanes(max), |a, b| if a > b || b.is_nan() { a } else { b });
        let shift = S::splat(max);
        let mut sums = Sums::ZERO;
        let to = y.as_mut_ptr();
        for (i, x) in whole.iter().enumerate() {
            let e = math::exp::<S>(S::sub(S::load(x.as_ptr()), shift));
            sums.add(&S::lanes(e));
            if !log {
                S::store(to.add(16 * i), e);
            }
        }
        let e = math::exp::<S>(S::sub(last, shift));
        if !rest.is_empty() {
            sums.add(&S::lanes(e));
        }
        let sum = sums.total();
        if log {
            let less = S::splat(Real::ln(sum) as f32);
            for (i, x) in whole.iter().enumerate() {
                S::store(to.add(16 * i), S::sub(S::sub(S::load(x.as_ptr()), shift), less));
            }
            if !rest.is_empty() {
                S::store_part(to.add(16 * count), S::sub(S::sub(last, shift), less), rest.len());
            }
        } else {
            let by = S::splat((1.0 / sum) as f32);
            for i in 0..count {
                let to = to.add(16 * i);
                S::store(to, S::mul(S::load(to), by));
            }
            if !rest.is_empty() {
                S::store_part(to.add(16 * count), S::mul(e, by), rest.len());
            }
        }
    }
}

/// The lines of `m ≤ 16` neighbours, which lie far apart in memory and close together in `block`.
#[inline(always)]
unsafe fn lines<S: Simd16>(k: &SoftmaxKernel, x: *const f32, y: *mut f32, block: *mut f32, m: usize) {
    // SAFETY: the caller promises that the lines exist, and `len` vectors at `block`.
    unsafe {
        let mut max = S::splat(f32::NEG_INFINITY);
        for i in 0..k.len {
            let v = S::load_up_to(x.add(i * k.inner), m);
            S::store(block.add(16 * i), v);
            max = S::max(v, max);
        }
        let mut sums = Sums::ZERO;
        for i in 0..k.len {
            let at = block.add(16 * i);
            let v = S::sub(S::load(at), max);
            let e = math::exp::<S>(v);
            S::store(at, if k.log { v } else { e });
            sums.add(&S::lanes(e));
        }
        let mut lanes = [0.0; 16];
        for (l, &sum) in lanes.iter_mut().zip(&sums.0) {
            *l = if k.log { sum as f32 } else { (1.0 / sum) as f32 };
        }
        let scale = S::load(lanes.as_ptr());
        let less = math::log::<S>(scale);
        for i in 0..k.len {
            let v = S::load(block.add(16 * i));
            let v = if k.log { S::sub(v, less) } else { S::mul(v, scale) };
            S::store_up_to(y.add(i * k.inner), v, m);
        }
    }
}
