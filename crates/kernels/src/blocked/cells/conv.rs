//! The convolution over cells.

use super::{Cells, CellsFilter};
use crate::blocked::BlockedEpilogue;
use crate::blocked::winograd::{WinogradConvKernel, WinogradTile};
use crate::memory::LINE;
use crate::{Isa, SharedMut, Work};
use gabor_tensor::ConvGeometry;
use std::slice;

/// A prepared convolution of pictures x `[n, ci, h, w]` in plain order to blocked y, through cells.
///
/// Some pictures at a time become cells and are convolved while these are in the cache.
#[derive(Clone, Debug)]
pub struct CellsConvKernel {
    cells: Cells,
    inner: WinogradConvKernel,
    n: usize,
    /// Pictures at a time.
    chunk: usize,
    gathers: usize,
    phases: Vec<usize>,
}

impl CellsConvKernel {
    /// Prepares the convolution of `n` pictures.
    ///
    /// # Errors
    /// What [`Cells::new`] and [`WinogradConvKernel::forward`] do not do.
    pub fn forward(g: &ConvGeometry, n: usize, tile: WinogradTile, isa: Isa) -> Result<Self, String> {
        let cells = Cells::new(g)?;
        let chunk = cells.chunk(n);
        cells.check(chunk)?;
        let inner = WinogradConvKernel::forward(&cells.cells, chunk, tile, isa)?;
        let gathers = cells.tasks(chunk);
        let phases = [&[gathers], inner.phases()].concat().repeat(n / chunk);
        Ok(CellsConvKernel { cells, inner, n, chunk, gathers, phases })
    }
    /// The order in which it reads the filter.
    pub fn packing(&self) -> CellsFilter {
        CellsFilter::new(self.cells.clone(), self.inner.packing())
    }
    /// Runs one task: reads x and the packed filter `u`, writes its part of y.
    ///
    /// # Safety
    /// Tasks of one phase may run at the same time, those of the next only after them; nothing else may touch `y` and
    /// `workspace` meanwhile. `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn run(
        &self,
        phase: usize,
        task: usize,
        x: &[f32],
        u: &[f32],
        epilogue: BlockedEpilogue<'_>,
        y: SharedMut<'_, f32>,
        workspace: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        let each = 1 + self.inner.phases().len();
        let (first, phase) = (phase / each * self.chunk, phase % each);
        let (picture, output) = (self.cells.picture_len(), self.cells.output_len());
        assert!(x.len() >= self.n * picture && y.len() >= self.n * output);
        let (memory, rest) = aligned(workspace, self.chunk * self.cells.image_len());
        // SAFETY: each chunk's cells are written in its first phase and read in the others; y's parts are disjoint.
        unsafe {
            if phase == 0 {
                let x = &x[first * picture..(first + self.chunk) * picture];
                self.cells.gather(task, self.gathers, x, memory);
            } else {
                let cells = slice::from_raw_parts(memory.as_ptr(), self.chunk * self.cells.image_len());
                let epilogue = BlockedEpilogue { add: epilogue.add.map(|a| &a[first * output..]), ..epilogue };
                self.inner.run(phase - 1, task, cells, u, epilogue, y.from(first * output), rest, scratch);
            }
        }
    }
}

impl Work for CellsConvKernel {
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

/// `len` floats from the start of a cache line on, and what follows them: [`LINE`] more are there.
///
/// # Panics
/// If there are not as many.
pub(super) fn aligned(workspace: SharedMut<'_, f32>, len: usize) -> (SharedMut<'_, f32>, SharedMut<'_, f32>) {
    let memory = workspace.from(workspace.as_ptr().align_offset(4 * LINE).min(LINE));
    (memory, memory.from(len))
}
