//! The filter gradient on blocked tensors: `dw[j, c, k] = Σ dy[pixel, j] · x[pixel at k, c]`.
//!
//! A register tile sums, over a block of pixels that stays in the innermost cache, the products of some input channels
//! of one vector of x with up to four vectors of output channels of dy, for one tap. Pixels whose tap lies in the padding
//! are left out. A task owns some output channels, some input channels and all taps; it walks through its pixels once,
//! with its part of dw in scratch memory, and turns that part to plain order at the end.

mod plan;
#[cfg(test)]
mod tests;
mod tile;
mod walk;

use super::layout::Blocked;
use crate::{Isa, SharedMut, Work};
use gabor_tensor::ConvGeometry;
use plan::Plan;

/// A prepared filter gradient: blocked x `[n, ci/16, input…, 16]` and dy `[n, co/16, output…, 16]` to plain dw
/// `[co, ci/groups, kernel…]`.
///
/// Where blocks of the result are few, the pixels are split into parts, by extents alone, that a second phase adds up in
/// order.
#[derive(Clone, Debug)]
pub struct BlockedFilterGradKernel {
    isa: Isa,
    plan: Plan,
    x: Blocked,
    dy: Blocked,
    phases: Vec<usize>,
}

impl BlockedFilterGradKernel {
    /// Prepares the filter gradient of `n` images.
    ///
    /// # Errors
    /// More than three spatial dimensions, groups that do not consist of whole blocks of 16 channels, or no images.
    pub fn new(g: &ConvGeometry, n: usize, isa: Isa) -> Result<Self, String> {
        let plan = Plan::new(g, n)?;
        let phases = plan.phases();
        let x = Blocked { n, c: g.ci, plane: g.window.input_len() };
        let dy = Blocked { n, c: g.co, plane: g.window.output_len() };
        Ok(BlockedFilterGradKernel { isa, plan, x, dy, phases })
    }
    /// Runs one task: reads blocked `x` and `dy`, writes its part of the plain `dw`.
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
        assert!(x.len() >= self.x.len() && dy.len() >= self.dy.len() && dw.len() >= self.plan.len);
        assert!(workspace.len() >= self.workspace_len() && scratch.len() >= self.scratch_len());
        assert!(task < self.phases[phase], "task {task} of {}", self.phases[phase]);
        let run = walk::Run { k: self, phase, task, x, dy, dw, workspace, scratch };
        // SAFETY: lengths are checked; tasks write disjoint parts; the rest is the caller's promise.
        unsafe { self.isa.call(run) }
    }
}

impl Work for BlockedFilterGradKernel {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn workspace_len(&self) -> usize {
        if self.plan.parts > 1 { self.plan.parts * self.plan.len } else { 0 }
    }
    fn scratch_len(&self) -> usize {
        self.plan.scratch_len()
    }
}
