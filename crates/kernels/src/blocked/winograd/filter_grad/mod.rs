//! The filter gradient by Winograd's algorithm: for each point a product of the transformed inputs and the spread
//! gradients, summed over tiles; the sums are gathered to taps at the end.

mod bands;
mod finish;
mod kernel;
mod plan;
mod product;
#[cfg(test)]
mod tests;

use super::WinogradTile;
use super::transform::Tile;
use crate::memory::LINE;
use crate::{Isa, SharedMut, Work};
use bands::BAND;
use finish::TAPS;
use gabor_tensor::ConvGeometry;
use kernel::Run;
use plan::Plan;
use std::marker::PhantomData;

/// Most floats of the sums of all points.
const SUMS: usize = 1 << 26;

/// A prepared filter gradient of a 3 × 3, 4 × 4 or 5 × 5 convolution of stride 1 on blocked tensors: x `[n, ci, h, w]` and
/// dy `[n, co, h', w']` to dw `[co, ci, k, k]` in plain order.
///
/// An infinity or NaN spreads over the taps of its pair of channels. Sums over tiles run chunk by chunk, then over
/// chunks; with [`WinogradTile::F4`] errors are about twice those of direct sums.
#[derive(Clone, Debug)]
pub struct WinogradFilterGradKernel {
    isa: Isa,
    tile: WinogradTile,
    plan: Plan,
    n: usize,
    ci: usize,
    co: usize,
    /// Taps in each dimension.
    taps: usize,
    /// Height and width of inputs and outputs, padding before the first row and column.
    input: [usize; 2],
    output: [usize; 2],
    padding: [usize; 2],
    phases: Vec<usize>,
}

impl WinogradFilterGradKernel {
    /// Prepares the filter gradient of `n` images.
    ///
    /// # Errors
    /// What it does not do: other windows than 3 × 3, 4 × 4 and 5 × 5, strides, dilations, groups, more padding than leaves taps
    /// inside, sums of more than 256 MiB.
    pub fn new(g: &ConvGeometry, n: usize, tile: WinogradTile, isa: Isa) -> Result<Self, String> {
        check(g)?;
        let sums = plan::points(g, tile) * g.ci.next_multiple_of(16) * g.co.next_multiple_of(16);
        if sums > SUMS {
            return Err(format!("sums of {} MiB, more than {}", sums >> 18, SUMS >> 18));
        }
        Ok(Self::with(g, n, tile, isa, Plan::new(g, n, tile)))
    }
    fn with(g: &ConvGeometry, n: usize, tile: WinogradTile, isa: Isa, plan: Plan) -> Self {
        let phases = match plan.parts {
            Some(parts) => vec![parts, plan.tasks()],
            None => [plan.transforms(), plan.tasks()].repeat(plan.chunks),
        };
        let axes = g.window.axes();
        WinogradFilterGradKernel {
            isa,
            tile,
            plan,
            n,
            ci: g.ci,
            co: g.co,
            taps: axes[0].kernel,
            input: [axes[0].input, axes[1].input],
            output: [axes[0].output, axes[1].output],
            padding: [axes[0].pad_begin, axes[1].pad_begin],
            phases,
        }
    }
    /// How many times faster than direct sums at 88 % of the rate of multiply-adds it is expected to be: a model of vector
    /// operations by shapes alone, within a fifth of what a core with AVX-512 does. Zero for what it does not do.
    ///
    /// Direct sums win where the transforms outweigh the products (fewer than 16 channels on one side) and where sums over
    /// few tiles (less than about ten) do not make up for the gathering of taps.
    pub fn advantage(g: &ConvGeometry, n: usize, tile: WinogradTile) -> f64 {
        if check(g).is_err() {
            return 0.0;
        }
        let plan = Plan::new(g, n, tile);
        let [ci, co] = plan.blocks.map(|b| b as f64);
        let [tiles, points] = [plan.first_tile(plan.runs), plan.points].map(|v| v as f64);
        let chunks = (plan.chunks * plan.parts.unwrap_or(1)) as f64;
        // Per pair of blocks and point: products, the loading and storing of sums for each chunk. A point costs ten
        // operations of transforms, a pair of blocks its taps.
        let products = points * ci * co * (16.0 * tiles / 0.93 + 80.0 * chunks);
        let transforms = 10.0 * points * (ci + co) * tiles;
        let direct = g.window.output_len() as f64 * n as f64 * (g.window.kernel_len() * g.ci) as f64 * co;
        direct / 0.88 / (products + transforms + 80.0 * points * ci * co)
    }
    /// Runs one task: reads the blocked `x` and `dy`, writes its part of `dw`.
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
        let [ci, co] = self.plan.blocks;
        assert!(x.len() >= self.n * ci * self.input[0] * self.input[1] * 16);
        assert!(dy.len() >= self.n * co * self.output[0] * self.output[1] * 16);
        assert!(dw.len() >= self.co * self.ci * self.taps * self.taps);
        assert!(workspace.len() >= self.workspace_len() && scratch.len() >= self.scratch_len());
        assert!(task < self.phases[phase]);
        let at = [phase, task];
        // SAFETY: lengths are checked; tasks write disjoint parts; the rest is the caller's promise.
        unsafe { with_algorithm!(self.tile, self.taps, A => self.call::<A>(at, x, dy, dw, workspace, scratch)) }
    }
    /// # Safety
    /// As [`WinogradFilterGradKernel::run`], which has checked the lengths.
    unsafe fn call<T: Tile>(
        &self,
        [phase, task]: [usize; 2],
        x: &[f32],
        dy: &[f32],
        dw: SharedMut<'_, f32>,
        workspace: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        let tile = PhantomData::<T>;
        // SAFETY: the caller's promise.
        unsafe { self.isa.call(Run { k: self, phase, task, x, dy, dw, workspace, scratch, tile }) }
    }
}

/// Whether it is a convolution that tiles do.
fn check(g: &ConvGeometry) -> Result<(), String> {
    let axes = g.window.axes();
    if axes.len() != 2 || g.groups != 1 {
        return Err(format!("{} spatial dimensions and {} groups, not 2 and 1", axes.len(), g.groups));
    }
    for a in axes {
        let same = a.kernel == axes[0].kernel && [3, 4, 5].contains(&a.kernel);
        if !same || (a.stride, a.dilation) != (1, 1) {
            return Err(format!(
                "kernel {}, stride {}, dilation {}, not 3, 4 or 5, 1, 1",
                a.kernel, a.stride, a.dilation
            ));
        }
        if a.pad_begin.max(a.pad_end) >= a.kernel {
            return Err(format!("padding {} and {}, not less than {}", a.pad_begin, a.pad_end, a.kernel));
        }
    }
    Ok(())
}

impl Work for WinogradFilterGradKernel {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn workspace_len(&self) -> usize {
        let points = if self.plan.parts.is_some() { 0 } else { self.plan.points_len() };
        LINE + self.plan.sums() * self.plan.sums_len() + points
    }
    fn scratch_len(&self) -> usize {
        let points = if self.plan.parts.is_some() { self.plan.points_len() } else { 0 };
        LINE + self.plan.sums_len() + points + BAND.max(TAPS)
    }
}
