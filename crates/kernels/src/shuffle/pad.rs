//! Padding.

use crate::reference::pad_source;
use crate::split::{share, tasks};
use crate::{SharedMut, Work};
use gabor_tensor::{PadMode, strides_of};

/// A prepared padding, as [`reference::pad`](crate::reference::pad) defines it.
#[derive(Clone, Debug)]
pub struct PadKernel {
    value: f32,
    /// Per outer dimension and padded index the offset of the element that it comes from.
    outer: Vec<Vec<Option<usize>>>,
    /// The same of the last dimension.
    last: Vec<Option<usize>>,
    /// Padding before the elements of a row, and their number.
    before: usize,
    width: usize,
    rows: usize,
    x_len: usize,
    tasks: [usize; 1],
}

impl PadKernel {
    /// Prepares the padding of a tensor of shape `shape` by `pads[d] = (before, after)` elements per dimension.
    ///
    /// # Errors
    /// The reason, if there is no dimension or no element.
    pub fn new(mode: PadMode, value: f32, shape: &[usize], pads: &[(usize, usize)]) -> Result<Self, String> {
        if shape.contains(&0) || shape.is_empty() {
            return Err(format!("nothing to surround in {shape:?}"));
        }
        let mut outer: Vec<Vec<Option<usize>>> = (shape.iter().zip(pads).zip(strides_of(shape)))
            .map(|((&n, &(before, after)), stride)| {
                let source = |o| pad_source(mode, o, before, n).map(|i| i * stride);
                (0..before + n + after).map(source).collect()
            })
            .collect();
        let last = outer.pop().unwrap_or_default();
        let rows = outer.iter().map(|o| o.len()).product();
        let (before, width) = (pads[shape.len() - 1].0, shape[shape.len() - 1]);
        let tasks = [tasks(rows * last.len(), rows)];
        Ok(PadKernel { value, outer, last, before, width, rows, x_len: shape.iter().product(), tasks })
    }
    /// Runs one task: reads `x`, writes its rows of `y`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `y` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, x: &[f32], y: SharedMut<'_, f32>) {
        assert!(x.len() >= self.x_len);
        for row in share(task, self.tasks[0], self.rows) {
            // SAFETY: tasks own disjoint rows.
            let y = unsafe { y.part(row * self.last.len(), self.last.len()) };
            let Some(from) = self.source(row) else {
                y.fill(self.value);
                continue;
            };
            let end = self.before + self.width;
            y[self.before..end].copy_from_slice(&x[from..from + self.width]);
            for o in (0..self.before).chain(end..y.len()) {
                y[o] = self.last[o].map_or(self.value, |i| x[from + i]);
            }
        }
    }
    /// Where the input row begins that a row of the output comes from, if it is not padding.
    fn source(&self, mut row: usize) -> Option<usize> {
        let mut from = 0;
        for of in self.outer.iter().rev() {
            from += of[row % of.len()]?;
            row /= of.len();
        }
        Some(from)
    }
}

impl Work for PadKernel {
    fn phases(&self) -> &[usize] {
        &self.tasks
    }
}
