//! Numbers from labels and from bytes.

use crate::simd::{Kernel, Simd16};
use crate::split::{share, tasks};
use crate::{Isa, SharedMut, Work};

/// Prepared one-hot rows, as [`reference::one_hot`](crate::reference::one_hot) defines them.
#[derive(Clone, Debug)]
pub struct OneHotKernel {
    rows: usize,
    classes: usize,
    tasks: [usize; 1],
}

impl OneHotKernel {
    /// Prepares `rows` rows of `classes` elements.
    pub fn new(rows: usize, classes: usize) -> Self {
        OneHotKernel { rows, classes, tasks: [tasks(rows * classes, rows)] }
    }
    /// Runs one task: reads `labels`, writes its rows of `y`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `y` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, labels: &[i32], y: SharedMut<'_, f32>) {
        let rows = share(task, self.tasks[0], self.rows);
        // SAFETY: tasks own disjoint rows.
        let y = unsafe { y.part(rows.start * self.classes, rows.len() * self.classes) };
        y.fill(0.0);
        for (i, &label) in labels[rows].iter().enumerate() {
            if (0..self.classes as i64).contains(&i64::from(label)) {
                y[i * self.classes + label as usize] = 1.0;
            }
        }
    }
}

impl Work for OneHotKernel {
    fn phases(&self) -> &[usize] {
        &self.tasks
    }
}

/// A prepared conversion to floats.
#[derive(Clone, Debug)]
pub struct CastKernel {
    len: usize,
    isa: Isa,
    tasks: [usize; 1],
}

impl CastKernel {
    /// Prepares the conversion of `len` elements.
    pub fn new(len: usize, isa: Isa) -> Self {
        CastKernel { len, isa, tasks: [tasks(len, len)] }
    }
    /// Runs one task: reads `x`, writes its part of `y`, each element through `to`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `y` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run<T: Copy>(&self, task: usize, x: &[T], to: impl Fn(T) -> f32, y: SharedMut<'_, f32>) {
        let range = share(task, self.tasks[0], self.len);
        // SAFETY: tasks own disjoint parts.
        unsafe { self.isa.call(Convert { y: y.part(range.start, range.len()), x: &x[range], to }) }
    }
}

impl Work for CastKernel {
    fn phases(&self) -> &[usize] {
        &self.tasks
    }
}

struct Convert<'a, T, F> {
    x: &'a [T],
    y: &'a mut [f32],
    to: F,
}

impl<T: Copy, F: Fn(T) -> f32> Kernel for Convert<'_, T, F> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        for (y, &x) in self.y.iter_mut().zip(self.x) {
            *y = (self.to)(x);
        }
    }
}
