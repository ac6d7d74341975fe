//! Average pooling and its gradient.

use super::fold::{Fold, Run};
use super::global::{Mean, Spread, covers};
use super::row_tasks;
use crate::blocked::layout::{Blocked, LANES};
use crate::blocked::slide::{Slide, Vector, ZEROS};
use crate::reference::pool_divisors;
use crate::simd::{Kernel, Simd16};
use crate::split::{share, tasks};
use crate::{Isa, SharedMut, Work};
use gabor_tensor::{PoolDivisor, Window};
use std::marker::PhantomData;

/// What both directions share.
#[derive(Clone, Debug)]
struct Plan {
    x: Blocked,
    y: Blocked,
    /// `None` where a single window covers the plane.
    slide: Option<Slide>,
    /// One over the divisor of each window.
    scales: Vec<f32>,
    isa: Isa,
    tasks: [usize; 1],
}

impl Plan {
    fn new(
        window: &Window,
        n: usize,
        c: usize,
        divisor: PoolDivisor,
        isa: Isa,
        slide: impl Fn(&Window) -> Result<Slide, String>,
    ) -> Result<Self, String> {
        let x = Blocked { n, c, plane: window.input_len() };
        let y = Blocked { plane: window.output_len(), ..x };
        let slide = if covers(window) { None } else { Some(slide(window)?) };
        let tasks = slide.as_ref().map_or_else(|| tasks(x.len(), n * x.blocks()), |s| row_tasks(s, n, c));
        let scales = pool_divisors(window, divisor).into_iter().map(|d| (1.0 / d) as f32).collect();
        Ok(Plan { x, y, slide, scales, isa, tasks: [tasks] })
    }
    /// Runs a task of the fold `F`, or, on the planes of the task, what `global` makes of source and target.
    unsafe fn run<F: Fold, G: Kernel<Out = ()>>(
        &self,
        task: usize,
        (from, source): (&[f32], &Blocked),
        (to, target): (SharedMut<'_, f32>, &Blocked),
        global: impl Fn(*const f32, *mut f32) -> G,
    ) {
        assert!(from.len() >= source.len() && to.len() >= target.len());
        let (planes, tasks) = (self.x.n * self.x.blocks(), self.tasks[0]);
        // SAFETY: lengths are checked; tasks write disjoint rows or planes; the rest is the caller's promise.
        unsafe {
            if let Some(slide) = &self.slide {
                let scales = &self.scales;
                self.isa.call(Run::<F> { slide, planes, task, tasks, from, to, scales, fold: PhantomData });
            } else {
                for plane in share(task, tasks, planes) {
                    let from = from.as_ptr().add(plane * source.plane * LANES);
                    self.isa.call(global(from, to.as_ptr().add(plane * target.plane * LANES)));
                }
            }
        }
    }
}

/// A prepared average pooling of blocked tensors: x `[n, c, input…]` to y `[n, c, output…]`, as
/// [`reference::avg_pool`](crate::reference::avg_pool) defines it.
#[derive(Clone, Debug)]
pub struct AvgPoolBlocked(Plan);

impl AvgPoolBlocked {
    /// Prepares a pooling of `n` images of `c` channels.
    ///
    /// # Errors
    /// Enormous windows that do not cover the plane.
    pub fn new(window: &Window, n: usize, c: usize, divisor: PoolDivisor, isa: Isa) -> Result<Self, String> {
        Ok(AvgPoolBlocked(Plan::new(window, n, c, divisor, isa, Slide::forward)?))
    }
    /// Runs one task: reads `x`, writes its part of `y`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `y` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, x: &[f32], y: SharedMut<'_, f32>) {
        let p = &self.0;
        let mean = |from, to| Mean { from, to, pixels: p.x.plane, scale: p.scales[0] };
        // SAFETY: the caller's promise; a plane of each tensor lies at both pointers.
        unsafe { p.run::<Average, _>(task, (x, &p.x), (y, &p.y), mean) }
    }
}

impl Work for AvgPoolBlocked {
    fn phases(&self) -> &[usize] {
        &self.0.tasks
    }
}

/// A prepared gradient of average pooling of blocked tensors: dy `[n, c, output…]` to dx `[n, c, input…]`, as
/// [`reference::avg_pool_grad`](crate::reference::avg_pool_grad) defines it.
#[derive(Clone, Debug)]
pub struct AvgPoolGradBlocked(Plan);

impl AvgPoolGradBlocked {
    /// Prepares the gradient of a pooling of `n` images of `c` channels.
    ///
    /// # Errors
    /// Enormous windows that do not cover the plane.
    pub fn new(window: &Window, n: usize, c: usize, divisor: PoolDivisor, isa: Isa) -> Result<Self, String> {
        Ok(AvgPoolGradBlocked(Plan::new(window, n, c, divisor, isa, Slide::backward)?))
    }
    /// Runs one task: reads `dy`, writes its part of `dx`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `dx` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, dy: &[f32], dx: SharedMut<'_, f32>) {
        let p = &self.0;
        let spread = |from, to| Spread { from, to, pixels: p.x.plane, scale: p.scales[0] };
        // SAFETY: the caller's promise; a plane of each tensor lies at both pointers.
        unsafe { p.run::<AverageGrad, _>(task, (dy, &p.y), (dx, &p.x), spread) }
    }
}

impl Work for AvgPoolGradBlocked {
    fn phases(&self) -> &[usize] {
        &self.0.tasks
    }
}

struct Average;

impl Fold for Average {
    #[inline(always)]
    fn empty() -> &'static Vector {
        &ZEROS
    }
    #[inline(always)]
    unsafe fn join<S: Simd16>(a: S::V, b: S::V) -> S::V {
        // SAFETY: the caller promises the instruction set.
        unsafe { S::add(a, b) }
    }
    #[inline(always)]
    unsafe fn leave<S: Simd16>(v: S::V, scale: *const f32) -> S::V {
        // SAFETY: the caller promises the instruction set and the number.
        unsafe { S::mul(v, S::splat(*scale)) }
    }
}

struct AverageGrad;

impl Fold for AverageGrad {
    #[inline(always)]
    fn empty() -> &'static Vector {
        &ZEROS
    }
    #[inline(always)]
    unsafe fn enter<S: Simd16>(v: S::V, scale: *const f32) -> S::V {
        // SAFETY: the caller promises the instruction set and the number.
        unsafe { S::mul(v, S::splat(*scale)) }
    }
    #[inline(always)]
    unsafe fn join<S: Simd16>(a: S::V, b: S::V) -> S::V {
        // SAFETY: the caller promises the instruction set.
        unsafe { S::add(a, b) }
    }
}
