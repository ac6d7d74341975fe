//! The input gradient through cells.

use super::conv::aligned;
use super::{Cells, CellsFilter};
use crate::blocked::BlockedEpilogue;
use crate::blocked::winograd::{WinogradConvKernel, WinogradTile};
use crate::memory::LINE;
use crate::{Isa, SharedMut, Work};
use gabor_tensor::ConvGeometry;
use std::slice;

/// A prepared input gradient of a strided convolution of pictures: blocked dy to dx `[n, ci, h, w]` in plain order.
#[derive(Clone, Debug)]
pub struct CellsInputGradKernel {
    cells: Cells,
    inner: WinogradConvKernel,
    n: usize,
    /// Pictures at a time.
    chunk: usize,
    scatters: usize,
    phases: Vec<usize>,
}

impl CellsInputGradKernel {
    /// Prepares the input gradient of `n` pictures.
    ///
    /// # Errors
    /// What [`Cells::new`] and [`WinogradConvKernel::input_grad`] do not do.
    pub fn new(g: &ConvGeometry, n: usize, tile: WinogradTile, isa: Isa) -> Result<Self, String> {
        let cells = Cells::new(g)?;
        let chunk = cells.chunk(n);
        cells.check(chunk)?;
        let inner = WinogradConvKernel::input_grad(&cells.cells, chunk, tile, isa)?;
        let scatters = cells.tasks(chunk);
        let phases = [inner.phases(), &[scatters]].concat().repeat(n / chunk);
        Ok(CellsInputGradKernel { cells, inner, n, chunk, scatters, phases })
    }
    /// The order in which it reads the filter.
    pub fn packing(&self) -> CellsFilter {
        CellsFilter::new(self.cells.clone(), self.inner.packing())
    }
    /// Runs one task: reads dy and the packed filter `u`, writes its part of dx.
    ///
    /// # Safety
    /// Tasks of one phase may run at the same time, those of the next only after them; nothing else may touch `dx` and
    /// `workspace` meanwhile. `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn run(
        &self,
        phase: usize,
        task: usize,
        dy: &[f32],
        u: &[f32],
        dx: SharedMut<'_, f32>,
        workspace: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        let each = 1 + self.inner.phases().len();
        let (first, phase) = (phase / each * self.chunk, phase % each);
        let (picture, output) = (self.cells.picture_len(), self.cells.output_len());
        assert!(dy.len() >= self.n * output && dx.len() >= self.n * picture);
        let len = self.chunk * self.cells.image_len();
        let (memory, rest) = aligned(workspace, len);
        // SAFETY: each chunk's cells are written in its first phases and read in the last; dx's parts are disjoint.
        unsafe {
            if phase + 1 < each {
                let dy = &dy[first * output..(first + self.chunk) * output];
                self.inner.run(phase, task, dy, u, BlockedEpilogue::default(), memory, rest, scratch);
            } else {
                let cells = slice::from_raw_parts(memory.as_ptr(), len);
                self.cells.scatter(task, self.scatters, cells, dx.from(first * picture));
            }
        }
    }
}

impl Work for CellsInputGradKernel {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn workspace_len(&self) -> usize {
        LINE + self.chunk * self.cells.image_len() + self.inner.workspace_len()
    }
    fn scratch_len(&self) -> usize {
        self.inner.scratch_len()
    }
}
