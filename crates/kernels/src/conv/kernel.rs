//! Convolution and its input gradient: which of the two ways.

use super::fold::FoldInputGrad;
use super::product::BandConv;
use crate::{Epilogue, Isa, SharedMut, Work};
use gabor_tensor::{ConvGeometry, Rule};

/// A prepared convolution, or input gradient (which is transposed convolution).
///
/// Sums run with fused multiply-adds, in blocks. Products with padding are part of them: a NaN or an infinity among the
/// weights may show at the border too.
#[derive(Clone, Debug)]
pub struct ConvKernel(Way);

#[derive(Clone, Debug)]
enum Way {
    Bands(BandConv),
    Fold(FoldInputGrad),
}

impl ConvKernel {
    /// Prepares the convolution of `n` images: x `[n, ci, input…]` and w to y `[n, co, output…]`.
    ///
    /// # Errors
    /// More than three spatial dimensions.
    pub fn forward(g: &ConvGeometry, n: usize, isa: Isa) -> Result<Self, Rule> {
        Ok(ConvKernel(Way::Bands(BandConv::forward(g, n, isa)?)))
    }
    /// Prepares the input gradient of `n` images: dy `[n, co, output…]` and w to dx `[n, ci, input…]`.
    ///
    /// # Errors
    /// More than three spatial dimensions.
    pub fn input_grad(g: &ConvGeometry, n: usize, isa: Isa) -> Result<Self, Rule> {
        let bands = BandConv::input_grad(g, n, isa)?;
        // Where kernels are large for their planes, most products of the bands would be with padding.
        let fold = FoldInputGrad::new(g, n, isa).filter(|f| 10 * f.operations() < 8 * bands.products());
        Ok(ConvKernel(fold.map_or(Way::Bands(bands), Way::Fold)))
    }
    /// Runs one task: reads the source (x or dy) and the weight, writes its part of the target (y or dx).
    ///
    /// # Safety
    /// Tasks may run at the same time; nothing else may touch `to` meanwhile. `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(
        &self,
        task: usize,
        from: &[f32],
        w: &[f32],
        epilogue: Epilogue<'_>,
        to: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            match &self.0 {
                Way::Bands(k) => k.run(task, from, w, epilogue, to, scratch),
                Way::Fold(k) => k.run(task, from, w, epilogue, to, scratch),
            }
        }
    }
    fn work(&self) -> &dyn Work {
        match &self.0 {
            Way::Bands(k) => k,
            Way::Fold(k) => k,
        }
    }
}

impl Work for ConvKernel {
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
