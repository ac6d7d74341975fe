//! The filter gradient: which of the two ways, and what they share.

use super::filter_dots::DotFilterGrad;
use super::filter_product::ProductFilterGrad;
use crate::simd::Simd16;
use crate::{Isa, SharedMut, Work};
use gabor_tensor::{ConvGeometry, Rule};

/// From this many filters per group on, their gradient is a product of matrices.
const MANY: usize = 24;

/// A prepared filter gradient: x `[n, ci, input…]` and dy `[n, co, output…]` to dw `[co, ci/groups, kernel…]`.
///
/// With many filters it is a product of matrices that sums over pixels in blocks; with few, dot products on 16 lanes
/// along the pixels (there an infinity or NaN in x may also show in neighbouring taps, because products with the zeros
/// between rows are part of the sums). Where blocks of the result are few, the pixels are split into parts, by extents
/// alone, that a second phase adds up in order.
#[derive(Clone, Debug)]
pub struct ConvFilterGradKernel(Way);

#[derive(Clone, Debug)]
enum Way {
    Dots(DotFilterGrad),
    Product(ProductFilterGrad),
}

impl ConvFilterGradKernel {
    /// Prepares the filter gradient of `n` images.
    ///
    /// # Errors
    /// More than three spatial dimensions.
    pub fn new(g: &ConvGeometry, n: usize, isa: Isa) -> Result<Self, Rule> {
        Ok(ConvFilterGradKernel(if g.co / g.groups >= MANY {
            Way::Product(ProductFilterGrad::new(g, n, isa)?)
        } else {
            Way::Dots(DotFilterGrad::new(g, n, isa)?)
        }))
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
        assert!(workspace.len() >= self.workspace_len() && scratch.len() >= self.scratch_len());
        // SAFETY: the caller's promise.
        unsafe {
            match &self.0 {
                Way::Dots(k) => k.run(phase, task, x, dy, dw, workspace, scratch),
                Way::Product(k) => k.run(phase, task, x, dy, dw, workspace, scratch),
            }
        }
    }
    fn work(&self) -> &dyn Work {
        match &self.0 {
            Way::Dots(k) => k,
            Way::Product(k) => k,
        }
    }
}

impl Work for ConvFilterGradKernel {
    fn phases(&self) -> &[usize] {
        self.work().phases()
    }
    fn workspace_len(&self) -> usize {
        self.work().workspace_len()
    }
    fn scratch_len(&self) -> usize {
        self.work().scratch_len()
    }
}

/// Adds up the parts of a sum, in order: task `task` of `tasks` over `len` elements.
///
/// # Safety
/// `from` must hold `parts` times `len` elements, `to` as many as `len`.
#[inline(always)]
pub(super) unsafe fn join<S: Simd16>(
    from: *const f32,
    to: *mut f32,
    len: usize,
    parts: usize,
    task: usize,
    tasks: usize,
) {
    let (mut i, end) = (len * task / tasks, len * (task + 1) / tasks);
    // SAFETY: ranges of different tasks are disjoint.
    unsafe {
        while i < end {
            let m = (end - i).min(16);
            let mut sum = S::load_up_to(from.add(i), m);
            for part in 1..parts {
                sum = S::add(sum, S::load_up_to(from.add(i + part * len), m));
            }
            S::store_up_to(to.add(i), sum, m);
            i += m;
        }
    }
}
