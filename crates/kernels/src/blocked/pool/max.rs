//! Maxima alone.

use super::fold::{Fold, Run};
use super::{clear_tail, row_tasks, strips};
use crate::blocked::layout::{Blocked, LANES};
use crate::blocked::slide::{Slide, Vector};
use crate::simd::Simd16;
use crate::{Isa, SharedMut, Work};
use gabor_tensor::Window;
use std::marker::PhantomData;

/// A prepared max pooling of blocked tensors without switches: x `[n, c, input…]` to y `[n, c, output…]`, as
/// [`reference::max_pool`](crate::reference::max_pool) defines it; of zeros with different signs it may be another one.
#[derive(Clone, Debug)]
pub struct MaxPoolBlocked {
    y: Blocked,
    slide: Slide,
    /// Some windows lie wholly in padding.
    lonely: bool,
    isa: Isa,
    tasks: [usize; 1],
}

impl MaxPoolBlocked {
    /// Prepares a pooling of `n` images of `c` channels.
    ///
    /// # Errors
    /// Enormous windows.
    pub fn new(window: &Window, n: usize, c: usize, isa: Isa) -> Result<Self, String> {
        let slide = Slide::forward(window)?;
        let (lonely, tasks) = (slide.has_lonely(), [row_tasks(&slide, n, c)]);
        Ok(MaxPoolBlocked { y: Blocked { n, c, plane: slide.targets.len() }, slide, lonely, isa, tasks })
    }
    /// Runs one task: reads `x`, writes its part of `y`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `y` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, x: &[f32], y: SharedMut<'_, f32>) {
        let planes = self.y.n * self.y.blocks();
        assert!(x.len() >= planes * self.slide.sources.len() * LANES && y.len() >= self.y.len());
        let (slide, tasks) = (&self.slide, self.tasks[0]);
        let run = Run::<Max> { slide, planes, task, tasks, from: x, to: y, scales: &[], fold: PhantomData };
        // SAFETY: lengths are checked; tasks write disjoint rows; the rest is the caller's promise.
        unsafe { self.isa.call(run) }
        if self.lonely {
            let columns = slide.targets.columns * LANES;
            for (plane, rows) in strips(task, tasks, planes, slide.targets.rows) {
                let from = plane * slide.targets.rows + rows.start;
                // SAFETY: this task's rows.
                clear_tail(&self.y, plane, unsafe { y.part(from * columns, rows.len() * columns) });
            }
        }
    }
}

impl Work for MaxPoolBlocked {
    fn phases(&self) -> &[usize] {
        &self.tasks
    }
}

struct Max;

/// What is no larger than anything.
pub(super) static LOWEST: Vector = Vector([f32::NEG_INFINITY; LANES]);

impl Fold for Max {
    #[inline(always)]
    fn empty() -> &'static Vector {
        &LOWEST
    }
    #[inline(always)]
    unsafe fn join<S: Simd16>(a: S::V, b: S::V) -> S::V {
        // `max` gives its second argument where one is NaN.
        // SAFETY: the caller promises the instruction set.
        unsafe { S::select(S::is_nan(b), b, S::max(b, a)) }
    }
}
