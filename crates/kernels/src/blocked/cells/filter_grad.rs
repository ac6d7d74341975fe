//! The filter gradient through cells.

use super::Cells;
use super::conv::aligned;
use crate::blocked::winograd::{WinogradFilterGradKernel, WinogradTile};
use crate::memory::LINE;
use crate::{Isa, SharedMut, Work};
use gabor_tensor::ConvGeometry;
use std::slice;

/// A prepared filter gradient of a strided convolution of pictures: x `[n, ci, h, w]` in plain order and blocked dy to dw
/// `[co, ci, kh, kw]`.
///
/// Some pictures at a time become cells and are summed over; their sums are added in the order of the pictures.
#[derive(Clone, Debug)]
pub struct CellsFilterGradKernel {
    cells: Cells,
    inner: WinogradFilterGradKernel,
    n: usize,
    /// Pictures at a time.
    chunk: usize,
    gathers: usize,
    phases: Vec<usize>,
}

impl CellsFilterGradKernel {
    /// Prepares the filter gradient of `n` pictures.
    ///
    /// # Errors
    /// What [`Cells::new`] and [`WinogradFilterGradKernel::new`] do not do.
    pub fn new(g: &ConvGeometry, n: usize, tile: WinogradTile, isa: Isa) -> Result<Self, String> {
        let cells = Cells::new(g)?;
        let chunk = cells.chunk(n);
        cells.check(chunk)?;
        let inner = WinogradFilterGradKernel::new(&cells.cells, chunk, tile, isa)?;
        let gathers = cells.tasks(chunk);
        let phases = [&[gathers], inner.phases(), &[1]].concat().repeat(n / chunk);
        Ok(CellsFilterGradKernel { cells, inner, n, chunk, gathers, phases })
    }
    /// How many times faster than direct sums over pixels it is expected to be: see
    /// [`WinogradFilterGradKernel::advantage`]. Zero for what it does not do.
    pub fn advantage(g: &ConvGeometry, n: usize, tile: WinogradTile) -> f64 {
        let Ok(all) = Cells::new(g) else { return 0.0 };
        let (chunk, Cells { pixels, cells, .. }) = (all.chunk(n), all);
        let [direct, folded] = [&pixels, &cells].map(|g| (g.ci * g.window.kernel_len()) as f64);
        WinogradFilterGradKernel::advantage(&cells, chunk, tile) * direct / folded
    }
    /// Runs one task: reads `x` and `dy`, writes its part of `dw`.
    ///
    /// # Safety
    /// Tasks of one phase may run at the same time, those of the next only after them; nothing else may touch `dw` and
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
        dy: &[f32],
        dw: SharedMut<'_, f32>,
        workspace: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        let each = 2 + self.inner.phases().len();
        let (first, phase) = (phase / each * self.chunk, phase % each);
        let (len, filter) = (self.chunk * self.cells.image_len(), self.cells.cells_filter_len());
        let (picture, output) = (self.cells.picture_len(), self.cells.output_len());
        assert!(x.len() >= self.n * picture && dw.len() >= self.cells.filter_len());
        let (memory, rest) = aligned(workspace, len);
        let (sums, rest) = (rest, rest.from(filter));
        // SAFETY: in a chunk's first phase its cells are written, in the next ones the gradient over them; one task adds
        // that to dw last.
        unsafe {
            if phase == 0 {
                let x = &x[first * picture..(first + self.chunk) * picture];
                self.cells.gather(task, self.gathers, x, memory);
            } else if phase + 1 < each {
                let (cells, dy) = (slice::from_raw_parts(memory.as_ptr(), len), &dy[first * output..]);
                self.inner.run(phase - 1, task, cells, dy, sums, rest, scratch);
            } else {
                let from = slice::from_raw_parts(sums.as_ptr(), filter);
                let dw = dw.part(0, self.cells.filter_len());
                if first == 0 {
                    dw.fill(0.0);
                }
                self.cells.add_filter(from, dw);
            }
        }
    }
}

impl Work for CellsFilterGradKernel {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn workspace_len(&self) -> usize {
        let len = self.chunk * self.cells.image_len() + self.cells.cells_filter_len();
        LINE + len + self.inner.workspace_len()
    }
    fn scratch_len(&self) -> usize {
        self.inner.scratch_len()
    }
}
