//! The filters over cells.

use super::Cells;
use crate::blocked::Packing;
use crate::blocked::winograd::WinogradFilter;
use crate::{SharedMut, Work};
use std::slice;

/// Filters over pixels, brought over cells and transformed as Winograd's algorithm reads them.
#[derive(Clone, Debug)]
pub struct CellsFilter {
    cells: Cells,
    inner: WinogradFilter,
    phases: Vec<usize>,
}

impl CellsFilter {
    pub(super) fn new(cells: Cells, inner: WinogradFilter) -> Self {
        let phases = [&[1], inner.phases()].concat();
        CellsFilter { cells, inner, phases }
    }
}

impl Work for CellsFilter {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn workspace_len(&self) -> usize {
        self.cells.cells_filter_len() + self.inner.workspace_len()
    }
    fn scratch_len(&self) -> usize {
        self.inner.scratch_len()
    }
}

impl Packing for CellsFilter {
    fn key(&self) -> String {
        format!("cells of {}: {}", self.cells.side, self.inner.key())
    }
    fn packed_len(&self) -> usize {
        self.inner.packed_len()
    }
    unsafe fn pack(
        &self,
        phase: usize,
        task: usize,
        from: &[f32],
        to: SharedMut<'_, f32>,
        workspace: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        let len = self.cells.cells_filter_len();
        // SAFETY: the only task of the first phase writes the filters over cells, later phases only read them.
        unsafe {
            if phase == 0 {
                self.cells.spread_filter(from, workspace.part(0, len));
            } else {
                assert!(workspace.len() >= len);
                let filter = slice::from_raw_parts(workspace.as_ptr(), len);
                self.inner.pack(phase - 1, task, filter, to, workspace.from(len), scratch);
            }
        }
    }
}

impl Cells {
    /// Floats of the filters over cells.
    pub(super) fn cells_filter_len(&self) -> usize {
        self.cells.weight_shape().iter().product()
    }
    /// Filters over pixels `[co, ci, kh, kw]` to such over cells `[co, ci·s·s, taps, taps]`, zeros where no pixel's tap is.
    pub(super) fn spread_filter(&self, from: &[f32], to: &mut [f32]) {
        to.fill(0.0);
        self.each_tap(|pixels, cells| to[cells] = from[pixels]);
    }
    /// The adjoint of [`Cells::spread_filter`], added to what is there.
    pub(super) fn add_filter(&self, from: &[f32], to: &mut [f32]) {
        self.each_tap(|pixels, cells| to[pixels] += from[cells]);
    }
    /// Where each tap lies in the filters over pixels and in those over cells.
    fn each_tap(&self, mut tap: impl FnMut(usize, usize)) {
        let (side, axes) = (self.side, self.pixels.window.axes());
        let ([kh, kw], taps) = ([axes[0].kernel, axes[1].kernel], self.cells.window.axes()[0].kernel);
        for filter in 0..self.pixels.co * self.pixels.ci {
            for (r, q) in (0..side).flat_map(|r| (0..side).map(move |q| (r, q))) {
                let channel = (filter * side + r) * side + q;
                for (i, y) in (r..kh).step_by(side).enumerate() {
                    for (j, x) in (q..kw).step_by(side).enumerate() {
                        tap((filter * kh + y) * kw + x, (channel * taps + i) * taps + j);
                    }
                }
            }
        }
    }
}
