//! Tensors one behind the other.

use crate::split::{share, tasks};
use crate::{SharedMut, Work};

/// A prepared concatenation, as [`reference::concat`](crate::reference::concat) defines it.
#[derive(Clone, Debug)]
pub struct ConcatKernel {
    /// Elements that each input contributes to an outer index, and where they begin.
    runs: Vec<(usize, usize)>,
    pitch: usize,
    outer: usize,
    tasks: [usize; 1],
}

impl ConcatKernel {
    /// Prepares the concatenation of tensors of these shapes along dimension `axis`.
    ///
    /// # Panics
    /// If a shape has no such dimension.
    pub fn new(shapes: &[Vec<usize>], axis: usize) -> Self {
        let mut pitch = 0;
        let mut runs = Vec::new();
        for shape in shapes {
            let len = shape[axis..].iter().product();
            runs.push((len, pitch));
            pitch += len;
        }
        let outer: usize = shapes.first().map_or(0, |s| s[..axis].iter().product());
        let tasks = [tasks(outer * pitch, outer * runs.len())];
        ConcatKernel { runs, pitch, outer, tasks }
    }
    /// Runs one task: reads the inputs, `input(i)` being that of number `i`, and writes its part of `y`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `y` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run<'a>(&self, task: usize, input: impl Fn(usize) -> &'a [f32], y: SharedMut<'_, f32>) {
        for unit in share(task, self.tasks[0], self.outer * self.runs.len()) {
            let (o, i) = (unit / self.runs.len(), unit % self.runs.len());
            let (len, at) = self.runs[i];
            // SAFETY: tasks own disjoint runs.
            unsafe { y.part(o * self.pitch + at, len) }.copy_from_slice(&input(i)[o * len..(o + 1) * len]);
        }
    }
}

impl Work for ConcatKernel {
    fn phases(&self) -> &[usize] {
        &self.tasks
    }
}
